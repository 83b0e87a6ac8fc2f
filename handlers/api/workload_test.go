package api_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

// A token that we signed ourselves opens a route for workloads if every claim of
// it is as we write it, and nothing else of what we might ever have signed does.
func TestWhichTokensOfOursLetAWorkloadIn(t *testing.T) {
	w := orgtest.New(t)
	p := orgtest.NewProvider(t, "RS256")
	w.Activated("ci", p.Spec(w.Issuer(), "job/1"))
	var seen string
	e := api.New(api.Options{Log: orgtest.Quiet()})
	api.Mount(e.Group("/v1"), w, []api.Route{
		{Method: "GET", Path: "/door", Roles: domain.Roles(), Workloads: true, Serve: api.Read(func(c *api.Call) (api.Answer, error) {
			claims, workload := c.Workload()
			if seen = ""; workload {
				seen, _ = claims["sub"].(string)
			}
			if seen != "" && seen != c.Meta.Actor.ID || len(c.Meta.Actor.Roles) > 0 || c.StillHolds(domain.Roles()) {
				t.Errorf("the actor of %q is %+v", seen, c.Meta.Actor)
			}
			var who string
			w.Read(func(s *control.State, _ domain.Head) { who = c.Subject(s, "").ID })
			if who != seen {
				t.Errorf("the subject is %q", who)
			}
			return api.Answer{Body: map[string]string{}}, nil
		})},
		{Method: "GET", Path: "/people", Roles: domain.Roles(), Serve: api.Read(func(*api.Call) (api.Answer, error) { return api.Answer{Body: map[string]string{}}, nil })},
	})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	b := &bench{World: w, url: s.URL + "/v1", t: t}

	now := w.Now()
	good := func() token.Claims {
		return token.Claims{
			Issuer: w.Issuer(), Subject: "workload://default/ci/job%2F1", Audience: w.Issuer(), ID: "01KASE",
			IssuedAt: now.Unix(), NotBefore: now.Unix(), ExpiresAt: now.Add(time.Minute).Unix(),
			Sallyport: token.Workmark{Connection: "ci", Generation: generation(w), Identity: "job/1", Claims: map[string]any{}},
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*token.Claims)
		typ    string
		status int
	}{
		{"as we write it", func(*token.Claims) {}, jose.OwnType, 200},
		{"for another audience", func(c *token.Claims) { c.Audience = "https://api.example.com" }, jose.OwnType, 401},
		{"for nobody", func(c *token.Claims) { c.Audience = "" }, jose.OwnType, 401},
		{"for an audience that begins as ours", func(c *token.Claims) { c.Audience += "/" }, jose.OwnType, 401},
		{"of another issuer", func(c *token.Claims) { c.Issuer = "https://sallyport.example/orgs/other" }, jose.OwnType, 401},
		{"of another issuer for itself", func(c *token.Claims) {
			c.Issuer, c.Audience = "https://sallyport.example/orgs/other", "https://sallyport.example/orgs/other"
		}, jose.OwnType, 401},
		{"without a subject", func(c *token.Claims) { c.Subject = "" }, jose.OwnType, 401},
		{"over", func(c *token.Claims) { c.ExpiresAt = now.Unix() }, jose.OwnType, 401},
		{"not begun", func(c *token.Claims) { c.NotBefore = now.Add(time.Hour).Unix() }, jose.OwnType, 401},
		{"of an earlier generation", func(c *token.Claims) { c.Sallyport.Generation += 7 }, jose.OwnType, 401},
		{"of no connection", func(c *token.Claims) { c.Sallyport.Connection = "" }, jose.OwnType, 401},
		{"of a connection that is not there", func(c *token.Claims) { c.Sallyport.Connection = "other" }, jose.OwnType, 401},
		{"of another type", func(*token.Claims) {}, "JWT", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good()
			tt.change(&c)
			signed, err := w.Sign(t.Context(), "ES256", tt.typ, c)
			if err != nil {
				t.Fatal(err)
			}
			if res, body := b.ask("GET", "/door", signed, ""); res.StatusCode != tt.status || tt.status == 200 && seen != c.Subject {
				t.Errorf("answered %d %s, and saw %q", res.StatusCode, body, seen)
			}
			other := 401
			if tt.status == 200 {
				other = 403
			}
			if res, body := b.ask("GET", "/people", signed, ""); res.StatusCode != other {
				t.Errorf("where people are let in it answered %d %s", res.StatusCode, body)
			}
		})
	}
}

func generation(w *orgtest.World) (g uint64) {
	w.Read(func(s *control.State, _ domain.Head) { g = s.Connection("ci").Generation })
	return g
}
