package jose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
)

// How long fetched keys live, and how often they are fetched.
const (
	defaultLife = 5 * time.Minute // where Cache-Control says nothing
	minLife     = time.Minute
	maxLife     = time.Hour
	staleMax    = time.Hour // after the end of their life, in an outage

	missCooldown = 30 * time.Second // between two fetches because of an unknown kid
	firstBackoff = time.Second      // after a failure, doubling
	maxBackoff   = time.Minute
	recordEvery  = time.Hour
)

// SourceID names one key source. Between two of them nothing is shared: not
// the cache, not the roots, not a connection. A kid alone names nothing.
type SourceID struct {
	Org, Connection domain.Name
	Version         uint64 // of the connection's specification
}

// KeySpec is where a connection's keys are: exactly one of the first three.
type KeySpec struct {
	JWKSURL, IssuerURL string
	Static             json.RawMessage // an uploaded key set
	CA                 string          // PEM of the roots to trust; "" is the system's
	// Draft tells that nobody activated the connection yet. It may change;
	// everything else of a version stays.
	Draft bool
}

// Source is the keys of one version of a connection: a [KeyFinder] that
// fetches when it must, one fetch at a time. Safe for concurrent use.
type Source struct {
	id      SourceID
	spec    KeySpec
	of      *Sources
	uploads *KeySet // of a static source; nil otherwise
	fetch   *fetcher
	broken  error // why it can never answer; nil otherwise

	used    atomic.Int64 // when somebody asked last, Unix nanoseconds
	draft   atomic.Bool  // nobody activated the connection yet
	waiting atomic.Int64 // callers who wait for a fetch
	offered atomic.Pointer[connection.KeySet]

	mu       sync.Mutex // guards what follows; taken before Sources.mu, never after
	keys     *fetched   // nil: none yet
	flight   *flight    // nil: no fetch runs
	tried    time.Time  // when the last fetch began
	failures int        // in a row
	retry    time.Time  // no fetch before, after a failure
	err      error      // of the last fetch
	recorded record
	telling  bool // an observation waits to be recorded
}

// fetched is a key set and its times. It never changes.
type fetched struct {
	set     *KeySet
	url     string
	at      time.Time // when its fetch began
	refresh time.Time // from then on it is fetched again, and nobody waits for that
	expires time.Time // from then on it serves an outage alone
}

// flight is a running fetch; done is closed when its outcome is in the source.
type flight struct{ done chan struct{} }

// newSource prepares a source; nothing is fetched yet.
func newSource(of *Sources, id SourceID, spec KeySpec, lastGood *connection.KeySet) *Source {
	s := &Source{id: id, spec: spec, of: of}
	given := 0
	for _, there := range []bool{spec.JWKSURL != "", spec.IssuerURL != "", len(spec.Static) > 0} {
		if there {
			given++
		}
	}
	switch {
	case given != 1:
		s.broken = errors.New("the connection has not exactly one source of keys")
	case len(spec.Static) > 0:
		s.uploads, s.broken = parseUploaded(spec.Static)
	default:
		s.fetch, s.broken = newFetcher(of.gate, of.resolver, spec.CA)
		s.restore(lastGood)
	}
	return s
}

func parseUploaded(doc json.RawMessage) (*KeySet, error) {
	set, err := ParseKeySet(doc)
	if err != nil {
		return nil, fmt.Errorf("reading the uploaded keys: %w", err)
	}
	return set, nil
}

// restore starts from the key set that the log remembers, so that a start in
// an outage works. Its age counts: it is refreshed at its first use, and
// serves no longer than if it had been here all the time.
func (s *Source) restore(k *connection.KeySet) {
	if k == nil || k.Version != s.id.Version {
		return // keys of another version were trusted for another URL
	}
	set, err := ParseKeySet(k.Keys)
	if err != nil {
		return // it will be fetched
	}
	at := k.At
	if now := s.of.now(); at.After(now) {
		at = now
	}
	s.keys = &fetched{set: set, url: k.SourceURL, at: at, refresh: at, expires: at.Add(defaultLife)}
	s.recorded = record{set: set, at: at}
}

