package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"sallyport.dev/streams/blocks"
)

// Check looks at every log and every bucket of a data directory whose server is
// about to open them, as [Quick] as it has to be at a start. A *[domain.Damage]
// says that one of them must not be opened: the server would cut it off where it is
// damaged. What a stop without warning left half done is settled ([blocks.Stream.Settle]).
func Check(ctx context.Context, d Data, log *slog.Logger) error {
	targets, err := d.Targets()
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err := checkLog(ctx, t, log); err != nil {
			return err
		}
	}
	buckets, err := d.buckets()
	if err != nil {
		return err
	}
	for _, b := range buckets {
		f, err := InspectBucket(b, false)
		if err = cmp.Or(err, f.Err()); err != nil {
			return err
		}
		if _, err := b.Settle(); err != nil {
			return fmt.Errorf("settling the bucket %s: %w", b.Name(), err)
		}
	}
	return nil
}

func checkLog(ctx context.Context, t Target, log *slog.Logger) error {
	start := time.Now()
	f, err := Inspect(ctx, t, Options{})
	if err != nil {
		return fmt.Errorf("checking the log of %s: %w", t.Org, err)
	}
	if err := f.Err(); err != nil {
		return err
	}
	settled, err := settle(t)
	if err != nil {
		return fmt.Errorf("settling the log of %s: %w", t.Org, err)
	}
	log.Info("the log is whole", "org", t.Org, "commits", f.Blocks.Records, "sealed", f.Sealed, "sealed_events", f.SealedEvents,
		"compared_events", f.Compared, "torn_tail", f.Blocks.Torn != nil, "settled", settled, "took", time.Since(start))
	return nil
}

// settle makes a whole store fit to be opened. A configuration that is gone is
// made: the server would pass over a store without one.
func settle(t Target) (bool, error) {
	settled, err := t.Store.Settle()
	if err != nil {
		return settled, err
	}
	state, err := t.Store.Meta()
	if err != nil || state != blocks.MetaAbsent {
		return settled, err
	}
	if _, err := os.Stat(t.Store.Dir); errors.Is(err, fs.ErrNotExist) {
		return settled, nil // there is no store yet
	}
	return true, writeMeta(t, t.Store.Dir, time.Now())
}
