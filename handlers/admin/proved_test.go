package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
	"sallyport.dev/projections/control"
)

// anytime is what somebody may write with a login that is long ago: what only
// drafts, checks, or stops something. What is not here asks them to log in again.
var anytime = []string{
	"POST /logout", "POST /people/:name/sign-out",
	"POST /connections", "PUT /connections/:name", "POST /connections/:name/test", "POST /connections/:name/deactivate",
	"POST /roles/match",
}

func TestWhatGivesPowerAsksForALoginOfTheLastHour(t *testing.T) {
	e := newEdge(t)
	e.client = http.DefaultClient
	for _, role := range domain.Roles() {
		e.Token("everything", role)
	}
	m := domain.Meta{Actor: domain.Actor{ID: "everything"}, Now: e.Now()}
	login, err := e.LogIn(t.Context(), m, person.LogIn{Person: "everything"}, func(*control.State) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	e.tokens["everything"] = login.Secret
	ask := func(row string) string {
		method, path, _ := strings.Cut(row, " ")
		r := e.as("everything", method, strings.NewReplacer(":name", "nothing", ":person", "alice").Replace(path), nil)
		code, _ := r.Body["code"].(string)
		return code
	}
	writes := func(f func(row string)) {
		for row := range may {
			if !strings.HasPrefix(row, "GET ") && row != "POST /logout" {
				f(row)
			}
		}
	}
	writes(func(row string) {
		if code := ask(row); code == "session.stale" {
			t.Errorf("%s with a new login: %s", row, code)
		}
	})
	e.Advance(person.LoginProves)
	at := e.Last()
	writes(func(row string) {
		if code := ask(row); (code == "session.stale") == slices.Contains(anytime, row) {
			t.Errorf("%s with an old login: %q", row, code)
		}
	})
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("recorded %v", types)
	}
	if r := e.as("everything", "GET", "/people", nil); r.Status != 200 {
		t.Errorf("reading with an old login: %d %s", r.Status, r.Raw)
	}
	if r := e.as("owner", "PUT", "/organisation", nil); r.Status == 403 {
		t.Errorf("a token that was made on the host: %d %s", r.Status, r.Raw)
	}
	if r := e.as("everything", "POST", "/logout", nil); r.Status >= 300 {
		t.Errorf("logging out with an old login: %d %s", r.Status, r.Raw)
	}
}
