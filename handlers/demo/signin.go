package demo

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport.dev/domain"
)

// Person is somebody of whom the demo provider says that they are there: whoever
// reaches it picks one. Their sub is "demo-" and the name.
type Person struct {
	Name  string // preferred_username
	Title string // name
	Email string
}

// Client is the one that may have people signed in. Its redirect URIs are exact.
type Client struct {
	ID           string
	Secret       domain.Secret
	RedirectURIs []string
}

const (
	codeLife   = time.Minute
	idLife     = 5 * time.Minute
	maxCodes   = 1000
	maxRequest = 16 << 10 // of a form, in bytes
)

// directory is whom the provider signs in, and for whom.
type directory struct {
	client Client
	people []Person

	mu    sync.Mutex
	codes map[string]authorization // by code
}

// authorization is what a code stands for, once and for a minute.
type authorization struct {
	person                        Person
	redirectURI, nonce, challenge string
	mfa                           bool
	at                            time.Time
}

// SignIn has the provider sign these people in for a client whose secret is made
// here and is known to this process alone. It is called before [Provider.Handler].
func (p *Provider) SignIn(redirectURIs []string, people []Person) Client {
	p.directory = &directory{
		client: Client{ID: "sallyport", Secret: domain.NewSecret(rand.Text()), RedirectURIs: redirectURIs},
		people: people, codes: map[string]authorization{},
	}
	return p.directory.client
}

//go:embed signin.html
var signInPage string

var signInTemplate = template.Must(template.New("sign-in").Option("missingkey=error").Parse(signInPage))

// request is an authorization request, as it is carried through the page.
type request url.Values

func (q request) get(name string) string { return url.Values(q).Get(name) }

// carried are the parameters that the page sends back.
var carried = []string{"client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "prompt", "max_age", "response_mode"}

// authorizationRequest reads a request; who sends one that may not be answered at
// the client is told here, and ok is false.
func (p *Provider) authorizationRequest(w http.ResponseWriter, q url.Values) (request, bool) {
	for name, values := range q {
		if len(values) > 1 {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("the parameter %.40q is given twice", name))
			return nil, false
		}
	}
	switch {
	case p.directory == nil || q.Get("client_id") != p.directory.client.ID:
		refuse(w, http.StatusBadRequest, "client_id: there is no such client")
	case !slices.Contains(p.directory.client.RedirectURIs, q.Get("redirect_uri")):
		refuse(w, http.StatusBadRequest, "redirect_uri: it is not one of the client's")
	default:
		return request(q), true
	}
	return nil, false
}

// fault is what a request that may be answered at the client lacks, as RFC 6749
// and OpenID Connect call it.
func (q request) fault() string {
	switch {
	case q.get("response_type") != "code":
		return "unsupported_response_type"
	case q.get("response_mode") != "" && q.get("response_mode") != "query":
		return "invalid_request"
	case !slices.Contains(strings.Fields(q.get("scope")), "openid"):
		return "invalid_scope"
	case q.get("code_challenge_method") != "S256" || len(q.get("code_challenge")) != 43:
		return "invalid_request"
	case q.get("prompt") == "none":
		return "login_required" // nobody stays signed in here
	}
	return ""
}

// authorize shows the people to pick from.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q, ok := p.authorizationRequest(w, r.URL.Query())
	if !ok {
		return
	}
	if fault := q.fault(); fault != "" {
		p.back(w, r, q, url.Values{"error": {fault}})
		return
	}
	hidden := map[string]string{}
	for _, name := range carried {
		if v := q.get(name); v != "" {
			hidden[name] = v
		}
	}
	nonce := rand.Text()
	target, _ := url.Parse(q.get("redirect_uri")) // one of ours
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin") // without an origin the form would be nobody's
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "+target.Scheme+"://"+target.Host)
	// The connection is gone if this fails, and nobody is left to tell.
	_ = signInTemplate.Execute(w, map[string]any{"Nonce": nonce, "Hidden": hidden, "People": p.directory.people, "Again": q.get("prompt") == "login"})
}

