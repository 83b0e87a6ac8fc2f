package console

import (
	"net/http"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

func TestAWorkloadRoleIsWrittenReadInWordsAndMatched(t *testing.T) {
	s := newSite(t)
	for who, role := range map[domain.Name]domain.Role{"sam": domain.SecurityAdmin, "dora": domain.DevOpsAdmin, "ada": domain.Auditor} {
		s.signIn(who, role)
	}
	s.wants(http.StatusForbidden, s.get("dora", s.path("/roles/-/new")), "needs the role security admin")
	s.wants(http.StatusUnprocessableEntity, s.fills("sam", "/roles/-/new/save", "document", roleExamples[0].Text), "line 4: ")
	s.api("dora", http.MethodPost, "/connections", `{"name":"shop-ci","provider":"gitlab","settings":{"domain":"gitlab.com","group":"acme","project":"shop","project_id":"42"}}`)
	for _, e := range roleExamples {
		s.wants(http.StatusOK, s.fills("sam", "/roles/-/new/preview", "document", e.Text), "This is in order", "A token of shop-ci")
		s.wants(http.StatusSeeOther, s.fills("sam", "/roles/-/new/save", "document", e.Text))
	}
	s.wants(http.StatusOK, s.get("ada", s.path("/roles/shop-deployers")), "wl_shop_deployers", "ref is one of main, release", "ref_protected is true")
	s.wants(http.StatusOK, s.get("ada", s.path("/roles")), "shop-jobs", "shop-ci")
	s.wants(http.StatusOK, s.get("dora", s.path(matchPath)), "Do not paste a token")
	body := s.wants(http.StatusOK, s.fills("dora", matchPath+"/ask", "connection", "shop-ci", "claims", `{"ref":"feature","ref_protected":"true"}`), "shop-jobs", "every condition holds", "The connection is not active")
	if !strings.Contains(body, "ref: ") || strings.Contains(body, "ref_protected: ") {
		t.Errorf("it is not told which condition does not hold: %s", mainOf(body))
	}
	s.wants(http.StatusUnprocessableEntity, s.fills("dora", matchPath+"/ask", "connection", "", "claims", `[]`), "claims are an object", "[]</textarea>")
}

func TestARequestTypeIsWrittenPublishedAndDisabled(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("ada", domain.Auditor)
	for _, e := range typeExamples {
		s.wants(http.StatusOK, s.fills("sam", "/request-types/-/new/preview", "document", e.Text), "This is in order", "Steps, one after the other")
	}
	s.wants(http.StatusUnprocessableEntity, s.fills("sam", "/request-types/-/new/preview", "document", strings.Replace(typeExamples[0].Text, "86400", "1", 1)), "line 7: ", "/steps/0/expires_after_seconds")
	s.wants(http.StatusSeeOther, s.fills("sam", "/request-types/-/new/save", "document", typeExamples[2].Text))
	body := s.wants(http.StatusOK, s.get("sam", s.path("/request-types/root-on-production")), "1. first", "whoever is in group server-managers", "after 15 minutes also by", ">missing<", "It is a draft", ">Publish<")
	s.wants(http.StatusForbidden, s.fills("ada", "/request-types/root-on-production/publish", "etag", s.etag(body)), "role.missing")
	s.api("sam", http.MethodPost, "/groups", `{"name":"server-managers"}`)
	s.api("sam", http.MethodPost, "/groups", `{"name":"on-call"}`)
	s.wants(http.StatusSeeOther, s.fills("sam", "/request-types/root-on-production/publish", "etag", s.etag(body)))
	edit := s.wants(http.StatusOK, s.get("sam", s.path("/request-types/root-on-production/edit")), "expires_after_seconds: 3600")
	s.wants(http.StatusSeeOther, s.fills("sam", "/request-types/root-on-production/edit/save", "etag", s.etag(edit), "document", strings.Replace(typeExamples[2].Text, "900", "600", 1)))
	body = s.wants(http.StatusOK, s.get("sam", s.path("/request-types/root-on-production")), "An edit waits", "after_seconds: 600</ins>", ">Disable<")
	s.wants(http.StatusSeeOther, s.fills("sam", "/request-types/root-on-production/disable", "etag", s.etag(body)))
	s.wants(http.StatusOK, s.get("ada", s.path("/request-types")), "disabled")
}
