package api_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

// A token of a login knows when its person had proved a second factor, to which
// policies look; any other token knows of none.
func TestATokenOfALoginCarriesTheSecondFactor(t *testing.T) {
	w := orgtest.New(t)
	var seen time.Time
	e := api.New(api.Options{Log: orgtest.Quiet()})
	api.Mount(e.Group("/v1"), w, []api.Route{
		{Method: "GET", Path: "/door", Roles: domain.Roles(), Serve: api.Read(func(c *api.Call) (api.Answer, error) {
			w.Read(func(s *control.State, _ domain.Head) { seen = c.Subject(s, "").MFAAt })
			return api.Answer{Body: map[string]string{}}, nil
		})},
	})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	b := &bench{World: w, url: s.URL + "/v1", t: t}
	made := w.Token("alice", domain.Member)
	proved := w.Now().Add(-time.Minute).UTC().Truncate(time.Second)
	login, err := w.LogIn(t.Context(), w.Meta("alice", domain.Member), person.LogIn{Person: "alice", MFAAt: proved}, func(*control.State) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		token string
		want  time.Time
	}{"of a login": {login.Secret, proved}, "made on the host": {made, time.Time{}}} {
		if res, body := b.ask("GET", "/door", tt.token, ""); res.StatusCode != 200 || !seen.Equal(tt.want) {
			t.Errorf("a token %s: %d %s, second factor at %s, want %s", name, res.StatusCode, body, seen, tt.want)
		}
	}
}
