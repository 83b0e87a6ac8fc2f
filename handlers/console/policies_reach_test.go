package console

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

// reachRules publishes that operators log in to web-1 at once and to db-1 with an
// approval, and that the role deployers reads a secret.
func (s *site) reachRules() {
	s.t.Helper()
	s.prepare()
	s.world.Token("olga", domain.Owner)
	for _, call := range [][2]string{
		{"/servers", `{"name":"db-1","project":"shop","address":"192.0.2.2","accounts":[{"name":"me","kind":"personal"}]}`},
		{"/secrets", `{"path":"shop/key","project":"shop","value":"c2VjcmV0"}`},
	} {
		s.api("rea", http.MethodPost, call[0], call[1])
	}
	s.drafted("ci", gitLab("acme"))
	s.api("sam", http.MethodPost, "/roles", `{"name":"deployers","requirements":[{"connection":"ci","conditions":[{"claim":"ref","operator":"equals","value":"main"}]}]}`)
	s.api("sam", http.MethodPost, "/policies", `{"name":"fleet","principals":{"groups":["ops"],"roles":["deployers"]},"rules":[
		{"name":"web","resource":{"server":"web-1"},"privileges":[{"type":"ssh","accounts":["me"]}]},
		{"name":"db","resource":{"server":"db-1"},"privileges":[{"type":"ssh","accounts":["me"]}],"conditions":[{"type":"mfa","fresh_seconds":300}]},
		{"name":"key","resource":{"secret":"shop/key"},"privileges":[{"type":"secret","actions":["list"]}]}]}`)
	s.wants(http.StatusSeeOther, s.fills("sam", "/policies/fleet/publish", "etag", `"1"`))
}

func TestWhatOnePersonCanReachIsAllThatTheyCan(t *testing.T) {
	s := newSite(t)
	for who, role := range map[domain.Name]domain.Role{"sam": domain.SecurityAdmin, "ada": domain.Auditor, "carol": domain.Member, "dan": domain.Member} {
		s.signIn(who, role)
	}
	s.reachRules()
	s.api("olga", http.MethodPost, "/groups/ops/members", `{"person":"carol"}`)
	before := s.world.Last()
	body := s.wants(http.StatusOK, s.fills("ada", reachPath+"/ask", "subject.person", "carol", "resource", ""),
		"server/web-1", "server/db-1", "secret/shop/key", "Log in to web-1 as me (user carol)", "group/ops", ">open<", "something is missing", "Missing: ", "/policies/fleet")
	if !strings.Contains(body, "<summary>Ask something else</summary>") || strings.Contains(s.shown("ada", s.path(reachPath)), "Ask something else") {
		t.Error("the question is folded before it is asked, or stands before its answer")
	}
	if strings.Contains(body, "Show more") {
		t.Error("three resources are more than a page")
	}
	s.wants(http.StatusOK, s.get("ada", s.path(reachPath+"?person=carol")), "Log in to web-1 as me (user carol)")
	s.wants(http.StatusOK, s.fills("ada", reachPath+"/ask", "subject.person", "dan"), "No published policy that is for them")
	s.wants(http.StatusUnprocessableEntity, s.fills("ada", reachPath+"/ask", "subject.person", "nobody"), "there is no such person")
	s.wants(http.StatusUnprocessableEntity, s.fills("ada", reachPath+"/ask", "subject.person", "carol", "subject.connection", "ci"), "either a person, or a workload")
	if s.world.Last() != before {
		t.Error("asking recorded something")
	}
}

func TestWhoCanReachAResourceIsEverybodyWhomARuleLetsIn(t *testing.T) {
	s := newSite(t)
	for who, role := range map[domain.Name]domain.Role{"sam": domain.SecurityAdmin, "ada": domain.Auditor, "carol": domain.Member, "dan": domain.Member} {
		s.signIn(who, role)
	}
	s.reachRules()
	s.wants(http.StatusOK, s.get("ada", s.path(reachPath+"?resource=server/db-1")), "Nobody", "with 0 people")
	s.api("olga", http.MethodPost, "/groups/ops/members", `{"person":"carol"}`)
	body := s.wants(http.StatusOK, s.get("ada", s.path(reachPath+"?resource=server/db-1")), "with 1 person", "Log in to db-1 as me (user carol)", "group/ops", "Missing: ", "deployers")
	if strings.Contains(body, "as dan") {
		t.Error("somebody is let in whom no rule names")
	}
	s.wants(http.StatusOK, s.fills("ada", reachPath+"/ask", "resource", "secret/shop/key"), "See what is known of shop/key", "role/deployers", "No workload bears it now. Not active: ci.")
	s.wants(http.StatusUnprocessableEntity, s.fills("ada", reachPath+"/ask", "resource", "server/none"), "there is no such resource")
	s.wants(http.StatusUnprocessableEntity, s.fills("ada", reachPath+"/ask", "resource", "web-1"), "server/NAME")
}

