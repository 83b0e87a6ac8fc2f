package jose

import "context"

// refused is a KeyFinder without keys.
type refused struct{ err error }

func (r refused) Find(context.Context, string) (Found, error) { return Found{}, r.err }
