package organisation

import "context"

// WaitControl returns nil once this process has folded a control commit after
// seq, or why it will not: it stopped folding, or the context ended.
func (o *Organisation) WaitControl(ctx context.Context, seq uint64) error {
	return o.control.WaitControl(ctx, seq)
}
