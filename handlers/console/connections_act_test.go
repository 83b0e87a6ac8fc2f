package console

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
	"sallyport.dev/handlers/organisation/orgtest"
)

func unescaped(s string) string { return html.UnescapeString(s) }

func TestATokenIsTestedAndForgotten(t *testing.T) {
	s := newSite(t)
	s.signIn("dana", domain.DevOpsAdmin)
	s.signIn("audra", domain.Auditor)
	p := orgtest.NewProvider(t, "ES256")
	s.drafted("ci", p.Spec(s.world.Issuer(), "repo:acme/app"))
	at := s.path("/connections/ci/test")
	shows(t, s.get("dana", at), "<textarea", `name="token"`)
	for subject, texts := range map[string][]string{
		"repo:acme/app": {"This token would be accepted", "repo:acme/app", "&#34;jti&#34;", "workload://"},
		"repo:Acme/app": {"This token would be refused", "It differs only in case.", "is repo:acme/app"},
	} {
		token := p.Mint(p.Claims(s.world.Now(), s.world.Issuer(), subject, nil))
		body := shows(t, s.post("dana", at+"/run", url.Values{"token": {token}}.Encode()), texts...)
		if strings.Contains(body, token) || strings.Contains(body, token[:40]) {
			t.Error("the token is shown again")
		}
	}
	shows(t, s.post("dana", at+"/run", "token="), `id="f-token-error"`)
	if w := s.post("audra", at+"/run", "token=x"); w.Code != http.StatusForbidden {
		t.Errorf("an auditor tests: %d", w.Code)
	}
	body := shows(t, s.get("dana", s.path("/connections/ci")), "tested</strong> by dana")
	if strings.Contains(body, "Review and activate") {
		t.Error("a devops admin is offered to activate")
	}
}

func TestAnActivationIsReviewedByAnotherPerson(t *testing.T) {
	s := newSite(t)
	for _, who := range []domain.Name{"sam", "kim"} {
		s.signIn(who, domain.SecurityAdmin)
	}
	s.signIn("dana", domain.DevOpsAdmin)
	p := orgtest.NewProvider(t, "ES256")
	spec := p.Spec(s.world.Issuer(), "a")
	spec.Conditions = spec.Conditions[:1] // without an audience
	spec.TokenTTL = connection.Duration{Amount: 12, Unit: "hours"}
	s.world.Do(s.world.Meta("sam", domain.SecurityAdmin), "ci", connection.Draft{Name: "ci", Spec: spec, Issuer: s.world.Issuer()})
	at := s.path("/connections/ci/activate")
	shows(t, s.get("kim", at), "not tested", "written by sam", "audience.not_pinned", "<h2>Warnings</h2>", `<div class="note warn"><p><strong>Tokens live long`)
	s.post("sam", s.path("/connections/ci/test/run"), url.Values{"token": {p.Mint(p.Claims(s.world.Now(), s.world.Issuer(), "a", nil))}}.Encode())
	for who, why := range map[domain.Name]string{"sam": "Nobody activates a connection whose changes", "dana": "Only a security admin activates"} {
		if body := shows(t, s.get(who, at), why, "It can be activated by kim."); strings.Contains(body, "activate/confirm") {
			t.Errorf("%s is offered to activate", who)
		}
		form := url.Values{"etag": {`"1"`}, "acknowledge": {"audience.not_pinned"}}
		if w := s.post(who, at+"/confirm", form.Encode()); w.Code != http.StatusForbidden || s.state("ci").Status != connection.Drafted {
			t.Errorf("%s activates: %d", who, w.Code)
		}
	}
	body := shows(t, s.get("kim", at), "sam tested this version", "badge good")
	form := formIn(body)
	if w := s.post("kim", at+"/confirm", form.Encode()); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("it is activated without an acknowledgement: %d", w.Code)
	}
	form = formIn(body)
	form.Set("acknowledge", "audience.not_pinned")
	goesTo(t, s.post("kim", at+"/confirm", form.Encode()), s.path("/connections/ci"))
	if c := s.state("ci"); c.Status != connection.Active || c.ActivatedBy != "kim" || len(c.Acknowledged) != 1 {
		t.Errorf("%+v", c)
	}
	shows(t, s.get("kim", at), "nothing waits")
}

