package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
)

const webStanding = `name: web-standing
description: Operators log in
principals: { groups: [ops] }
rules:
  - name: web
    resource: { server: web-1 }
    privileges:
      - { type: ssh, accounts: [me] }
`

// prepare makes what webStanding names.
func (s *site) prepare() {
	s.t.Helper()
	s.world.Token("rea", domain.ResourceAdmin)
	s.world.Token("sam", domain.SecurityAdmin)
	s.api("rea", http.MethodPost, "/projects", `{"name":"shop"}`)
	s.api("rea", http.MethodPost, "/servers", `{"name":"web-1","project":"shop","address":"192.0.2.1","accounts":[{"name":"me","kind":"personal"}]}`)
	s.api("sam", http.MethodPost, "/groups", `{"name":"ops"}`)
}

func TestEveryExampleIsInOrder(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	for path, examples := range map[string][]example{"/policies": policyExamples} {
		for _, e := range examples {
			body := s.get("sam", s.path(path+"/-/new?from="+e.Name)).Body.String()
			if !strings.Contains(body, strings.SplitN(e.Text, "\n", 2)[0]) {
				t.Errorf("%s is not offered: %s", e.Name, body)
			}
			s.wants(http.StatusOK, s.fills("sam", path+"/-/new/preview", "document", e.Text, "etag", ""), "Nothing is saved yet.")
		}
	}
	for _, e := range s.world.Events() {
		if strings.HasPrefix(e.Type, "policy.") {
			t.Errorf("a preview recorded %s", e.Type)
		}
	}
}

func TestTheExamplesOfServersAndPoliciesFitTogether(t *testing.T) {
	if !strings.Contains(serverExamples[1].Text, "name: dba, kind: vaulted") || !strings.Contains(policyExamples[2].Text, "accounts: [dba]") {
		t.Errorf("the policy opens an account that the server does not have: %s%s", serverExamples[1].Text, policyExamples[2].Text)
	}
}

func TestAPolicyIsWrittenPublishedEditedAndTakenBack(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("ada", domain.Auditor)
	s.wants(http.StatusUnprocessableEntity, s.fills("sam", "/policies/-/new/save", "document", strings.Replace(webStanding, "accounts: [me]", "acounts: [me]", 1)),
		"acounts", "line 8: ", `id="f-rules-0-privileges-0-acounts"`, `href="#f-rules-0-privileges-0-acounts"`)
	s.wants(http.StatusUnprocessableEntity, s.fills("sam", "/policies/-/new/preview", "document", "rules: &x []"), "/principals", "needed")
	s.wants(http.StatusOK, s.fills("sam", "/policies/-/new/preview", "document", webStanding), "whoever is in ops", "on the server web-1", "missing", "log in with SSH")
	s.wants(http.StatusUnprocessableEntity, s.fills("sam", "/policies/-/new/save", "document", webStanding), "line 3: there is no group", "there is no server")
	s.prepare()
	s.wants(http.StatusOK, s.fills("sam", "/policies/-/new/preview", "document", webStanding), "This is in order")
	const unknown = "The server web-1 has no account root, which the rule web opens."
	if strings.Contains(s.fills("sam", "/policies/-/new/preview", "document", webStanding).Body.String(), "has no account") {
		t.Error("an account that is there is warned of")
	}
	s.wants(http.StatusOK, s.fills("sam", "/policies/-/new/preview", "document", strings.Replace(webStanding, "[me]", "[me, root]", 1)), "This is in order", unknown)
	s.wants(http.StatusSeeOther, s.fills("sam", "/policies/-/new/save", "document", webStanding))
	body := s.wants(http.StatusOK, s.get("sam", s.path("/policies/web-standing")), "draft", "It is a draft", ">Publish<")
	if strings.Contains(s.get("ada", s.path("/policies/web-standing")).Body.String(), ">Publish<") {
		t.Error("an auditor is offered to publish")
	}
	s.wants(http.StatusForbidden, s.fills("ada", "/policies/web-standing/publish", "etag", s.etag(body)), "role.missing")
	s.wants(http.StatusPreconditionFailed, s.fills("sam", "/policies/web-standing/publish", "etag", `"7"`), "Somebody changed this meanwhile")
	s.wants(http.StatusSeeOther, s.fills("sam", "/policies/web-standing/publish", "etag", s.etag(body)))

	edit := s.wants(http.StatusOK, s.get("sam", s.path("/policies/web-standing/edit")), "description: Operators log in")
	changed := strings.Replace(webStanding, "[me]", "[me, root]", 1)
	s.wants(http.StatusSeeOther, s.fills("sam", "/policies/web-standing/edit/save", "etag", s.etag(edit), "document", strings.ReplaceAll(changed, "\n", "\r\n")))
	s.wants(http.StatusPreconditionFailed, s.fills("sam", "/policies/web-standing/edit/save", "etag", s.etag(edit), "document", webStanding), "From what they saved", "[me] }")
	s.wants(http.StatusOK, s.get("ada", s.path("/policies")), "an edit that waits")
	body = s.wants(http.StatusOK, s.get("sam", s.path("/policies/web-standing")), "What publishing changes", "- root</ins>", "An edit waits", unknown)

	s.world.Advance(freshFor + time.Second)
	if w := s.fills("sam", "/policies/web-standing/publish", "etag", s.etag(body)); !strings.Contains(w.Header().Get("Location"), stepUpPath) {
		t.Errorf("an old proof publishes: %d to %s", w.Code, w.Header().Get("Location"))
	}
	s.signIn("sam", domain.SecurityAdmin)
	s.wants(http.StatusSeeOther, s.fills("sam", "/policies/web-standing/unpublish", "etag", s.etag(body)))
	s.wants(http.StatusOK, s.get("sam", s.path("/policies/web-standing")), "It is a draft")
	etag := s.etag(s.get("sam", s.path("/groups/ops/delete")).Body.String())
	s.signIn("olga", domain.Owner)
	s.wants(http.StatusSeeOther, s.fills("olga", "/groups/ops/delete", "etag", etag))
	s.wants(http.StatusOK, s.get("ada", s.path("/policies/web-standing")), "It names something that is not there", ">missing<")
}

