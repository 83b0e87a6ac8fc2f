package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

func TestAnOwnerTakesAPasskeyAwayInTheConsole(t *testing.T) {
	d := registered(t)
	d.cookies = map[string]*http.Cookie{}
	if w := d.prove(signInPath); w.Code != http.StatusSeeOther {
		t.Fatalf("alice signs in: %d", w.Code)
	}
	d.site.signIn("olga", domain.Owner)
	d.site.signIn("ada", domain.Auditor)
	if body := d.wants(http.StatusOK, d.get("ada", d.path("/people/alice"))); strings.Contains(body, "laptop") || strings.Contains(body, "Passkeys</h2>") {
		t.Error("an auditor sees what somebody signs in with")
	}
	page := d.wants(http.StatusOK, d.get("olga", d.path("/people/alice")), "laptop", "No identity provider is configured here")
	checkPage(t, "a person", page)
	var id string
	d.world.Read(func(s *control.State, _ domain.Head) { id = s.Identities().Passkeys("alice")[0].ID })
	confirm := "/people/alice/take-away?passkey=" + id
	checkPage(t, "taking a passkey away", d.wants(http.StatusOK, d.get("olga", d.path(confirm)), "Remove the passkey laptop of alice?"))
	for _, who := range []domain.Name{"ada", "alice"} {
		d.signIn(who, domain.Auditor)
		d.wants(http.StatusForbidden, d.get(who, d.path(confirm)))
		d.wants(http.StatusForbidden, d.fills(who, "/people/alice/take-away/now", "passkey", id))
	}
	d.wants(http.StatusNotFound, d.get("olga", d.path("/people/alice/take-away?passkey=AQ")))
	d.wants(http.StatusNotFound, d.get("olga", d.path("/people/alice/take-away")))

	d.world.Advance(freshFor)
	for name, w := range map[string]string{
		"the page": d.get("olga", d.path(confirm)).Header().Get("Location"),
		"the form": d.fills("olga", "/people/alice/take-away/now", "passkey", id).Header().Get("Location"),
	} {
		if !strings.Contains(w, stepUpPath+"?return=") && !strings.HasSuffix(w, confirm) {
			t.Errorf("%s without a fresh proof leads to %q", name, w)
		}
	}
	if _, in := d.session(); !in {
		t.Fatal("alice's session ended without a fresh proof of olga's")
	}
	d.signIn("olga", domain.Owner)
	d.wants(http.StatusSeeOther, d.fills("olga", "/people/alice/take-away/now", "passkey", id, "_once", "a"))
	if _, in := d.session(); in {
		t.Error("the session that was begun with it goes on")
	}
	if w := d.send("/sessions/end-others", url.Values{}); !strings.Contains(w.Header().Get("Location"), signInPath) {
		t.Errorf("the browser that it was begun in is led to %q", w.Header().Get("Location"))
	}
	if w := d.prove(signInPath); w.Code != http.StatusForbidden {
		t.Errorf("the passkey opens %d", w.Code)
	}
	d.wants(http.StatusOK, d.get("olga", d.path("/people/alice")), "No passkeys", "The passkey is removed.")
}

func TestAnOwnerTakesAnAccountAwayAndLetsItReturn(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	b.signIn("carol")
	s.signIn("olga", domain.Owner)
	var a identity.Account
	s.world.Read(func(state *control.State, _ domain.Head) { a = state.Identities().Accounts("carol")[0] })
	s.wants(http.StatusOK, s.get("olga", s.path("/people/carol")), a.Subject, "Take away")
	query := url.Values{"issuer": {a.Issuer}, "subject": {a.Subject}}.Encode()
	s.wants(http.StatusOK, s.get("olga", s.path("/people/carol/take-away?"+query)), "Take the account from carol?")
	s.wants(http.StatusSeeOther, s.fills("olga", "/people/carol/take-away/now", "issuer", a.Issuer, "subject", a.Subject, "may_return", "false", "_once", "a"))
	if b.signedIn() {
		t.Error("the session that was begun with it goes on")
	}
	if w := b.signIn("carol"); w.status != http.StatusForbidden || !strings.Contains(w.body, "identity.unlinked") || b.signedIn() {
		t.Errorf("carol signs in with it: %d %s", w.status, w.body)
	}
	s.wants(http.StatusOK, s.get("olga", s.path("/people/carol")), "taken away", "Let return")
	s.wants(http.StatusOK, s.get("olga", s.path("/people/carol/take-away?may_return=true&"+query)), "Let the account return to carol?")
	s.wants(http.StatusSeeOther, s.fills("olga", "/people/carol/take-away/now", "issuer", a.Issuer, "subject", a.Subject, "may_return", "true", "_once", "b"))
	s.wants(http.StatusOK, s.get("olga", s.path("/people/carol")), "may return", "Keep away")
	if w := b.signIn("carol"); w.status != http.StatusSeeOther || !b.signedIn() {
		t.Errorf("carol comes back: %d %s", w.status, w.body)
	}
}

// A second proof in a session does not wash the first: the session ends with either.
func TestASessionEndsWithEachProofThatWasGivenInIt(t *testing.T) {
	d := registered(t)
	d.cookies = map[string]*http.Cookie{}
	if w := d.prove(signInPath); w.Code != http.StatusSeeOther {
		t.Fatalf("got %d", w.Code)
	}
	first, _ := d.session()
	account := identity.Account{Issuer: "https://login.example.com", Subject: "00u1"}
	say := func(by domain.Actor, c identity.Command) {
		m := domain.Meta{Actor: by, Now: d.world.Now()}
		if _, err := d.world.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) { return identity.Decide(s.Identities(), c, m) }); err != nil {
			t.Fatal(err)
		}
	}
	say(domain.System("sign_in"), identity.Link{Person: "alice", Account: account})
	cookie, _ := d.world.SignedIn(session.Session{Person: "alice", FreshAt: d.world.Now(), Proofs: []session.Proof{{Account: account}}})
	d.cookies[d.cookieName()].Value = cookie
	d.world.Advance(time.Second)
	if w := d.prove(stepUpPath); w.Code != http.StatusSeeOther {
		t.Fatalf("proving anew: %d %s", w.Code, w.Body)
	}
	if now, _ := d.session(); len(now.Proofs) != 2 || now.ID == first.ID {
		t.Fatalf("the session rests on %v", now.Proofs)
	}
	say(domain.Actor{ID: "olga", Roles: []domain.Role{domain.Owner}}, identity.Unlink{Person: "alice", Account: account})
	if w := d.send("/sessions/end-others", url.Values{}); !strings.Contains(w.Header().Get("Location"), signInPath) {
		t.Errorf("the session goes on: %d to %q", w.Code, w.Header().Get("Location"))
	}
}
