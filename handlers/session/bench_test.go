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

// One person's sessions are found among very many of others, and so are as many as
// they may have. Run it with -benchtime 20x.
func BenchmarkListing(b *testing.B) {
	const all = 10_000
	w := orgtest.New(b)
	var made sync.WaitGroup
	for i := range 64 {
		made.Go(func() {
			for n := i; n < all; n += 64 {
				who := domain.Name(fmt.Sprintf("person-%d", n/3)) // three each
				if n < session.MaxSessions {
					who = "many"
				}
				cookie, _ := session.Name()
				if _, err := w.Sessions().Create(context.Background(), cookie, session.Session{Person: who, Method: "passkey", UserAgent: "Mozilla/5.0 (X11; Linux x86_64)"}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	made.Wait()
	for who, least := range map[domain.Name]int{"person-77": 3, "many": session.MaxSessions} {
		b.Run(fmt.Sprintf("of=%d", least), func(b *testing.B) {
			for b.Loop() {
				if got, err := w.Sessions().List(b.Context(), who); err != nil || len(got) < least {
					b.Fatalf("%d sessions, %v", len(got), err)
				}
			}
		})
	}
}
