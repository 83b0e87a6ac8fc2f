package console

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/provider"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
)

// drafted drafts a connection as devops.
func (s *site) drafted(name domain.Name, spec connection.Spec) {
	s.t.Helper()
	s.world.Do(s.world.Meta("devops", domain.DevOpsAdmin), name, connection.Draft{Name: name, Spec: spec, Issuer: s.world.Issuer()})
}

// state is a connection as it is.
func (s *site) state(name domain.Name) (c connection.State) {
	s.world.Read(func(state *control.State, _ domain.Head) { c = state.Connection(name) })
	return c
}

// gitLab is a connection of gitlab.com whose group's project is pinned.
func gitLab(group string) connection.Spec {
	return connection.Spec{Provider: provider.GitLab, Settings: provider.Settings{"domain": "gitlab.com", "group": group, "project": "app"}}
}

// shows fails unless the answer is a page that has every text.
func shows(t testing.TB, w interface {
	Result() *http.Response
}, texts ...string) string {
	t.Helper()
	r := w.Result()
	defer r.Body.Close()
	body := readAll(t, r)
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("status %d: the page does not have %q:\n%s", r.StatusCode, text, mainOf(body))
		}
	}
	return body
}

// mainOf is what a page says, without what is around it.
func mainOf(body string) string {
	if _, after, found := strings.Cut(body, "<main"); found {
		return after
	}
	return body
}

func TestConnectionsAreListedAndFiltered(t *testing.T) {
	s := newSite(t)
	s.signIn("audra", domain.Auditor)
	s.signIn("devops", domain.DevOpsAdmin)
	shows(t, s.get("audra", s.path("/connections")), "No connections yet", "drafts the first")
	shows(t, s.get("devops", s.path("/connections")), "No connections yet", s.path("/new-connection"))
	s.drafted("ci", gitLab("acme"))
	s.world.Activated("live", gitLab("other"))
	edited := gitLab("other")
	edited.Description = "Nightly <b>builds</b>"
	s.world.Do(s.world.Meta("devops", domain.SecurityAdmin), "live", connection.Edit{Version: 1, Spec: edited, Issuer: s.world.Issuer()})
	all := shows(t, s.get("audra", s.path("/connections")), "/connections/ci", "/connections/live", "pending change", "Nightly &lt;b&gt;builds", "1 to 2 of 2")
	if strings.Contains(all, s.path("/new-connection")) {
		t.Error("an auditor is offered to draft")
	}
	for query, want := range map[string]string{"q=LIVE": "live", "q=nightly": "live", "status=draft": "ci", "status=pending": "live", "status=active&provider=gitlab": "live"} {
		if body := shows(t, s.get("audra", s.path("/connections?"+query)), "/connections/"+want, "1 to 1 of 1"); strings.Count(body, `<th scope="row">`) != 1 {
			t.Errorf("%s does not find one", query)
		}
	}
	shows(t, s.get("audra", s.path("/connections?provider=kubernetes")), "No connection is like that")
}

func TestTheListTellsOfADay(t *testing.T) {
	s := newSite(t)
	s.signIn("audra", domain.Auditor)
	p := orgtest.NewProvider(t, "ES256")
	s.world.Activated("ci", p.Spec(s.world.Issuer(), "good"))
	s.exchange(p, "ci", "good")
	s.exchange(p, "ci", "bad")
	s.world.Settle(t.Context())
	shows(t, s.get("audra", s.path("/connections")), "1 token and 1 denial in 24 hours")
}

func TestAFullPageOfConnectionsIsSmall(t *testing.T) {
	c, err := New(Options{BaseURL: "http://sallyport.test"})
	if err != nil {
		t.Fatal(err)
	}
	busy := trail.Activity{}
	for range dayHours {
		busy.Issued, busy.Denied = append(busy.Issued, 123_456), append(busy.Denied, 23_456)
	}
	v := connectionsView{Any: true}
	for range connectionsPage {
		v.Rows = append(v.Rows, connectionRow{
			Name: domain.Name(strings.Repeat("n", 30)), Description: strings.Repeat("d", 60), Provider: "GitHub Actions", Status: connection.Active, Pending: true,
			LastIssued: time.Unix(1, 0), LastDenied: time.Unix(1, 0), Day: newDay(busy),
		})
	}
	if page := renderAll(t, c, "connections", v)["layout"]; len(page) > maxPage {
		t.Errorf("a page has %d bytes, more than %d", len(page), maxPage)
	}
}

// Ten thousand connections are a page of fifty, in its time and its size.
func BenchmarkConnections(b *testing.B) {
	s := newSite(b)
	s.signIn("audra", domain.Auditor)
	spec, err := connection.Complete(gitLab("acme"), s.world.Issuer())
	if err != nil {
		b.Fatal(err)
	}
	spec.Description = strings.Repeat("What it is for. ", 10)
	spec.Conditions = append(spec.Conditions, claim.Condition{Claim: "ref_protected", Operator: claim.Equals, Value: "true"})
	for i := range 100 {
		if _, err := s.world.Execute(b.Context(), s.world.Meta("devops", domain.DevOpsAdmin), func(*control.State) ([]domain.Fact, error) {
			var facts []domain.Fact
			for j := range 100 {
				facts = append(facts, domain.Fact{Subject: fmt.Sprintf("connection/connection-number-%d", i*100+j), Event: connection.WasDrafted{Spec: spec}})
			}
			return facts, nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		start := time.Now()
		w := s.get("audra", s.path("/connections?q=number&page=50"))
		if w.Code != http.StatusOK || w.Body.Len() > maxPage {
			b.Fatalf("status %d, %d bytes", w.Code, w.Body.Len())
		}
		_ = start
	}
}

func readAll(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// exchange has a workload ask for a token with a proof of that subject.
func (s *site) exchange(p *orgtest.Provider, name domain.Name, subject string) {
	s.t.Helper()
	e := api.New(api.Options{Log: orgtest.Quiet()})
	x := exchange.New(s.world.Organisation, exchange.Options{})
	defer x.Close()
	x.Mount(e.Group(""))
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"subject_token": {p.Mint(p.Claims(s.world.Now(), s.world.Issuer(), subject, nil))}, "connection": {name.String()}}
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
		s.t.Fatalf("the exchange answered %d %s", w.Code, w.Body)
	}
}
