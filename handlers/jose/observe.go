package jose

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Observation is a key set as fetched. It is told when the keys are not the
// recorded ones, and at most hourly while they are in use, so that the log
// knows a set that is young enough for a start in an outage.
type Observation struct {
	ID     SourceID
	Keys   json.RawMessage // usable keys, public members alone; up to 150 KiB
	KeyIDs []string        // sorted
	// Added and Removed are RFC 7638 thumbprints, compared with the last
	// recorded set, sorted. Both are empty where nothing but time has passed.
	Added, Removed []string
	At             time.Time // when it was fetched
	SourceURL      string
}

// ErrNotYet is returned by who is told of a key set and has no use for it yet:
// it is told again at the next fetch, as after any error, and nothing is logged.
var ErrNotYet = errors.New("no use for the key set yet")

// record is what was told last. A nil set: nothing yet.
type record struct {
	set *KeySet
	at  time.Time
}

// tell queues an observation if one is due. s.mu is held.
func (s *Source) tell(now time.Time) {
	due := s.recorded.set == nil || !bytes.Equal(s.recorded.set.public, s.keys.set.public) || now.Sub(s.recorded.at) >= recordEvery
	if s.of.observe == nil || s.telling || !due {
		return
	}
	select {
	case s.of.tellings <- s:
		s.telling = true
	default: // the queue is full: the next fetch tries again
	}
}

// tellAll hands queued observations on, until Close.
func (s *Sources) tellAll() {
	for {
		select {
		case src := <-s.tellings:
			src.tellOne(s.ctx)
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *Source) tellOne(ctx context.Context) {
	s.mu.Lock()
	k, before := s.keys, s.recorded
	s.telling = false
	s.mu.Unlock()
	o := Observation{ID: s.id, Keys: k.set.Public(), KeyIDs: k.set.KeyIDs(), At: k.at, SourceURL: k.url}
	o.Added, o.Removed = difference(before.set, k.set)
	if err := s.of.observe(ctx, o); err != nil {
		if !errors.Is(err, ErrNotYet) {
			s.of.log.Warn("key set not recorded", "connection", s.id.Connection, "error", err)
		}
		return
	}
	s.mu.Lock()
	s.recorded = record{k.set, k.at}
	s.mu.Unlock()
}

// difference is what after has and before has not, and the reverse, as thumbprints.
func difference(before, after *KeySet) (added, removed []string) {
	old := map[string]bool{}
	if before != nil {
		old = before.thumbprints()
	}
	fresh := after.thumbprints()
	for t := range fresh {
		if !old[t] {
			added = append(added, t)
		}
	}
	for t := range old {
		if !fresh[t] {
			removed = append(removed, t)
		}
	}
	slices.Sort(added)
	slices.Sort(removed)
	return added, removed
}
