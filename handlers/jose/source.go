package jose

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
)

// SourceID names one key source. Nothing is shared between two of them: not
// the cache, not the transport.
type SourceID struct {
	Org, Connection domain.Name
	Version         uint64 // of the connection's specification
}

// KeySpec is where a connection's keys are: exactly one of the first three.
type KeySpec struct {
	JWKSURL, IssuerURL string
	Static             json.RawMessage // an uploaded key set
	CA                 string          // PEM; "" means the system's roots
}

// Observation is a key set as fetched: told when it differs from the last
// recorded one, and at most hourly while it is in use.
type Observation struct {
	ID             SourceID
	Keys           json.RawMessage // public members only
	KeyIDs         []string
	Added, Removed []string // RFC 7638 thumbprints
	At             time.Time
	SourceURL      string
}

// Resolver answers with every address of a host; [net.Resolver] is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// SourcesOptions are the surroundings of Sources.
type SourcesOptions struct {
	Observe  func(context.Context, Observation) error // nil: nobody is told
	Log      *slog.Logger                             // nil: nothing is said
	Now      func() time.Time                         // nil: time.Now
	Resolver Resolver                                 // nil: the system's
}

// Sources are the key sources of every connection of a process. Safe for concurrent use.
type Sources struct{ gate Gate }

// NewSources makes an empty set of sources behind a gate.
func NewSources(g Gate, o SourcesOptions) *Sources { return &Sources{gate: g} }

// Source is the source of that name; it is made at its first use. lastGood is
// the key set that the log remembers, nil if none.
func (s *Sources) Source(id SourceID, spec KeySpec, lastGood *connection.KeySet) *Source {
	return &Source{}
}

// Forget drops every source of a connection.
func (s *Sources) Forget(org, connection domain.Name) {}

// Close ends what runs in the background.
func (s *Sources) Close() {}

// Source is the keys of one connection's version. It is a [KeyFinder].
type Source struct{}

// Find is the key of that kid, fetched if need be.
func (s *Source) Find(ctx context.Context, kid string) (Found, error) {
	return Found{}, errors.New("fetching keys: refused")
}
