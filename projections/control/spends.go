package control

import (
	"encoding/base64"
	"fmt"
	"time"
)

// spendGrace is how much longer a spent proof is remembered than its event
// asks. Forgetting goes by the time of events, and so by the fastest clock
// among the replicas; a slower one must not take a proof that another forgot.
const spendGrace = 5 * time.Minute

// spends remembers spent proofs: 32 bytes each and a minute to forget it in, so
// that a million in ten minutes stay well under 200 MB.
type spends struct {
	until  map[spendKey]int64   // minute in which it is forgotten
	leave  map[int64][]spendKey // what to forget, by minute
	passed int64                // last minute whose keys were forgotten
}

type spendKey [32]byte

func newSpends() spends {
	return spends{until: map[spendKey]int64{}, leave: map[int64][]spendKey{}}
}

func parseSpendKey(s string) (k spendKey, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(k) {
		return k, false
	}
	return spendKey(b), true
}

func (s *spends) has(key string) bool {
	k, ok := parseSpendKey(key)
	_, spent := s.until[k]
	// What cannot be a spend key cannot be looked up, so it cannot be trusted as unspent.
	return !ok || spent
}

// leaves is the minute in which a proof that is to be remembered until then is forgotten.
func leaves(until time.Time) int64 { return until.Add(spendGrace).Unix()/60 + 1 }

// past tells whether such a proof is forgotten by now, were it spent.
func (s *spends) past(until time.Time) bool { return leaves(until) < s.passed }

func (s *spends) add(key string, until time.Time) error {
	k, ok := parseSpendKey(key)
	if !ok {
		return fmt.Errorf("spend key %q is not 32 bytes in base64url", key)
	}
	m := leaves(until)
	if m > s.until[k] {
		s.until[k] = m
		s.leave[m] = append(s.leave[m], k)
	}
	return nil
}

// forget drops what had to be remembered until a minute before now.
func (s *spends) forget(now time.Time) {
	minute := now.Unix() / 60
	if minute <= s.passed {
		return
	}
	s.passed = minute
	for m, keys := range s.leave {
		if m >= minute {
			continue
		}
		for _, k := range keys {
			if s.until[k] == m { // and was not spent again until later
				delete(s.until, k)
			}
		}
		delete(s.leave, m)
	}
}
