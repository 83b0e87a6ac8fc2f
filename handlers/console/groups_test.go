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
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/session"
)

// api asks /v1 itself, as a person by their token.
func (s *site) api(who domain.Name, method, path, body string) {
	s.t.Helper()
	r := httptest.NewRequest(method, "/orgs/"+s.world.Name().String()+"/v1"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r = r.WithContext(api.WithCaller(r.Context(), session.Caller{Session: session.Session{Person: who}}))
	w := httptest.NewRecorder()
	if s.handler.ServeHTTP(w, r); w.Code >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
}

// wants holds an answer to a status and to texts that it has.
func (s *site) wants(status int, w *httptest.ResponseRecorder, texts ...string) string {
	s.t.Helper()
	body := w.Body.String()
	if w.Code != status {
		s.t.Fatalf("status %d to %q, want %d: %s", w.Code, w.Header().Get("Location"), status, mainOf(body))
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			s.t.Errorf("the answer has no %q: %s", text, mainOf(body))
		}
	}
	return body
}

// fills sends a form.
func (s *site) fills(who domain.Name, path string, fields ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	v := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		v.Add(fields[i], fields[i+1])
	}
	return s.post(who, s.path(path), v.Encode())
}

var etagForm = regexp.MustCompile(`name="etag" value="([^"]*)"`)

// etag is what a page's form sends back.
func (s *site) etag(body string) string {
	s.t.Helper()
	m := etagForm.FindStringSubmatch(body)
	if m == nil {
		s.t.Fatalf("the page has no etag: %s", body)
	}
	return strings.ReplaceAll(strings.ReplaceAll(m[1], "&#34;", `"`), "&quot;", `"`)
}

func TestAGroupIsMadeFilledEditedAndDeletedInTheConsole(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("carol", domain.Member)
	s.signIn("ada", domain.Auditor)
	s.wants(http.StatusOK, s.get("sam", s.path("/groups")), "No groups yet", "Add a group")
	if body := s.wants(http.StatusOK, s.get("ada", s.path("/groups")), "No groups yet", "adds the first."); strings.Contains(body, "Add a group") {
		t.Error("who may not is told to add one")
	}
	w := s.fills("sam", "/groups/-/new/save", "name", "Night Shift", "description", "at <b>night</b>")
	s.wants(http.StatusUnprocessableEntity, w, `value="Night Shift"`, `href="#f-name"`, "at &lt;b&gt;night&lt;/b&gt;")
	w = s.fills("sam", "/groups/-/new/save", "name", "night-shift", "description", "at <b>night</b>")
	s.wants(http.StatusSeeOther, w)
	s.wants(http.StatusOK, s.get("ada", s.path("/groups/night-shift")), "at &lt;b&gt;night&lt;/b&gt;", "Nobody is in this group")

	soon := s.world.Now().Add(8 * time.Hour).UTC()
	w = s.fills("sam", "/groups/night-shift/add", "person", "carol", "until", "yesterday")
	s.wants(http.StatusUnprocessableEntity, w, "a day and a time in UTC", `value="yesterday"`, `<option value="carol" selected>`)
	w = s.fills("sam", "/groups/night-shift/add", "person", "carol", "until", soon.Format("2006-01-02T15:04"))
	s.wants(http.StatusSeeOther, w)
	body := s.wants(http.StatusOK, s.get("sam", s.path("/groups/night-shift")), "carol is in the group.", soon.Format("15:04:00 UTC"), "added by sam", "Remove")
	if !strings.Contains(body, "in 8 hours") {
		t.Errorf("the end is not told from now: %s", body)
	}
	w = s.fills("sam", "/groups/night-shift/add", "person", "sam", "until", "")
	s.wants(http.StatusForbidden, w, "group.self")
	if body := s.get("ada", s.path("/groups/night-shift")).Body.String(); strings.Contains(body, "Remove") || strings.Contains(body, ">Edit<") {
		t.Error("an auditor is offered what they may not do")
	}
	s.wants(http.StatusOK, s.get("ada", s.path("/people/carol")), "night-shift")
	s.wants(http.StatusSeeOther, s.fills("sam", "/groups/night-shift/remove", "person", "carol"))

	s.wants(http.StatusOK, s.get("sam", s.path("/groups/night-shift/delete")), "Delete the group night-shift?")
	etag := s.etag(s.get("sam", s.path("/groups/night-shift/delete")).Body.String())
	s.wants(http.StatusPreconditionFailed, s.fills("sam", "/groups/night-shift/delete", "etag", `"9"`), "Delete the group")
	s.wants(http.StatusSeeOther, s.fills("sam", "/groups/night-shift/delete", "etag", etag))
	s.wants(http.StatusNotFound, s.get("sam", s.path("/groups/night-shift")), "no group of this name")
}

