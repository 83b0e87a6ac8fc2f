package access_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"golang.org/x/crypto/ssh"

	"sallyport.dev/domain"
	"sallyport.dev/e2e/contract"
	"sallyport.dev/handlers/access"
	"sallyport.dev/handlers/admin"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/organisation/orgtest"
)

// house is an organisation with people, a workload, a server, secrets and
// policies about them, reached over real HTTP. Every answer is held against
// openapi.yaml.
type house struct {
	*orgtest.World
	t        testing.TB
	url      string // of the organisation
	client   *http.Client
	tokens   map[string]string
	provider *orgtest.Provider
	key      string // an SSH public key
}

// Methods of the policies below.
const (
	web       = "server/web-1"
	password  = "secret/payments/db/password"
	deploy    = "production/approved/ssh:deploy"
	root      = "production/approved/ssh:root"
	mine      = "production/standing/ssh:own"
	shared    = "production/shared/ssh:shared"
	emergency = "production/emergency/ssh:admin"
	reveal    = "production/secrets/secret_reveal"
	ofRole    = "machines/ssh/ssh:wl_deployers"
	ofSecret  = "machines/secrets/secret_reveal"
)

// build makes the house.
func build(t testing.TB) *house {
	t.Helper()
	h := open(t, orgtest.New(t))
	h.furnish()
	return h
}

// open serves a world, of which there may be others on the same log.
func open(t testing.TB, w *orgtest.World) *house {
	t.Helper()
	e := api.New(api.Options{Log: orgtest.Quiet()})
	g := e.Group("/orgs/default")
	x := exchange.New(w.Organisation, exchange.Options{})
	t.Cleanup(x.Close)
	x.Mount(g)
	admin.Mount(g, w.Organisation, admin.Options{More: access.New(w.Organisation, access.Options{PerSecond: 1000}).Routes()})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	return &house{World: w, t: t, url: s.URL + "/orgs/default", client: contract.Client(t), tokens: map[string]string{}, key: newKey(t)}
}

func newKey(t testing.TB) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(k)))
}

type doc = map[string]any

// rule is one of a policy that gives ssh with an account of web-1.
func rule(name, account string, more doc) doc {
	r := doc{"name": name, "resource": doc{"server": "web-1"}, "privileges": []doc{{"type": "ssh", "accounts": []string{account}}}}
	for k, v := range more {
		r[k] = v
	}
	return r
}

var asks = []doc{{"type": "access_request", "request_type": "prod-access", "approval_seconds": 900}}

// production is the policy for people.
func production() doc {
	return doc{"name": "production", "principals": doc{"groups": []string{"developers"}}, "rules": []doc{
		rule("standing", "own", nil),
		rule("approved", "deploy", doc{"conditions": asks, "privileges": []doc{
			{"type": "ssh", "accounts": []string{"deploy", "root"}}, {"type": "reveal_password", "accounts": []string{"deploy"}}}}),
		rule("shared", "shared", doc{"conditions": []doc{{"type": "checkout", "max_seconds": 900}}}),
		rule("emergency", "admin", doc{"conditions": asks, "break_glass": doc{"access_seconds": 600}}),
		{"name": "secrets", "resource": doc{"folder": "payments"}, "privileges": []doc{{"type": "secret", "actions": []string{"list", "reveal"}}}},
	}}
}

// machines is the policy for workloads: one way to log in and two that need a human.
func machines() doc {
	return doc{"name": "machines", "principals": doc{"roles": []string{"deployers"}}, "rules": []doc{
		{"name": "ssh", "resource": doc{"server": "web-1"}, "privileges": []doc{{"type": "ssh_workload"}}},
		rule("mfa", "deploy", doc{"conditions": []doc{{"type": "mfa"}}}),
		rule("asked", "root", doc{"conditions": asks}),
		{"name": "secrets", "resource": doc{"folder": "payments"}, "privileges": []doc{{"type": "secret", "actions": []string{"reveal"}}}},
		{"name": "human", "resource": doc{"server": "web-2"}, "privileges": []doc{{"type": "ssh", "accounts": []string{"deploy"}}}, "conditions": []doc{{"type": "mfa"}}},
	}}
}

// furnish lets everybody move in.
func (h *house) furnish() {
	h.t.Helper()
	h.people()
	for _, g := range []string{"developers", "approvers"} {
		h.as("sec", 201, "POST", "/groups", doc{"name": g})
	}
	for person, g := range map[string]string{"alice": "developers", "bob": "developers", "carol": "approvers"} {
		h.as("sec", 201, "POST", "/groups/"+g+"/members", doc{"person": person})
	}
	h.as("res", 201, "POST", "/projects", doc{"name": "shop", "checkout": doc{"required": false}})
	vaulted := func(names ...string) (accounts []doc) {
		for _, n := range names {
			accounts = append(accounts, doc{"name": n, "kind": "vaulted", "username": n})
		}
		return append(accounts, doc{"name": "own", "kind": "personal"})
	}
	h.as("res", 201, "POST", "/servers", doc{"name": "web-1", "project": "shop", "address": "127.0.0.1", "port": 2222,
		"accounts": vaulted("deploy", "root", "shared", "admin")})
	h.as("res", 201, "POST", "/servers", doc{"name": "web-2", "project": "shop", "address": "127.0.0.1", "accounts": vaulted("deploy"), "any_source": true})
	h.as("res", 201, "POST", "/servers", doc{"name": "web-3", "project": "shop", "address": "127.0.0.1", "accounts": vaulted("deploy"), "own_principals": true})
	h.as("res", 200, "PUT", "/servers/web-1/accounts/deploy/password", doc{"value": "deploys-password"})
	h.as("res", 201, "POST", "/secrets", doc{"path": "payments/db/password", "project": "shop", "value": "hunter2"})
	h.as("res", 201, "POST", "/secrets", doc{"path": "elsewhere/key", "project": "shop", "value": "not-yours"})
	h.as("sec", 201, "POST", "/request-types", doc{"name": "prod-access", "kind": "access",
		"steps": []doc{{"name": "lead", "approvers": doc{"group": "approvers"}, "needed": 1}}})
	h.as("sec", 200, "POST", "/request-types/prod-access/publish", nil, "If-Match", `"1"`)
	h.provider = orgtest.NewProvider(h.t, "RS256")
	h.Activated("ci", h.provider.Spec(h.Issuer(), "job/1"))
	h.as("sec", 201, "POST", "/roles", doc{"name": "deployers", "requirements": []doc{{"connection": "ci"}}})
	for _, p := range []doc{production(), machines()} {
		h.as("sec", 201, "POST", "/policies", p)
		h.as("sec", 200, "POST", fmt.Sprintf("/policies/%s/publish", p["name"]), nil, "If-Match", `"1"`)
	}
}

