package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

// opens tells whether an API token opens anything.
func (s terminal) opens(token string) (yes bool) {
	s.world.Read(func(state *control.State, _ domain.Head) {
		_, err := state.Authenticate(person.HashToken(token), s.world.Now())
		yes = err == nil
	})
	return yes
}

// letIn is a program that somebody let in, and its token.
func (s terminal) letIn(who domain.Name) (token string) {
	s.t.Helper()
	deviceCode, userCode := s.begin()
	s.wants(http.StatusSeeOther, s.answer(who, "allow", userCode))
	token, refusal := s.poll(deviceCode)
	if token == "" {
		s.t.Fatalf("refused: %s", refusal)
	}
	return token
}

func TestProgramsThatWereLetInAreListedAndEnded(t *testing.T) {
	s := newTerminal(t)
	first, second := s.letIn("alice"), s.letIn("alice")
	shown := s.get("alice", s.path("/sessions"))
	checkAnswer(t, "sessions", shown)
	if page := s.wants(http.StatusOK, shown, "Programs that you let in", "192.0.2.1"); strings.Contains(page, first) {
		t.Error("the page has a token")
	}
	var all []person.Token
	s.world.Read(func(state *control.State, _ domain.Head) { all = state.LetIn("alice", s.world.Now()) })
	if len(all) != 2 {
		t.Fatalf("%d programs are let in", len(all))
	}
	s.signIn("mallory", domain.Member)
	s.wants(http.StatusNotFound, s.fills("mallory", "/sessions/end-program", "program", all[0].ID))
	made := s.world.Token("alice", domain.Member)
	var host person.Token
	s.world.Read(func(state *control.State, _ domain.Head) { host, _ = state.TokenOf(person.HashToken(made)) })
	s.wants(http.StatusNotFound, s.fills("alice", "/sessions/end-program", "program", host.ID))
	s.wants(http.StatusSeeOther, s.fills("alice", "/sessions/end-program", "program", all[0].ID))
	if s.opens(first) || !s.opens(second) || !s.opens(made) {
		t.Error("not exactly that program ended")
	}
	s.wants(http.StatusSeeOther, s.fills("alice", "/sessions/end-others"))
	if s.opens(second) || !s.opens(made) {
		t.Error("ending all others did not end exactly the program that was let in")
	}
	s.wants(http.StatusOK, s.get("alice", s.path("/sessions")), "You let no program in")
}

// However many sessions somebody has, and whether or not their keys could be deleted.
func TestAllOthersAreAllOthers(t *testing.T) {
	s := newSite(t)
	s.signIn("alice", domain.Member)
	for range session.MaxSessions + 5 {
		s.world.SignedIn(session.Session{Person: "alice"})
	}
	late := session.Session{Person: "alice", Began: s.world.Last()} // recorded, and not stored yet
	at := s.world.Last()
	s.wants(http.StatusSeeOther, s.fills("alice", "/sessions/end-others"))
	if got := s.world.Types(at); !slices.Equal(got, []string{"person.signed_out_everywhere"}) {
		t.Errorf("recorded %v", got)
	}
	cookie, _ := s.world.SignedIn(late)
	all, err := s.world.Sessions().List(t.Context(), "alice")
	if err != nil || len(all) != 2 {
		t.Errorf("%d keys are left, %v", len(all), err)
	}
	mine := s.cookies["alice"]
	s.wants(http.StatusOK, s.get("alice", s.path("/sessions")))
	s.cookies["alice"] = &http.Cookie{Name: mine.Name, Value: cookie}
	s.wants(http.StatusSeeOther, s.get("alice", s.path("/sessions")))
	// Who was signed out keeps nothing by ending all others.
	s.wants(http.StatusSeeOther, s.fills("alice", "/sessions/end-others"))
	s.cookies["alice"] = mine
	s.wants(http.StatusOK, s.get("alice", s.path("/sessions")))
}

