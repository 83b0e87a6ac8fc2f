package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"

	"sallyport.dev/handlers/jose"
)

// maxClaims bounds what one mint request may send.
const maxClaims = 64 << 10

// Handler serves the discovery document, the keys, the mint and the sign-in.
func (p *Provider) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /jwks", p.jwks)
	mux.HandleFunc("POST /mint", p.mint)
	mux.HandleFunc("POST /mint/{provider}", p.mint)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /authorize", p.picked)
	mux.HandleFunc("POST /oauth/token", p.token)
	return p.local(mux)
}

// local refuses requests for another host's name, and those that a browser
// sends for another site: the mint answers whoever reaches the loopback, and a
// page in the developer's browser does. Our own page may send its own form.
func (p *Provider) local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		a, err := netip.ParseAddr(host)
		origin := r.Header.Get("Origin")
		elsewhere := origin != "" && (r.URL.Path != "/authorize" || origin != p.issuer)
		if host != "localhost" && (err != nil || !a.IsLoopback()) || elsewhere {
			refuse(w, http.StatusForbidden, "the demo provider answers on the loopback, and no web page")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer": p.issuer, "jwks_uri": p.JWKSURL(), "id_token_signing_alg_values_supported": algorithms,
		"authorization_endpoint": p.issuer + "/authorize", "token_endpoint": p.issuer + "/oauth/token",
		"response_types_supported": []string{"code"}, "grant_types_supported": []string{"authorization_code"},
		"response_modes_supported": []string{"query"}, "subject_types_supported": []string{"public"},
		"scopes_supported": []string{"openid", "profile", "email"}, "code_challenge_methods_supported": []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post"},
		"authorization_response_iss_parameter_supported": true,
		"claims_supported":                               []string{"sub", "name", "preferred_username", "email", "email_verified", "auth_time", "amr", "nonce"},
	})
}

func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "max-age=60")
	// The connection is gone if this fails, and nobody is left to tell.
	_, _ = w.Write(p.keySet())
}

func (p *Provider) keySet() []byte {
	var public []json.RawMessage
	for _, alg := range algorithms {
		public = append(public, p.keys[alg].PublicJWK())
	}
	return jose.JWKS(public...)
}

// mint signs the claims that it is sent. A provider's name in the path puts
// that provider's real claim set below them.
func (p *Provider) mint(w http.ResponseWriter, r *http.Request) {
	key, err := p.keyFor(r.URL.Query()["alg"])
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxClaims))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "the claims are larger than 64 KiB")
		return
	}
	set := map[string]any{}
	if len(body) > 0 {
		if set, err = decode(body); err != nil {
			refuse(w, http.StatusBadRequest, "the body is no JSON object of claims: "+err.Error())
			return
		}
	}
	if provider := r.PathValue("provider"); provider != "" {
		var known bool
		set, known, err = claimsOf(provider, set, p.now())
		switch {
		case err != nil:
			refuse(w, http.StatusInternalServerError, err.Error())
			return
		case !known:
			refuse(w, http.StatusNotFound, "there are the claims of github, gitlab, circleci, google_cloud and kubernetes")
			return
		}
	}
	token, err := key.Sign(p.filled(set))
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]string{"token": token})
}

func (p *Provider) keyFor(alg []string) (*jose.HostKey, error) {
	switch {
	case len(alg) == 0:
		return p.keys[algorithms[0]], nil
	case len(alg) > 1 || !slices.Contains(algorithms, alg[0]):
		return nil, fmt.Errorf("alg is RS256 or ES256")
	}
	return p.keys[alg[0]], nil
}

func refuse(w http.ResponseWriter, status int, why string) {
	answer(w, status, map[string]string{"error": why})
}

func answer(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The connection is gone if this fails, and nobody is left to tell.
	_ = json.NewEncoder(w).Encode(doc)
}
