package console

import (
	"bytes"
	"iter"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/session"
)

// views has for each template filled views: html/template finds a field that is
// misspelled only when it is rendered, so everything that can be shown is.
var views = map[string][]any{
	"connections": connectionsViews, "connection": connectionViews, "connection_new": {newConnectionViews()}, "connection_form": connectionFormViews,
	"connection_test": connectionTestViews, "connection_activate": reviewViews, "connection_deactivate": endViews, "connection_delete": endViews,
	"denials": denialsViews, "denial": denialViews,
	"confirm": {
		confirmView{Heading: "Revoke the token?", Text: "It ends at once.", Points: []string{"a"}, Action: "/x", Do: "Revoke", Danger: true, Cancel: "/y", Hidden: map[string]string{"etag": `"1"`}},
		confirmView{Heading: "Go on?", Action: "/x", Do: "Go on"},
	},
	"error": {
		errorView{problem: &problem{Status: 503, Code: "log.unavailable", Detail: "The log cannot be reached."}, RequestID: "01"},
		errorView{problem: errNothing, RequestID: "01"},
	},
	"signin": {
		signInView{Return: "/console/orgs/acme/", Providers: []domain.Name{"okta", "google"}},
		signInView{Again: true, Providers: []domain.Name{"okta"}, Timeless: &problem{Detail: "x", Do: "Register a passkey", URL: "/x"}}, signInView{Over: true},
	},
	"signin-on":  {signInOnView{"okta", "https://login.example.com/authorize?client_id=a&scope=openid+profile"}},
	"signed-out": {struct{}{}},
	"proved":     {struct{}{}},
	"invited":    {invitedView{Person: "carol", Link: "https://sallyport.example/console/orgs/acme/enrol?invited=yes&person=carol#sallyport_x", ExpiresAt: viewAt}},
	"sessions": {
		sessionsView{Sessions: []session.Session{{ID: "0123456789abcdef", Person: "carol", Method: "oidc", Provider: "okta", Source: "192.0.2.7", UserAgent: "Browser"}, {ID: "b", Method: "passkey"}},
			This: "b", Accounts: []identity.Account{{Issuer: "https://login.example.com", Subject: "00u1"}},
			Programs: []person.Token{{ID: "01KASE0000000000000000000A", Source: "192.0.2.8", CreatedAt: viewAt, ExpiresAt: viewAt}, {}}},
		sessionsView{},
	},
	"over":          {overView{Action: "/x", SignIn: "/y", Hidden: []sentField{{Name: "etag", Value: `"1"`}, {Name: onceField, Value: "a"}}, Typed: []sentField{{ID: "a", Name: "a", Label: "A", Value: "<b>"}, {ID: "b", Name: "b", Label: "B", Value: "\nx", Lines: true}}, Secret: []string{"Value", "Token"}}},
	"organisations": {organisationsView{}, organisationsView{Name: "x", Known: []domain.Name{"acme", "default"}}},
	"request":       {viewedRequest(), viewedRequest().others()},
	"access":        {accessView{}, accessView{Any: true}, viewedAccess()},
	"access-ask":    {viewedAccessForm()},
	"access-way":    {viewedReach()},
	"glass-review":  {viewedGlass(), glassView{glassRow: viewedGlasses().Mine[1]}},
	"access-glass":  {glassFormView{Ref: web, Does: "Log in", Told: "carol", Reason: "x", Back: "/b"}, glassFormView{Unreviewed: true}},
	"access-value":  {valueView{What: "x", Value: "<b>", Version: 1, Back: "/b"}},
	"break-glass":   {glassesView{}, viewedGlasses()},
	"inbox":         {inboxView{}, inboxView{Waiting: viewedRows(), Done: viewedRows(), More: 1, From: []domain.Name{"bob"}}},
	"requests":      {requestsView{}, requestsView{Rows: viewedRows(), All: true, Seer: true, Next: "/x", First: "/y", Membership: true}},
	"delegation":    {delegationView{}, viewedDelegation()},
	"membership":    {membershipView{}, membershipView{Types: viewedMembership().Types}, viewedMembership()},
}

