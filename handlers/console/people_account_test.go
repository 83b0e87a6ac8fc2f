package console

import (
	"net/http"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

// An owner says which account at the provider is whose, and whoever has that one is
// them, whatever address and name it has.
func TestAnOwnerAddsSomebodyByTheirAccount(t *testing.T) {
	s := newSignIn(t)
	s.signIn("olga", domain.Owner)
	b := s.browser()
	issuer := s.providers.Of(s.world.Name())[0].Issuer
	if w := b.signIn("stranger"); w.status != http.StatusForbidden || b.signedIn() {
		t.Fatalf("a stranger is let in: %d", w.status)
	}
	s.wants(http.StatusOK, s.get("olga", s.path("/audit?type=person.sign_in_refused")), "demo-stranger") // where an owner finds the subject
	page := s.wants(http.StatusOK, s.get("olga", s.path("/people"+newPath)), "They come with an account at", `name="account.subject"`)
	checkPage(t, "adding a person by their account", page)

	form := []string{"name", "sam", "roles", "member", "account.issuer", issuer, "account.subject"}
	refused := s.wants(http.StatusUnprocessableEntity, s.fills("olga", "/people"+newPath+"/save", append(form, "", "_once", "a")...), "sub of the account at the provider")
	if !strings.Contains(refused, `id="f-account-subject"`) {
		t.Error("the refusal is not at the field")
	}
	s.wants(http.StatusSeeOther, s.fills("olga", "/people"+newPath+"/save", append(form, " demo-stranger ", "_once", "b")...))
	s.wants(http.StatusOK, s.get("olga", s.path("/people/sam")), "demo-stranger", "at their first sign-in")
	etag := s.etag(s.wants(http.StatusOK, s.get("olga", s.path("/people/sam/edit")), `value="demo-stranger"`))

	// An edit of something else keeps it.
	s.wants(http.StatusSeeOther, s.fills("olga", "/people/sam/edit/save", "roles", "member", "email", "sam@example.com", "account.issuer", issuer, "account.subject", "demo-stranger", "etag", etag, "_once", "c"))
	s.wants(http.StatusOK, s.get("olga", s.path("/people/sam")), "at their first sign-in")
	if w := b.signIn("stranger"); w.status != http.StatusSeeOther || !b.signedIn() {
		t.Fatalf("sam is not let in: %d %s", w.status, w.body)
	}
	if w := b.get(s.path("/sessions")); !strings.Contains(w.body, "demo-stranger") {
		t.Errorf("sam's account is not shown to sam: %s", w.body)
	}
	s.wants(http.StatusOK, s.get("olga", s.path("/people/sam")), "demo-stranger", "linked")
	if body := s.wants(http.StatusOK, s.get("olga", s.path("/people/sam/edit"))); strings.Contains(body, "account.subject") {
		t.Error("who came is asked for another account")
	}
}

func TestWithoutAProviderNobodyIsAskedForAnAccount(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	if body := s.wants(http.StatusOK, s.get("olga", s.path("/people"+newPath))); strings.Contains(body, "account.subject") {
		t.Error("the form asks for an account")
	}
	s.wants(http.StatusUnprocessableEntity, s.fills("olga", "/people"+newPath+"/save",
		"name", "sam", "roles", "member", "account.issuer", "https://evil.example.com", "account.subject", "1", "_once", "a"), "nobody signs in at this issuer here")
}
