package console

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

func TestAButtonThatLedToAProofSaysThatNothingWasDone(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.prepare()
	s.wants(http.StatusSeeOther, s.fills("sam", "/policies/-/new/save", "document", webStanding))
	s.wants(http.StatusOK, s.get("sam", s.path("/policies/web-standing"))) // takes the notice that it is added
	s.world.Advance(freshFor)
	w := s.fills("sam", "/policies/web-standing/publish", "etag", `"1"`)
	if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || !strings.HasPrefix(to, s.path(stepUpPath)) {
		t.Fatalf("got %d to %q", w.Code, to)
	}
	if body := s.get("sam", s.path(stepUpPath)).Body.String(); strings.Contains(body, undone) {
		t.Error("it is said before they came back")
	}
	s.wants(http.StatusOK, s.get("sam", s.path("/policies/web-standing")), undone, "It is a draft")
	if body := s.get("sam", s.path("/policies/web-standing")).Body.String(); strings.Contains(body, undone) {
		t.Error("it is said twice")
	}
}

func TestAFormOfSettingsKeepsWhatWasChosenUntilTheProof(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	etag := s.etag(s.get("olga", s.path("/settings")).Body.String())
	s.world.Advance(freshFor)
	s.wants(http.StatusForbidden, s.fills("olga", "/settings/save", "etag", etag, "dual_control", "roles"), `value="roles" selected`, "Prove it in another tab")
	s.signIn("olga", domain.Owner)
	s.wants(http.StatusSeeOther, s.fills("olga", "/settings/save", "etag", etag, "dual_control", "roles"))
}

// Who presses twice before the page is there is not told that somebody changed it.
func TestAButtonOfASheetThatIsPressedTwiceDoesItsWorkOnce(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.prepare()
	s.wants(http.StatusSeeOther, s.fills("sam", "/policies/-/new/save", "document", webStanding))
	body := s.wants(http.StatusOK, s.get("sam", s.path("/policies/web-standing")))
	once := regexp.MustCompile(`web-standing/publish".*?name="_once" value="([^"]+)"`).FindStringSubmatch(body)
	if once == nil {
		t.Fatalf("the button has no text of its own: %s", mainOf(body))
	}
	for range 2 {
		s.wants(http.StatusSeeOther, s.fills("sam", "/policies/web-standing/publish", "etag", `"1"`, onceField, once[1]))
	}
	published := 0
	for _, e := range s.world.Events() {
		if e.Type == "policy.published" {
			published++
		}
	}
	if published != 1 {
		t.Errorf("it was published %d times", published)
	}
}
