package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

func TestWhatIsNoCookieIsNobodys(t *testing.T) {
	w := orgtest.New(t)
	cookie, made := w.SignedIn(session.Session{Person: "carol", Method: "oidc", UserAgent: strings.Repeat("ü", 300)})
	if len(cookie) != 43 || len(made.ID) != 16 || len(made.UserAgent) > 200 {
		t.Fatalf("%q, %+v", cookie, made)
	}
	if found, err := w.Sessions().Find(t.Context(), cookie); err != nil || found.Person != "carol" || found.ID != made.ID {
		t.Fatalf("%+v, %v", found, err)
	}
	for _, c := range []string{"", "x", made.ID, cookie[1:], cookie + "A", strings.Repeat("A", 43), ">", "*", "s.>", strings.Repeat(".", 43), strings.Repeat("*", 43)} {
		if found, err := w.Sessions().Find(t.Context(), c); !errors.Is(err, session.ErrNone) {
			t.Errorf("the cookie %q is %+v, %v", c, found, err)
		}
	}
	keys, err := w.Conn.ExpiringBucket(t.Context(), "SESSIONS_default")
	if err != nil {
		t.Fatal(err)
	}
	all, err := keys.Keys(t.Context(), "s")
	if err != nil || len(all) != 1 || strings.Contains(all[0], cookie) {
		t.Errorf("the bucket has %v, %v", all, err)
	}
}

// A session that was ended while a request of it was under way stays ended.
func TestAnEndedSessionIsNeverRevived(t *testing.T) {
	w := orgtest.New(t)
	s := w.Sessions()
	cookie, was := w.SignedIn(session.Session{Person: "carol"})
	w.Advance(2 * time.Minute)
	if err := s.Change(t.Context(), cookie, func(one *session.Session) {
		if err := s.End(context.Background(), cookie); err != nil {
			t.Error(err)
		}
		one.Notice = "Done."
	}); !errors.Is(err, session.ErrNone) {
		t.Errorf("changing what was ended meanwhile: %v", err)
	}
	if err := s.Seen(t.Context(), cookie, was); !errors.Is(err, session.ErrNone) {
		t.Errorf("seeing what was ended: %v", err)
	}
	if _, err := s.Find(t.Context(), cookie); !errors.Is(err, session.ErrNone) {
		t.Errorf("it holds again: %v", err)
	}
}

