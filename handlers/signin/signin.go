// Package signin has people sign in at OpenID providers: it sends them there,
// checks what they come back with, and finds out who they are here.
//
// It is the only go-oidc and x/oauth2. Discovery, keys and tokens are fetched
// through the address gate. No code and no token leaves it: not to a log, an event
// or an error.
package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/jose"
)

// Settings is one OpenID provider.
type Settings struct {
	Name         domain.Name // in addresses, events and on the button
	Issuer       string
	ClientID     string
	ClientSecret domain.Secret // zero: a public client, by PKCE alone
	// Organisations are those whose people sign in there; none: every one that is served.
	Organisations []domain.Name
	// Scopes are asked for beside openid, profile and email.
	Scopes []string
	// NameClaim is where the name of somebody who is made here is from; "" is preferred_username.
	NameClaim string
	// GroupsClaim lists their groups at the provider; "" has none. Groups says which of
	// them are which of ours.
	GroupsClaim string
	Groups      map[string]domain.Name
	// Create makes a member of whoever the provider lets in and nobody knows.
	Create bool
	// FirstPasskey lets who has none register their first passkey on the strength of
	// a sign-in that does not say when they proved who they are.
	FirstPasskey bool
	// MFA lists the values of amr that prove a second factor; empty: mfa alone, as
	// hwk is what one has and nothing besides (RFC 8176).
	MFA []string
	// TrustNames takes preferred_username for a person's name here. It is for the demo
	// provider on the loopback, which believes everybody anyway: elsewhere a name can be
	// given to another, or be chosen by its bearer, who would then be our owner.
	TrustNames bool
}

// Options of [New].
type Options struct {
	Providers []Settings
	BaseURL   string // where we are reached from outside, without a slash at the end
	Gate      jose.Gate
	Resolver  jose.Resolver    // nil: the system's
	Now       func() time.Time // nil: time.Now
}

// CallbackPath is where providers send people back to, below the base URL.
const CallbackPath = "/console/callback"

// Providers are the OpenID providers of a process, safe for concurrent use.
type Providers struct {
	all []*Provider
}

// New checks the settings; it fetches nothing yet.
func New(o Options) (*Providers, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	out := &Providers{}
	for _, s := range o.Providers {
		p, err := newProvider(s, o)
		if err != nil {
			return nil, fmt.Errorf("the provider %s: %w", s.Name, err)
		}
		out.all = append(out.all, p)
	}
	return out, nil
}

// Of is the providers where the people of an organisation sign in, as configured.
func (ps *Providers) Of(org domain.Name) []*Provider {
	if ps == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(ps.all), func(p *Provider) bool {
		return len(p.Organisations) > 0 && !slices.Contains(p.Organisations, org)
	})
}

