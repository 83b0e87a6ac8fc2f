package console

import (
	"bytes"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
)

// house is a site with a server, a secret, and policies that ask for approvals,
// a checkout and broken glass.
type house struct {
	*site
	tokens map[domain.Name]string
}

type doc = map[string]any

// Methods that alice has.
const (
	web      = "server/web-1"
	deploy   = "production/approved/ssh:deploy"
	admin1   = "production/emergency/ssh:admin"
	shared   = "production/shared/ssh:shared"
	own      = "production/standing/ssh:own"
	password = "secret/payments/db/password"
	reveal   = "production/secrets/secret_reveal"
)

var houseRoles = map[domain.Name]domain.Role{
	"olga": domain.Owner, "sec": domain.SecurityAdmin, "res": domain.ResourceAdmin,
	"alice": domain.Member, "bob": domain.Member, "carol": domain.Member, "dave": domain.Member, "mallory": domain.Member,
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{site: newSite(t), tokens: map[domain.Name]string{}}
	for who, role := range houseRoles {
		h.signIn(who, role)
		h.tokens[who] = h.world.Token(who, role)
	}
	for group, members := range map[string][]string{"developers": {"alice", "bob"}, "leads": {"carol", "bob"}, "watch": nil} {
		h.do("olga", 201, "POST", "/groups", doc{"name": group})
		for _, m := range members {
			h.do("olga", 201, "POST", "/groups/"+group+"/members", doc{"person": m})
		}
	}
	h.do("res", 201, "POST", "/projects", doc{"name": "shop", "checkout": doc{"required": false}})
	var accounts []doc
	for _, n := range []string{"deploy", "admin", "shared"} {
		accounts = append(accounts, doc{"name": n, "kind": "vaulted", "username": n})
	}
	h.do("res", 201, "POST", "/servers", doc{"name": "web-1", "project": "shop", "address": "192.0.2.1", "description": "the shop",
		"accounts": append(accounts, doc{"name": "own", "kind": "personal"})})
	h.do("res", 201, "POST", "/secrets", doc{"path": "payments/db/password", "project": "shop", "value": "hunter2<b>"})
	h.requestTypes()
	h.do("sec", 201, "POST", "/policies", productionPolicy())
	h.do("sec", 200, "POST", "/policies/production/publish", nil)
	return h
}

// requestTypes publishes prod-access, of two steps, and membership of a group.
func (h *house) requestTypes() {
	h.t.Helper()
	for _, typ := range []doc{
		{"name": "prod-access", "kind": "access", "steps": []doc{
			{"name": "lead", "approvers": doc{"group": "leads"}}, {"name": "security", "approvers": doc{"people": []string{"sec", "dave"}}},
		}, "fields": []doc{
			{"name": "ticket", "label": "Which ticket?", "type": "text", "of": "requester", "required": true},
			{"name": "when", "type": "date", "of": "requester"},
			{"name": "kind", "label": "What kind?", "type": "choice", "choices": []string{"fix", "change"}, "of": "requester"},
			{"name": "risk", "label": "How risky?", "type": "choice", "choices": []string{"low", "high"}, "of": "approver", "required": true},
		}},
		{"name": "on-call", "kind": "group", "groups": []string{"watch"}, "max_seconds": 604800, "steps": []doc{{"name": "lead", "approvers": doc{"people": []string{"carol"}}}}},
	} {
		h.do("sec", 201, "POST", "/request-types", typ)
		h.do("sec", 200, "POST", "/request-types/"+typ["name"].(string)+"/publish", nil)
	}
}

func productionPolicy() doc {
	rule := func(name, account string, more doc) doc {
		r := doc{"name": name, "resource": doc{"server": "web-1"}, "privileges": []doc{{"type": "ssh", "accounts": []string{account}}}}
		for k, v := range more {
			r[k] = v
		}
		return r
	}
	asks := []doc{{"type": "access_request", "request_type": "prod-access", "approval_seconds": 900}}
	return doc{"name": "production", "principals": doc{"groups": []string{"developers"}}, "rules": []doc{
		rule("standing", "own", nil),
		rule("approved", "deploy", doc{"conditions": asks}),
		rule("emergency", "admin", doc{"conditions": asks, "break_glass": doc{"access_seconds": 600}}),
		rule("shared", "shared", doc{"conditions": []doc{{"type": "checkout", "max_seconds": 900}}}),
		{"name": "secrets", "resource": doc{"folder": "payments"}, "privileges": []doc{{"type": "secret", "actions": []string{"list", "reveal"}}}},
	}}
}

