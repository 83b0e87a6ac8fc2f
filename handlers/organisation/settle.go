package organisation

import (
	"context"
	"time"
)

// settleFor is how long a reader of the trail waits for it to catch up.
const settleFor = time.Second

// Settle lets the trail catch up with everything that was acknowledged before
// the call, so that who was just answered finds the event of it. It is a
// courtesy and no promise: a trail that is far behind, or being rebuilt, is read
// as it is. Who must see a position waits for it ([Organisation.WaitFor]).
func (o *Organisation) Settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	if last, err := o.journal.Last(ctx); err == nil {
		_ = o.trail.Wait(ctx, last)
	}
}