// picked goes back to the client with a code for whom was picked.
func (p *Provider) picked(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "the form cannot be read")
		return
	}
	q, ok := p.authorizationRequest(w, r.PostForm)
	if !ok {
		return
	}
	if fault := q.fault(); fault != "" {
		p.back(w, r, q, url.Values{"error": {fault}})
		return
	}
	i := slices.IndexFunc(p.directory.people, func(who Person) bool { return who.Name == q.get("person") })
	if i < 0 {
		p.back(w, r, q, url.Values{"error": {"access_denied"}})
		return
	}
	code := p.directory.issue(authorization{
		person: p.directory.people[i], redirectURI: q.get("redirect_uri"), nonce: q.get("nonce"),
		challenge: q.get("code_challenge"), mfa: q.get("mfa") != "", at: p.now(),
	})
	p.back(w, r, q, url.Values{"code": {code}})
}

// back leads to the client, with its state and who we are (RFC 9207).
func (p *Provider) back(w http.ResponseWriter, r *http.Request, q request, say url.Values) {
	say.Set("iss", p.issuer)
	if state := q.get("state"); state != "" {
		say.Set("state", state)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, q.get("redirect_uri")+"?"+say.Encode(), http.StatusSeeOther)
}

// issue makes a code. Codes that nobody came for are forgotten.
func (d *directory) issue(a authorization) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for code, old := range d.codes {
		if !a.at.Before(old.at.Add(codeLife)) || len(d.codes) >= maxCodes {
			delete(d.codes, code)
		}
	}
	code := rand.Text()
	d.codes[code] = a
	return code
}

// take is what a code stands for; there is no second time.
func (d *directory) take(code string, now time.Time) (authorization, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, ok := d.codes[code]
	delete(d.codes, code)
	return a, ok && now.Before(a.at.Add(codeLife))
}

// token gives the client an ID token for a code.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	if err := r.ParseForm(); err != nil || p.directory == nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
		return
	}
	if !p.directory.authenticates(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="demo"`)
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	if r.PostForm.Get("grant_type") != "authorization_code" {
		answer(w, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
		return
	}
	a, ok := p.directory.take(r.PostForm.Get("code"), p.now())
	if !ok || a.redirectURI != r.PostForm.Get("redirect_uri") || a.challenge != challengeOf(r.PostForm.Get("code_verifier")) {
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	id, err := p.keys[algorithms[0]].Sign(p.idToken(a))
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"access_token": rand.Text(), "token_type": "Bearer", "expires_in": int(idLife.Seconds()), "id_token": id,
	})
}

// idToken is the claims about whom was picked.
func (p *Provider) idToken(a authorization) map[string]any {
	now := p.now()
	set := map[string]any{
		"iss": p.issuer, "sub": "demo-" + a.person.Name, "aud": p.directory.client.ID,
		"iat": now.Unix(), "exp": now.Add(idLife).Unix(), "auth_time": a.at.Unix(),
		"name": a.person.Title, "preferred_username": a.person.Name, "email": a.person.Email, "email_verified": true,
	}
	if a.nonce != "" {
		set["nonce"] = a.nonce
	}
	if a.mfa {
		set["amr"] = []string{"pwd", "mfa"}
	}
	return set
}

func challengeOf(verifier string) string {
	h := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// authenticates tells whether the client itself asks: by client_secret_basic or
// client_secret_post, and not by both (RFC 6749 section 2.3).
func (d *directory) authenticates(r *http.Request) bool {
	id, secret, basic := r.BasicAuth()
	if basic {
		if r.PostForm.Has("client_secret") {
			return false
		}
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	return id == d.client.ID && subtle.ConstantTimeCompare([]byte(secret), []byte(d.client.Secret.Reveal())) == 1
}
