package console

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation/orgtest"
)

// steward is a site with somebody for each role that looks at resources.
func steward(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	for who, role := range map[domain.Name]domain.Role{"rea": domain.ResourceAdmin, "sam": domain.SecurityAdmin, "ada": domain.Auditor} {
		s.signIn(who, role)
	}
	return s
}

func TestAProjectAndAServerAreManagedByAResourceAdmin(t *testing.T) {
	s := steward(t)
	s.wants(http.StatusForbidden, s.get("sam", s.path("/servers/-/new")), "needs the role resource admin")
	s.wants(http.StatusUnprocessableEntity, s.fills("rea", "/projects/-/new/save", "name", "shop", "checkout.max_seconds", "long"), "a whole number", `value="long"`)
	s.wants(http.StatusSeeOther, s.fills("rea", "/projects/-/new/save", "name", "shop", "checkout.required", "true", "checkout.max_seconds", "1800"))
	s.wants(http.StatusOK, s.get("ada", s.path("/projects")), "by one at a time, for up to 30 minutes")
	for _, e := range serverExamples {
		s.wants(http.StatusOK, s.fills("rea", "/servers/-/new/preview", "document", e.Text), "This is in order")
		s.wants(http.StatusSeeOther, s.fills("rea", "/servers/-/new/save", "document", e.Text))
	}
	s.wants(http.StatusOK, s.get("ada", s.path("/servers?q=tier=db")), "db-1")
	body := s.wants(http.StatusOK, s.get("ada", s.path("/servers/db-1")), "192.0.2.32", "port 22", "0 in the vault", "env=prod, tier=db")
	if strings.Contains(body, ">Edit<") {
		t.Error("an auditor is offered to edit")
	}
	edit := s.wants(http.StatusOK, s.get("rea", s.path("/servers/db-1/edit")), "username: postgres", "port: 22")
	s.wants(http.StatusUnprocessableEntity, s.fills("rea", "/servers/db-1/edit/save", "etag", s.etag(edit), "document", strings.Replace(serverExamples[1].Text, "port: 22", "port: 99999", 1)), "line 4: ")
	s.wants(http.StatusSeeOther, s.fills("rea", "/servers/db-1/edit/save", "etag", s.etag(edit), "document", strings.Replace(serverExamples[1].Text, "port: 22", "port: 2222", 1)))
	at := "/servers/db-1/accounts/dba"
	s.wants(http.StatusNotFound, s.get("rea", s.path("/servers/web-1/accounts/me")))
	s.wants(http.StatusOK, s.get("rea", s.path(at)), "No value yet", "Put a new version")
	s.wants(http.StatusSeeOther, s.fills("rea", at+"/put", "value", "hunter2"))
	s.wants(http.StatusUnprocessableEntity, s.fills("rea", at+"/destroy", "version", "1", "confirm", "no"), "this is not dba")
	s.wants(http.StatusSeeOther, s.fills("rea", at+"/destroy", "version", "1", "confirm", "dba"))
	s.wants(http.StatusOK, s.get("ada", s.path(at)), "destroyed")
	etag := s.etag(s.get("rea", s.path("/projects/shop/delete")).Body.String())
	s.wants(http.StatusConflict, s.fills("rea", "/projects/shop/delete", "etag", etag), "project.not_empty")
}

func TestASecretIsManagedAndItsValueIsOnNoPage(t *testing.T) {
	s := steward(t)
	s.api("rea", http.MethodPost, "/projects", `{"name":"shop"}`)
	const path, value = "shop/db/password", "correct horse <&>"
	at := secretPath + "?" + url.Values{"path": {path}}.Encode()
	refused := s.wants(http.StatusUnprocessableEntity, s.fills("rea", "/secrets/-/new/save", "path", "No/Path", "project", "shop", "labels", "env=prod", "value", value), `value="No/Path"`, "env=prod</textarea>")
	s.wants(http.StatusUnprocessableEntity, s.fills("rea", "/secrets/-/new/save", "path", path, "labels", "prod", "value", value), "each line is a name")
	s.wants(http.StatusSeeOther, s.fills("rea", "/secrets/-/new/save", "path", path, "project", "shop", "labels", "env=prod\r\ntier=db", "value", value))
	shown := s.wants(http.StatusOK, s.get("rea", s.path(at)), "env=prod, tier=db", "can be revealed", "Put a new version")
	s.wants(http.StatusSeeOther, s.fills("rea", secretPath+"/put", "path", path, "value", "two\r\nlines"))
	late := s.wants(http.StatusUnprocessableEntity, s.fills("rea", secretPath+"/put", "path", path, "value", strings.Repeat("x", 64<<10)+value), "64 KiB")
	for _, body := range []string{refused, shown, late, s.get("ada", s.path(secretsPath)).Body.String()} {
		if strings.Contains(body, "correct horse") {
			t.Error("a page has the value")
		}
	}
	if strings.Contains(s.get("ada", s.path(at)).Body.String(), "<textarea") {
		t.Error("an auditor is offered to put a value")
	}
	s.wants(http.StatusForbidden, s.fills("sam", secretPath+"/put", "path", path, "value", "mine"), "access.refused")

	edit := s.wants(http.StatusOK, s.get("rea", s.path(secretPath+"/edit?"+url.Values{"path": {path}}.Encode())), "env=prod\ntier=db")
	s.wants(http.StatusSeeOther, s.fills("rea", secretPath+"/edit/save", "path", path, "etag", s.etag(edit), "project", "shop", "description", "hers"))
	stale := s.wants(http.StatusPreconditionFailed, s.fills("rea", secretPath+"/edit/save", "path", path, "etag", s.etag(edit), "project", "shop", "description", "his"), `value="his"`, "description: hers")
	s.wants(http.StatusSeeOther, s.fills("rea", secretPath+"/edit/save", "path", path, "etag", s.etag(stale), "project", "shop", "description", "his"))

	s.wants(http.StatusOK, s.get("rea", s.path(secretPath+"/destroy?version=1&"+url.Values{"path": {path}}.Encode())), "Destroy version 1?", "Type "+path)
	s.wants(http.StatusUnprocessableEntity, s.fills("rea", secretPath+"/destroy", "path", path, "version", "1", "confirm", "shop"), "this is not "+path)
	s.wants(http.StatusSeeOther, s.fills("rea", secretPath+"/destroy", "path", path, "version", "1", "confirm", path))
	s.wants(http.StatusSeeOther, s.fills("rea", secretPath+"/delete", "path", path, "confirm", path))
	s.wants(http.StatusNotFound, s.get("rea", s.path(at)))
}

