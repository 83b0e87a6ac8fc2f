package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"sallyport.dev/cmd/internal/cli"
)

// maxAnswer bounds what is read of one answer; a page of 200 events of 48 KiB
// stays below it.
const maxAnswer = 16 << 20

// client speaks to one organisation of one server. It follows no redirect,
// since that could carry a token elsewhere.
type client struct {
	http  *http.Client
	org   string // URL of the organisation, which is its issuer
	token string // a person's API token, of SALLYPORT_TOKEN or of login; "" for workloads
}

// open reads the address and the organisation from flags and environment.
func (a *app) open() (*client, error) {
	addr := first(a.addr, a.Getenv("SALLYPORT_ADDR"))
	if addr == "" {
		return nil, &cli.Error{Exit: cli.ExitUsage, Message: "no server is named", Next: "set SALLYPORT_ADDR, such as http://127.0.0.1:8420, or give --addr"}
	}
	if err := addressMistake(addr); err != nil {
		return nil, err
	}
	u, err := url.Parse(addr)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// The address is not repeated: it might hold a password.
		return nil, &cli.Error{Exit: cli.ExitUsage, Message: "the server's address is not an https:// URL of a host", Next: "give it as https://sallyport.example.com"}
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) && !a.plainHTTP {
		return nil, &cli.Error{Exit: cli.ExitUsage, Message: "tokens do not go over http:// to another machine", Next: "use https://, or --allow-plain-http where the network is trusted"}
	}
	name := first(a.org, a.Getenv("SALLYPORT_ORG"), "default")
	org := strings.TrimRight(u.String(), "/") + "/orgs/" + url.PathEscape(name)
	return &client{
		http: &http.Client{
			Timeout:       a.timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		org:   org,
		token: first(strings.TrimSpace(a.Getenv("SALLYPORT_TOKEN")), a.loggedIn(org)),
	}, nil
}

// addressMistake tells the two mistakes that are easily made with an address.
func addressMistake(addr string) error {
	switch {
	case !strings.Contains(addr, "://"):
		return &cli.Error{Exit: cli.ExitUsage, Message: "the server's address does not say how to speak to it", Next: "add https:// in front of it, or http:// (this machine only)"}
	case strings.Contains(addr+"/", "/orgs/"):
		return &cli.Error{
			Exit: cli.ExitUsage, Message: "the server's address names an organisation",
			Next: "leave out /orgs/ and what follows, and name the organisation with --org or SALLYPORT_ORG",
		}
	}
	return nil
}

// openAsPerson is open for commands that need a person's API token.
func (a *app) openAsPerson() (*client, error) {
	c, err := a.open()
	if err != nil {
		return nil, err
	}
	if c.token == "" {
		return nil, &cli.Error{Exit: cli.ExitUsage, Message: "no API token is given", Next: "run `sallyport login`, or set SALLYPORT_TOKEN; `sallyportd token create` on the server's host makes one"}
	}
	return c, nil
}

func first(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// answer is a successful answer.
type answer struct {
	body   json.RawMessage
	etag   string
	status int
}

// call sends one request with a JSON body, if any, and decodes nothing: data
// is printed as the server wrote it. An answer that is an error becomes one.
func (c *client) call(ctx context.Context, method, path string, header http.Header, body any) (answer, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return answer{}, fmt.Errorf("encoding the request: %w", err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.org+path, r)
	if err != nil {
		return answer{}, fmt.Errorf("making the request: %w", err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.send(req, true)
}

// issuer asks for the organisation's issuer, at most once and only when it is
// needed: it is the audience that presets fill in.
func (c *client) issuer(ctx context.Context) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		got, err := c.call(ctx, http.MethodGet, "/.well-known/openid-configuration", nil, nil)
		if err != nil {
			return "", err
		}
		var doc struct{ Issuer string }
		if json.Unmarshal(got.body, &doc) != nil || doc.Issuer == "" {
			return "", cli.Fail("check that SALLYPORT_ADDR names a Sallyport server", "the server does not say what its issuer is")
		}
		return doc.Issuer, nil
	})
}

// exchange posts a form to the token endpoint, as a workload: without a
// person's token.
func (c *client) exchange(ctx context.Context, form url.Values) (answer, error) {
	return c.form(ctx, "/token", form)
}

func (c *client) send(req *http.Request, asPerson bool) (answer, error) {
	res, err := c.start(req, asPerson)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return answer{}, c.unreachable(req.Context(), err)
	case len(b) > maxAnswer:
		return answer{}, cli.Fail("narrow the question, for instance with --limit", "the answer is larger than %d MiB", maxAnswer>>20)
	case res.StatusCode < 200 || res.StatusCode > 299:
		e := failure(res, b)
		if asPerson {
			e = c.toWorkload(req.Context(), e)
		}
		return answer{}, e
	}
	return answer{body: b, etag: res.Header.Get("ETag"), status: res.StatusCode}, nil
}

func (c *client) start(req *http.Request, asPerson bool) (*http.Response, error) {
	if asPerson {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.Header.Set("User-Agent", "sallyport/"+cli.BuildVersion())
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(req.Context(), err)
	}
	return res, nil
}

// unreachable tells why nobody answered, in the words of the network, without
// the URL, whose query may be long.
func (c *client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &cli.Error{Exit: cli.ExitFailed, Message: "interrupted", Next: "run it again; what was asked may have been done"}
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	why := err.Error()
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		why = fmt.Sprintf("no answer within %s", c.http.Timeout.Round(time.Millisecond))
	}
	next := "check that the server runs and that SALLYPORT_ADDR names it"
	if errors.Is(err, http.ErrSchemeMismatch) {
		why, next = "it speaks http://, not https://", "give its address with http:// (this machine only), or that of the proxy in front of it"
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		why = fmt.Sprintf("its certificate is not trusted here: %v", untrusted.Err)
		next = "check that SALLYPORT_ADDR has the name that the certificate is for; name an authority of your own in SSL_CERT_FILE, or add it to the system's"
	}
	return &cli.Error{Exit: cli.ExitUnreachable, Message: fmt.Sprintf("%s is unreachable: %s", c.org, why), Next: next}
}
