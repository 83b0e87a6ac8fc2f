package admin_test

import (
	"slices"
	"testing"

	"sallyport.dev/domain"
	ident "sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

func TestAnOwnerSignsSomebodyOut(t *testing.T) {
	e := newEdge(t)
	cookies := map[string]domain.Name{}
	for _, who := range []domain.Name{"alice", "alice", "auditor"} {
		cookie, _ := e.SignedIn(session.Session{Person: who, Method: "passkey"})
		cookies[cookie] = who
	}
	for _, by := range []string{"security", "alice", "auditor"} { // not even their own: that is what the console is for
		if r := e.as(by, "POST", "/people/alice/sign-out", nil); r.Status != 403 {
			t.Errorf("%s: %d %s", by, r.Status, r.Raw)
		}
	}
	if r := e.as("owner", "POST", "/people/nobody/sign-out", nil); r.Status != 404 {
		t.Errorf("of nobody: %d", r.Status)
	}
	at := e.Last()
	r := e.as("owner", "POST", "/people/alice/sign-out", nil, "Idempotency-Key", "a")
	if r.Status != 200 || r.Body["sessions"] != 2.0 || r.Body["tokens"] != 0.0 {
		t.Fatalf("got %d %s", r.Status, r.Raw)
	}
	for cookie, who := range cookies {
		if _, err := e.Sessions().Find(t.Context(), cookie); (err == nil) != (who == "auditor") {
			t.Errorf("a session of %s: %v", who, err)
		}
	}
	// Asked again under the same key it ends nothing that began since.
	cookie, _ := e.SignedIn(session.Session{Person: "alice", Began: e.Last()})
	began := domain.Position{Sequence: e.Last().Sequence + 1}
	if err := e.Sessions().Change(t.Context(), cookie, func(s *session.Session) { s.Began = began }); err != nil {
		t.Fatal(err)
	}
	if r := e.as("owner", "POST", "/people/alice/sign-out", nil, "Idempotency-Key", "a"); r.Status != 200 {
		t.Errorf("again: %d %s", r.Status, r.Raw)
	}
	if _, err := e.Sessions().Find(t.Context(), cookie); err != nil {
		t.Errorf("a session that began since: %v", err)
	}
	if got := e.Types(at); !slices.Equal(got, []string{"person.signed_out_everywhere"}) {
		t.Errorf("recorded %v", got)
	}
	if r := e.as("alice", "GET", "/whoami", nil); r.Status == 401 {
		t.Error("a token that was made on the host ended, too")
	}
}

// There is no session too many, and none that begins in between: what the log says
// of somebody ends what began before, also where nobody has deleted it.
func TestWhoIsSignedOutIsSignedOutOfEverySession(t *testing.T) {
	e := newEdge(t)
	other := orgtest.Join(t, e.Conn)
	const more = 2*session.MaxSessions + 30
	var all []session.Session
	for range more {
		_, s := e.SignedIn(session.Session{Person: "alice", Began: e.Last()})
		all = append(all, s)
	}
	// One whose beginning is recorded, and whose key is not there yet when the others are looked for.
	late := session.Session{Person: "alice", Began: e.Last()}
	login, err := e.LogIn(t.Context(), domain.Meta{Actor: domain.Actor{ID: "alice"}, Now: e.Now()}, person.LogIn{Person: "alice"}, func(*control.State) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if r := e.as("owner", "POST", "/people/alice/sign-out", nil); r.Status != 200 || r.Body["sessions"] != float64(more) || r.Body["tokens"] != 1.0 {
		t.Fatalf("got %d %s", r.Status, r.Raw)
	}
	_, late = e.SignedIn(late)
	other.Await(e.Last())
	for _, o := range []*orgtest.World{e.World, other} {
		o.Read(func(s *control.State, _ domain.Head) {
			if standing, over := session.Standing(s, append(all, late), e.Now()); len(standing) > 0 || len(over) != more+1 {
				t.Errorf("%d sessions still open something", len(standing))
			}
			if _, err := s.Authenticate(person.HashToken(login.Secret), e.Now()); err == nil {
				t.Error("a program that they let in is still let in")
			}
		})
	}
	if left, err := e.Sessions().List(t.Context(), "alice"); err != nil || len(left) != 1 {
		t.Errorf("%d keys are left, %v", len(left), err)
	}
}

// However many sessions rest on a proof that is taken away, all end, and all are told of.
func TestATakenProofEndsAndTellsOfEverySession(t *testing.T) {
	e := newEdge(t)
	proves(t, e)
	const more = 110
	for range more {
		e.SignedIn(session.Session{Person: "alice", Began: e.Last(), Proofs: []session.Proof{{Passkey: "AQ_-"}}})
	}
	r := e.as("owner", "DELETE", "/people/alice/passkeys/AQ_-", nil)
	if r.Status != 200 || r.Body["sessions"] != float64(more+2) {
		t.Fatalf("got %d %s", r.Status, r.Raw)
	}
	told := 0
	for _, v := range e.Events() {
		switch ev := v.Event.(type) {
		case ident.WasSignedOut:
			told++
		case ident.SessionsWereEnded:
			told += ev.Sessions
		}
	}
	if told != more+2 {
		t.Errorf("the trail tells of %d of %d", told, more+2)
	}
	if left, err := e.Sessions().List(t.Context(), "alice"); err != nil || len(left) != 2 {
		t.Errorf("%d are left, %v", len(left), err)
	}
}
