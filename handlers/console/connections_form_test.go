package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/provider"
	"sallyport.dev/handlers/organisation/orgtest"
)

var inputForm = regexp.MustCompile(`(?s)<input ([^>]*)>|<textarea ([^>]*)>\n?(.*?)</textarea>|<select ([^>]*)>(.*?)</select>`)

// formIn is what a browser would send of the page's form as it stands.
func formIn(body string) url.Values {
	attribute := func(tag, name string) (string, bool) {
		m := regexp.MustCompile(` ` + name + `(?:="([^"]*)"|[ >]|$)`).FindStringSubmatch(" " + tag)
		if m == nil {
			return "", false
		}
		return unescaped(m[1]), true
	}
	v := url.Values{}
	for _, m := range inputForm.FindAllStringSubmatch(mainOf(body), -1) {
		tag := m[1] + m[2] + m[4]
		name, named := attribute(tag, "name")
		if !named {
			continue
		}
		value, _ := attribute(tag, "value")
		switch {
		case strings.HasPrefix(m[0], "<textarea"):
			value = unescaped(m[3])
		case strings.HasPrefix(m[0], "<select"):
			value = unescaped(selected(m[5]))
		case strings.Contains(tag, `type="checkbox"`) && !strings.Contains(tag, " checked"):
			continue
		}
		v.Add(name, value)
	}
	return v
}

func selected(options string) string {
	all := regexp.MustCompile(`<option value="([^"]*)"( selected)?>`).FindAllStringSubmatch(options, -1)
	value := ""
	for i, o := range all {
		if i == 0 || o[2] != "" {
			value = o[1]
		}
	}
	return value
}

// goesTo fails unless the answer leads the browser there.
func goesTo(t testing.TB, w *httptest.ResponseRecorder, path string) {
	t.Helper()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != path {
		t.Fatalf("status %d to %q, want 303 to %q: %s", w.Code, w.Header().Get("Location"), path, mainOf(w.Body.String()))
	}
}

