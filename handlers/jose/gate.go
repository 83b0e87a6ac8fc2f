package jose

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Gate decides where keys may be fetched from. It is the one place that does:
// the same rules hold when a connection is drafted, when it is activated and
// when its keys are fetched. The zero value lets through https on the ports
// 443, 8443 and 6443 of public addresses.
type Gate struct {
	// LoopbackHTTP also lets through http and https on any port of
	// 127.0.0.1, [::1] and localhost. For development alone.
	LoopbackHTTP bool
	// Private are ranges that are not public and that the operator, who
	// starts the process, allows all the same. No administrator can widen them.
	Private []netip.Prefix
	// Ports are allowed instead of 443, 8443 and 6443, if there are any.
	Ports []uint16
	// Self are our own listeners. They are never dialled.
	Self []netip.AddrPort
}

const maxURLBytes = 2048

// CheckURL tells whether keys may be fetched from a URL, as far as its text
// shows: its host is not resolved, since the answer may be another when it is
// dialled. An error is a *[Refusal] with one of the reasons length, scheme,
// charset, fragment, userinfo, parse, hostname, numeric_host, reserved_name,
// port and address.
func (g Gate) CheckURL(raw string) error {
	_, err := g.parseURL(raw)
	return err
}

// CheckIssuerURL is [Gate.CheckURL] for an issuer, which has no query (OpenID
// Connect Discovery 1.0 section 3): a path is appended to it.
func (g Gate) CheckIssuerURL(raw string) error {
	u, err := g.parseURL(raw)
	if err == nil && (u.RawQuery != "" || u.ForceQuery) {
		return refuse("query", "an issuer has no query")
	}
	return err
}

func (g Gate) parseURL(raw string) (*url.URL, error) {
	if r := checkText(raw); r != nil {
		return nil, r
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Opaque != "" || u.Host == "":
		return nil, refuse("parse", "it is not a URL")
	case u.User != nil:
		return nil, refuse("userinfo", "a user or a password in a URL is not allowed")
	}
	loopback := g.LoopbackHTTP && isLoopbackHost(u.Hostname())
	if u.Scheme != "https" && !loopback {
		if g.LoopbackHTTP && u.Scheme == "http" {
			return nil, errHTTPHere
		}
		return nil, errScheme
	}
	if r := g.checkPort(u, loopback); r != nil {
		return nil, r
	}
	if loopback {
		return u, nil
	}
	if r := g.checkHost(u); r != nil {
		return nil, r
	}
	return u, nil
}

var (
	errScheme   = refuse("scheme", "only https is allowed, written in lower case")
	errHTTPHere = refuse("scheme", "only https is allowed; http is, to this machine alone: localhost, 127.0.0.1 or [::1]")
	errPort     = refuse("port", "its port is not allowed")
)

// checkText looks at a URL's text, before anything parses it: parsers differ
// in what they make of backslashes, spaces and two schemes.
func checkText(raw string) *Refusal {
	rest, https := strings.CutPrefix(raw, "https://")
	if !https {
		rest, _ = strings.CutPrefix(raw, "http://")
	}
	authority, _, _ := strings.Cut(rest, "/")
	switch {
	case raw == "" || len(raw) > maxURLBytes:
		return refuse("length", "a URL has 1 to 2048 bytes")
	case rest == raw:
		return errScheme
	case strings.ContainsFunc(raw, strangeInURL):
		return refuse("charset", "it has a character that is not allowed in a URL")
	case strings.Contains(raw, "#"):
		return refuse("fragment", "a fragment in a URL is not allowed")
	case strings.Contains(authority, "%") && !strings.HasPrefix(authority, "["):
		return refuse("parse", "a percent sign in a host is not allowed")
	}
	return nil
}

// strangeInURL tells of what RFC 3986 knows no place for, and of all but ASCII.
func strangeInURL(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\\\"<>^`{|}", r)
}