// anybodys are the forms that change nothing in the name of who is signed in, or that
// strangers send.
var (
	postForm = regexp.MustCompile(`(?s)<form method="post"[^>]*action="([^"]*)".*?</form>`)
	anybodys = regexp.MustCompile(`/(sign-out/now|theme|sign-in/.*|step-up/.*|enrol/register)$`)
)

func TestEveryTemplateIsRenderedWithFilledViews(t *testing.T) {
	c, err := New(Options{BaseURL: "http://sallyport.test"})
	if err != nil {
		t.Fatal(err)
	}
	for name := range c.templates {
		if len(views[name]) == 0 {
			t.Errorf("views has no view for templates/%s.html", name)
		}
	}
	for name, all := range views {
		for i, v := range all {
			for part, html := range renderAll(t, c, name, v) {
				if part == "layout" {
					checkPage(t, name, html)
				}
				checkInline(t, name+" "+part, html)
				for _, form := range postForm.FindAllStringSubmatch(html, -1) {
					if !strings.Contains(form[0], `name="`+onceField+`"`) && !anybodys.MatchString(form[1]) {
						t.Errorf("%s, view %d, %s: the form for %s does not say who opened it", name, i, part, form[1])
					}
				}
				if strings.Contains(html, "ZgotmplZ") {
					t.Errorf("%s, view %d, %s: html/template refused to write something", name, i, part)
				}
			}
		}
	}
}

// chosen are texts as a workload, a provider or a stranger would choose them.
var chosen = []string{`"><img src=x onerror=alert(1)>`, "javascript:alert(1)", "'--></script><script>alert(1)</script>", "{{.V}}"}

var (
	brokenOut = []string{"<img src=x", "<script>alert"}
	runsForm  = regexp.MustCompile(`\s(?:href|src|action|formaction|hx-[a-z:]+)="\s*javascript:`)
)

func TestNoTextThatSomebodyChoseIsMoreThanText(t *testing.T) {
	c, err := New(Options{BaseURL: "http://sallyport.test"})
	if err != nil {
		t.Fatal(err)
	}
	for name, all := range views {
		for _, v := range all {
			if v == nil {
				continue
			}
			for _, text := range chosen {
				for part, html := range renderAll(t, c, name, poisoned(reflect.ValueOf(v), text).Interface()) {
					lower := strings.ToLower(html)
					if slices.ContainsFunc(brokenOut, func(s string) bool { return strings.Contains(lower, s) }) {
						t.Errorf("%s %s lets %q be more than text", name, part, text)
					}
					for tag := range tags(lower) {
						if m := runsForm.FindString(tag); m != "" {
							t.Errorf("%s %s lets %q run: %s", name, part, text, m)
						}
					}
				}
			}
		}
	}
}

// poisoned is a view with the text in place of every string that it holds.
func poisoned(v reflect.Value, text string) reflect.Value {
	if !v.IsValid() || v.Type().PkgPath() == "html/template" {
		return v // made by us as HTML
	}
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		out.SetString(text)
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(poisoned(v.Elem(), text))
		}
	case reflect.Interface:
		if !v.IsNil() {
			out.Set(poisoned(v.Elem(), text))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 && !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(poisoned(v.Index(i), text))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMap(v.Type()))
			for _, k := range v.MapKeys() {
				out.SetMapIndex(k, poisoned(v.MapIndex(k), text))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(poisoned(v.Field(i), text))
			}
		}
	}
	return out
}

