package session_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/session"
)

// One person's sessions are found among as many of others, and though they are
// themself as many. Run it with -benchtime 20x.
func BenchmarkListing(b *testing.B) {
	const all = 10_000
	w := orgtest.New(b)
	var made sync.WaitGroup
	for i := range 64 {
		made.Go(func() {
			for n := i; n < all; n += 64 {
				who := domain.Name(fmt.Sprintf("person-%d", n/3)) // three each
				if n%2 == 0 {
					who = "crowd"
				}
				if _, _, err := w.Sessions().Create(context.Background(), session.Session{Person: who, Method: "passkey", UserAgent: "Mozilla/5.0 (X11; Linux x86_64)"}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	made.Wait()
	for who, least := range map[domain.Name]int{"person-7": 1, "crowd": all / 2} {
		b.Run(fmt.Sprintf("of=%d", least), func(b *testing.B) {
			for b.Loop() {
				if got, err := w.Sessions().List(b.Context(), who); err != nil || len(got) < least {
					b.Fatalf("%d sessions, %v", len(got), err)
				}
			}
		})
	}
}