func isLoopbackHost(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// checkPort allows the ports of providers; an empty one after a colon is a trick.
func (g Gate) checkPort(u *url.URL, loopback bool) *Refusal {
	if strings.HasSuffix(u.Host, ":") {
		return errPort
	}
	n, err := strconv.ParseUint(portOf(u), 10, 16)
	switch {
	case err != nil || n == 0:
		return errPort
	case loopback:
		return nil
	}
	allowed := g.Ports
	if len(allowed) == 0 {
		allowed = []uint16{443, 8443, 6443}
	}
	if !slices.Contains(allowed, uint16(n)) {
		return errPort
	}
	return nil
}

// portOf is the port that will be dialled.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// checkHost judges a literal address as it would be when dialled, and a name by its form.
func (g Gate) checkHost(u *url.URL) *Refusal {
	host := u.Hostname()
	if strings.HasPrefix(u.Host, "[") {
		a, err := netip.ParseAddr(host)
		if err != nil || !a.Is6() {
			return refuse("parse", "only an IPv6 address stands in brackets")
		}
		return g.checkAddr(a)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return g.checkAddr(a)
	}
	return g.checkName(strings.ToLower(host))
}

// checkName demands a plain DNS name of at least two labels. One that ends in
// a number could be read as an address by somebody else.
func (g Gate) checkName(host string) *Refusal {
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if !dnsLabel(l) {
			return errHostname
		}
	}
	last := labels[len(labels)-1]
	switch {
	case len(host) > 253 || len(labels) < 2:
		return errHostname
	case last[0] >= '0' && last[0] <= '9':
		return refuse("numeric_host", "its host ends in a number and is not an address in its usual form")
	case endsIn(host, reservedNames), len(g.Private) == 0 && endsIn(host, privateNames) && !endsIn(host, clusterNames), host == metadataName:
		return refuse("reserved_name", "its host is a name for inner use")
	}
	return nil
}

var errHostname = refuse("hostname", "its host is not a full DNS name such as idp.example.com")

func dnsLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(l, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

var (
	// reservedNames are never a provider: they mean this machine, or whatever
	// address is written before them.
	reservedNames = []string{"localhost", "nip.io", "sslip.io", "xip.io", "localtest.me", "lvh.me"}
	// privateNames are a provider only where the operator allows private ranges.
	privateNames = []string{"internal", "local", "home.arpa"}
	// clusterNames are what every Kubernetes cluster calls itself: the usual
	// issuer of its tokens. The name passes; its address decides.
	clusterNames = []string{"cluster.local"}
)

// metadataName answers with a cloud machine's own credentials.
const metadataName = "metadata.google.internal"

func endsIn(host string, suffixes []string) bool {
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(host, "."+s) })
}

// CheckAddr tells whether an address may be dialled for keys.
func (g Gate) CheckAddr(a netip.Addr) error {
	if r := g.checkAddr(a); r != nil {
		return r
	}
	return nil
}

var errAddress = refuse("address", "its address is not public, and the operator does not allow it")

func (g Gate) checkAddr(a netip.Addr) *Refusal {
	if a.Zone() != "" || !a.IsValid() {
		return errAddress
	}
	a = a.Unmap()
	switch {
	case contains(g.Private, a), g.LoopbackHTTP && isLoopbackHost(a.String()):
		return nil
	case a.Is4() && contains(special4, a), a.Is6() && (!global6.Contains(a) || contains(special6, a)):
		return errAddress
	}
	return nil
}

// checkDial is checkAddr with the port, so that our own listeners are refused
// even where the operator allows their range.
func (g Gate) checkDial(ap netip.AddrPort) *Refusal {
	if r := g.checkAddr(ap.Addr()); r != nil {
		return r
	}
	a := ap.Addr().Unmap()
	for _, self := range g.Self {
		if self.Port() == ap.Port() && (self.Addr().Unmap() == a || self.Addr().IsUnspecified() && ours(a)) {
			return refuse("self", "its address is our own")
		}
	}
	return nil
}

// ours tells whether the address is one of this machine's.
func ours(a netip.Addr) bool {
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true // in doubt it is
	}
	return slices.ContainsFunc(addrs, func(i net.Addr) bool {
		p, err := netip.ParsePrefix(i.String())
		return err == nil && p.Addr().Unmap() == a
	})
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}

// What is not a public host, by the IANA registries of special addresses and
// the clouds' own: 168.63.129.16 is Azure's, and public by its look.
var (
	special4 = prefixes("0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24" +
		" 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24" +
		" 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4")
	// Of IPv6 only 2000::/3 is routed at all, and in it these are not hosts: Teredo and other
	// protocols of the IETF, documentation, 6to4.
	global6  = netip.MustParsePrefix("2000::/3")
	special6 = prefixes("2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20")
)

func prefixes(list string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range strings.Fields(list) {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}
