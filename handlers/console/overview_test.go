package console

import (
	"net/http"
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
	provider := orgtest.NewProvider(t, "RS256")
	full, err := connection.Complete(provider.Spec(s.world.Issuer(), "repo:a"), s.world.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	s.world.Do(s.world.Meta("devops", domain.DevOpsAdmin), "ci", connection.Draft{Name: "ci", Spec: full})
	review := s.path("/connections/ci/activate")
	for who := range devPeople {
		page := s.shown(who, s.path("/"))
		if got := strings.Contains(page, review); got != (who == "security") {
			t.Errorf("%s is asked to review: %t", who, got)
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
	s.world.Advance(25 * time.Hour)
	s.signIn("olga", domain.Owner)
	if w := s.get("olga", s.path("/")); w.Code != http.StatusOK || !regexp.MustCompile(`0\s+denials`).MatchString(readable(w.Body.String())) {
		t.Errorf("a day later: %s", readable(w.Body.String()))
	}
}