func TestTheSSHAuthorityIsRotatedWithAFreshProof(t *testing.T) {
	s := steward(t)
	body := s.wants(http.StatusOK, s.get("ada", s.path("/keys")), "/ssh/ca.pub", "TrustedUserCAKeys", "sallyportd keys rotate", ">active<", ">next<", "RS256", "SHA256:")
	if strings.Contains(body, "Rotate the SSH authority<") {
		t.Error("an auditor is offered to rotate")
	}
	s.wants(http.StatusForbidden, s.fills("ada", "/keys/rotate"), "role.missing")
	s.wants(http.StatusOK, s.get("sam", s.path("/keys/rotate")), "Rotate the SSH authority?")
	s.wants(http.StatusConflict, s.fills("sam", "/keys/rotate"), "too_young")
	s.world.Advance(freshFor + time.Minute)
	if w := s.fills("sam", "/keys/rotate"); !strings.Contains(w.Header().Get("Location"), stepUpPath) {
		t.Errorf("an old proof rotates: %d to %s", w.Code, w.Header().Get("Location"))
	}
	s.signIn("sam", domain.SecurityAdmin)
	s.wants(http.StatusSeeOther, s.fills("sam", "/keys/rotate"))
	s.wants(http.StatusOK, s.get("sam", s.path("/keys")), ">retired<", "The next key signs now.")
}

func TestSettingsAreAnOwnersToChangeWithAFreshProof(t *testing.T) {
	s := steward(t)
	s.signIn("olga", domain.Owner)
	if body := s.wants(http.StatusOK, s.get("sam", s.path("/settings")), orgtest.BaseURL, "Strict: nobody"); strings.Contains(body, "Save") {
		t.Error("a security admin is offered to change settings")
	}
	s.wants(http.StatusForbidden, s.fills("sam", "/settings/save", "dual_control", "roles", "etag", `"1"`), "role.missing")
	etag := s.etag(s.get("olga", s.path("/settings")).Body.String())
	s.wants(http.StatusUnprocessableEntity, s.fills("olga", "/settings/save", "dual_control", "none", "etag", etag), "strict or roles")
	s.wants(http.StatusSeeOther, s.fills("olga", "/settings/save", "dual_control", "roles", "etag", etag))
	s.wants(http.StatusPreconditionFailed, s.fills("olga", "/settings/save", "dual_control", "strict", "etag", etag), "Somebody else changed the settings", `value="strict" selected`)
	etag = s.etag(s.get("olga", s.path("/settings")).Body.String())
	s.world.Advance(freshFor + time.Second)
	s.wants(http.StatusForbidden, s.fills("olga", "/settings/save", "dual_control", "strict", "etag", etag), "session.stale", `value="strict" selected`)
	s.wants(http.StatusOK, s.get("sam", s.path("/settings")), "<dd>Roles: a security admin")
}

func TestAProjectLeadsToWhatIsInItAlone(t *testing.T) {
	s := newSite(t)
	s.signIn("rea", domain.ResourceAdmin)
	for _, project := range []string{"pay", "payroll"} {
		s.api("rea", http.MethodPost, "/projects", `{"name":"`+project+`"}`)
		s.api("rea", http.MethodPost, "/servers", `{"name":"of-`+project+`","project":"`+project+`","address":"192.0.2.1","accounts":[{"name":"me","kind":"personal"}]}`)
	}
	page := s.wants(http.StatusOK, s.get("rea", s.path("/projects/pay")), "its servers")
	link := regexp.MustCompile(`href="([^"]*)">its servers`).FindStringSubmatch(page)
	if body := s.wants(http.StatusOK, s.get("rea", html.UnescapeString(link[1])), ">of-pay<"); strings.Contains(body, ">of-payroll<") {
		t.Error("the servers of payroll are among those of pay")
	}
}
