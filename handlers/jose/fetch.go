package jose

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What one fetch may take.
const (
	dialTimeout    = 2 * time.Second // resolving counts as dialling
	tlsTimeout     = 3 * time.Second
	headersTimeout = 3 * time.Second
	totalTimeout   = 5 * time.Second
	maxHeaderBytes = 32 << 10
	maxDials       = 4 // addresses of one host that are tried
	maxCAs         = 16
)

// Resolver answers with every address of a host; [net.Resolver] is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// fetcher fetches documents through the gate, trusting one connection's
// roots. It shares no connection, no TLS session and no cache with any other,
// and keeps none for itself: a document is fetched a dozen times an hour.
type fetcher struct {
	gate     Gate
	resolver Resolver
	client   *http.Client
}

// newFetcher trusts the certificates in ca, or the system's where it is empty.
func newFetcher(g Gate, r Resolver, ca string) (*fetcher, error) {
	var roots *x509.CertPool // nil: the system's
	if ca != "" {
		var err error
		if roots, err = ParseCA(ca); err != nil {
			return nil, err
		}
	}
	f := &fetcher{gate: g, resolver: r}
	f.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return refuse("redirect_refused", "it answered with a redirect, which is not followed")
		},
		Transport: &http.Transport{
			Proxy:                  nil, // whatever the environment says
			DialContext:            f.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout:    tlsTimeout,
			ResponseHeaderTimeout:  headersTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			DisableCompression:     true,
			DisableKeepAlives:      true,
		},
	}
	return f, nil
}

// ParseCA reads up to 16 certificates in PEM, and nothing but certificates.
func ParseCA(text string) (*x509.CertPool, error) {
	pool, n := x509.NewCertPool(), 0
	for rest := []byte(text); strings.TrimSpace(string(rest)) != ""; n++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil || block.Type != "CERTIFICATE":
			return nil, refuse("ca_invalid", "the CA certificate is not PEM blocks CERTIFICATE alone")
		case n == maxCAs:
			return nil, refuse("ca_invalid", "the CA certificate holds more than 16 certificates")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, refuse("ca_invalid", "the CA certificate cannot be read")
		}
		pool.AddCert(c)
	}
	if n == 0 {
		return nil, refuse("ca_invalid", "the CA certificate is empty")
	}
	return pool, nil
}

// dial connects to a host if every address of it may be dialled. The checked
// address is the dialled one: the name is not looked up again.
func (f *fetcher) dial(ctx context.Context, _, hostport string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("dialling %q: %w", hostport, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("dialling %q: %w", hostport, err)
	}
	addrs, err := f.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if r := f.gate.checkDial(netip.AddrPortFrom(a, uint16(port))); r != nil {
			return nil, blocked(r)
		}
	}
	return f.dialAny(ctx, addrs, uint16(port))
}

func blocked(r *Refusal) *Refusal {
	return refuse("ssrf_blocked", "the host is not to be dialled: "+r.Message)
}

// resolve answers with every address of a host, IPv4 first, since a machine
// without IPv6 may take long to notice.
func (f *fetcher) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if f.gate.LoopbackHTTP && host == "localhost" {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := f.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", host, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("resolving %s: it has no address", host)
	}
	addrs = slices.Clone(addrs)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return cmp.Compare(a.BitLen(), b.BitLen()) })
	return addrs, nil
}

func (f *fetcher) dialAny(ctx context.Context, addrs []netip.Addr, port uint16) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, Control: f.control}
	var errs []error
	for _, a := range addrs[:min(len(addrs), maxDials)] {
		c, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(a, port).String())
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// control is the last look, at the address that the kernel is about to
// connect to, however it came about.
func (f *fetcher) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return blocked(errAddress)
	}
	if r := f.gate.checkDial(ap); r != nil {
		return blocked(r)
	}
	return nil
}

// get fetches a document of at most 256 KiB. What it says it is, and how it
// is encoded, is not believed: it is JSON or it is refused by who reads it.
func (f *fetcher) get(ctx context.Context, url string) ([]byte, http.Header, error) {
	if err := f.gate.CheckURL(url); err != nil {
		return nil, nil, fmt.Errorf("fetching %s: %w", url, err)
	}
	ctx, cancel := context.WithTimeout(ctx, totalTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("fetching %s: %w", url, err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", "sallyport")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("fetching keys: %w", err) // names the URL
	}
	defer func() { _ = resp.Body.Close() }() // read as far as it matters
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("fetching %s: %w", url, refuse("jwks_status", "it answered "+strconv.Itoa(resp.StatusCode)))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxKeySetBytes+1))
	if err == nil {
		err = ctx.Err() // a server that sees us give up may end its answer in good order
	}
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("reading %s: %w", url, err)
	case len(body) > MaxKeySetBytes:
		return nil, nil, fmt.Errorf("reading %s: %w", url, refuse("jwks_too_large", "it is larger than 256 KiB"))
	}
	return body, resp.Header, nil
}

// discover finds an issuer's key set URL (OpenID Connect Discovery 1.0
// section 4). The document must name the issuer byte for byte (section 4.3).
func (f *fetcher) discover(ctx context.Context, issuer string) (string, error) {
	if err := f.gate.CheckIssuerURL(issuer); err != nil {
		return "", fmt.Errorf("discovering %s: %w", issuer, err)
	}
	body, _, err := f.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", err
	}
	doc, err := DecodeObject(body, keySetLimits)
	if err != nil {
		return "", fmt.Errorf("reading the discovery document of %s: %w", issuer, err)
	}
	if stringMember(doc, "issuer") != issuer {
		return "", fmt.Errorf("discovering %s: %w", issuer, refuse("issuer_differs", "its discovery document names another issuer"))
	}
	uri := stringMember(doc, "jwks_uri")
	if uri == "" {
		return "", fmt.Errorf("discovering %s: %w", issuer, refuse("jwks_uri_missing", "its discovery document has no jwks_uri"))
	}
	return uri, nil
}