func TestWhatPeopleWriteOfAPolicyIsText(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.prepare()
	evil := strings.Replace(webStanding, "Operators log in", `"</textarea><script>alert(1)</script>"`, 1)
	s.wants(http.StatusSeeOther, s.fills("sam", "/policies/-/new/save", "document", evil))
	for _, path := range []string{"", "/web-standing", "/web-standing/edit"} {
		body := s.wants(http.StatusOK, s.get("sam", s.path("/policies"+path)), "&lt;script&gt;")
		if strings.Contains(body, "<script>") {
			t.Errorf("%s: it is not text: %s", path, body)
		}
	}
}

func TestWhoCanReachWhatIsAskedByThoseWhoMay(t *testing.T) {
	s := newSite(t)
	for who, role := range map[domain.Name]domain.Role{"sam": domain.SecurityAdmin, "ada": domain.Auditor, "rea": domain.ResourceAdmin, "carol": domain.Member} {
		s.signIn(who, role)
	}
	s.wants(http.StatusForbidden, s.get("rea", s.path(reachPath)), "needs the role")
	s.wants(http.StatusUnprocessableEntity, s.get("ada", s.path(reachPath+"?person=carol&resource=server/web-1")), `value="server/web-1"`, `value="carol" selected`, "there is no such resource")
	s.wants(http.StatusUnprocessableEntity, s.fills("ada", reachPath+"/ask", "resource", "web-1", "subject.person", "carol", "subject.claims", "{"), "this is no JSON", `value="web-1"`)
	s.wants(http.StatusUnprocessableEntity, s.fills("ada", reachPath+"/ask", "resource", "", "subject.person", ""), "say whom or what this is about")
	s.prepare()
	s.wants(http.StatusSeeOther, s.fills("sam", "/groups/ops/add", "person", "carol"))
	s.wants(http.StatusSeeOther, s.fills("sam", "/policies/-/new/save", "document", webStanding))
	s.wants(http.StatusOK, s.fills("ada", reachPath+"/ask", "resource", "server/web-1", "subject.person", "carol"), "No rule lets them in")
	s.wants(http.StatusSeeOther, s.fills("sam", "/policies/web-standing/publish", "etag", `"1"`))
	s.wants(http.StatusOK, s.fills("ada", reachPath+"/ask", "resource", "server/web-1", "subject.person", "carol"), "Log in to web-1 as me (user carol)", "group/ops", ">open<", "/policies/web-standing")
}
