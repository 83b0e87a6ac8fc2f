package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

const okta = `
sign_in:
  providers:
    - name: okta
      issuer: https://login.example.com
      client_id: "0oa1"
      client_secret_file: SECRET
      groups_claim: groups
      groups: {"Platform on call": on-call}
      scopes: [groups]
      create: true
      mfa_amr: [mfa, swk]
    - {name: google, issuer: "https://accounts.google.com", client_id: "1.apps"}
`

// withSecret is the text with a file for SECRET.
func withSecret(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(text, "SECRET", path)
}

func TestProvidersAreReadFromTheFileAndTheEnvironment(t *testing.T) {
	text := withSecret(t, okta)
	c, err := loadConfig(write(t, whole+text), nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.signIn()
	if err != nil || len(o.Providers) != 2 || o.BaseURL != "https://sallyport.example.com" {
		t.Fatalf("got %+v, %v", o, err)
	}
	p := o.Providers[0]
	if p.Name != "okta" || p.ClientSecret.Reveal() != "s3cret" || p.Groups["Platform on call"] != domain.Name("on-call") || !p.Create || len(p.MFA) != 2 || !slices.Equal(p.Scopes, []string{"groups"}) || p.TrustNames {
		t.Errorf("got %+v", p)
	}
	if _, err := (&Main{SignIn: o, Gate: c.gate()}).providers(); err != nil {
		t.Error(err)
	}
	b, err := json.Marshal(c.SignIn.Providers)
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadConfig(write(t, whole), []string{"SALLYPORT_SIGN_IN__PROVIDERS=" + string(b)})
	if err != nil || len(again.SignIn.Providers) != 2 || again.SignIn.Providers[0].GroupsClaim != "groups" {
		t.Errorf("of the environment: %+v, %v", again.SignIn, err)
	}
}

func TestWhatIsWrongWithAProviderIsNamed(t *testing.T) {
	good := withSecret(t, okta)
	for _, tt := range []struct{ old, new, err string }{
		{"name: okta", "name: Okta", "a name is 1 to 63"},
		{"name: google", "name: okta", `name "okta" twice`},
		{"https://login.example.com", "http://login.example.com", "okta: issuer"},
		{"https://login.example.com", "https://10.0.0.1", "okta: issuer"},
		{`client_id: "0oa1"`, `client_id: ""`, "https://sallyport.example.com/console/callback"},
		{"client_secret_file: ", "client_secret_file: /nowhere", "which is not there"},
		{"groups_claim: groups", "groups_claim: ''", "go together"},
		{": on-call", ": On Call", `"Platform on call"`},
		{"create: true", "create: maybe", "sign_in.providers"},
		{"scopes: [groups]", "scopes: [groups email]", "is no scope"},
		{"scopes: [groups]", "scopes: [\"\"]", "is no scope"},
		{"create: true", "trust_names: true", "trust_names"},
		{"create: true", "client_secret: s3cret", "client_secret"},
	} {
		_, err := loadConfig(write(t, whole+strings.Replace(good, tt.old, tt.new, 1)), nil)
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %v, want %q", tt.new, err, tt.err)
		}
	}
	for _, tt := range []struct{ organisations, own, err string }{
		{"default", "", ""},
		{"default", "organisations: [default]", ""},
		{"default", "organisations: [other]", `okta: organisations names "other"`},
		{"default, other", "", "okta: organisations is missing"},
		{"default, other", "organisations: [other]", ""},
	} {
		text := strings.ReplaceAll(good[:strings.Index(good, "    - {name: google")], "      create: true", "      create: true\n      "+tt.own)
		_, err := loadConfig(write(t, whole+text), []string{"SALLYPORT_ORGANISATIONS=" + tt.organisations})
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s, %s: got %v, want %q", tt.organisations, tt.own, err, tt.err)
		}
	}
	for _, value := range []string{"okta", `{"name":"okta"}`, `[{"name":"okta","trust_names":true}]`, "["} {
		if _, err := loadConfig(write(t, whole), []string{"SALLYPORT_SIGN_IN__PROVIDERS=" + value}); err == nil {
			t.Errorf("%s is taken", value)
		}
	}
}
