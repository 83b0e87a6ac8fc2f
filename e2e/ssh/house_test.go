package ssh_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sallyport.dev/e2e/program"
	"sallyport.dev/e2e/sshd"
)

// house is a server of ours with people, a workload and policies, and an sshd
// that trusts its SSH authority.
type house struct {
	t      *testing.T
	server *program.Server
	sshd   *sshd.Server
	first  string // user of the account pamadmin1
	home   string // of who runs the programs; their temporary files are below, too
}

type doc = map[string]any

// newHouse has one server, known under several names:
//
//	web-1    alice gets in as pamadmin1, and as pamadmin2 once bob approved
//	web-2    alice gets in as either
//	stolen   another host key is known
//
// and workloads of the role deployer are wl_deployer on web-1.
func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, server: program.Dev(t), home: t.TempDir()}
	h.sshd = sshd.Start(t, h.trusted(), "pamadmin1", "pamadmin2", "wl_deployer", "alice")
	h.first = h.sshd.Login("pamadmin1")
	h.people()
	port, err := strconv.Atoi(h.sshd.Port)
	if err != nil {
		t.Fatal(err)
	}
	h.as("resource", "POST", "/projects", doc{"name": "shop", "checkout": doc{"required": false}})
	for _, name := range []string{"web-1", "web-2", "stolen"} {
		keys := h.sshd.HostKeys
		if name == "stolen" {
			keys = []string{newClient(t).public}
		}
		h.as("resource", "POST", "/servers", doc{
			"name": name, "project": "shop", "address": h.sshd.Host, "port": port, "host_keys": keys,
			"accounts": []doc{{"name": "pamadmin1", "kind": "vaulted", "username": h.first}, {"name": "pamadmin2", "kind": "vaulted", "username": "pamadmin2"}},
		})
	}
	h.as("security", "POST", "/request-types", doc{"name": "prod-access", "kind": "access",
		"steps": []doc{{"name": "lead", "approvers": doc{"group": "approvers"}, "needed": 1}}})
	h.publish("request-types", "prod-access")
	asked := []doc{{"type": "access_request", "request_type": "prod-access", "approval_seconds": 900}}
	h.policy("web", doc{"groups": []string{"operators"}},
		rule("open", "web-1", nil, "pamadmin1"), rule("asked", "web-1", asked, "pamadmin2"),
		rule("either", "web-2", nil, "pamadmin1", "pamadmin2"), rule("stolen", "stolen", nil, "pamadmin1"))
	return h
}

func rule(name, server string, conditions []doc, accounts ...string) doc {
	r := doc{"name": name, "resource": doc{"server": server}, "privileges": []doc{{"type": "ssh", "accounts": accounts}}}
	if conditions != nil {
		r["conditions"] = conditions
	}
	return r
}

func (h *house) people() {
	for group, person := range map[string]string{"operators": "alice", "approvers": "bob"} {
		h.as("security", "POST", "/groups", doc{"name": group})
		h.as("security", "POST", "/groups/"+group+"/members", doc{"person": person})
	}
}

func (h *house) policy(name string, principals doc, rules ...doc) {
	h.t.Helper()
	h.as("security", "POST", "/policies", doc{"name": name, "principals": principals, "rules": rules})
	h.publish("policies", name)
}

func (h *house) publish(kind, name string) {
	h.t.Helper()
	h.as("security", "POST", "/"+kind+"/"+name+"/publish", nil, "If-Match", `"1"`)
}

// trusted is what /ssh/ca.pub has, as a server would fetch it.
func (h *house) trusted() []string {
	h.t.Helper()
	res, err := http.Get(h.server.Issuer + "/ssh/ca.pub")
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		h.t.Fatalf("%s: %v", res.Status, err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// as does one request of a person, which must be done.
func (h *house) as(person, method, path string, body any, header ...string) doc {
	h.t.Helper()
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			h.t.Fatal(err)
		}
		send = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.server.Issuer+"/v1"+path, send)
	if err != nil {
		h.t.Fatal(err)
	}
	if send != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+h.server.Tokens[person])
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode > 299 {
		h.t.Fatalf("%s %s by %s: %s %s %v", method, path, person, res.Status, b, err)
	}
	answer := doc{}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &answer); err != nil {
			h.t.Fatal(err)
		}
	}
	return answer
}

// workload is a token of a workload that bears the role deployer.
func (h *house) workload() string {
	h.t.Helper()
	h.as("devops", "POST", "/connections", doc{
		"name": "ci", "provider": "generic_jwt", "jwks_url": h.server.Provider.JWKSURL, "identity_claim": "sub",
		"conditions": []doc{{"claim": "iss", "operator": "equals", "value": h.server.Provider.Issuer}, {"claim": "aud", "operator": "equals", "value": h.server.Issuer},
			{"claim": "sub", "operator": "equals", "value": "job/1"}},
		"token_ttl": doc{"amount": 10, "unit": "minutes"},
	})
	h.as("security", "POST", "/connections/ci/activate", doc{"acknowledge": []string{"keys.http"}}, "If-Match", `"1"`)
	h.as("security", "POST", "/roles", doc{"name": "deployer", "requirements": []doc{{"connection": "ci"}}})
	h.policy("machines", doc{"roles": []string{"deployer"}}, doc{"name": "ssh", "resource": doc{"server": "web-1"}, "privileges": []doc{{"type": "ssh_workload"}}})
	jwt := filepath.Join(h.t.TempDir(), "jwt")
	res, err := http.Post(h.server.Provider.MintURL, "application/json", strings.NewReader(fmt.Sprintf(`{"aud":%q,"sub":"job/1"}`, h.server.Issuer)))
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	var minted struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&minted); err != nil || minted.Token == "" {
		h.t.Fatalf("minting: %s %v", res.Status, err)
	}
	write(h.t, jwt, minted.Token)
	r := run(h.t, h.sallyport(h.t, "", "wl", "auth", "--connection", "ci", "--jwt-file", jwt))
	if r.code != 0 {
		h.t.Fatal(r)
	}
	return strings.TrimSpace(r.out)
}

// environment is that of somebody with that token, and their own home.
func (h *house) environment(token string) []string {
	return []string{
		"PATH=" + program.Build(h.t) + ":/usr/sbin:/usr/bin:/bin", "HOME=" + h.home, "TMPDIR=" + h.home,
		"SALLYPORT_ADDR=" + h.server.BaseURL, "SALLYPORT_TOKEN=" + token,
	}
}

// sallyport is the program as somebody with that token runs it.
func (h *house) sallyport(t *testing.T, token string, args ...string) *exec.Cmd {
	cmd := command(t, filepath.Join(program.Build(t), "sallyport"), args...)
	cmd.Env = h.environment(token)
	return cmd
}

// alice runs the program as alice.
func (h *house) alice(t *testing.T, args ...string) *exec.Cmd {
	return h.sallyport(t, h.server.Tokens["alice"], args...)
}

// grants counts what was granted.
func (h *house) grants() int {
	h.t.Helper()
	events, _ := h.as("auditor", "GET", "/audit?type=access.granted&limit=200", nil)["events"].([]any)
	return len(events)
}
