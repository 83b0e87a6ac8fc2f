package jose

import (
	"context"
	"time"
)

// Static is the KeyFinder of a key set that was uploaded, not fetched.
func Static(s *KeySet) KeyFinder { return static{s} }

type static struct{ set *KeySet }

func (f static) Find(_ context.Context, kid string) (Found, error) {
	return f.set.found(kid, time.Time{}, false), nil
}

// found is the answer of a set of that age.
func (s *KeySet) found(kid string, at time.Time, stale bool) Found {
	k, known := s.keys[kid]
	return Found{Key: k, Known: known, Unfit: s.unfit[kid], At: at, Stale: stale}
}
