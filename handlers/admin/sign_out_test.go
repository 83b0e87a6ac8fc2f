package admin_test

import (
	"slices"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/session"
)

func TestAnOwnerEndsSomebodysSessions(t *testing.T) {
	e := newEdge(t)
	cookies := map[string]domain.Name{}
	for _, who := range []domain.Name{"alice", "alice", "auditor"} {
		cookie, _, err := e.Sessions().Create(t.Context(), session.Session{Person: who, Method: "passkey"})
		if err != nil {
			t.Fatal(err)
		}
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
	if r.Status != 200 || r.Body["sessions"] != 2.0 {
		t.Fatalf("got %d %s", r.Status, r.Raw)
	}
	for cookie, who := range cookies {
		if _, err := e.Sessions().Find(t.Context(), cookie); (err == nil) != (who == "auditor") {
			t.Errorf("a session of %s: %v", who, err)
		}
	}
	if got := e.Types(at); !slices.Equal(got, []string{"person.signed_out", "person.signed_out"}) {
		t.Errorf("recorded %v", got)
	}
	for _, key := range []string{"a", "b"} {
		if r := e.as("owner", "POST", "/people/alice/sign-out", nil, "Idempotency-Key", key); r.Status != 200 || len(e.Types(at)) != 2 {
			t.Errorf("again: %d %s", r.Status, r.Raw)
		}
	}
	if r := e.as("alice", "GET", "/whoami", nil); r.Status == 401 {
		t.Error("their API token ended, too")
	}
}