// Find is the organisation's provider of that name; nil if it has none.
func (ps *Providers) Find(org, name domain.Name) *Provider {
	for _, p := range ps.Of(org) {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// OfWhom is the organisation's provider at which one of the accounts is; nil if none
// is. Its person signs in there, so that who has left is out here too. The demo
// provider, which believes everybody, holds nobody to it.
func (ps *Providers) OfWhom(org domain.Name, accounts []identity.Account) *Provider {
	for _, p := range ps.Of(org) {
		if !p.TrustNames && slices.ContainsFunc(accounts, func(a identity.Account) bool { return a.Issuer == p.Issuer }) {
			return p
		}
	}
	return nil
}

// Provider is one OpenID provider. It is safe for concurrent use.
type Provider struct {
	Settings
	redirectURL string
	client      *http.Client
	now         func() time.Time

	mu        sync.Mutex
	found     *discovered
	foundAt   time.Time
	failedAt  time.Time
	whyFailed error
	asking    chan struct{} // closed when it has answered; nil: it is not asked right now
}

func newProvider(s Settings, o Options) (*Provider, error) {
	if err := o.Gate.CheckIssuerURL(s.Issuer); err != nil {
		return nil, err
	}
	if u, err := url.Parse(s.Issuer); s.TrustNames && (err != nil || u.Scheme != "http") {
		return nil, errors.New("names are trusted of the demo provider on the loopback alone")
	}
	if s.ClientID == "" {
		return nil, errors.New("it has no client_id")
	}
	s.NameClaim = orElse(s.NameClaim, "preferred_username")
	if len(s.MFA) == 0 {
		s.MFA = []string{"mfa"}
	}
	client, err := jose.NewClient(o.Gate, o.Resolver, 0)
	if err != nil {
		return nil, err
	}
	client.Transport = gated{o.Gate, client.Transport}
	return &Provider{Settings: s, redirectURL: o.BaseURL + CallbackPath, client: client, now: o.Now}, nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// gated lets requests through whose address is allowed, and bounds answers. What a
// discovery document names is not to be believed more than what people name.
type gated struct {
	gate jose.Gate
	next http.RoundTripper
}

// maxDocument bounds what a provider answers, in bytes.
const maxDocument = 256 << 10

func (g gated) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.gate.CheckURL(r.URL.String()); err != nil {
		return nil, err
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxDocument)
	return resp, nil
}

// discovered is what a provider says of itself.
type discovered struct {
	provider *oidc.Provider
	endpoint oauth2.Endpoint
	iss      bool // it says who it is when it sends people back (RFC 9207)
}

// How long what a provider says of itself is believed, and how soon it is asked
// again after it failed.
const (
	discoverEvery = time.Hour
	retryAfter    = 5 * time.Second
)

// discover is what the provider says of itself, asked once an hour. While it is
// asked again, and while it does not answer, what it said last is believed: one
// that is slow holds up nobody but who would be the first.
func (p *Provider) discover(ctx context.Context) (*discovered, error) {
	p.mu.Lock()
	now, found := p.now(), p.found
	switch {
	case found != nil && now.Sub(p.foundAt) < discoverEvery:
		p.mu.Unlock()
		return found, nil
	case found == nil && p.whyFailed != nil && now.Sub(p.failedAt) < retryAfter:
		defer p.mu.Unlock()
		return nil, p.whyFailed
	}
	asking := p.asking
	if asking == nil {
		asking = make(chan struct{})
		p.asking = asking
		go p.ask(context.WithoutCancel(ctx), now, asking) // one browser that goes away is not the others' loss
	}
	p.mu.Unlock()
	if found != nil {
		return found, nil
	}
	select {
	case <-asking:
	case <-ctx.Done():
		return nil, unreachable(p.Name, ctx.Err())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil {
		return nil, p.whyFailed
	}
	return p.found, nil
}

// ask has the provider say what it is; it takes as long as the client lets it.
func (p *Provider) ask(ctx context.Context, now time.Time, asked chan struct{}) {
	d, err := p.fetch(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer close(asked)
	p.asking = nil
	switch {
	case err == nil:
		p.found, p.foundAt, p.whyFailed = d, now, nil
	case p.found != nil:
		p.foundAt = now.Add(retryAfter - discoverEvery)
	default:
		p.failedAt, p.whyFailed = now, unreachable(p.Name, err)
	}
}

func (p *Provider) fetch(ctx context.Context) (*discovered, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.Issuer)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
		ISS     bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := provider.Claims(&doc); err != nil {
		return nil, err
	}
	d := &discovered{provider: provider, endpoint: provider.Endpoint(), iss: doc.ISS}
	// Said here, so that no secret is tried in two ways, and no code used up by the first.
	d.endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if len(doc.Methods) > 0 && !slices.Contains(doc.Methods, "client_secret_basic") || p.ClientSecret.IsZero() {
		d.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	u, err := url.Parse(d.endpoint.AuthURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && !strings.HasPrefix(p.Issuer, "http://") {
		return nil, errors.New("its authorization endpoint is no https address")
	}
	return d, nil
}

func unreachable(name domain.Name, err error) error {
	return &domain.Error{Kind: domain.KindUnavailable, Code: "sign_in.unavailable",
		Message: fmt.Sprintf("The identity provider %s cannot be asked right now (%s): try again in a moment.", name, reason(err))}
}

// reason is what went wrong, without what was sent or answered.
func reason(err error) string {
	var refused *jose.Refusal
	var status *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused):
		return refused.Message
	case errors.As(err, &status) && status.Response != nil:
		return "it answered " + status.Response.Status
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not answer in time"
	}
	return "it was not reached, or answered something else"
}

// Attempt is what is kept of a sign-in until the person comes back. It is the
// server's; the browser has a cookie that names it.
type Attempt struct {
	Provider domain.Name `json:"provider"`
	State    string      `json:"state"`
	Nonce    string      `json:"nonce"`
	Verifier string      `json:"verifier"` // of PKCE
	Return   string      `json:"return"`   // path of the console
	// Person is who has to prove anew who they are; "" anybody may sign in.
	Person domain.Name `json:"person,omitempty"`
	At     time.Time   `json:"at"`
}

// Begin is where to send the browser, and what to keep of it. Of who is to prove
// anew who they are it asks for a sign-in now, whatever the provider remembers.
func (p *Provider) Begin(ctx context.Context, org, person domain.Name, returnTo string) (to string, _ Attempt, err error) {
	d, err := p.discover(ctx)
	if err != nil {
		return "", Attempt{}, err
	}
	a := Attempt{
		Provider: p.Name, State: newState(org), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Return: returnTo, Person: person, At: p.now(),
	}
	ask := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(a.Verifier), oidc.Nonce(a.Nonce)}
	if person != "" {
		ask = append(ask, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return p.config(d).AuthCodeURL(a.State, ask...), a, nil
}

// newState is 128 bits of chance that come back with the browser, behind the name
// of the organisation that they are of: all of them have one callback.
func newState(org domain.Name) string { return org.String() + "." + rand.Text() }

var stateForm = regexp.MustCompile(`\A([a-z0-9-]{1,63})\.([A-Z2-7]{8})[A-Z2-7]{18}\z`)

// ReadState tells of which organisation the attempt with that state is, and a tag
// that tells it from the others of one browser. It proves nothing: what proves is
// that the whole state is the one that was kept.
func ReadState(state string) (org domain.Name, tag string, ok bool) {
	m := stateForm.FindStringSubmatch(state)
	if m == nil {
		return "", "", false
	}
	return domain.Name(m[1]), m[2], true
}

func (p *Provider) config(d *discovered) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret.Reveal(), Endpoint: d.endpoint,
		RedirectURL: p.redirectURL, Scopes: append([]string{oidc.ScopeOpenID, "profile", "email"}, p.Scopes...),
	}
}

// Proof is what a provider vouches for.
type Proof struct {
	Account  identity.Account
	Name     string // as the name claim says; "" if it is absent
	Username string // preferred_username
	Email    string // verified; "" otherwise
	Groups   []string
	MFA      bool
	// At is when they last proved to the provider who they are; zero if it does not say.
	At time.Time
}

// Errors of who comes back from a provider.
var (
	ErrState = &domain.Error{Kind: domain.KindForbidden, Code: "sign_in.state",
		Message: "What came back does not belong to the sign-in that was begun in this browser: begin again."}
	ErrDenied = &domain.Error{Kind: domain.KindForbidden, Code: "sign_in.denied",
		Message: "The identity provider did not let you in, or you cancelled: begin again, or ask who runs it."}
	ErrProof = &domain.Error{Kind: domain.KindForbidden, Code: "sign_in.proof",
		Message: "What the identity provider says cannot be accepted: begin again; if it stays so, ask an owner to look at the settings of the provider."}
	ErrTimeless = &domain.Error{Kind: domain.KindForbidden, Code: "sign_in.timeless",
		Message: "The identity provider does not say when you proved who you are, so a sign-in there proves nothing anew: use a passkey."}
	ErrStale = &domain.Error{Kind: domain.KindForbidden, Code: "sign_in.stale",
		Message: "The identity provider did not ask you anew who you are: sign out there, and begin again."}
)

// Finish takes what the browser came back with for the attempt that was kept of it,
// and has the provider vouch for who it is. An error is a *domain.Error.
func (p *Provider) Finish(ctx context.Context, a Attempt, q url.Values) (Proof, error) {
	d, err := p.discover(ctx)
	if err != nil {
		return Proof{}, err
	}
	for _, values := range q {
		if len(values) > 1 {
			return Proof{}, ErrState
		}
	}
	switch state := q.Get("state"); {
	case a.State == "" || subtle.ConstantTimeCompare([]byte(state), []byte(a.State)) != 1:
		return Proof{}, ErrState
	case q.Has("iss") && q.Get("iss") != p.Issuer, d.iss && !q.Has("iss"): // another provider's answer
		return Proof{}, ErrState
	case q.Get("error") != "":
		return Proof{}, ErrDenied
	case q.Get("code") == "":
		return Proof{}, ErrState
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := p.config(d).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(a.Verifier))
	var told *oauth2.RetrieveError
	switch {
	case errors.As(err, &told) && told.Response != nil && told.Response.StatusCode < http.StatusInternalServerError:
		return Proof{}, ErrProof
	case err != nil:
		return Proof{}, unreachable(p.Name, err)
	}
	id, claims, err := p.verify(ctx, d, a, token)
	if err != nil {
		return Proof{}, err
	}
	if err := p.askMore(ctx, d, id, token, claims); err != nil {
		return Proof{}, err
	}
	proof := p.proof(id, claims)
	switch {
	case a.Person == "":
		return proof, nil
	case proof.At.IsZero():
		return Proof{}, ErrTimeless
	case proof.At.Before(a.At.Add(-clockSkew)): // their clock and ours may differ, and theirs counts whole seconds
		return Proof{}, ErrStale
	}
	return proof, nil
}

const clockSkew = 30 * time.Second

// verify checks an ID token as OpenID Connect Core 3.1.3.7 and 3.1.3.8 ask.
func (p *Provider) verify(ctx context.Context, d *discovered, a Attempt, token *oauth2.Token) (*oidc.IDToken, map[string]any, error) {
	raw, _ := token.Extra("id_token").(string)
	id, err := d.provider.Verifier(&oidc.Config{ClientID: p.ClientID, Now: p.now}).Verify(ctx, raw)
	if err != nil {
		return nil, nil, ErrProof
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return nil, nil, ErrProof
	}
	azp, authorized := claims["azp"]
	switch {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1,
		authorized && azp != p.ClientID, !authorized && len(id.Audience) != 1,
		!plain(id.Subject, 255),
		id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil:
		return nil, nil, ErrProof
	}
	return id, claims, nil
}

// askMore adds to the claims of an ID token those that are wanted and that the
// provider tells at its UserInfo endpoint alone, as with the code flow it may
// (OpenID Connect Core 5.4). What the ID token says stays. This is all that the
// access token is for.
func (p *Provider) askMore(ctx context.Context, d *discovered, id *oidc.IDToken, token *oauth2.Token, claims map[string]any) error {
	if _, told := claims["email"]; !told {
		delete(claims, "email_verified") // of which address, nobody knows
	}
	missing := slices.DeleteFunc(p.wanted(), func(name string) bool { _, told := claims[name]; return told })
	if len(missing) == 0 || d.provider.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := d.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return unreachable(p.Name, err) // not without them: who comes without their groups leaves those
	}
	var more map[string]any
	if info.Subject != id.Subject || info.Claims(&more) != nil {
		return ErrProof // section 5.3.2
	}
	if email, told := claims["email"]; told && more["email"] != email {
		delete(more, "email_verified")
	}
	for _, name := range missing {
		if v, told := more[name]; told {
			claims[name] = v
		}
	}
	return nil
}

// wanted is the claims that say whom a proof names and which groups are theirs.
func (p *Provider) wanted() []string {
	names := []string{"email", "email_verified"}
	if p.GroupsClaim != "" {
		names = append(names, p.GroupsClaim)
	}
	if p.Create {
		names = append(names, p.NameClaim)
	}
	return names
}

// proof is what the claims of a good ID token vouch for.
func (p *Provider) proof(id *oidc.IDToken, claims map[string]any) Proof {
	proof := Proof{
		Account: identity.Account{Issuer: id.Issuer, Subject: id.Subject},
		Name:    text(claims[p.NameClaim]), Username: text(claims["preferred_username"]),
		Groups: p.groups(claims),
	}
	if claims["email_verified"] == true {
		proof.Email = text(claims["email"])
	}
	if p.NameClaim == "email" {
		proof.Name = proof.Email
	}
	if at, ok := claims["auth_time"].(float64); ok && at > 0 {
		proof.At = time.Unix(int64(at), 0).UTC()
	}
	if amr, ok := claims["amr"].([]any); ok {
		proof.MFA = slices.ContainsFunc(amr, func(v any) bool { return slices.Contains(p.MFA, text(v)) })
	}
	return proof
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// plain tells whether s is 1 to so many bytes of printable ASCII, as sub is.
func plain(s string, most int) bool {
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// maxGroups bounds how many groups of a token are looked at.
const maxGroups = 1000

// groups are the person's groups at the provider.
func (p *Provider) groups(claims map[string]any) (out []string) {
	if p.GroupsClaim == "" {
		return nil
	}
	switch v := claims[p.GroupsClaim].(type) {
	case string:
		return []string{v}
	case []any:
		for _, g := range v[:min(len(v), maxGroups)] {
			out = append(out, text(g))
		}
	}
	return out
}
