package admin_test

import (
	"errors"
	"slices"
	"testing"

	"sallyport.dev/domain"
	ident "sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/session"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

var okta = ident.Account{Issuer: "https://login.example.com", Subject: "00u/1 2&3"}

// proves has alice be who has the account and the passkey, signed in with each of
// them and with another account, and two programs let in: by her, and by the host.
func proves(t *testing.T, e *edge) (cookies map[string]string, program string) {
	t.Helper()
	say := func(by domain.Actor, c ident.Command) {
		m := domain.Meta{Actor: by, Now: e.Now()}
		if _, err := e.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) { return ident.Decide(s.Identities(), c, m) }); err != nil {
			t.Fatal(err)
		}
	}
	other := ident.Account{Issuer: okta.Issuer, Subject: "00u2"}
	say(signin.Actor(), ident.Link{Person: "alice", Account: okta})
	say(signin.Actor(), ident.Link{Person: "alice", Account: other})
	say(domain.Actor{ID: "alice"}, ident.RegisterPasskey{Person: "alice", ID: "AQ_-", Name: "laptop", PublicKey: "AQ", Synced: true})
	cookies = map[string]string{}
	for name, with := range map[string][]session.Proof{
		"account": {{Account: okta}}, "passkey": {{Passkey: "AQ_-"}}, "other": {{Account: other}}, "both": {{Account: other}, {Passkey: "AQ_-"}},
	} {
		cookie, _ := e.SignedIn(session.Session{Person: "alice", Proofs: with})
		cookies[name] = cookie
	}
	m := domain.Meta{Actor: domain.Actor{ID: "alice"}, Now: e.Now()}
	token, err := e.LogIn(t.Context(), m, person.LogIn{Person: "alice"}, func(*control.State) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return cookies, token.Secret
}

// holding is the sessions that are somebody's still.
func holding(t *testing.T, e *edge, cookies map[string]string) (names []string) {
	t.Helper()
	for name, cookie := range cookies {
		s, err := e.Sessions().Find(t.Context(), cookie)
		if err == nil {
			e.Read(func(state *control.State, _ domain.Head) { _, err = session.Caller{Session: s}.Actor(state, e.Now()) })
		}
		if err == nil {
			names = append(names, name)
		} else if !errors.Is(err, session.ErrNone) {
			t.Error(err)
		}
	}
	slices.Sort(names)
	return names
}

func TestAnOwnerTakesAwayWhatALostLaptopHas(t *testing.T) {
	for name, tt := range map[string]struct {
		method, path string
		body         any
		left         []string
		recorded     string
	}{
		"its passkey": {"DELETE", "/people/alice/passkeys/AQ_-", nil, []string{"account", "other"}, "passkey.removed"},
		"its account": {"POST", "/people/alice/unlink", doc{"issuer": okta.Issuer, "subject": okta.Subject}, []string{"both", "other", "passkey"}, "person.identity_unlinked"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			cookies, program := proves(t, e)
			for _, by := range []string{"security", "auditor", "alice"} {
				if r := e.as(by, tt.method, tt.path, tt.body); r.Status != 403 {
					t.Errorf("%s: %d %s", by, r.Status, r.Raw)
				}
			}
			if len(holding(t, e, cookies)) != 4 {
				t.Fatal("a refusal ended sessions")
			}
			at := e.Last()
			r := e.as("owner", tt.method, tt.path, tt.body, "Idempotency-Key", "a")
			if r.Status != 200 || r.Body["sessions"] != float64(4-len(tt.left)) || r.Body["tokens"] != 1.0 {
				t.Fatalf("got %d %s", r.Status, r.Raw)
			}
			if got := holding(t, e, cookies); !slices.Equal(got, tt.left) {
				t.Errorf("those that hold are %v, want %v", got, tt.left)
			}
			types := e.Types(at)
			if types[0] != tt.recorded || types[len(types)-1] != "api_token.revoked" || len(types) != 2+4-len(tt.left) {
				t.Errorf("recorded %v", types)
			}
			if e.tokens["stolen"] = program; e.as("stolen", "GET", "/whoami", nil).Status != 401 {
				t.Error("the program that was let in goes on")
			}
			if r := e.as("alice", "GET", "/whoami", nil); r.Status != 200 {
				t.Error("a token that was made on the host ended")
			}
			if e.as("owner", tt.method, tt.path, tt.body, "Idempotency-Key", "a"); len(e.Types(at)) != len(types) {
				t.Errorf("again it recorded %v", e.Types(at))
			}
		})
	}
}