func TestTwoWhoChangeASessionBothDo(t *testing.T) {
	w := orgtest.New(t)
	s := w.Sessions()
	cookie, _ := w.SignedIn(session.Session{Person: "carol"})
	var both sync.WaitGroup
	for range 8 {
		both.Go(func() {
			if err := s.Change(context.Background(), cookie, func(one *session.Session) { one.Notice += "x" }); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if got, err := s.Find(t.Context(), cookie); err != nil || got.Notice != "xxxxxxxx" {
		t.Errorf("%q, %v", got.Notice, err)
	}
}

// Of all who come back with one attempt, on whichever replica, one gets it.
func TestAnAttemptIsForOnce(t *testing.T) {
	w := orgtest.New(t)
	other := orgtest.Join(t, w.Conn)
	type kept struct{ State string }
	cookie, err := w.Sessions().Begin(t.Context(), "oidc", kept{"a"})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for _, m := range []*session.Manager{w.Sessions(), other.Sessions(), w.Sessions(), other.Sessions()} {
		all.Go(func() {
			var got kept
			err := m.Finish(context.Background(), "oidc", cookie, &got)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && got.State == "a" {
				won++
			} else if !errors.Is(err, session.ErrAttempt) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("%d finished it", won)
	}
	if _, err := w.Sessions().Find(t.Context(), cookie); !errors.Is(err, session.ErrNone) {
		t.Error("the cookie of an attempt is a session")
	}
	for name, finish := range map[string]func(cookie string) error{
		"of another kind": func(c string) error { return w.Sessions().Finish(t.Context(), "passkey", c, &kept{}) },
		"after its time": func(c string) error {
			w.Advance(session.AttemptLife)
			return w.Sessions().Finish(t.Context(), "oidc", c, &kept{})
		},
	} {
		cookie, err := w.Sessions().Begin(t.Context(), "oidc", kept{})
		if err != nil {
			t.Fatal(err)
		}
		if err := finish(cookie); !errors.Is(err, session.ErrAttempt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASessionIsItsPersonAsTheyAreNow(t *testing.T) {
	w := orgtest.New(t)
	w.Token("carol", domain.Member)
	w.Token("carol", domain.Auditor)
	at := w.Now()
	for person, want := range map[domain.Name]int{"carol": 2, "nobody": 0} {
		c := session.Caller{Session: session.Session{Person: person, MFAAt: at}}
		w.Read(func(s *control.State, _ domain.Head) {
			a, err := c.Actor(s, at)
			if len(a.Roles) != want || (err == nil) != (want > 0) || c.MFAAt() != at {
				t.Errorf("%s: %+v, %v", person, a, err)
			}
		})
	}
}

func TestSessionsAreListedOfTheirPersonAlone(t *testing.T) {
	w := orgtest.New(t)
	s := w.Sessions()
	for _, who := range []domain.Name{"carol", "dana", "carol"} {
		w.SignedIn(session.Session{Person: who})
		w.Advance(time.Second)
	}
	all, err := s.List(t.Context(), "carol")
	if err != nil || len(all) != 2 || !all[0].SignedInAt.After(all[1].SignedInAt) {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := s.Revoke(t.Context(), all[:1]); err != nil {
		t.Fatal(err)
	}
	if left, err := s.List(t.Context(), "carol"); err != nil || len(left) != 1 || left[0].ID != all[1].ID {
		t.Errorf("%+v, %v", left, err)
	}
}

func TestWhatIsTooMuchIsTheLongestUnused(t *testing.T) {
	w := orgtest.New(t)
	s := w.Sessions()
	var ids []string
	var begun session.Session
	for range session.MaxSessions {
		_, begun = w.SignedIn(session.Session{Person: "carol"})
		ids = append(ids, begun.ID)
		w.Advance(time.Second)
	}
	w.SignedIn(session.Session{Person: "dana"})
	if over, err := s.Surplus(t.Context(), begun); err != nil || len(over) > 0 {
		t.Fatalf("%d of as many as may be are too many, %v", len(over), err)
	}
	w.SignedIn(session.Session{Person: "carol"})
	_, begun = w.SignedIn(session.Session{Person: "carol"})
	over, err := s.Surplus(t.Context(), begun)
	if err != nil || len(over) != 2 || over[1].ID != ids[0] || over[0].ID != ids[1] {
		t.Errorf("%+v, %v", over, err)
	}
}

// Sessions that ended by themselves are looked for once, and not for twelve hours.
func TestASessionThatEndedByItselfIsForgotten(t *testing.T) {
	w := orgtest.New(t)
	keys, err := w.Conn.ExpiringBucket(t.Context(), "SESSIONS_default")
	if err != nil {
		t.Fatal(err)
	}
	listed := func(want int) {
		t.Helper()
		if _, err := w.Sessions().List(t.Context(), "carol"); err != nil {
			t.Fatal(err)
		}
		if all, err := keys.Keys(t.Context(), "p"); err != nil || len(all) != want {
			t.Errorf("%v, %v: want %d", all, err, want)
		}
	}
	w.SignedIn(session.Session{Person: "carol"})
	if err := keys.Create(t.Context(), "p.carol.written-by-an-earlier-version", nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	// One that is being begun: listed, and not there yet.
	if err := keys.Create(t.Context(), "p.carol.begins", []byte(w.Now().UTC().Format(time.RFC3339)), time.Hour); err != nil {
		t.Fatal(err)
	}
	listed(3)
	w.Advance(session.Idle + time.Second)
	listed(2) // by another's clock it is not over, and renewed there it must be found
	of, err := keys.Keys(t.Context(), "s")
	if err != nil || len(of) != 1 {
		t.Fatalf("%v, %v", of, err)
	}
	_, revision, err := keys.Get(t.Context(), of[0])
	if err == nil {
		err = keys.Take(t.Context(), of[0], revision) // as the bucket does once its time is over
	}
	if err != nil {
		t.Fatal(err)
	}
	listed(1)
}

// What one process takes for over, because its clock is ahead, another renews: it is
// found, and ended, as any other.
func TestASessionThatAnotherClockRenewsIsStillListed(t *testing.T) {
	w := orgtest.New(t)
	cookie, s := w.SignedIn(session.Session{Person: "carol"})
	w.Advance(session.Idle - 15*time.Second)
	w.Advance(30 * time.Second) // the one that is ahead
	if all, err := w.Sessions().List(t.Context(), "carol"); err != nil || len(all) != 0 {
		t.Fatalf("%+v, %v: it is over by this clock", all, err)
	}
	w.Advance(-30 * time.Second)
	if err := w.Sessions().Seen(t.Context(), cookie, s); err != nil {
		t.Fatal(err)
	}
	if all, err := w.Sessions().List(t.Context(), "carol"); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v: it was renewed, and is in no list", all, err)
	}
}

// However many end at once, the trail tells of all, in so many lines.
func TestTheTrailTellsOfEverySessionThatEnds(t *testing.T) {
	w := orgtest.New(t)
	owner := w.Meta("owner", domain.Owner)
	for _, n := range []int{0, 1, 100, 101, 5000} {
		ended := make([]session.Session, n)
		for i := range ended {
			ended[i] = session.Session{ID: fmt.Sprint(i), Person: "carol"}
		}
		var facts []domain.Fact
		var err error
		w.Read(func(s *control.State, _ domain.Head) { facts, err = session.SignOuts(s, ended, owner) })
		told := 0
		for _, f := range facts {
			switch e := f.Event.(type) {
			case identity.WasSignedOut:
				told++
			case identity.SessionsWereEnded:
				told += e.Sessions
			}
		}
		if err != nil || told != n || len(facts) > 101 {
			t.Errorf("of %d sessions %d are told of by %d events, %v", n, told, len(facts), err)
		}
	}
}
