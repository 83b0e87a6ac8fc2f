package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/signin"
)

// SignInConfig says where people sign in to the console.
type SignInConfig struct {
	// Providers are OpenID providers, each with a button of its own: see
	// docs/howto-sign-in.md. In the environment they are JSON.
	Providers []ProviderConfig `json:"providers"`
}

// ProviderConfig is one OpenID provider.
type ProviderConfig struct {
	// Name is on the button and in the audit trail: a-z, 0-9 and inner hyphens.
	Name string `json:"name"`
	// Issuer is its iss, an https URL, allowed as keys are fetched (see jwks).
	Issuer string `json:"issuer"`
	// ClientID is ours at the provider.
	ClientID string `json:"client_id"`
	// ClientSecretFile holds our secret there. Empty: a public client.
	ClientSecretFile string `json:"client_secret_file"`
	// Organisations are those whose people sign in there. With one organisation: that
	// one. With several it has to be said: who controls the provider can be any of
	// their people.
	Organisations []string `json:"organisations"`
	// Scopes are asked for beside openid, profile and email, such as groups of a
	// provider that tells groups for it.
	Scopes []string `json:"scopes"`
	// NameClaim names whoever is made at their first sign-in. Default: preferred_username.
	NameClaim string `json:"name_claim"`
	// GroupsClaim lists people's groups at the provider. Empty: it says nothing of groups.
	GroupsClaim string `json:"groups_claim"`
	// Groups says which of the provider's groups are which of ours.
	Groups map[string]string `json:"groups"`
	// Create makes a member of everybody whom the provider lets in.
	Create bool `json:"create"`
	// MFAAMR are the values of amr that prove a second factor. Default: mfa.
	MFAAMR []string `json:"mfa_amr"`
	// FirstPasskey lets who has no passkey register their first one within five
	// minutes of a sign-in there, which is otherwise no proof that is fresh: for a
	// provider that never says when somebody proved who they are, as Google.
	FirstPasskey bool `json:"first_passkey"`
}

// UnmarshalJSON refuses what is no setting of a provider, as of every other group.
func (c *ProviderConfig) UnmarshalJSON(b []byte) error {
	type plain ProviderConfig
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode((*plain)(c))
}

// scopeForm is a scope-token (RFC 6749 section 3.3).
var scopeForm = regexp.MustCompile(`\A[!#-\[\]-~]{1,100}\z`)

// checkSignIn adds the rules that the providers break.
func (c Config) checkSignIn(p *problems) {
	const key = "sign_in.providers"
	var names []string
	for i, one := range c.SignIn.Providers {
		switch _, err := domain.ParseName(one.Name); {
		case err != nil:
			p.add(key, "number %d has the name %q: %v", i+1, one.Name, err)
		case slices.Contains(names, one.Name):
			p.add(key, "name %q twice", one.Name)
		}
		names = append(names, one.Name)
		if err := c.gate().CheckIssuerURL(one.Issuer); err != nil {
			p.add(key, "%s: issuer %q: %v", one.Name, one.Issuer, err)
		}
		if one.ClientID == "" {
			p.add(key, "%s: client_id is missing; the provider gives it when you register %s%s there", one.Name, c.BaseURL, signin.CallbackPath)
		}
		if one.ClientSecretFile != "" {
			if _, err := os.Stat(one.ClientSecretFile); err != nil {
				p.add(key, "%s: client_secret_file names %s, which is not there", one.Name, one.ClientSecretFile)
			}
		}
		c.checkProviderOrganisations(p, one)
		for _, scope := range one.Scopes {
			if !scopeForm.MatchString(scope) {
				p.add(key, "%s: scopes has %q, which is no scope", one.Name, scope)
			}
		}
		if (one.GroupsClaim == "") != (len(one.Groups) == 0) {
			p.add(key, "%s: groups_claim and groups go together", one.Name)
		}
		for theirs, ours := range one.Groups {
			if _, err := domain.ParseName(ours); err != nil {
				p.add(key, "%s: groups: %q is to be %q: %v", one.Name, theirs, ours, err)
			}
		}
	}
}

// checkProviderOrganisations adds what is wrong with whose people sign in there.
func (c Config) checkProviderOrganisations(p *problems, one ProviderConfig) {
	const key = "sign_in.providers"
	if len(one.Organisations) == 0 && len(c.Organisations) > 1 {
		p.add(key, "%s: organisations is missing; name those of %v whose people sign in there", one.Name, c.Organisations)
	}
	for _, org := range one.Organisations {
		if !slices.Contains(c.Organisations, org) {
			p.add(key, "%s: organisations names %q, which is none of %v", one.Name, org, c.Organisations)
		}
	}
}

// signIn is where people sign in, as the configuration says.
func (c Config) signIn() (signin.Options, error) {
	o := signin.Options{BaseURL: c.BaseURL}
	for _, one := range c.SignIn.Providers {
		secret, err := fromFile(domain.Secret{}, one.ClientSecretFile)
		if err != nil {
			return o, err
		}
		s := signin.Settings{
			Name: domain.Name(one.Name), Issuer: one.Issuer, ClientID: one.ClientID, ClientSecret: secret,
			Scopes: one.Scopes, NameClaim: one.NameClaim, GroupsClaim: one.GroupsClaim, Groups: map[string]domain.Name{},
			Create: one.Create, MFA: one.MFAAMR, FirstPasskey: one.FirstPasskey,
		}
		for _, org := range one.Organisations {
			s.Organisations = append(s.Organisations, domain.Name(org))
		}
		for theirs, ours := range one.Groups {
			s.Groups[theirs] = domain.Name(ours)
		}
		o.Providers = append(o.Providers, s)
	}
	return o, nil
}

// providers are where people sign in, reached through the gate of everything.
func (m *Main) providers() (*signin.Providers, error) {
	o := m.SignIn
	o.Gate = m.Gate
	ps, err := signin.New(o)
	if err != nil {
		return nil, fmt.Errorf("sign_in.providers: %w", err)
	}
	return ps, nil
}

// String is how a provider is printed.
func (c ProviderConfig) String() string { return c.Name + " " + c.Issuer }