// people gives everybody an API token.
func (h *house) people() {
	h.t.Helper()
	for name, role := range map[string]domain.Role{
		"own": domain.Owner, "sec": domain.SecurityAdmin, "res": domain.ResourceAdmin, "aud": domain.Auditor,
		"alice": domain.Member, "bob": domain.Member, "carol": domain.Member, "mallory": domain.Member,
	} {
		h.tokens[name] = h.Token(domain.Name(name), role)
	}
}

// workload gets the workload its own token.
func (h *house) workload() string { return h.exchange("ci", "") }

// exchange gets a token of the connection for an audience, "" is us.
func (h *house) exchange(connection, audience string) string {
	h.t.Helper()
	f := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "connection": {connection},
		"subject_token":      {h.provider.Mint(h.provider.Claims(h.Now(), h.Issuer(), "job/1", nil))},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
	}
	if audience != "" {
		f.Set("audience", audience)
	}
	res, err := http.PostForm(h.url+"/token", f)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		h.t.Fatalf("no token of %s: %d %v", connection, res.StatusCode, err)
	}
	return answer.AccessToken
}

// ask does one request of whoever the token, or the name, is, and answers status and body.
func (h *house) ask(who, method, path string, body any, header ...string) (int, doc) {
	h.t.Helper()
	var send io.Reader
	switch b := body.(type) {
	case nil:
	case io.Reader:
		send = b
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			h.t.Fatal(err)
		}
		send = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url+"/v1"+path, send)
	if err != nil {
		h.t.Fatal(err)
	}
	if send != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	token, known := h.tokens[who]
	if !known {
		token = who
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	answer := doc{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &answer); err != nil {
			h.t.Fatalf("%s %s answered %q", method, path, raw)
		}
	}
	return res.StatusCode, answer
}

// as is ask with the status that it must have.
func (h *house) as(who string, status int, method, path string, body any, header ...string) doc {
	h.t.Helper()
	got, answer := h.ask(who, method, path, body, header...)
	if got != status {
		h.t.Fatalf("%s %s by %.20s answered %d, want %d: %v", method, path, who, got, status, answer)
	}
	return answer
}

// refused is ask with the status and the code that it must have.
func (h *house) refused(who string, status int, code, method, path string, body any, header ...string) doc {
	h.t.Helper()
	got, answer := h.ask(who, method, path, body, header...)
	if got != status || answer["code"] != code {
		h.t.Errorf("%s %s by %.20s answered %d %v, want %d %s: %v", method, path, who, got, answer["code"], status, code, answer["detail"])
	}
	return answer
}

// ssh asks for a certificate.
func (h *house) ssh(method string) doc {
	return doc{"resource": web, "method": method, "public_key": h.key}
}

// methods is what resolve answers, by id.
func (h *house) methods(who, resource string) map[string]doc {
	h.t.Helper()
	out := map[string]doc{}
	for _, m := range h.as(who, 200, "POST", "/access/resolve", doc{"resource": resource})["methods"].([]any) {
		out[m.(doc)["id"].(string)] = m.(doc)
	}
	return out
}

// approve raises a request for the method and has carol approve it.
func (h *house) approve(who, method string) {
	h.t.Helper()
	r := h.as(who, 201, "POST", "/access/requests", doc{"resource": web, "method": method, "justification": "ticket 1"})
	h.as("carol", 200, "POST", "/access/requests/"+r["id"].(string)+"/approve", doc{"comment": "fine"})
}

// certificate reads what a grant answered.
func (h *house) certificate(answer doc) *ssh.Certificate {
	h.t.Helper()
	k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(answer["certificate"].(string)))
	if err != nil {
		h.t.Fatal(err)
	}
	return k.(*ssh.Certificate)
}

// told is the events of access after a position, in order.
func (h *house) told(after domain.Position) (events []domain.Envelope) {
	h.t.Helper()
	for _, e := range h.Events() {
		switch e.Type {
		case "access.granted", "access.refused", "access.filtered", "access.cancelled", "secret.revealed",
			"checkout.taken", "checkout.released", "checkout.lapsed", "break_glass.used", "break_glass.reviewed":
			if after.Less(e.Position) {
				events = append(events, e)
			}
		}
	}
	return events
}

// tells fails the test unless exactly these events of access were recorded after a position.
func (h *house) tells(after domain.Position, types ...string) []domain.Envelope {
	h.t.Helper()
	events := h.told(after)
	var got []string
	for _, e := range events {
		got = append(got, e.Type)
	}
	if fmt.Sprint(got) != fmt.Sprint(types) {
		h.t.Errorf("recorded %v, want %v", got, types)
	}
	return events
}