// adopt takes the key set that the log remembers by now, if it was fetched after
// ours: another replica has fetched it, so we need not.
func (s *Source) adopt(k *connection.KeySet) {
	if k == nil || s.fetch == nil || k.Version != s.id.Version || s.offered.Swap(k) == k {
		return
	}
	at := k.At
	if now := s.of.now(); at.After(now) {
		at = now
	}
	set, err := ParseKeySet(k.Keys)
	if err != nil {
		return // it will be fetched
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys != nil && !at.After(s.keys.at) {
		return
	}
	s.keys = &fetched{set: set, url: k.SourceURL, at: at, refresh: at.Add(defaultLife * 4 / 5), expires: at.Add(defaultLife)}
	s.recorded = record{set: set, at: at}
}

// Find is the key of that kid. Keys past 80 % of their life are refreshed
// in the background, past all of it the caller waits; an unknown kid makes
// everybody wait for one fetch, at most once in 30 seconds, of all replicas
// together: each lets as many more pass as there are others. In an outage
// the last good keys serve until an hour after their life. The error says
// why there are no keys now.
func (s *Source) Find(ctx context.Context, kid string) (Found, error) {
	switch {
	case s.broken != nil:
		return Found{}, s.broken
	case s.uploads != nil:
		return s.uploads.found(kid, time.Time{}, false), nil
	}
	if f := s.plan(kid); f != nil {
		if err := s.wait(ctx, f); err != nil {
			return Found{}, err
		}
	}
	return s.answer(kid)
}

var errCrowded = errors.New("waiting for the keys: too many others wait")

// wait waits for a fetch. Those who wait for a provider that stalls are few
// enough to leave room for everybody else; the others are told at once.
func (s *Source) wait(ctx context.Context, f *flight) error {
	mine, all := s.waiting.Add(1), s.of.waiting.Add(1)
	defer s.waiting.Add(-1)
	defer s.of.waiting.Add(-1)
	if mine > maxWaiting || all > maxWaitingAll {
		return errCrowded
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the keys: %w", ctx.Err())
	}
}

// plan starts a fetch if one is due, and hands it out if the caller has to wait for it.
func (s *Source) plan(kid string) *flight {
	now := s.of.now()
	s.used.Store(now.UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()
	may := !now.Before(s.retry)
	switch {
	case !s.usable(now):
		if may || s.flight != nil {
			return s.start(now)
		}
		return nil
	case !now.Before(s.keys.expires) && s.failures == 0:
		return s.start(now)
	case !now.Before(s.keys.refresh) && may:
		s.start(now)
	}
	if s.keys.set.knows(kid) {
		return nil
	}
	if s.flight != nil || now.Sub(s.tried) >= missCooldown*time.Duration(s.of.replicas()) {
		return s.start(now)
	}
	return nil
}

// usable tells whether the keys at hand may serve. s.mu is held.
func (s *Source) usable(now time.Time) bool {
	return s.keys != nil && now.Before(s.keys.expires.Add(staleMax))
}

// answer looks the kid up in the keys as they now are.
func (s *Source) answer(kid string) (Found, error) {
	now := s.of.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.usable(now) {
		if s.err == nil {
			return Found{}, errors.New("the keys are too old, and could not be fetched again")
		}
		return Found{}, s.err
	}
	return s.keys.set.found(kid, s.keys.at, !now.Before(s.keys.expires)), nil
}

// start joins the running fetch, or begins one. s.mu is held.
func (s *Source) start(now time.Time) *flight {
	if s.flight == nil {
		s.flight, s.tried = &flight{make(chan struct{})}, now
		if !s.of.begin(func() { s.run(now) }) {
			s.land(now, nil, errors.New("fetching keys: the process is stopping"))
		}
	}
	return s.flight
}

// run fetches, in a goroutine and a time of its own: no caller who goes away
// takes the others' fetch along.
func (s *Source) run(now time.Time) {
	k, err := s.get(now)
	if s.of.fetched != nil {
		s.of.fetched(err)
	}
	s.mu.Lock()
	s.land(now, k, err)
	s.mu.Unlock()
}

func (s *Source) get(now time.Time) (*fetched, error) {
	release, err := s.of.slot(s.draft.Load())
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, url := s.of.ctx, s.spec.JWKSURL
	if url == "" {
		if url, err = s.fetch.discover(ctx, s.spec.IssuerURL); err != nil {
			return nil, err
		}
	}
	body, header, err := s.fetch.get(ctx, url)
	if err != nil {
		return nil, err
	}
	set, err := ParseKeySet(body)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", url, err)
	}
	l := life(header)
	return &fetched{set: set, url: url, at: now, refresh: now.Add(l * 4 / 5), expires: now.Add(l)}, nil
}

// life is how long fetched keys live: the provider's max-age within our
// bounds (RFC 9111 section 5.2.2.1), a little less for some, so that not
// everything is fetched at once.
func life(h http.Header) time.Duration {
	l, uncached := defaultLife, false
	for d := range strings.SplitSeq(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(d), "=")
		switch name {
		case "no-store", "no-cache":
			uncached = true
		case "max-age":
			if n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				l = time.Duration(n) * time.Second
			}
		}
	}
	if uncached {
		l = minLife
	}
	l = min(max(l, minLife), maxLife)
	return max(l-rand.N(l/10), minLife)
}

// land takes the outcome of a fetch in. A failure leaves the keys as they
// are. s.mu is held.
func (s *Source) land(now time.Time, k *fetched, err error) {
	if err != nil {
		s.failures++
		s.err, s.retry = err, now.Add(backoff(s.failures))
		s.of.log.Warn("keys not fetched", "connection", s.id.Connection, "version", s.id.Version, "failures", s.failures, "error", err)
	} else {
		s.keys, s.failures, s.err, s.retry = k, 0, nil, time.Time{}
		s.tell(now)
	}
	close(s.flight.done)
	s.flight = nil
}

// backoff is 1, 2, 4 … 60 s after so many failures in a row, up to a tenth less or more.
func backoff(failures int) time.Duration {
	d := min(firstBackoff<<min(failures-1, 6), maxBackoff)
	return d - d/10 + rand.N(d/5)
}
