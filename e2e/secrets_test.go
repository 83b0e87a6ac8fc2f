package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport.dev/e2e/program"
)

// asker asks a running server, as whoever it likes, and keeps what was answered in errors.
type asker struct {
	*program.Server
	t       *testing.T
	refused []string
}

func (a *asker) send(method, url, bearer, contentType, body string) map[string]any {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if res.StatusCode >= 400 {
		a.refused = append(a.refused, fmt.Sprint(res.Header)+string(b))
	}
	var out map[string]any
	_ = json.Unmarshal(b, &out) // an empty answer has none
	return out
}

func (a *asker) json(method, path, who string, body any) map[string]any {
	a.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.send(method, a.Issuer+"/v1"+path, a.Tokens[who], "application/json", string(b))
}

func (a *asker) mint(claims string) string {
	a.t.Helper()
	token, _ := a.send("POST", a.Provider.MintURL+"/gitlab", "", "application/json", claims)["token"].(string)
	if token == "" {
		a.t.Fatal("no proof was minted")
	}
	return token
}

func (a *asker) exchange(proof string, more ...string) map[string]any {
	a.t.Helper()
	f := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}, "subject_token": {proof}, "connection": {"ci"}}
	for i := 0; i+1 < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return a.send("POST", a.Issuer+"/token", "", "application/x-www-form-urlencoded", f.Encode())
}

// Whatever is done with proofs, tokens and API tokens, rightly and wrongly,
// nothing of them is left: not in the log, not in the trail, not in what the
// process says, not in what others are told. What it keeps by purpose is the
// demo's own credentials.
func TestNoSecretIsLeftAnywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	a := &asker{Server: program.Dev(t), t: t}
	good := fmt.Sprintf(`{"aud":%q,"ref":"main"}`, a.Issuer)
	a.json("POST", "/connections", "devops", map[string]any{"name": "ci", "provider": "gitlab", "jwks_url": a.Provider.JWKSURL,
		"settings": map[string]string{"domain": "gitlab.example.com", "group": "my-group"}})
	proof, bad := a.mint(good), a.mint(`{"aud":"https://other.example"}`)
	a.json("POST", "/connections/ci/test", "devops", map[string]string{"token": proof})
	a.json("POST", "/connections/ci/test", "devops", map[string]string{"token": bad})
	a.send("POST", a.Issuer+"/v1/connections/ci/activate", a.Tokens["security"], "application/json", `{"token":"`+proof+`"}`)
	req, err := http.NewRequestWithContext(t.Context(), "POST", a.Issuer+"/v1/connections/ci/activate", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + a.Tokens["security"]}, "Content-Type": {"application/json"}, "If-Match": {`"1"`}}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	token, _ := a.exchange(proof)["access_token"].(string)
	if token == "" {
		t.Fatalf("no token: %s", a.refused)
	}
	a.exchange(bad)
	a.exchange(proof + "\n")
	a.exchange(proof[:len(proof)-4])
	a.exchange(proof, "audience", proof)
	a.exchange(proof, "role_hint", token)
	a.exchange(proof, "connection", proof)
	a.exchange(token)
	a.exchange(proof, "grant_type", proof)
	a.send("POST", a.Issuer+"/token?subject_token="+proof, "", "application/x-www-form-urlencoded", "subject_token="+proof+"&subject_token="+proof)
	a.send("GET", a.Issuer+"/v1/connections?token="+a.Tokens["devops"], "", "", "")
	a.send("GET", a.Issuer+"/v1/connections", a.Tokens["devops"]+"x", "", "")
	a.send("GET", a.Issuer+"/v1/audit?q="+token, a.Tokens["auditor"], "", "")
	a.send("GET", a.Issuer+"/v1/"+token, a.Tokens["auditor"], "", "")
	a.send("POST", a.Issuer+"/introspect", a.Tokens["auditor"], "application/x-www-form-urlencoded", "token="+token)
	a.send("POST", a.Issuer+"/introspect", token+"x", "application/x-www-form-urlencoded", "token="+token)
	a.send("GET", a.Issuer+"/v1/audit?limit=200", a.Tokens["auditor"], "", "") // waits until the trail has all

	secrets := map[string]string{}
	for name, jwt := range map[string]string{"the proof": proof, "the refused proof": bad, "the token": token} {
		for i, part := range strings.Split(jwt, ".")[1:] {
			secrets[fmt.Sprintf("part %d of %s", i+2, name)] = part[:40]
		}
	}
	for who, secret := range a.Tokens {
		secrets["the API token of "+who] = strings.TrimPrefix(secret, "sallyport_")
	}
	found := func(where string, b []byte) {
		for name, secret := range secrets {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds %s", where, name)
			}
		}
	}
	found("what the process said", []byte(a.Said()))
	for _, r := range a.refused {
		// An address that was asked for is told back to who asked, and to nobody else.
		if !strings.Contains(r, "route.not_found") {
			found("a refusal", []byte(r))
		}
	}
	looked := 0
	err = filepath.WalkDir(filepath.Join(a.Dir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "credentials.json" {
			return err
		}
		b, err := os.ReadFile(path)
		looked += len(b)
		found(path, b)
		return err
	})
	if err != nil || looked < 10_000 {
		t.Fatalf("%d bytes were looked at: %v", looked, err)
	}
}
