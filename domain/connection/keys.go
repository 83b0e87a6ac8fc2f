package connection

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
)

const (
	// KeysRecordedEvery is how often an unchanged key set is recorded while it
	// is in use, so that its age is known after a cold start.
	KeysRecordedEvery = time.Hour
	// maxKeysBytes bounds the keys kept in the log; of a larger set only the ids
	// are, which leaves it out of what a cold start in an outage can use.
	maxKeysBytes = 20 << 10
	maxKeyIDs    = 100
	maxKeyID     = 64 // bytes of an id as recorded
	// maxChangeBytes leaves room for the attributes of the event.
	maxChangeBytes = domain.MaxEventBytes - 2<<10
)

// ObserveKeys tells what a key source answered with. It comes from ourselves,
// whenever a set was fetched, and is recorded of the activated version alone,
// when the set changed or the last record is an hour old.
type ObserveKeys struct {
	Version   uint64          // of the specification whose source it is
	Keys      json.RawMessage // {"keys":[...]}, public members only, in an order that does not change by itself
	KeyIDs    []string
	At        time.Time // when it was fetched; zero is now
	SourceURL string
}

func (c ObserveKeys) decide(s State, m domain.Meta) ([]Event, error) {
	if !s.exists() || !s.EverActivated || c.Version != s.ActiveVersion {
		// Of a version that decides nothing, or nothing any more. Of a draft
		// least of all: its writer alone could make the log grow, with a server
		// that answers with other keys each time.
		return nil, nil
	}
	e := c.event(m.Now)
	if was := s.Keys; was != nil {
		e.Added, e.Removed = without(e.KeyIDs, was.KeyIDs), without(was.KeyIDs, e.KeyIDs)
		same := bytes.Equal(e.Keys, was.Keys) && slices.Equal(e.KeyIDs, was.KeyIDs) && e.SourceURL == was.SourceURL
		if e.At.Before(was.At) || same && e.At.Sub(was.At) < KeysRecordedEvery {
			return nil, nil // older than what is known, or already so
		}
	} else {
		e.Added = e.KeyIDs
	}
	return []Event{e.fit()}, nil
}

// fit leaves out what an event as stored has no room for: the keys, which are
// fetched again, before the ids that came and went. Each part has a bound, and
// all of them together have too little room, where JSON writes an & as \u0026.
func (e KeysChanged) fit() KeysChanged {
	over := func() bool {
		b, err := json.Marshal(e)
		return err != nil || len(b) > maxChangeBytes
	}
	if over() {
		e.Keys = nil
	}
	if over() {
		e.Added, e.Removed = nil, nil
	}
	return e
}

// event is the observation, each part within its bound.
func (c ObserveKeys) event(now time.Time) KeysChanged {
	e := KeysChanged{Version: c.Version, KeyIDs: []string{}, At: c.At.UTC(), SourceURL: c.SourceURL}
	if len(e.SourceURL) > maxURL {
		e.SourceURL = strings.ToValidUTF8(e.SourceURL[:maxURL], "")
	}
	if c.At.IsZero() {
		e.At = now
	}
	for _, id := range c.KeyIDs[:min(len(c.KeyIDs), maxKeyIDs)] {
		e.KeyIDs = append(e.KeyIDs, shortID(id))
	}
	// As the log will give them back, so that the same keys are the same bytes.
	if keys, err := json.Marshal(c.Keys); err == nil && c.Keys != nil && len(keys) <= maxKeysBytes {
		e.Keys = keys
	}
	return e
}

// shortID is a key id that is safe to keep and to show. What JSON would write
// in six bytes becomes a line, since three hundred ids must fit an event.
func shortID(id string) string {
	text := strings.NewReplacer("<", "_", ">", "_", "&", "_", `"`, "_", `\`, "_").Replace(claim.Text(id))
	if len(text) > maxKeyID {
		text = strings.ToValidUTF8(text[:maxKeyID], "")
	}
	return text
}

func without(ids, others []string) []string {
	var out []string
	for _, id := range ids {
		if !slices.Contains(others, id) {
			out = append(out, id)
		}
	}
	return out
}

// KeysChanged records a provider's key set: one that changed, or the same
// again, an hour later. The actor is system:keys.
type KeysChanged struct {
	Version   uint64          `json:"version"`
	Keys      json.RawMessage `json:"keys,omitempty"` // {"keys":[...]}, public members only; absent above 20 KiB, or where the rest leaves no room
	KeyIDs    []string        `json:"key_ids"`
	Added     []string        `json:"added,omitempty"`   // ids that were not there before
	Removed   []string        `json:"removed,omitempty"` // ids that are gone
	At        time.Time       `json:"at"`                // when it was fetched
	SourceURL string          `json:"source_url"`
}

func (KeysChanged) EventType() string { return "keys.changed" }

func (e KeysChanged) evolve(s State, _ domain.Envelope) State {
	s.Keys = &KeySet{Version: e.Version, Keys: e.Keys, KeyIDs: e.KeyIDs, At: e.At, SourceURL: e.SourceURL}
	return s
}
