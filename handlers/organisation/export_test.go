package organisation

import "context"

// ReadBack reads the sealed log back without pauses, from its first commit on,
// and tells how many events were compared.
func (o *Organisation) ReadBack(ctx context.Context) (events int, err error) {
	return o.readBack(ctx, 0, 0)
}

// HoldsKey tells whether a signing key's private half is in memory.
func (o *Organisation) HoldsKey(kid string) bool { return o.keyring.Loaded(kid) }