// Who signs in once more than they may ends what they have not used for longest, and the
// trail says so.
func TestOneSessionTooManyEndsTheLongestUnused(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	var first string
	for i := range session.MaxSessions {
		cookie, one := s.world.SignedIn(session.Session{Person: "carol", Began: s.world.Last()})
		if i == 0 {
			first = one.ID
			s.cookies["carol"] = &http.Cookie{Name: s.cookieName(), Value: cookie}
		}
		s.world.Advance(time.Second)
	}
	s.world.SignedIn(session.Session{Person: "olga"})
	at := s.world.Last()
	b.signIn("carol")
	if got := s.world.Types(at); !slices.Equal(got, []string{"person.identity_linked", "person.signed_in", "person.signed_out"}) {
		t.Errorf("recorded %v", got)
	}
	events := s.world.Events()
	if e, ok := events[len(events)-1].Event.(identity.WasSignedOut); !ok || e.Session != first || e.Person != "carol" {
		t.Errorf("ended %+v, want %s", e, first)
	}
	if w := s.get("carol", s.path("/sessions")); w.Code != http.StatusSeeOther || !b.signedIn() {
		t.Error("the longest unused goes on, or the newest does not")
	}
	if all, err := s.world.Sessions().List(t.Context(), "carol"); err != nil || len(all) != session.MaxSessions {
		t.Errorf("%d sessions, %v", len(all), err)
	}
	// A proof anew takes the place of its session, and ends no other.
	at = s.world.Last()
	page, fields := b.begin(stepUpPath, "")
	b.get(b.pick(page, fields, "carol"))
	if got := s.world.Types(at); !slices.Equal(got, []string{"person.signed_in"}) {
		t.Errorf("recorded %v", got)
	}
}

// What a person said to a program stays said when their session is renewed, and when
// they sign out of it, before the program asks again.
func TestAProgramIsLetInThoughItsSessionWasRenewed(t *testing.T) {
	for name, then := range map[string]func(b *browser){
		"a fresh proof": func(b *browser) {
			page, fields := b.begin("/step-up", "")
			b.get(b.pick(page, fields, "carol"))
		},
		"signing out": func(b *browser) { b.post(b.site.path("/sign-out/now"), url.Values{}) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newTerminal(t)
			s.withDemo()
			b := s.browser()
			b.signIn("carol")
			deviceCode, userCode := s.begin()
			if w := b.post(s.path("/device/allow"), url.Values{"user_code": {userCode}}); w.status != http.StatusSeeOther {
				t.Fatalf("confirming: %d %s", w.status, w.body)
			}
			s.world.Advance(time.Second)
			then(b)
			token, refusal := s.poll(deviceCode)
			if token == "" || !s.opens(token) {
				t.Errorf("the program is refused: %s", refusal)
			}
		})
	}
}

// A session that another person's sign-in takes the place of ends in the log, too.
func TestASessionThatIsReplacedEndsInTheLog(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	b.signIn("carol")
	was, err := s.world.Sessions().Find(t.Context(), b.cookie(s.cookieName()).Value)
	if err != nil {
		t.Fatal(err)
	}
	page, fields := b.begin("/sign-in", "")
	if w := b.get(b.pick(page, fields, "olga")); w.status != http.StatusSeeOther {
		t.Fatalf("got %d %s", w.status, w.body)
	}
	events := s.world.Events()
	ended := slices.IndexFunc(events, func(e domain.Envelope) bool { return e.Type == "person.signed_out" })
	if ended < 0 {
		t.Fatal("nothing says that the session ended")
	}
	if e, _ := events[ended].Event.(identity.WasSignedOut); e.Person != "carol" || e.Session != was.ID || events[ended].CommitID != events[len(events)-1].CommitID {
		t.Errorf("got %+v", events[ended])
	}
}

// Who removes what they sign in with is told before that there is nothing else.
func TestTheOnlyProofOfTheOnlyOwnerIsNotRemovedUnwarned(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	register := func(id string) {
		t.Helper()
		m := domain.Meta{Actor: domain.Actor{ID: "olga"}, Now: s.world.Now()}
		if _, err := s.world.Execute(t.Context(), m, func(state *control.State) ([]domain.Fact, error) {
			return identity.Decide(state.Identities(), identity.RegisterPasskey{Person: "olga", ID: id, PublicKey: "AQ", Name: "laptop"}, m)
		}); err != nil {
			t.Fatal(err)
		}
	}
	const nothingElse, recover = "You sign in with nothing else", "sallyportd recover"
	told := func(texts ...string) {
		t.Helper()
		body := s.wants(http.StatusOK, s.get("olga", s.path("/passkeys")))
		for _, text := range []string{nothingElse, recover} {
			if strings.Contains(body, text) != slices.Contains(texts, text) {
				t.Errorf("whether the page says %q: %t", text, strings.Contains(body, text))
			}
		}
	}
	register("AQ")
	s.world.Token("oscar", domain.Member)
	told(nothingElse, recover)
	s.world.Token("oscar", domain.Owner)
	told(nothingElse)
	register("Ag")
	told()
}
