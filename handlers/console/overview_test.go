package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/handlers/organisation/orgtest"
)

func TestTheOverviewSaysWhatNeedsWhom(t *testing.T) {
	s := newSite(t)
	for who, role := range devPeople {
		s.signIn(who, role)
	}
	s.drafts("ci")
	review := s.path("/connections/ci/activate")
	for who := range devPeople {
		page := s.shown(who, s.path("/"))
		if got := strings.Contains(page, review); got != (who == "security") {
			t.Errorf("%s is asked to review: %t", who, got)
		}
		if got := strings.Contains(page, "You wrote"); got != (who == "devops") {
			t.Errorf("%s is told that somebody else activates it: %t", who, got)
		}
		if got := strings.Contains(page, "Signing keys"); got != (who != "alice") {
			t.Errorf("%s sees the keys: %t", who, got)
		}
	}
	s.world.Activate("ci")
	if strings.Contains(s.shown("security", s.path("/")), review) {
		t.Error("what is active waits still")
	}
}

func TestTheOverviewAsksWhoWroteItToReviewWhereRolesAloneDecide(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	s.signIn("sam", domain.SecurityAdmin)
	s.draftsAs("sam", domain.SecurityAdmin, "ci")
	review := s.path("/connections/ci/activate")
	if page := s.shown("sam", s.path("/")); strings.Contains(page, review) || !strings.Contains(page, "You wrote") {
		t.Error("who wrote it is asked to review it")
	}
	w := s.fills("olga", "/settings/save", "dual_control", "roles", "etag", `"1"`)
	s.wants(http.StatusSeeOther, w)
	if page := s.shown("sam", s.path("/")); !strings.Contains(page, review) || strings.Contains(page, "You wrote") {
		t.Error("who wrote it is not asked, though they may activate it")
	}
}

// drafts has devops draft a connection.
func (s *site) drafts(name domain.Name) { s.draftsAs("devops", domain.DevOpsAdmin, name) }

func (s *site) draftsAs(who domain.Name, role domain.Role, name domain.Name) {
	s.t.Helper()
	full, err := connection.Complete(orgtest.NewProvider(s.t, "RS256").Spec(s.world.Issuer(), "repo:a"), s.world.Issuer())
	if err != nil {
		s.t.Fatal(err)
	}
	s.world.Do(s.world.Meta(who.String(), role), name, connection.Draft{Name: name, Spec: full})
}

func TestTheOverviewOfANewOrganisationSaysWhatComesFirst(t *testing.T) {
	s := newSite(t)
	for who, role := range devPeople {
		s.signIn(who, role)
	}
	for who := range devPeople {
		page := s.shown(who, s.path("/"))
		if got := strings.Contains(page, "Your first token"); got != (who != "alice") {
			t.Errorf("%s is shown the first steps: %t", who, got)
		}
		if got := strings.Contains(page, s.path("/new-connection")); got != (who == "devops" || who == "security") {
			t.Errorf("%s may draft: %t", who, got)
		}
	}
	s.drafts("ci")
	if strings.Contains(s.shown("devops", s.path("/")), "Your first token") {
		t.Error("the first steps are shown after the first")
	}
}

func TestTheOverviewNamesConnectionsThatOnlyRefuse(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	p := orgtest.NewProvider(t, "ES256")
	for _, name := range []domain.Name{"refusing", "working"} {
		s.world.Activated(name, p.Spec(s.world.Issuer(), "good"))
		s.exchange(p, name, "good")
	}
	s.world.Advance(25 * time.Hour)
	s.signIn("audrey", domain.Auditor)
	s.exchange(p, "refusing", "bad")
	s.exchange(p, "refusing", "bad")
	s.exchange(p, "working", "bad")
	s.exchange(p, "working", "good")
	s.world.Settle(t.Context())
	page := s.shown("audrey", s.path("/"))
	text := readable(page)
	if !strings.Contains(text, "refusing issued no token in the last 24 hours: it refused every exchange, 2 in all. Its last success was") || !strings.Contains(page, "/denials?connection=refusing") {
		t.Errorf("the one that only refuses is not named: %s", text)
	}
	if strings.Contains(text, "working issued no token") {
		t.Error("one that works is named")
	}
}

// ill is a part of the process that is not ready.
type ill string

func (check ill) Ready(context.Context) map[string]error {
	return map[string]error{string(check): errors.New("a secret reason")}
}

