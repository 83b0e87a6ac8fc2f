package organisation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
)

// Replicas that start together found an organisation while its log elects a leader:
// one that is told so waits, and does not end.
func TestAStartWaitsForALogThatCannotBeReachedYet(t *testing.T) {
	late := errors.New("context canceled")
	for _, tt := range []struct {
		name  string
		errs  []error // of one try after the other; the last one's stay
		tries int
		ends  error
	}{
		{"at once", []error{nil}, 1, nil},
		{"after a command was given up", []error{fmt.Errorf("opening: %w", unavailable(late)), nil}, 2, nil},
		{"after the log did not answer", []error{streams.ErrUnavailable, fmt.Errorf("opening: %w", streams.ErrUnclear), nil}, 3, nil},
		{"for a minute, and no longer", []error{streams.ErrUnavailable}, 62, streams.ErrUnavailable},
		{"not for a log that is not trusted", []error{fmt.Errorf("%w: %w", errHalted, late)}, 1, late},
		{"not for a damaged one", []error{fmt.Errorf("%w: %w", errLog, &domain.Damage{Err: late})}, 1, late},
		{"not for anything else", []error{late}, 1, late},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				_, err := reached(t.Context(), Options{Log: slog.New(slog.DiscardHandler)}, func(context.Context, Options) (*Organisation, error) {
					tries++
					return nil, tt.errs[min(tries, len(tt.errs))-1]
				})
				if tries != tt.tries || !errors.Is(err, tt.ends) {
					t.Errorf("tried %d times and got %v, want %d and %v", tries, err, tt.tries, tt.ends)
				}
			})
		})
	}
}

func TestAStartThatIsStoppedWaitsForNoLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		begun := time.Now()
		_, err := reached(ctx, Options{Log: slog.New(slog.DiscardHandler)}, func(context.Context, Options) (*Organisation, error) { return nil, streams.ErrUnavailable })
		if took := time.Since(begun); !errors.Is(err, streams.ErrUnavailable) || took != 5*time.Second {
			t.Errorf("stopped after %s with %v", took, err)
		}
	})
}