// do asks /v1 with an API token, and fails the test unless it answers so.
func (h *house) do(who domain.Name, status int, method, path string, body any) doc {
	h.t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			h.t.Fatal(err)
		}
	}
	r := httptest.NewRequest(method, "/orgs/"+h.world.Name().String()+"/v1"+path, &b)
	r.Header.Set("Authorization", "Bearer "+h.tokens[who])
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if strings.HasSuffix(path, "/publish") {
		r.Header.Set("If-Match", `"1"`)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	if w.Code != status {
		h.t.Fatalf("%s %s by %s: %d, want %d: %s", method, path, who, w.Code, status, w.Body)
	}
	answer := doc{}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			h.t.Fatal(err)
		}
	}
	return answer
}

// asked raises a request of alice's and gives its id.
func (h *house) asked(method, why string) string {
	h.t.Helper()
	return h.do("alice", 201, "POST", "/access/requests", doc{"resource": web, "method": method, "justification": why, "fields": doc{"ticket": "OPS-17"}})["id"].(string)
}

// send posts a form, and gives the page that follows. code is of the first answer.
func (h *house) send(who domain.Name, path string, form url.Values) (code int, text string) {
	h.t.Helper()
	form = mergeOnce(form)
	w := h.post(who, h.path(path), form.Encode())
	code = w.Code
	if code == http.StatusSeeOther {
		w = h.get(who, w.Header().Get("Location"))
	}
	return code, pageText(h.t, w)
}

func mergeOnce(form url.Values) url.Values {
	out := url.Values{"_once": {strings.ReplaceAll(time.Now().Format("150405.000000000"), ".", "-")}}
	for k, v := range form {
		out[k] = v
	}
	return out
}

// show is the text of a page.
func (h *house) show(who domain.Name, path string) string {
	h.t.Helper()
	w := h.get(who, h.path(path))
	if w.Code != http.StatusOK {
		h.t.Fatalf("%s at %s: %d %s", who, path, w.Code, w.Body)
	}
	return pageText(h.t, w)
}

var (
	tagForm   = regexp.MustCompile(`(?s)<svg.*?</svg>|<[^>]*>`)
	spaceForm = regexp.MustCompile(`\s+`)
)

// pageText is what a page's main part says, after its HTML was held to what every page has.
func pageText(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	body := w.Body.String()
	if tt, is := t.(*testing.T); is {
		checkAnswer(tt, "the page", w)
	}
	_, main, _ := strings.Cut(body, "<main")
	return spaceForm.ReplaceAllString(html.UnescapeString(tagForm.ReplaceAllString("<main"+main, " ")), " ")
}

// has fails the test unless the text has everything.
func has(t testing.TB, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in: %s", want, text)
		}
	}
}

func hasNot(t testing.TB, text string, unwanted ...string) {
	t.Helper()
	for _, u := range unwanted {
		if strings.Contains(text, u) {
			t.Errorf("%q should not be in: %s", u, text)
		}
	}
}

func TestAnAccountAndItsUserAreNamedWhereTheyDiffer(t *testing.T) {
	for _, x := range []struct{ account, username, want string }{
		{"dba", "postgres", "dba (user postgres)"}, {"root", "root", "root"}, {"dba", "", "dba"}, {"", "wl_deployer", "wl_deployer"},
	} {
		if got := asWhom(x.account, x.username); got != x.want {
			t.Errorf("%q of %q: %q, want %q", x.username, x.account, got, x.want)
		}
	}
}

func TestARequestIsApprovedFromItsPageStepByStep(t *testing.T) {
	h := newHouse(t)
	id := h.asked(deploy, "the disk is full\nOPS-17")
	path := "/requests/" + id

	has(t, h.show("alice", path), "Log in to web-1 as deploy", "alice asked", "the disk is full", "15 minutes from the approval", "approved of policy production", "Which ticket? OPS-17",
		"Step 1 of 2", "May decide now bob, carol", "This is your own request", "Withdraw the request")
	has(t, h.show("carol", path), "How risky?", "Comment", "Approve", "Deny")
	has(t, h.show("sec", path), "You are not among those who decide the step that is open now.")

	code, text := h.send("carol", path+"/approve", url.Values{"step": {"1"}, "comment": {"go on"}})
	if code != http.StatusUnprocessableEntity {
		t.Errorf("an approval without a required field: %d", code)
	}
	has(t, text, "the request type asks for risk", "go on")

	code, text = h.send("carol", path+"/approve", url.Values{"step": {"1"}, "comment": {"go on"}, "fields.risk": {"low"}})
	if code != http.StatusSeeOther {
		t.Fatalf("an approval: %d %s", code, text)
	}
	has(t, text, "Approved.", "carol said yes", "go on", "How risky?: low", "Step 2 of 2, security: sec, dave", "Your word on this request is spoken", "May decide now dave, sec")

	code, text = h.send("sec", path+"/approve", url.Values{"step": {"2"}, "fields.risk": {"high"}})
	if code != http.StatusSeeOther {
		t.Fatalf("the second approval: %d %s", code, text)
	}
	has(t, text, "sec said yes", "Ends", "UTC")
	hasNot(t, text, "May decide now")
}

