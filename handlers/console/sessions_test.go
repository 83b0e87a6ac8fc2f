package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

// setRoles has olga, an owner, give somebody exactly these roles.
func (s *site) setRoles(who domain.Name, roles ...domain.Role) {
	s.t.Helper()
	m := s.world.Meta("olga", domain.Owner)
	if _, err := s.world.Execute(s.t.Context(), m, func(state *control.State) ([]domain.Fact, error) {
		p, _ := state.Person(who)
		return person.Decide(state.People(), person.Edit{Name: who, Version: p.Version, Roles: roles, Email: p.Email, Manager: p.Manager}, m)
	}); err != nil {
		s.t.Fatal(err)
	}
}

// What a person bears counts with their next request: no session keeps a role.
func TestARoleThatIsTakenAwayIsMissingFromTheNextRequestOn(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	s.signIn("sam", domain.SecurityAdmin)
	s.wants(http.StatusSeeOther, s.fills("sam", "/groups/-/new/save", "name", "ops", "description", "one"))
	page := s.wants(http.StatusOK, s.get("sam", s.path("/groups/ops/edit")))
	s.setRoles("sam", domain.Member)
	s.wants(http.StatusForbidden, s.get("sam", s.path("/groups")))
	s.wants(http.StatusForbidden, s.fills("sam", "/groups/ops/edit/save", "etag", s.etag(page), "description", "his"))
	s.setRoles("sam", domain.Member, domain.Auditor)
	s.wants(http.StatusOK, s.get("sam", s.path("/groups")), "ops")
}

// A program that was let in gets no token once the session that let it in was ended
// from elsewhere, or what that rested on: who is signed out everywhere leaves nothing behind.
func TestAProgramIsLetInByASessionThatIsTrusted(t *testing.T) {
	for name, end := range map[string]func(s terminal){
		"another session of theirs that ends it": func(s terminal) {
			theirs, err := s.world.Sessions().Find(s.t.Context(), s.cookies["alice"].Value)
			if err != nil {
				s.t.Fatal(err)
			}
			s.signIn("alice", domain.Member)
			s.wants(http.StatusSeeOther, s.fills("alice", "/sessions/end", "session", theirs.ID))
		},
		"another session of theirs that ends all others": func(s terminal) {
			s.signIn("alice", domain.Member)
			s.wants(http.StatusSeeOther, s.fills("alice", "/sessions/end-others"))
		},
		"an owner who signs them out": func(s terminal) {
			s.signIn("olga", domain.Owner)
			s.wants(http.StatusSeeOther, s.fills("olga", "/people/alice/sign-out"))
		},
		"the removal of the passkey": func(s terminal) {
			m := s.world.Meta("olga", domain.Owner)
			if _, err := s.world.Execute(s.t.Context(), m, func(state *control.State) ([]domain.Fact, error) {
				return identity.Decide(state.Identities(), identity.RemovePasskey{Person: "alice", ID: "AQ"}, m)
			}); err != nil {
				s.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTerminal(t)
			m := domain.Meta{Actor: domain.Actor{ID: "alice"}, Now: s.world.Now()}
			if _, err := s.world.Execute(t.Context(), m, func(state *control.State) ([]domain.Fact, error) {
				return identity.Decide(state.Identities(), identity.RegisterPasskey{Person: "alice", ID: "AQ", PublicKey: "AQ", Name: "laptop"}, m)
			}); err != nil {
				t.Fatal(err)
			}
			if err := s.world.Sessions().Change(t.Context(), s.cookies["alice"].Value, func(one *session.Session) { one.Proofs = []session.Proof{{Passkey: "AQ"}} }); err != nil {
				t.Fatal(err)
			}
			deviceCode, userCode := s.begin()
			if w := s.answer("alice", "allow", userCode); w.Code != http.StatusSeeOther {
				t.Fatalf("confirming: %d %s", w.Code, w.Body)
			}
			end(s)
			if token, refusal := s.poll(deviceCode); token != "" || refusal != "access_denied" {
				t.Errorf("the program gets %q, %q", token, refusal)
			}
			if token, _ := s.poll(deviceCode); token != "" {
				t.Error("the code is not spent")
			}
		})
	}
}

// The page marks the session that asks, names browsers in words, and ends all
// others, on every replica.
func TestTheSessionsPageTellsThemApart(t *testing.T) {
	s := newSignIn(t)
	here, there := s.browser(), s.browser()
	here.signIn("carol")
	there.signIn("carol")
	body := here.get(s.path("/sessions")).body
	for _, want := range []string{"this one", "192.0.2.7", "End all others"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Count(body, "this one") != 1 {
		t.Error("not exactly one is marked")
	}
	cookies := []string{here.cookie(s.cookieName()).Value, there.cookie(s.cookieName()).Value}
	for _, c := range cookies {
		if strings.Contains(body, c) {
			t.Error("the page has a cookie")
		}
	}
	here.post(s.path("/sessions/end-others"), url.Values{"_once": {"a"}})
	if there.signedIn() || !here.signedIn() || strings.Contains(here.get(s.path("/sessions")).body, "End all others") {
		t.Error("not exactly the other one ended")
	}
}
