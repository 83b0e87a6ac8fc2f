package console

import (
	"net/http"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

func TestAddressesThatPeopleTypeLeadToWhatIsMeant(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	for from, to := range map[string]string{
		"/":                               "/console/",
		"/console":                        "/console/",
		"/console/":                       s.path("/"),
		s.path(""):                        s.path("/"),
		s.path("/connections/"):           s.path("/connections"),
		s.path("/connections/?q=a%26b"):   s.path("/connections?q=a%26b"),
		s.path("/audit/events/999999.0/"): s.path("/audit/events/999999.0"),
	} {
		if w := s.get("olga", from); w.Code != http.StatusSeeOther || w.Header().Get("Location") != to {
			t.Errorf("%s leads to %q with %d, want %q", from, w.Header().Get("Location"), w.Code, to)
		}
	}
	for _, nothing := range []string{"/console/nothing/", s.path("/nothing"), "/nothing/", "/console/orgs/none/"} {
		if w := s.get("olga", nothing); w.Code != http.StatusNotFound {
			t.Errorf("%s leads to %q with %d, want nothing", nothing, w.Header().Get("Location"), w.Code)
		}
	}
}

func TestWhatIsRefusedHasItsCodeAndItsRequest(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	w := s.fills("olga", "/groups/-/new/save", "name", "Not A Name")
	s.wants(http.StatusUnprocessableEntity, w, "request.invalid")
	if id := w.Header().Get("X-Request-Id"); id == "" || strings.Count(w.Body.String(), id) < 2 {
		t.Errorf("the request %q is not named, or cannot be copied: %s", id, mainOf(w.Body.String()))
	}
}