func TestTwoWhoEditAGroupLoseNothing(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("olga", domain.Owner)
	s.wants(http.StatusSeeOther, s.fills("sam", "/groups/-/new/save", "name", "ops", "description", "one"))
	etag := s.etag(s.get("sam", s.path("/groups/ops/edit")).Body.String())
	s.wants(http.StatusSeeOther, s.fills("olga", "/groups/ops/edit/save", "etag", etag, "description", "hers"))
	body := s.wants(http.StatusPreconditionFailed, s.fills("sam", "/groups/ops/edit/save", "etag", etag, "description", "his"),
		`value="his"`, "description: hers", "description: his", "Somebody else saved this")
	s.wants(http.StatusSeeOther, s.fills("sam", "/groups/ops/edit/save", "etag", s.etag(body), "description", "his"))
	s.wants(http.StatusOK, s.get("olga", s.path("/groups/ops")), "his")
}

func TestALongListIsShownAPageAtATimeAndFiltered(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	for i := range 51 {
		s.world.Token(domain.Name("p"+string(rune('a'+i/26))+string(rune('a'+i%26))), domain.Member)
	}
	body := s.wants(http.StatusOK, s.get("olga", s.path("/people")), "1 to 50 of 52", "from=50")
	if n := strings.Count(body, "<tr>"); n != 51 {
		t.Errorf("the page has %d rows, want 50 and a heading", n)
	}
	checkPage(t, "a full page of people", body)
	s.wants(http.StatusOK, s.get("olga", s.path("/people?from=50")), "51 to 52 of 52", `rel="prev"`)
	s.wants(http.StatusOK, s.get("olga", s.path("/people?q=PAB")), ">pab<")
	s.wants(http.StatusOK, s.get("olga", s.path("/people?q=nobody")), "Nothing found")
}

func TestAPersonIsAddedEditedAndRemovedByAnOwner(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	s.signIn("sam", domain.SecurityAdmin)
	s.wants(http.StatusUnprocessableEntity, s.fills("olga", "/people/-/new/save", "name", "dora", "email", "no mail"), "at least one role", `value="no mail"`)
	s.wants(http.StatusSeeOther, s.fills("olga", "/people/-/new/save", "name", "dora", "email", "dora@example.com", "roles", "member", "manager", "sam"))
	s.wants(http.StatusOK, s.get("sam", s.path("/people/dora")), "dora@example.com", ">sam<", "In no group")
	s.wants(http.StatusForbidden, s.get("sam", s.path("/people/-/new")), "needs the role owner")
	s.wants(http.StatusForbidden, s.fills("sam", "/people/dora/delete", "etag", `"1"`), "owner")
	etag := s.etag(s.get("olga", s.path("/people/olga/edit")).Body.String())
	s.wants(http.StatusForbidden, s.fills("olga", "/people/olga/edit/save", "etag", etag, "roles", "owner", "roles", "security_admin"), "person.self")
	s.signIn("dora", domain.Member)
	s.wants(http.StatusForbidden, s.fills("sam", "/people/dora/sign-out"), "owner")
	s.wants(http.StatusOK, s.get("dora", s.path("/")))
	s.wants(http.StatusSeeOther, s.fills("olga", "/people/dora/sign-out"))
	s.wants(http.StatusSeeOther, s.get("dora", s.path("/")))
	etag = s.etag(s.get("olga", s.path("/people/dora/delete")).Body.String())
	s.wants(http.StatusSeeOther, s.fills("olga", "/people/dora/delete", "etag", etag))
}