func TestTheOverviewSaysWhatToDoAboutACheckThatFails(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	s.console.opt.Checks = []Readiness{ill("disk"), ill("unheard-of")}
	text := readable(s.shown("olga", s.path("/")))
	for _, want := range []string{"The disk is nearly full.", "docs/runbook-full-disk.md", "The check unheard-of fails. Run sallyportd doctor"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in: %s", want, text)
		}
	}
	if strings.Contains(text, "secret reason") {
		t.Error("the page tells why, which is for the log")
	}
	for check, says := range failing {
		for _, page := range regexp.MustCompile(`docs/[a-z-]+\.md`).FindAllString(says, -1) {
			if _, err := os.Stat("../../" + page); err != nil {
				t.Errorf("%s leads to a page that is not there: %v", check, err)
			}
		}
	}
}

func TestAScaleEndsWithANumberThatIsEasilyHalved(t *testing.T) {
	for most, want := range map[int]int{1: 1, 2: 2, 3: 4, 5: 6, 7: 8, 9: 10, 10: 10, 11: 20, 17: 20, 99: 100, 101: 200, 123_456: 200_000} {
		if got := roundUp(most); got != want {
			t.Errorf("a scale for %d ends with %d, want %d", most, got, want)
		}
	}
}

func TestATitleSaysTheScreenWhereItIsAndWhose(t *testing.T) {
	s := newSite(t)
	s.signIn("devops", domain.DevOpsAdmin)
	s.drafts("ci")
	for path, want := range map[string]string{
		"/": "Overview · default · Sallyport", "/connections": "Connections · default · Sallyport", "/connections/ci": "ci · Connections · default · Sallyport",
		"/audit/live": "Live audit · Audit · default · Sallyport",
	} {
		if page := s.shown("devops", s.path(path)); !strings.Contains(page, "<title>"+want+"</title>") {
			t.Errorf("%s has the title %q", path, regexp.MustCompile(`<title>.*</title>`).FindString(page))
		}
	}
}

func TestTheOverviewDrawsTheExchangesOfADay(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	s.happens(s.refusedToken("ci", "a"))
	s.happens(s.refusedToken("other", "a"))
	page := s.shown("audrey", s.path("/"))
	if !regexp.MustCompile(`2\s+denials`).MatchString(readable(page)) {
		t.Errorf("two denials are not counted: %s", readable(page))
	}
	if hours := strings.Count(page, "since="); hours < dayHours {
		t.Errorf("%d hours lead to their events", hours)
	}
	s.drafts("ci")
	s.world.Advance(25 * time.Hour)
	s.signIn("olga", domain.Owner)
	if w := s.get("olga", s.path("/")); w.Code != http.StatusOK || !regexp.MustCompile(`0\s+denials`).MatchString(readable(w.Body.String())) {
		t.Errorf("a day later: %s", readable(w.Body.String()))
	}
}

func TestTheOverviewNamesWhatWaitsAndWhatIsOpen(t *testing.T) {
	h := newHouse(t)
	h.do("olga", http.StatusCreated, http.MethodPost, "/groups/leads/members", map[string]any{"person": "mallory", "until": h.world.Now().Add(30 * time.Minute)})
	path := "/requests/" + h.asked(deploy, "the disk is full")
	has(t, h.show("carol", "/"), "1 request waits for you", "Log in to web-1 as deploy asked by alice", "Open the inbox")
	has(t, h.show("alice", "/"), "Nothing waits for you", "My requests", "Ask for access", "pending")
	for _, step := range []url.Values{{"step": {"1"}, "fields.risk": {"low"}}, {"step": {"2"}, "fields.risk": {"low"}}} {
		who := map[string]domain.Name{"1": "carol", "2": "sec"}[step.Get("step")]
		if code, text := h.send(who, path+"/approve", step); code != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", who, code, text)
		}
	}
	if code, text := h.send("alice", "/access/resource/take", url.Values{"resource": {web}, "method": {shared}, "seconds": {"900"}}); code != http.StatusSeeOther {
		t.Fatalf("a checkout: %d %s", code, text)
	}
	has(t, h.show("alice", "/"), "Open for you now", "Log in to web-1 as deploy approved in 15 minutes", "shared on web-1 checked out in 15 minutes")
	has(t, h.show("mallory", "/"), "Member of the group leads member in 30 minutes")
	hasNot(t, h.show("carol", "/"), "request waits for you")
	h.world.Advance(5 * time.Minute)
	has(t, h.show("alice", "/"), "Log in to web-1 as deploy approved soon in 10 minutes", "shared on web-1 checked out soon in 10 minutes")
	h.world.Advance(time.Hour)
	h.signIn("alice", domain.Member)
	hasNot(t, h.show("alice", "/"), "Log in to web-1 as deploy approved soon", "Log in to web-1 as deploy approved in", "Open for you now")
}