func TestWhatClaimsCanReachIsAllThatTheyCan(t *testing.T) {
	s := newSite(t)
	for who, role := range map[domain.Name]domain.Role{"sam": domain.SecurityAdmin, "ada": domain.Auditor} {
		s.signIn(who, role)
	}
	s.reachRules()
	ask := func(claims string) string {
		t.Helper()
		return s.wants(http.StatusOK, s.fills("ada", reachPath+"/ask", "subject.connection", "ci", "subject.identity", "job/1", "subject.claims", claims))
	}
	if body := ask(`{"ref":"main"}`); !strings.Contains(body, "bears no role") {
		t.Errorf("a connection that is not active lets in: %s", body)
	}
	s.world.Activate("ci")
	if body := ask(`{"ref":"main"}`); !strings.Contains(body, "secret/shop/key") || !strings.Contains(body, "role/deployers") {
		t.Errorf("the claims reach nothing: %s", body)
	}
	if body := ask(`{"ref":"other"}`); strings.Contains(body, "role/deployers") {
		t.Errorf("other claims are let in: %s", body)
	}
	for field, value := range map[string]string{"subject.claims": `["main"]`, "subject.connection": "none", "subject.identity": ""} {
		fields := map[string]string{"subject.connection": "ci", "subject.identity": "job/1", field: value}
		s.wants(http.StatusUnprocessableEntity, s.fills("ada", reachPath+"/ask", "subject.connection", fields["subject.connection"], "subject.identity", fields["subject.identity"], "subject.claims", fields["subject.claims"]),
			`aria-invalid="true"`)
	}
}

// more follows a list to its end, and tells of each page what of it is shown.
func (s *site) more(who domain.Name, body string, of *regexp.Regexp) (pages [][]string) {
	s.t.Helper()
	hidden := regexp.MustCompile(`<input type="hidden" name="([a-z.]+)" value="([^"]*)">`)
	for range 20 {
		pages = append(pages, of.FindAllString(body, -1))
		if len(body) > 100<<10 {
			s.t.Errorf("a page has %d bytes", len(body))
		}
		_, form, more := strings.Cut(body, `<div class="actions"><form method="post" action="`+s.path(reachPath+"/ask"))
		if !more {
			return pages
		}
		form, _, _ = strings.Cut(form, "</form>")
		var fields []string
		for _, f := range hidden.FindAllStringSubmatch(form, -1) {
			fields = append(fields, f[1], f[2])
		}
		body = s.wants(http.StatusOK, s.fills(who, reachPath+"/ask", fields...))
	}
	s.t.Fatal("the list does not end")
	return nil
}

func TestWhoCanReachWhatGoesOnPageByPage(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("ada", domain.Auditor)
	s.reachRules()
	const many = 2*reachSubjects + 1
	for i := range many {
		s.world.Token(domain.Name(fmt.Sprintf("member-%03d", i)), domain.Member)
		s.api("olga", http.MethodPost, "/groups/ops/members", fmt.Sprintf(`{"person":"member-%03d"}`, i))
	}
	found := map[string]int{}
	pages := s.more("ada", s.wants(http.StatusOK, s.fills("ada", reachPath+"/ask", "resource", "server/web-1")), regexp.MustCompile(`user member-\d+`))
	for _, page := range pages {
		for _, who := range page {
			found[who]++
		}
	}
	if len(pages) != 3 || len(found) != many {
		t.Errorf("%d people on %d pages, want %d on 3", len(found), len(pages), many)
	}
	for who, times := range found {
		if times != 1 {
			t.Errorf("%s is there %d times", who, times)
		}
	}
}
