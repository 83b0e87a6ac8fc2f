package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/access"
	"sallyport.dev/handlers/admin"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/session"
	"sallyport.dev/handlers/signin"
)

// site is a console with an organisation of its own.
type site struct {
	t       testing.TB
	world   *orgtest.World
	console *Console
	handler *echo.Echo
	cookies map[domain.Name]*http.Cookie

	providers *signin.Providers
}

// newSite is the site of a test, with all screens, and those given. It is the
// test's alone, and much of a test is waiting for the disk: tests run side by side.
func newSite(t testing.TB, more ...screen) *site {
	t.Helper()
	if t, test := t.(*testing.T); test {
		t.Parallel()
	}
	return oneMoreSite(t, more...)
}

// oneMoreSite is a site beside the one that a test has already.
func oneMoreSite(t testing.TB, more ...screen) *site {
	t.Helper()
	s := &site{t: t, world: orgtest.Warm(t), cookies: map[domain.Name]*http.Cookie{}, providers: &signin.Providers{}}
	s.handler = api.New(api.Options{Log: orgtest.Quiet()})
	admin.Mount(s.handler.Group("/orgs/"+s.world.Name().String()), s.world.Organisation, admin.Options{
		SignIn: s.providers, More: access.New(s.world.Organisation, access.Options{PerSecond: 1000}).Routes(),
	})
	var err error
	s.console, err = New(Options{
		Orgs: []*organisation.Organisation{s.world.Organisation}, API: s.handler, BaseURL: "http://sallyport.test",
		Log: orgtest.Quiet(), Now: s.world.Now, SignIn: s.providers,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.console.all = append(s.console.all, more...)
	s.console.Mount(s.handler)
	return s
}

// signIn makes a person with a role and a session, just proved.
func (s *site) signIn(who domain.Name, role domain.Role) {
	s.t.Helper()
	s.world.Token(who, role)
	cookie, _ := s.world.SignedIn(session.Session{Person: who, Method: "passkey", FreshAt: s.world.Now(), MFAAt: s.world.Now()})
	s.cookies[who] = &http.Cookie{Name: s.cookieName(), Value: cookie}
}

// cookieName is the cookie of a session.
func (s *site) cookieName() string { return s.console.cookieName(s.world.Name()) }

// path is below the organisation's console.
func (s *site) path(p string) string { return "/console/orgs/" + s.world.Name().String() + p }

// as sends a request of a person; who "" is a stranger.
func (s *site) as(who domain.Name, r *http.Request) *httptest.ResponseRecorder {
	s.t.Helper()
	if c := s.cookies[who]; c != nil {
		r.AddCookie(c)
	}
	r.Host = "sallyport.test"
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func (s *site) get(who domain.Name, path string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.as(who, httptest.NewRequest(http.MethodGet, path, nil))
}

// post sends a form as a browser does from our own page.
func (s *site) post(who domain.Name, path, form string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return s.as(who, r)
}

func TestAStrangerIsLedToSignInAndBack(t *testing.T) {
	s := newSite(t)
	w := s.get("", s.path("/?x=1"))
	want := s.path("/sign-in?return=") + "%2Fconsole%2Forgs%2Facme%2F%3Fx%3D1"
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != strings.ReplaceAll(want, "acme", s.world.Name().String()) {
		t.Errorf("got %d to %q, want 303 to %q", w.Code, w.Header().Get("Location"), want)
	}
}

func TestTheOverviewIsShownToWhoIsSignedIn(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	w := s.get("olga", s.path("/"))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "<h1>Overview</h1>") {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
}

func TestASessionThatWasRevokedOpensNothing(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	if err := s.world.Sessions().End(context.Background(), s.cookies["olga"].Value); err != nil {
		t.Fatal(err)
	}
	if w := s.get("olga", s.path("/")); w.Code != http.StatusSeeOther {
		t.Errorf("got %d, want to be led to sign in", w.Code)
	}
}

func TestASessionEndsWithItsTime(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	s.world.Advance(session.Idle + time.Second)
	if w := s.get("olga", s.path("/")); w.Code != http.StatusSeeOther {
		t.Errorf("got %d, want to be led to sign in", w.Code)
	}
}

func TestVendoredFilesAreTheOnesThatWereChecked(t *testing.T) {
	said, err := os.ReadFile("static/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"htmx.min.js", "hx-sse.min.js", "hx-csp.min.js"} {
		b, err := os.ReadFile("static/vendor/" + f)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if line := "| " + f + " |"; !strings.Contains(string(said), line) || !strings.Contains(string(said), hex.EncodeToString(sum[:])) {
			t.Errorf("static/vendor/README.md does not name %s with its hash %x", f, sum)
		}
	}
}