func TestAnActivationNeedsAFreshProofAndTheVersionThatWasSeen(t *testing.T) {
	s := newSite(t)
	s.signIn("kim", domain.SecurityAdmin)
	s.drafted("ci", gitLab("acme"))
	at := s.path("/connections/ci/activate")
	form := formIn(shows(t, s.get("kim", at)))
	edited := gitLab("acme")
	edited.Description = "other"
	s.world.Do(s.world.Meta("devops", domain.DevOpsAdmin), "ci", connection.Edit{Version: 1, Spec: edited, Issuer: s.world.Issuer()})
	w := s.post("kim", at+"/confirm", form.Encode())
	shows(t, w, "Nothing is activated", "other")
	if w.Code != http.StatusPreconditionFailed || s.state("ci").Status != connection.Drafted {
		t.Errorf("what was not seen is activated: %d", w.Code)
	}
	s.world.Advance(freshFor + time.Second)
	for _, w := range []string{s.get("kim", at).Header().Get("Location"), s.post("kim", at+"/confirm", form.Encode()).Header().Get("Location")} {
		if want := s.path("/step-up?return=") + url.QueryEscape(at); w != want {
			t.Errorf("it leads to %q, want %q", w, want)
		}
	}
}

func TestAConnectionIsDeactivatedAndDeleted(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("dana", domain.DevOpsAdmin)
	s.world.Activated("ci", gitLab("acme"))
	for _, path := range []string{"/connections/ci/deactivate/confirm", "/connections/ci/delete/confirm"} {
		if w := s.post("dana", s.path(path), url.Values{"etag": {`"1"`}, "name": {"ci"}}.Encode()); w.Code != http.StatusForbidden {
			t.Errorf("a devops admin at %s: %d", path, w.Code)
		}
	}
	form := formIn(shows(t, s.get("sam", s.path("/connections/ci/delete"))))
	form.Set("name", "ci")
	shows(t, s.post("sam", s.path("/connections/ci/delete/confirm"), form.Encode()), "deactivate it before")
	form = formIn(shows(t, s.get("sam", s.path("/connections/ci/deactivate")), "Revoke the tokens"))
	form.Set("revoke_tokens", "true")
	goesTo(t, s.post("sam", s.path("/connections/ci/deactivate/confirm"), form.Encode()), s.path("/connections/ci"))
	if c := s.state("ci"); c.Status != connection.Inactive || c.Generation != 1 {
		t.Errorf("%+v", c)
	}
	form = formIn(shows(t, s.get("sam", s.path("/connections/ci/delete"))))
	form.Set("name", "cy")
	shows(t, s.post("sam", s.path("/connections/ci/delete/confirm"), form.Encode()), `id="f-name-error"`)
	form.Set("name", "ci")
	goesTo(t, s.post("sam", s.path("/connections/ci/delete/confirm"), form.Encode()), s.path("/connections"))
	if w := s.get("sam", s.path("/connections/ci")); w.Code != http.StatusNotFound {
		t.Errorf("it is still there: %d", w.Code)
	}
}