func TestAWizardShowsTheConditionsBeforeAnythingIsSaved(t *testing.T) {
	s := newSite(t)
	s.signIn("dana", domain.DevOpsAdmin)
	shows(t, s.get("dana", s.path("/new-connection")), "Kubernetes", "CircleCI", "Google Cloud", "GitHub Actions", "GitLab", "?provider=generic_jwt")
	before := s.world.Last()
	start := s.path("/new-connection")
	form := formIn(shows(t, s.get("dana", start+"?provider=github"), "Show the conditions", "settings.repository"))
	form.Set("name", "ci")
	form.Set("settings.owner", "acme")
	form.Set("settings.repository", "acme/app")
	body := shows(t, s.post("dana", start+"/preview", form.Encode()), "What is written", "repository_owner", "acme/app", "subject.name_only", "Save as draft", "token.actions.githubusercontent.com")
	if s.world.Last() != before {
		t.Error("looking wrote something")
	}

	form = formIn(body)
	more := formIn(shows(t, s.post("dana", start+"/condition", form.Encode()), "conditions.5.claim"))
	more.Set("conditions.5.claim", "ref")
	more.Set("conditions.5.operator", "one_of")
	more.Set("conditions.5.value", "refs/heads/main\r\nrefs/heads/next")
	more.Set("settings.repository_id", "42") // since the conditions were written
	body = shows(t, s.post("dana", start+"/save", more.Encode()), "written anew", "repository_id", "refs/heads/next")
	goesTo(t, s.post("dana", start+"/save", formIn(body).Encode()), s.path("/connections/ci"))
	c := s.state("ci")
	var said []string
	for _, condition := range c.Current.Conditions {
		said = append(said, condition.String())
	}
	want := "iss equals https://token.actions.githubusercontent.com; aud equals " + s.world.Issuer() + "; repository_owner equals acme; repository equals acme/app; repository_id equals 42; " +
		"event_name one_of push, workflow_dispatch, schedule, release, deployment, repository_dispatch, merge_group; ref one_of refs/heads/main, refs/heads/next"
	if got := strings.Join(said, "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheConditionsComeFirstAndBackKeepsWhatWasTyped(t *testing.T) {
	s := newSite(t)
	s.signIn("dana", domain.DevOpsAdmin)
	start := s.path("/new-connection")
	typed := url.Values{"provider": {"github"}, "name": {"ci"}, "description": {"nightly & weekly"}, "settings.owner": {"acme"}, "settings.repository": {"app"}}
	body := shows(t, s.post("dana", start+"/preview", typed.Encode()), "look at the conditions", `<details class="card"><summary>Name and settings: <strong>ci</strong>, acme, app</summary>`, `<a href="#preview">1 warning</a>`)
	again := unescaped(regexp.MustCompile(`href="([^"]*)">Back<`).FindStringSubmatch(body)[1])
	form := formIn(shows(t, s.get("dana", again), "Show the conditions"))
	for name, want := range typed {
		if got := form.Get(name); got != want[0] {
			t.Errorf("%s: got %q, want %q", name, got, want[0])
		}
	}
	typed.Set("settings.owner_id", "no number")
	shows(t, s.post("dana", start+"/preview", typed.Encode()), `id="f-settings-owner_id-error"`, "Show the conditions")
	form = formIn(body)
	form.Set("name", "NO")
	shows(t, s.post("dana", start+"/save", form.Encode()), `<details class="card" open>`, `id="f-name-error"`)
}

func TestEverySettingSaysWhereToFindIt(t *testing.T) {
	for _, kind := range provider.Kinds() {
		for _, ask := range kind.Asks() {
			if settingHints[string(kind)+"."+ask.Name] == "" {
				t.Errorf("%s of %s has no hint", ask.Name, kind)
			}
		}
	}
}

func TestEveryProviderIsDrafted(t *testing.T) {
	s := newSite(t)
	s.signIn("dana", domain.DevOpsAdmin)
	given := map[provider.Kind]string{
		provider.CircleCI: "settings.organization_id=1a-2b", provider.GitLab: "settings.domain=gitlab.com&settings.group=acme", provider.GoogleCloud: "settings.client_id=us&settings.account_id=12",
		provider.GitHub: "settings.owner=acme", provider.Kubernetes: "settings.issuer=https://k8s.example&settings.audience=us&settings.namespace=a",
		provider.GenericJWT: "jwks_url=https://keys.example/jwks&conditions.0.value=https://keys.example&conditions.2.value=a",
	}
	for _, kind := range provider.Kinds() {
		form := formIn(shows(t, s.get("dana", s.path("/new-connection?provider="+string(kind))), providerTitle(kind)))
		typed, _ := url.ParseQuery(given[kind])
		for name, values := range typed {
			form[name] = values
		}
		name := "c-" + strings.ReplaceAll(string(kind), "_", "-")
		form.Set("name", name)
		body := shows(t, s.post("dana", s.path("/new-connection/preview"), form.Encode()), "What is written")
		goesTo(t, s.post("dana", s.path("/new-connection/save"), formIn(body).Encode()), s.path("/connections/"+name))
		if c := s.state(domain.Name(name)); c.Status != connection.Drafted || c.Current.Provider != kind {
			t.Errorf("%s: %+v", kind, c)
		}
	}
}

func TestWhatIsWrongStandsAtItsField(t *testing.T) {
	s := newSite(t)
	s.signIn("dana", domain.DevOpsAdmin)
	start := s.path("/new-connection")
	form := formIn(shows(t, s.get("dana", start+"?provider=generic_jwt")))
	form.Set("name", "No Name")
	form.Set("jwks_url", "https://keys.example/jwks")
	form.Set("conditions.0.value", "https://keys.example")
	form.Set("conditions.2.operator", "nonsense")
	form.Set("token_ttl.amount", "soon")
	form.Set("audiences", "a b")
	for field, why := range map[string]string{"name": "", "conditions-2-operator": "operators are", "token_ttl-amount": "1 second to 24 hours", "audiences": "without white space"} {
		w := s.post("dana", start+"/save", form.Encode())
		if body := shows(t, w, `id="f-`+field+`-error"`, why, `href="#f-`+field+`"`, "https://keys.example"); w.Code != http.StatusUnprocessableEntity || strings.Contains(body, "Drafted") {
			t.Errorf("status %d", w.Code)
		}
	}
	form.Set("jwks", "{")
	shows(t, s.post("dana", start+"/preview", form.Encode()), `id="f-jwks-error"`, "This is not JSON")
	form.Set("jwks", `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`)
	form.Set("jwks_url", "")
	shows(t, s.post("dana", start+"/save", form.Encode()), `id="f-jwks-error"`)
	r := httptest.NewRequest(http.MethodPost, start+"/preview", strings.NewReader(form.Encode()))
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"same-origin"}, "Hx-Request": {"true"}, "Hx-Target": {"div#preview"}}
	if body := shows(t, s.as("dana", r), `<div id="preview">`, "operators are"); strings.Contains(body, "<html") {
		t.Error("htmx gets the whole page")
	}
	preset := formIn(shows(t, s.get("dana", start+"?provider=gitlab")))
	preset.Set("settings.domain", "https://gitlab.com/")
	shows(t, s.post("dana", start+"/preview", preset.Encode()), `id="f-settings-domain-error"`, "a host name in lower case")
}