func TestAnApprovalThatIsNotToBeIsRefusedInWordsOnTheRequestsPage(t *testing.T) {
	h := newHouse(t)
	path := "/requests/" + h.asked(deploy, "why not")
	ok := url.Values{"step": {"1"}, "fields.risk": {"low"}}
	second := url.Values{"step": {"2"}, "fields.risk": {"low"}}
	for _, tc := range []struct {
		name   string
		who    domain.Name
		action string
		form   url.Values
		code   int
		says   string
	}{
		{"the requester's own", "alice", "/approve", ok, 403, "This is your own request: somebody else decides it."},
		{"of who is not asked", "sec", "/approve", ok, 403, "You are not among those who decide"},
		{"of a stranger to it", "mallory", "/approve", ok, 404, "There is no such access request"},
		{"of a page without a step", "carol", "/approve", url.Values{"fields.risk": {"low"}}, 400, "The form could not be read"},
		{"of a step that is not open yet", "carol", "/approve", second, 409, "Another step is open now"},
		{"a withdrawal by somebody else", "carol", "/cancel", nil, 403, "Only who raised a request cancels it"},
		{"which is the first", "carol", "/approve", ok, 303, "carol said yes"},
		{"done twice", "carol", "/approve", second, 409, "Your word on this request is spoken"},
		{"of a page that was loaded for the step before", "dave", "/deny", ok, 409, "Another step is open now"},
		{"a withdrawal after somebody decided", "alice", "/cancel", nil, 409, "Somebody has decided already"},
		{"a no", "dave", "/deny", url.Values{"step": {"2"}, "comment": {"not today"}}, 303, "dave said no"},
		{"once it is over", "sec", "/approve", second, 409, "The request is over: it was denied."},
	} {
		if code, text := h.send(tc.who, path+tc.action, tc.form); code != tc.code || !strings.Contains(text, tc.says) {
			t.Errorf("%s: %d, want %d and %q: %s", tc.name, code, tc.code, tc.says, text)
		}
	}
	if code, text := h.send("alice", "/requests/"+h.asked(admin1, "x")+"/cancel", nil); code != http.StatusSeeOther || !strings.Contains(text, "alice withdrew it") {
		t.Errorf("a withdrawal: %d %s", code, text)
	}
}

func TestARequestIsNotThereForWhoMayNotSeeIt(t *testing.T) {
	h := newHouse(t)
	id := h.asked(deploy, "mine alone")
	for _, path := range []string{"/requests/" + id, "/requests/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/requests/x"} {
		if w := h.get("mallory", h.path(path)); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "mine alone") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestTheLinkOfANotificationLeadsToSignInAndBack(t *testing.T) {
	h := newHouse(t)
	path := h.path("/requests/" + h.asked(deploy, "x"))
	w := h.get("", path)
	if want := h.path("/sign-in") + "?return=" + url.QueryEscape(path); w.Code != http.StatusSeeOther || w.Header().Get("Location") != want {
		t.Errorf("%d to %q, want to %q", w.Code, w.Header().Get("Location"), want)
	}
	w = h.post("", path+"/approve", "step=1")
	if want := h.path("/sign-in") + "?over=yes&return=" + url.QueryEscape(path); w.Code != http.StatusSeeOther || w.Header().Get("Location") != want {
		t.Errorf("an approval: %d to %q, want to %q", w.Code, w.Header().Get("Location"), want)
	}
}

// evil is what people may write into a text (T126, T173).
const evil = "<img src=x onerror=alert(1)>{{.}}</textarea><script>alert(1)</script>\u202egnp.exe\x00\"'>"

func TestWhatPeopleWriteIsTextOnTheRequestsPage(t *testing.T) {
	h := newHouse(t)
	id := h.do("alice", 201, "POST", "/access/requests", doc{"resource": web, "method": deploy, "justification": evil, "fields": doc{"ticket": evil}})["id"].(string)
	code, _ := h.send("carol", "/requests/"+id+"/approve", url.Values{"step": {"1"}, "comment": {evil}, "fields.risk": {"x"}}) // refused: it comes back in the form
	if code != http.StatusUnprocessableEntity {
		t.Errorf("got %d", code)
	}
	h.send("carol", "/requests/"+id+"/approve", url.Values{"step": {"1"}, "comment": {evil}, "fields.risk": {"low"}})
	for _, who := range []domain.Name{"alice", "carol", "sec"} {
		body := h.get(who, h.path("/requests/"+id)).Body.String()
		if strings.Contains(body, "<img") || strings.Contains(body, "<script>") || strings.Contains(body, "\u202e") || strings.Contains(body, "\x00") {
			t.Errorf("%s sees what was written as more than text: %s", who, body)
		}
		if strings.Count(body, "&lt;img src=x onerror=alert(1)&gt;{{.}}") < 3 || !strings.Contains(body, `\u202egnp.exe\x00`) {
			t.Errorf("%s does not see what was written: %s", who, body)
		}
	}
}