func TestAConditionMadeOfADenialLocksNobodyOut(t *testing.T) {
	const was = "acme/other"
	equals := func(v string) claim.Condition {
		return claim.Condition{Claim: "project_path", Operator: claim.Equals, Value: v}
	}
	oneOf := func(v ...string) claim.Condition {
		return claim.Condition{Claim: "project_path", Operator: claim.OneOf, Values: v}
	}
	full := make([]string, claim.MaxValues)
	for i := range full {
		full[i] = "acme/" + strconv.Itoa(i)
	}
	begins := claim.Condition{Claim: "project_path", Operator: claim.StartsWith, Value: "acme-"}
	for name, x := range map[string]struct {
		before, after claim.Condition // after without an operator: none can be made
		actual, says  string
	}{
		"a value becomes a list of both":            {before: equals("acme/web"), actual: was, after: oneOf("acme/web", was), says: "project_path is acme/other get in too"},
		"a list gets one more":                      {before: oneOf("a", "b"), actual: was, after: oneOf("a", "b", was), says: "it still does"},
		"a beginning is replaced, and that is said": {before: begins, actual: was, after: equals(was), says: "Others whose project_path begins with acme- do not any more"},
		"a full list takes no more":                 {before: oneOf(full...), actual: was},
		"a value with a space at its end":           {before: equals("acme/web "), actual: was},
		"what was, with a space at its end":         {before: oneOf("a"), actual: was + " "},
		"a list":                                    {before: equals("acme/web"), actual: `["acme/other"]`},
		"what was not kept whole":                   {before: equals("acme/web"), actual: "acme/…"},
		"the same, of another type":                 {before: equals("1"), actual: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			check := proof.Check{Check: proof.Condition, Result: proof.Fail, Claim: "project_path", Operator: string(x.before.Operator), Expected: x.before.Explain(nil).Expected, Actual: x.actual}
			changed, at := suggested(connection.Spec{Conditions: []claim.Condition{equals("x"), x.before}}, check)
			if x.after.Operator == "" {
				if at != -1 {
					t.Errorf("made %v", changed)
				}
				return
			}
			if at != 1 || !changed.Equal(x.after) || !changed.Match(claim.Set{"project_path": x.actual}) {
				t.Fatalf("at %d: %v, want %v", at, changed, x.after)
			}
			if says := whoGetsIn(x.before, changed, x.actual); !strings.Contains(says, x.says) {
				t.Errorf("it says %q", says)
			}
		})
	}
}

func TestADenialIsExplainedAndMadeACondition(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("audra", domain.Auditor)
	p := orgtest.NewProvider(t, "ES256")
	s.world.Activated("ci", p.Spec(s.world.Issuer(), "repo:acme/app"))
	s.exchange(p, "ci", "repo:acme/App")
	s.world.Settle(t.Context())
	denial := regexp.MustCompile(`/denials/[0-9.]+`).FindString(shows(t, s.get("audra", s.path("/denials?connection=ci")), "proof.conditions", "repo:acme/App"))
	if body := shows(t, s.get("audra", s.path(denial)), "It differs only in case.", "A condition does not hold", "signature"); strings.Contains(body, "Make a condition of it") {
		t.Error("an auditor is offered to edit")
	}
	s.signIn("dana", domain.DevOpsAdmin)
	for _, path := range []string{denial, "/connections/ci"} {
		const why = "since then only a security admin edits"
		if body := shows(t, s.get("dana", s.path(path)), why); strings.Contains(body, "/connections/ci/edit") {
			t.Errorf("%s offers a devops admin to edit what is active", path)
		}
		for _, who := range []domain.Name{"sam", "audra"} {
			if body := s.get(who, s.path(path)).Body.String(); strings.Contains(body, why) {
				t.Errorf("%s tells %s why a devops admin may not edit", path, who)
			}
		}
	}
	body := shows(t, s.get("sam", s.path(denial)), "Make a condition of it")
	link := unescaped(regexp.MustCompile(`/console/[^"]*/edit\?denial=[^"]*`).FindString(body))
	form := formIn(shows(t, s.get("sam", link), "Nothing is saved yet", "workloads whose sub is repo:acme/App get in too", "<ins>sub is one of repo:acme/app, repo:acme/App</ins>"))
	if c := s.state("ci"); c.Version != 1 {
		t.Error("looking changed something")
	}
	goesTo(t, s.post("sam", s.path("/connections/ci/edit/save"), form.Encode()), s.path("/connections/ci"))
	if c := s.state("ci"); c.Pending == nil || !slices.Equal(c.Pending.Conditions[2].Values, []string{"repo:acme/app", "repo:acme/App"}) || c.Current.Conditions[2].Value != "repo:acme/app" {
		t.Errorf("%+v", c)
	}
	for _, path := range []string{"/denials/x", "/denials/1.0", "/denials/99999.0"} {
		if w := s.get("audra", s.path(path)); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	shows(t, s.get("audra", s.path("/denials?code=proof.expired")), "No denial is like that")
}
