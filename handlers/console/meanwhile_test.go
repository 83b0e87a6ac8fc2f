package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/session"
)

var asks = regexp.MustCompile(`hx-get="([^"]+)" hx-trigger="every`)

// askedBy is the address that a page asks by itself; "" where it asks nothing.
func (s *site) askedBy(who domain.Name, path string) string {
	s.t.Helper()
	found := asks.FindStringSubmatch(s.get(who, s.path(path)).Body.String())
	if found == nil {
		return ""
	}
	return found[1]
}

// meanwhile is what a page is answered that asks by itself.
func (s *site) meanwhile(who domain.Name, address string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodGet, address, nil)
	r.Header.Set("HX-Request", "true")
	r.Header.Set("HX-Target", "div#"+meanwhilePart)
	return s.as(who, r)
}

// What asks by itself is not seen; nothing else is read unseen by saying so.
func TestNoPageIsReadUnseen(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	seen := func() time.Time {
		all, err := s.world.Sessions().List(t.Context(), "sam")
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0].SeenAt
	}
	for path, unseen := range map[string]bool{
		"/inbox?meanwhile=x": true, "/inbox": false, "/people?meanwhile=x": false, "/audit": false,
	} {
		before := seen()
		s.world.Advance(5 * time.Minute)
		s.meanwhile("sam", s.path(path))
		if got := seen().Equal(before); got != unseen {
			t.Errorf("%s: it is read unseen: %v, want %v", path, got, unseen)
		}
	}
}

func TestAnOpenRequestSaysWhatHappenedToItMeanwhile(t *testing.T) {
	h := newHouse(t)
	yes := url.Values{"step": {"1"}, "fields.risk": {"low"}}
	for _, tc := range []struct {
		name, who, action string
		form              url.Values
		says              string
	}{
		{"it is denied", "carol", "deny", yes, "It was denied meanwhile, by carol."},
		{"it is withdrawn", "alice", "cancel", nil, "It was withdrawn meanwhile."},
		{"a step is approved", "carol", "approve", yes, "Somebody decided meanwhile, and it goes on."},
	} {
		path := "/requests/" + h.asked(deploy, tc.name)
		address := h.askedBy("bob", path)
		if w := h.meanwhile("bob", address); w.Code != http.StatusNoContent {
			t.Errorf("%s: before it, %d: %s", tc.name, w.Code, w.Body)
		}
		if code, text := h.send(domain.Name(tc.who), path+"/"+tc.action, tc.form); code != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", tc.name, code, text)
		}
		w := h.meanwhile("bob", address)
		told := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(told, tc.says) || strings.Contains(told, "hx-get") || strings.Contains(told, "<html") {
			t.Errorf("%s: %d, want %q and no more asking: %s", tc.name, w.Code, tc.says, told)
		}
		if tc.action != "approve" && h.askedBy("bob", path) != "" {
			t.Errorf("%s: a page of what is over still asks", tc.name)
		}
	}
}

func TestAnInboxSaysWhatCameMeanwhile(t *testing.T) {
	h := newHouse(t)
	address := h.askedBy("carol", "/inbox")
	if w := h.meanwhile("carol", address); w.Code != http.StatusNoContent {
		t.Errorf("where nothing came: %d %s", w.Code, w.Body)
	}
	h.asked(deploy, "one")
	if w := h.meanwhile("carol", address); !strings.Contains(w.Body.String(), "1 request waits for you now.") {
		t.Errorf("one came: %d %s", w.Code, w.Body)
	}
}

func TestAPageThatAsksKeepsNoSessionAliveAndTakesNoNoticeAway(t *testing.T) {
	h := newHouse(t)
	path := "/requests/" + h.asked(deploy, "x")
	address := h.askedBy("carol", path)
	if w := h.post("carol", h.path(path+"/approve"), mergeOnce(url.Values{"step": {"1"}, "fields.risk": {"low"}}).Encode()); w.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	h.meanwhile("carol", address)
	has(t, h.show("carol", path), "Approved.") // the notice is for the person
	for range 3 {
		h.world.Advance(session.Idle/3 - time.Second)
		h.meanwhile("carol", address)
	}
	h.world.Advance(4 * time.Second)
	w := h.meanwhile("carol", address)
	told := w.Body.String()
	if w.Code != http.StatusOK || !strings.Contains(told, "Your session is over") || strings.Contains(told, "hx-get") || w.Header().Get("HX-Redirect") != "" {
		t.Errorf("after half an hour without the person: %d %v %s", w.Code, w.Header(), told)
	}
	if w := h.get("carol", h.path("/")); w.Code != http.StatusSeeOther {
		t.Errorf("the session goes on: %d", w.Code)
	}
}
