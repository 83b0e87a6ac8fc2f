package console

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

// devPeople are those of every dev server.
var devPeople = map[domain.Name]domain.Role{
	"owner": domain.Owner, "devops": domain.DevOpsAdmin, "security": domain.SecurityAdmin,
	"resource": domain.ResourceAdmin, "auditor": domain.Auditor, "alice": domain.Member,
}

// elsewhere is where screens lead that show nothing to who is signed in, has just
// proved it, and asks for nothing in particular. Any other shows itself.
var elsewhere = map[string]string{
	"/access/break-glass": "/access", "/access/request": "/access", "/access/resource": "/access",
	"/secrets/-/one": "/secrets", "/secrets/-/one/delete": "/secrets", "/secrets/-/one/destroy": "/secrets", "/secrets/-/one/edit": "/secrets",
	"/sign-in": "/", "/sign-in/passkey": "/step-up?return=", "/sign-out": "/", "/step-up/passkey": "/step-up?return=",
}

var onceFields = regexp.MustCompile(`name="_once" value="([^"]*)"`)

// every screen without a parameter in its path is walked by every person.
func TestEveryScreenIsShownToWhoMaySeeItAndToNobodyElse(t *testing.T) {
	s := newSite(t)
	for who, role := range devPeople {
		s.signIn(who, role)
	}
	for _, screen := range s.console.all {
		if screen.get == nil || strings.Contains(screen.path, ":") {
			continue
		}
		for who, role := range devPeople {
			w := s.get(who, s.path(screen.path))
			where := string(who) + " at " + screen.path
			admitted := screen.admits(domain.Actor{Roles: []domain.Role{role}})
			switch {
			case w.Code == http.StatusSeeOther && admitted:
				if to := elsewhere[screen.path]; to == "" || !strings.HasPrefix(w.Header().Get("Location"), s.path(to)) {
					t.Errorf("%s: they are led to %q", where, w.Header().Get("Location"))
				}
				continue
			case w.Code == http.StatusOK != admitted || !admitted && w.Code != http.StatusForbidden:
				t.Errorf("%s: status %d", where, w.Code)
			}
			checkAnswer(t, where, w)
			for _, once := range onceFields.FindAllStringSubmatch(w.Body.String(), -1) {
				if m := openedBy.FindStringSubmatch(once[1]); m == nil || m[1] != openerOf(string(who)) {
					t.Errorf("%s: a form does not say who opened it: %q", where, once[1])
				}
			}
			if n := strings.Count(w.Body.String(), `aria-current="page"`); screen.menu != "" && admitted && n < 2 {
				t.Errorf("%s: the menu marks nothing", where) // it is there twice, for wide and narrow
			}
			if !admitted && !strings.Contains(w.Body.String(), "needs the role") {
				t.Errorf("%s: no role is named: %s", where, w.Body)
			}
		}
		if w := s.get("", s.path(screen.path)); !screen.open && w.Code != http.StatusSeeOther {
			t.Errorf("a stranger at %s: status %d", screen.path, w.Code)
		}
	}
}

// checkAnswer holds a page as it was answered to what every page has.
func checkAnswer(t *testing.T, where string, w *httptest.ResponseRecorder) {
	t.Helper()
	html := w.Body.String()
	checkPage(t, where, html)
	checkInline(t, where, html)
	h := w.Header()
	csp := h.Get("Content-Security-Policy")
	nonce, _, _ := strings.Cut(strings.TrimPrefix(csp, "default-src 'none'; script-src 'nonce-"), "'")
	if len(nonce) < 22 || !strings.Contains(html, `nonce="`+nonce+`"`) || !strings.Contains(csp, "require-trusted-types-for 'script'; trusted-types htmx") {
		t.Errorf("%s: Content-Security-Policy %q", where, csp)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
		"X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if h.Get(name) != want {
			t.Errorf("%s: %s is %q, want %q", where, name, h.Get(name), want)
		}
	}
	if h.Get("Content-Type") != "text/html; charset=UTF-8" {
		t.Errorf("%s: %s", where, h.Get("Content-Type"))
	}
}

func TestEveryMenuEntryLeadsToAScreen(t *testing.T) {
	s := newSite(t)
	s.signIn("owner", domain.Owner)
	for _, screen := range s.console.all {
		if screen.menu != "" && (screen.get == nil || strings.Contains(screen.path, ":")) {
			t.Errorf("the entry %s leads nowhere", screen.menu)
		}
	}
}

func TestNoActionIsDoneForAnotherSitesPage(t *testing.T) {
	s := newSite(t)
	s.signIn("owner", domain.Owner)
	actions := []string{"/console/theme"}
	for _, screen := range s.console.all {
		for name := range screen.post {
			actions = append(actions, s.path(strings.TrimSuffix(screen.path, "/")+"/"+name))
		}
	}
	for _, path := range actions {
		path = strings.ReplaceAll(path, ":", "x")
		for _, header := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Origin": {"https://evil.example"}}, {"Origin": {"null"}}, {}} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("theme=dark"))
			r.Header = header.Clone()
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := s.as("owner", r)
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "page of another site") {
				t.Errorf("%s from %v: status %d", path, header, w.Code)
			}
		}
	}
}

func TestAnAddressThatIsNoneIsAPageThatSaysSo(t *testing.T) {
	s := newSite(t)
	s.signIn("owner", domain.Owner)
	for _, path := range []string{"/console/nothing", "/console/orgs/other/", s.path("/nothing"), s.path("/nothing/at/all")} {
		w := s.get("owner", path)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d", path, w.Code)
		}
		checkAnswer(t, path, w)
	}
}

func TestStaticFilesAreKeptForGood(t *testing.T) {
	s := newSite(t)
	for _, file := range slices.Sorted(maps.Keys(s.console.static.files)) {
		r := httptest.NewRequest(http.MethodGet, s.console.static.url(file), nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := s.as("", r)
		if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %d %v", file, w.Code, w.Header())
		}
	}
	if w := s.get("", "/console/static/0000000000000000/console.css"); w.Code != http.StatusNotFound {
		t.Errorf("the address of another version: %d", w.Code)
	}
}

func TestTheThemeIsKeptAndLeadsBackToOurPagesAlone(t *testing.T) {
	s := newSite(t)
	for back, want := range map[string]string{
		"/console/orgs/default/": "/console/orgs/default/", "//evil.example/": "/console/", "https://evil.example/console/": "/console/", `/console/\evil`: "/console/", "": "/console/",
	} {
		w := s.post("", "/console/theme", "theme=dark&return="+back)
		if got := w.Header().Get("Location"); got != want || !strings.Contains(w.Header().Get("Set-Cookie"), "sallyport-theme=dark") {
			t.Errorf("back to %q leads to %q, want %q (%d)", back, got, want, w.Code)
		}
	}
}