func TestAnEditKeepsWhatIsActiveAndShowsTheDifference(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("dana", domain.DevOpsAdmin)
	s.world.Activated("ci", gitLab("acme"))
	if w := s.get("dana", s.path("/connections/ci/edit")); w.Code != http.StatusForbidden {
		t.Errorf("a devops admin edits what was active: %d", w.Code)
	}
	at := s.path("/connections/ci/edit")
	body := shows(t, s.get("sam", at), "conditions.3.claim")
	if first := regexp.MustCompile(`(?s)<form [^>]*class="form.*?<button ([^>]*)>`).FindStringSubmatch(body); first == nil || !strings.Contains(first[1], "/edit/preview") {
		t.Errorf("the Enter key presses %v", first[1:])
	}
	form := formIn(body)
	form.Set("conditions.3.value", "acme/other")
	body = shows(t, s.post("sam", at+"/preview", form.Encode()), "<del>project_path is acme/app</del>", "<ins>project_path is acme/other</ins>")
	form = formIn(body)
	form.Set("remove", "1")
	form = formIn(shows(t, s.post("sam", at+"/condition", form.Encode()), "conditions.2.claim"))
	if form.Has("conditions.3.claim") {
		t.Error("no condition was taken away")
	}
	goesTo(t, s.post("sam", at+"/save", form.Encode()), s.path("/connections/ci"))
	shows(t, s.get("sam", s.path("/connections/ci")), "Saved as a pending change", "Version 2, by sam", "project_path is acme/other", "audience.not_pinned", "edited</strong> by sam")
	if c := s.state("ci"); c.Pending == nil || len(c.Pending.Conditions) != 3 || len(c.Current.Conditions) != 4 {
		t.Errorf("%+v", c)
	}
}

// Two people edit at once: the second is told what the first did, and loses nothing of what they typed.
func TestTwoPeopleEditAtOnce(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("kim", domain.SecurityAdmin)
	s.drafted("ci", gitLab("acme"))
	at := s.path("/connections/ci/edit")
	sams, kims := formIn(shows(t, s.get("sam", at))), formIn(shows(t, s.get("kim", at)))
	sams.Set("description", "of sam")
	kims.Set("description", "of kim")
	goesTo(t, s.post("sam", at+"/save", sams.Encode()), s.path("/connections/ci"))
	w := s.post("kim", at+"/save", kims.Encode())
	body := shows(t, w, "sam saved another version", "Nothing is saved", "<ins>of sam</ins>", "of kim</textarea>")
	if w.Code != http.StatusPreconditionFailed || s.state("ci").Current.Description != "of sam" {
		t.Errorf("status %d, %+v", w.Code, s.state("ci"))
	}
	goesTo(t, s.post("kim", at+"/save", formIn(body).Encode()), s.path("/connections/ci"))
	if got := s.state("ci").Current.Description; got != "of kim" {
		t.Errorf("the description is %q", got)
	}
}

// T173: what a provider or a person wrote is text on every screen.
func TestWhatSomebodyWroteIsText(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("kim", domain.SecurityAdmin)
	const image = `"><img src=x onerror=alert(1)>{{.V}}`
	p := orgtest.NewProvider(t, "ES256")
	spec := p.Spec(s.world.Issuer(), image)
	spec.Description = image
	s.world.Do(s.world.Meta("sam", domain.SecurityAdmin), "ci", connection.Draft{Name: "ci", Spec: spec, Issuer: s.world.Issuer()})
	s.world.Activate("ci")
	spec.Conditions[2].Value = image + "2"
	s.world.Do(s.world.Meta("sam", domain.SecurityAdmin), "ci", connection.Edit{Version: 1, Spec: spec, Issuer: s.world.Issuer()})
	s.exchange(p, "ci", image+"3")
	s.world.Settle(t.Context())
	token := p.Mint(p.Claims(s.world.Now(), s.world.Issuer(), image+"2", map[string]any{image: image}))
	pages := map[string]string{
		"test": shows(t, s.post("sam", s.path("/connections/ci/test/run"), url.Values{"token": {token}}.Encode()), "This token would be accepted"),
		"form": shows(t, s.post("sam", s.path("/connections/ci/edit/preview"), url.Values{"provider": {"generic_jwt"}, "name": {image}, "jwks_url": {image}, "conditions.0.claim": {image}, "conditions.0.operator": {image}, "settings.x": {image}}.Encode())),
	}
	denial := regexp.MustCompile(`/denials/[0-9.]+`).FindString(shows(t, s.get("sam", s.path("/denials"))))
	for _, path := range []string{"/connections?q=" + url.QueryEscape(image), "/connections", "/connections/ci", "/connections/ci/edit", "/connections/ci/activate", "/denials?connection=" + url.QueryEscape(image), "/denials", denial,
		"/connections/ci/edit?" + strings.TrimPrefix(denial, "/denials/")} {
		pages[path] = s.get("kim", s.path(path)).Body.String()
	}
	for where, body := range pages {
		if strings.Contains(body, "<img") {
			t.Errorf("%s has an image: %s", where, mainOf(body))
		}
		if (where == "test" || where == denial || where == "/connections/ci") && !strings.Contains(body, "&lt;img src=x onerror=alert(1)&gt;") {
			t.Errorf("%s does not have the text: %s", where, mainOf(body))
		}
	}
}
