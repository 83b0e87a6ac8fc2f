package console

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

// anytime is the actions for which no fresh proof of who somebody is is asked:
// they only check, ask for something, decide as an approver, end or stop something,
// or are decided by a policy, which may ask for a second factor itself. An action
// that is not here asks for one.
var anytime = []string{
	// signing in and out, and being asked who one is
	"/sign-in/with", "/step-up/with", "/sign-out/now", "/sign-in/passkey/options", "/sign-in/passkey/prove", "/step-up/passkey/options", "/step-up/passkey/prove",
	"/enrol/check", "/enrol/options", "/enrol/register",
	"/sessions/end", "/sessions/end-program", "/sessions/end-others", "/people/:name/sign-out",
	"/passkeys/new/add", // of what was begun with a fresh proof
	// leading to their own page, which asks; TestACodeIsConfirmedByWhoJustProvedWhoTheyAre and the like hold them
	"/device/allow", "/device/refuse", "/people/:name/take-away/now",
	// asking, deciding, using
	"/access/request/raise", "/access/break-glass/break", "/requests/membership/raise", "/requests/:id/approve", "/requests/:id/deny", "/requests/:id/cancel",
	"/break-glass/:id/review", "/delegation/end", "/access/resource/take", "/access/resource/release", "/access/resource/reveal",
	// drafts, which do nothing until somebody else activates them, and stopping what is active
	"/new-connection/condition", "/new-connection/save", "/connections/:name/edit/condition", "/connections/:name/edit/save", "/connections/:name/test/run", "/connections/:name/deactivate/confirm",
	// checks that save nothing
	"/policies/-/reach/ask", "/roles/-/match/ask",
}

// What a person needs here is a form that /v1 would be asked with: of the actions
// that are not listed above, each is sent with an old proof, and nothing happens.
func TestWhatGivesPowerAsksForAFreshProof(t *testing.T) {
	s := newSite(t)
	everything := domain.Name("olga")
	s.signIn(everything, domain.Owner)
	for _, role := range []domain.Role{domain.DevOpsAdmin, domain.SecurityAdmin, domain.ResourceAdmin} {
		s.world.Token(everything, role)
	}
	s.world.Token("someone", domain.Member)
	s.api(everything, http.MethodPost, "/projects", `{"name":"someone"}`)
	s.api(everything, http.MethodPost, "/servers", `{"name":"someone","project":"someone","address":"192.0.2.1","accounts":[{"name":"root","kind":"vaulted","username":"root"}]}`)
	s.api(everything, http.MethodPost, "/secrets", `{"path":"a/b","project":"someone","value":"x"}`)
	s.api(everything, http.MethodPost, "/groups", `{"name":"someone"}`)
	s.drafted("someone", gitLab("acme"))
	s.world.Advance(freshFor)
	s.get(everything, s.path("/")) // notes that the session is in use
	before := s.world.Last()
	unknown := slices.Clone(anytime)
	for _, screen := range s.console.all {
		for _, action := range slices.Sorted(maps.Keys(screen.post)) {
			path := strings.TrimSuffix(screen.path, "/") + "/" + action
			if strings.HasSuffix(path, "/preview") {
				continue
			}
			if i := slices.Index(unknown, path); i >= 0 {
				unknown = slices.Delete(unknown, i, i+1)
				continue
			}
			w := s.post(everything, s.path(strings.NewReplacer(":name", "someone", ":account", "root").Replace(path)), "etag=%221%22&person=olga&to=olga&path=a/b&version=1&name=someone")
			led := w.Code == http.StatusSeeOther && strings.HasPrefix(w.Header().Get("Location"), s.path("/step-up?return="))
			if told := w.Code == http.StatusForbidden && strings.Contains(w.Body.String(), "session.stale"); !led && !told {
				t.Errorf("%s with an old proof: status %d to %q: %s", path, w.Code, w.Header().Get("Location"), mainOf(w.Body.String()))
			}
		}
	}
	if len(unknown) > 0 {
		t.Errorf("these are no actions: %q", unknown)
	}
	if after := s.world.Last(); after != before {
		t.Errorf("something was written: %v after %v", after, before)
	}
}
