package admin_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/projections/control"
)

// The gate that judges an address when it is dialled judges it when it is
// written: every URL of the corpus, as a key source of a draft.
func TestADraftsAddressIsJudgedByTheGate(t *testing.T) {
	e := newEdge(t)
	b, err := os.ReadFile("../jose/testdata/ssrf-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var corpus struct {
		URLs []struct{ URL, Expect, Reason string }
	}
	if err := json.Unmarshal(b, &corpus); err != nil {
		t.Fatal(err)
	}
	if len(corpus.URLs) != 64 {
		t.Fatalf("got %d URLs, want 64", len(corpus.URLs))
	}
	drafted := 0
	for i, c := range corpus.URLs {
		r := e.as("devops", "POST", "/connections", e.document(fmt.Sprint("c", i), map[string]any{"jwks_url": c.URL}))
		allowed := c.Expect == "allow"
		if dev := slices.Contains([]string{"https://127.0.0.1/", "https://[::1]/", "https://localhost/"}, c.URL); dev {
			allowed = true // this world is one of development, where the loopback is open
		}
		if allowed {
			drafted++
		}
		if (r.Status == 201) != allowed || !allowed && (r.Status != 422 || r.pointers()[0][:9] != "/jwks_url") {
			t.Errorf("%q (%s %s) got %d %s", c.URL, c.Expect, c.Reason, r.Status, r.Raw)
		}
	}
	if types := but(e.Types(domain.Position{}), "connection.drafted"); slices.ContainsFunc(types, func(t string) bool { return t[:10] == "connection" }) || drafted < 10 {
		t.Errorf("%d were drafted; the log has %v", drafted, types)
	}
}

// A hundred requests at once to activate and to deactivate: each is answered as
// if they had come one after the other, and the last event says how it is.
func TestAHundredAtOnceToActivateAndDeactivate(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("devops", "POST", "/connections", e.document("ci", nil)))
	e.must(200, e.as("security", "POST", "/connections/ci/activate", nil, "If-Match", `"1"`))
	at := e.Last()
	var wg sync.WaitGroup
	var mu sync.Mutex
	told := map[string]bool{} // positions that somebody was answered
	for i := range 100 {
		wg.Go(func() {
			path := "/connections/ci/activate"
			if i%2 == 0 {
				path = "/connections/ci/deactivate"
			}
			r := e.as([]string{"security", "security2"}[i/2%2], "POST", path, nil, "If-Match", `"1"`)
			if r.Status != 200 { // its document may show already what came after it
				t.Errorf("%s got %d %s", path, r.Status, r.Raw)
			}
			mu.Lock()
			defer mu.Unlock()
			told[r.Header.Get("Sallyport-Position")] = true
		})
	}
	wg.Wait()
	last, changes := "active", 0
	for _, ev := range e.Events() {
		if !at.Less(ev.Position) || ev.Subject != "connection/ci" {
			continue
		}
		now := map[string]string{"connection.activated": "active", "connection.deactivated": "inactive"}[ev.Type]
		if now == last {
			t.Errorf("%s at %s says what was so already", ev.Type, ev.Position)
		}
		if !told[ev.Position.String()] {
			t.Errorf("nobody was told of %s at %s", ev.Type, ev.Position)
		}
		last, changes = now, changes+1
	}
	var status connection.Status
	e.Read(func(s *control.State, _ domain.Head) { status = s.Connection("ci").Status })
	if string(status) != last || changes == 0 {
		t.Errorf("it is %s after %d events, of which the last says %s", status, changes, last)
	}
}

// A test of a draft says more than an exchange does, so nobody may ask it as
// often as guessing takes; other connections are not held up by that.
func TestADraftIsNotTestedAsOftenAsGuessingTakes(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("devops", "POST", "/connections", e.document("ci", nil)))
	e.must(201, e.as("devops", "POST", "/connections", e.document("other", nil)))
	test := func(name string) reply {
		return e.as("devops", "POST", "/connections/"+name+"/test", map[string]any{"token": "guess"})
	}
	answered, limited := 0, 0
	for range 300 { // 60 at once, and one a second
		switch r := test("ci"); {
		case r.Status == 200:
			answered++
		case r.Status == 429 && r.text("code") == "rate.limited" && r.Header.Get("Retry-After") != "":
			limited++
		default:
			t.Fatalf("got %d %s", r.Status, r.Raw)
		}
		if limited == 3 {
			break
		}
	}
	if answered < 60 || limited == 0 {
		t.Errorf("%d were answered, %d told to wait", answered, limited)
	}
	e.must(200, test("other"))
}