// renderAll renders the page, and each of its pieces.
func renderAll(t *testing.T, c *Console, name string, view any) map[string]string {
	t.Helper()
	ec := echo.New().NewContext(httptest.NewRequest("GET", "/console/orgs/default/x", nil), httptest.NewRecorder())
	setHeaders(ec, false)
	f, err := c.stranger(ec).frame(view)
	if err != nil {
		t.Fatal(err)
	}
	f.Person, f.Org, f.Notice, f.Roles, f.root = "olga", "default", "Saved.", domain.Roles(), "/console/orgs/default"
	f.Menu = []menuGroup{{Name: "Trust", Entries: []menuEntry{{Name: "Connections", Icon: "link", URL: "/console/orgs/default/connections", Current: true}}}}
	f.Me = []menuEntry{{Name: "Sessions", URL: "/console/orgs/default/sessions"}}
	f.Problem = &problem{Status: 422, Code: "fields.invalid", Detail: "Some fields are wrong.", Fields: map[string]string{"/name": "is no name"}, Order: []string{"/name"}}
	out := map[string]string{}
	tmpl := c.templates[name]
	if tmpl == nil {
		t.Fatalf("there is no template %s", name)
	}
	for _, part := range tmpl.Templates() {
		if part.Name() != "layout" && !strings.HasPrefix(part.Name(), "#") {
			continue
		}
		var b bytes.Buffer
		if err := tmpl.ExecuteTemplate(&b, part.Name(), f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		out[part.Name()] = b.String()
	}
	return out
}

var (
	inlineForm  = regexp.MustCompile(`\s(?:style|on[a-z]+)=`)
	scriptForm  = regexp.MustCompile(`<script([^>]*)>`)
	hxForm      = regexp.MustCompile(`<[a-z][^>]*\shx-[a-z][^>]*>`)
	headingForm = regexp.MustCompile(`<h1[\s>]`)
	titleForm   = regexp.MustCompile(`(?s)<head>.*<title>([^<]+) · Sallyport</title>.*</head>`)
	idForm      = regexp.MustCompile(`\sid="([^"]*)"`)
	chartForm   = regexp.MustCompile(`(?s)<figure class="chart">.*?</figure>`)
	tableForm   = regexp.MustCompile(`(?s)<thead>(.*?)</thead>\s*<tbody[^>]*>(.*?)</tbody>`)
	rowForm     = regexp.MustCompile(`(?s)<tr[ >].*?</tr>`)
	headForm    = regexp.MustCompile(`(?s)<th scope="col"[^>]*>(.*?)</th>`)
	cellForm    = regexp.MustCompile(`<t[hd][ >][^>]*>?`)
	labelForm   = regexp.MustCompile(`data-label="([^"]*)"`)
)

// tags is every tag of HTML in which no text has a bare angle bracket, and what
// comes after it. It takes a tenth of the time of a regular expression for all of it.
func tags(html string) iter.Seq2[string, string] {
	return func(yield func(tag, after string) bool) {
		for {
			_, rest, found := strings.Cut(html, "<")
			end := strings.IndexByte(rest, '>')
			if !found || end < 0 || !yield("<"+rest[:end+1], rest[end+1:]) {
				return
			}
			html = rest[end+1:]
		}
	}
}

// checkInline holds HTML to what the Content-Security-Policy has a place for.
func checkInline(t *testing.T, where, html string) {
	t.Helper()
	lower := strings.ToLower(html)
	if strings.Contains(lower, "javascript:") {
		t.Errorf("%s has an address that is a script", where)
	}
	for tag, after := range tags(lower) {
		if strings.HasPrefix(tag, "<style") || inlineForm.MatchString(tag) ||
			strings.HasPrefix(tag, "<script") && !strings.HasPrefix(after, "<") {
			t.Errorf("%s has something inline: %s", where, tag)
		}
	}
	for _, m := range scriptForm.FindAllStringSubmatch(html, -1) {
		if !strings.Contains(m[1], "nonce=") || !strings.Contains(m[1], "src=") {
			t.Errorf("%s has a script without nonce or source: %s", where, m[0])
		}
	}
	for _, m := range hxForm.FindAllString(html, -1) {
		if !strings.Contains(m, ` hx-nonce="`) {
			t.Errorf("%s has an hx attribute without hx-nonce: %s", where, m)
		}
	}
}

// checkTables holds every table but those of charts to what a phone shows of it:
// a row begins with what it is about, and each value names its column.
func checkTables(t *testing.T, where, html string) {
	t.Helper()
	for _, table := range tableForm.FindAllStringSubmatch(chartForm.ReplaceAllString(html, ""), -1) {
		heads := headForm.FindAllStringSubmatch(table[1], -1)
		for _, row := range rowForm.FindAllString(table[2], -1) {
			cells := cellForm.FindAllString(row, -1)
			if len(cells) != len(heads) || !strings.HasPrefix(cells[0], `<th scope="row"`) {
				t.Errorf("%s has a row that is about nothing, or has other columns than its table: %s", where, row)
				continue
			}
			for i, cell := range cells[1:] {
				head := heads[i+1][1]
				if label := labelForm.FindStringSubmatch(cell); !strings.Contains(head, "<span") && (label == nil || label[1] != head) {
					t.Errorf("%s has a value below %q without its label: %s", where, head, row)
				}
			}
		}
	}
}

// maxPage bounds a page, in bytes.
const maxPage = 100 << 10

// checkPage holds a whole page to what every page has.
func checkPage(t *testing.T, where, html string) {
	t.Helper()
	if n := len(headingForm.FindAllString(html, -1)); n != 1 {
		t.Errorf("%s has %d h1", where, n)
	}
	if m := titleForm.FindStringSubmatch(html); m == nil || strings.TrimSpace(m[1]) == "" {
		t.Errorf("%s has no title", where)
	}
	if !strings.HasPrefix(html, "<!doctype html>\n<html lang=\"en\"") {
		t.Errorf("%s does not say its language", where)
	}
	checkTables(t, where, html)
	if len(html) > maxPage {
		t.Errorf("%s has %d bytes, more than %d", where, len(html), maxPage)
	}
	seen := map[string]bool{}
	for _, m := range idForm.FindAllStringSubmatch(html, -1) {
		if seen[m[1]] {
			t.Errorf("%s has the id %q twice", where, m[1])
		}
		seen[m[1]] = true
	}
}

func TestEveryComponentIsRendered(t *testing.T) {
	c, err := New(Options{BaseURL: "http://sallyport.test"})
	if err != nil {
		t.Fatal(err)
	}
	f := frame{Problem: &problem{Fields: map[string]string{"/name": "is taken"}}}
	for name, view := range map[string]any{
		"table": columns("Things", "Name", "#Uses", "-Actions"), "end-table": nil,
		"empty": newEmpty("None", "Nothing", "/x", "Make one"), "pager": newPager("/a", "/b", "1 to 2"),
		"field": required(mono(newField(f, "/name", "Name", "x", "A name."))), "check": newField(f, "/on", "On", true, ""),
		"submit": danger(newSubmit(f, "Do", "/c")), "sparkline": newSparkline("Uses", []int{0, 3, 1}),
		"histogram": newHistogram("Events", "good", "bad", []bar{{Label: "10:00", Good: 3, Bad: 1, URL: "/x"}, {Label: "11:00"}}),
	} {
		var b bytes.Buffer
		if err := c.templates["error"].ExecuteTemplate(&b, name, view); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkInline(t, name, b.String())
		if name == "field" && !strings.Contains(b.String(), `aria-describedby="f-name-hint f-name-error" aria-invalid="true"`) {
			t.Errorf("a field that is wrong does not name its hint and error: %s", &b)
		}
	}
}

func TestAnIconThatIsNamedIsThere(t *testing.T) {
	files, err := os.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`icon "([a-z]*)"`)
	for _, f := range files {
		b, err := os.ReadFile("templates/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(b), -1) {
			if icons[m[1]] == "" {
				t.Errorf("%s names the icon %q, which icons.go has not", f.Name(), m[1])
			}
		}
	}
	for _, s := range (&Console{}).screens() {
		if s.menu != "" && (icons[s.icon] == "" || !slices.Contains(append(menuGroups, meGroup), s.group)) {
			t.Errorf("the menu's entry %s has the icon %q in the group %q: one of them does not exist", s.menu, s.icon, s.group)
		}
	}
}