// A session that begins while what it rests on is taken away is none.
func TestASessionThatBeginsTooLateOpensNothing(t *testing.T) {
	e := newEdge(t)
	cookies, _ := proves(t, e)
	if r := e.as("owner", "DELETE", "/people/alice/passkeys/AQ_-", nil); r.Status != 200 {
		t.Fatalf("got %d %s", r.Status, r.Raw)
	}
	late, _ := e.SignedIn(session.Session{Person: "alice", Proofs: []session.Proof{{Passkey: "AQ_-"}}})
	cookies["late"] = late
	if got := holding(t, e, cookies); slices.Contains(got, "late") {
		t.Errorf("those that hold are %v", got)
	}
}

func TestWhatOfAProofIsToldAndToWhom(t *testing.T) {
	e := newEdge(t)
	proves(t, e)
	r := e.as("owner", "GET", "/people/alice", nil)
	keys, _ := r.Body["passkeys"].([]any)
	accounts, _ := r.Body["accounts"].([]any)
	if len(keys) != 1 || len(accounts) != 2 || keys[0].(doc)["name"] != "laptop" || keys[0].(doc)["id"] != "AQ_-" || keys[0].(doc)["public_key"] != nil {
		t.Errorf("an owner reads %s", r.Raw)
	}
	for _, by := range []string{"auditor", "security"} {
		if r := e.as(by, "GET", "/people/alice", nil); r.Status != 200 || r.Body["passkeys"] != nil || r.Body["accounts"] != nil || r.Body["unlinked"] != nil {
			t.Errorf("%s reads %s", by, r.Raw)
		}
	}
	if r := e.as("auditor", "GET", "/people/auditor", nil); r.Body["passkeys"] == nil {
		t.Errorf("somebody does not read of themself: %s", r.Raw)
	}
	if all, _ := e.as("owner", "GET", "/people", nil).Body["people"].([]any); all[0].(doc)["passkeys"] != nil {
		t.Error("the list has everybody's")
	}
	if r := e.as("owner", "PUT", "/people/alice", r.Body, "If-Match", r.Header.Get("ETag")); r.Status != 200 {
		t.Errorf("what was answered is not taken back: %d %s", r.Status, r.Raw)
	}
}

func TestWhatIsNobodysIsNotTakenAway(t *testing.T) {
	e := newEdge(t)
	proves(t, e)
	at := e.Last()
	for name, tt := range map[string]struct {
		method, path string
		body         any
		status       int
		code         string
	}{
		"another's passkey":       {"DELETE", "/people/auditor/passkeys/AQ_-", nil, 404, "passkey.not_found"},
		"a passkey of nobody":     {"DELETE", "/people/alice/passkeys/" + "Ag", nil, 404, "passkey.not_found"},
		"of a person of nobody":   {"DELETE", "/people/nobody/passkeys/AQ_-", nil, 404, "person.not_found"},
		"another's account":       {"POST", "/people/auditor/unlink", doc{"issuer": okta.Issuer, "subject": okta.Subject}, 404, "identity.not_found"},
		"an account of nobody":    {"POST", "/people/alice/unlink", doc{"issuer": "x", "subject": "y"}, 404, "identity.not_found"},
		"an account without name": {"POST", "/people/alice/unlink", doc{"issuer": "x"}, 422, "request.invalid"},
		"what is not asked for":   {"POST", "/people/alice/unlink", doc{"issuer": "x", "subject": "y", "person": "owner"}, 422, "request.invalid"},
	} {
		if r := e.as("owner", tt.method, tt.path, tt.body); r.Status != tt.status || r.Body["code"] != tt.code {
			t.Errorf("%s: %d %s", name, r.Status, r.Raw)
		}
	}
	if got := e.Types(at); len(got) > 0 {
		t.Errorf("recorded %v", got)
	}
}
