package jose

import (
	"encoding/json"
	"net/netip"
	"os"
	"testing"
)

// ssrf is the corpus of addresses, URLs and fetch scenarios.
type ssrf struct {
	Addresses []struct{ Addr, Expect, Note string }
	URLs      []struct{ URL, Expect, Reason, Note string } `json:"urls"`
	Scenarios []struct{ ID, Setup, Expect string }
}

func readSSRF(t testing.TB) ssrf {
	t.Helper()
	var s ssrf
	readJSON(t, "testdata/ssrf-v1.json", &s)
	return s
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("reading %s: %v", path, err)
	}
}

func TestGateJudgesEveryAddressOfTheCorpus(t *testing.T) {
	corpus := readSSRF(t)
	if len(corpus.Addresses) != 54 {
		t.Fatalf("got %d addresses, want 54", len(corpus.Addresses))
	}
	for _, c := range corpus.Addresses {
		err := Gate{}.CheckAddr(netip.MustParseAddr(c.Addr))
		if (err == nil) != (c.Expect == "allow") {
			t.Errorf("%s (%s): got %v, want %s", c.Addr, c.Note, err, c.Expect)
		}
	}
}

func TestGateJudgesEveryURLOfTheCorpus(t *testing.T) {
	corpus := readSSRF(t)
	if len(corpus.URLs) != 64 {
		t.Fatalf("got %d URLs, want 64", len(corpus.URLs))
	}
	for _, c := range corpus.URLs {
		err := Gate{}.CheckURL(c.URL)
		if (err == nil) != (c.Expect == "allow") || reasonOf(err) != c.Reason {
			t.Errorf("%q (%s): got %v (%s), want %s (%s)", c.URL, c.Note, err, reasonOf(err), c.Expect, c.Reason)
		}
	}
}

func TestGateForDevelopmentOpensTheLoopbackAlone(t *testing.T) {
	dev := Gate{LoopbackHTTP: true}
	for _, c := range []struct {
		url      string
		dev, not string // reasons in development and without
	}{
		{"http://127.0.0.1:8421/jwks", "", "scheme"},
		{"http://localhost:8421/jwks", "", "scheme"},
		{"http://[::1]:8421/jwks", "", "scheme"},
		{"https://127.0.0.1:8421/jwks", "", "port"},
		{"http://127.0.0.1/", "", "scheme"},
		{"http://127.0.0.1:0/", "port", "scheme"},
		{"http://127.0.0.2:8421/jwks", "scheme", "scheme"},
		{"http://localhost.example.com/jwks", "scheme", "scheme"},
		{"http://idp.example.com/jwks", "scheme", "scheme"},
		{"http://10.0.0.1/jwks", "scheme", "scheme"},
		{"http://user@127.0.0.1:8421/jwks", "userinfo", "userinfo"},
		{"http://127.0.0.1:8421/jwks#", "fragment", "fragment"},
		{"https://idp.example.com/jwks", "", ""},
	} {
		if got := reasonOf(dev.CheckURL(c.url)); got != c.dev {
			t.Errorf("in development %s: got %q, want %q", c.url, got, c.dev)
		}
		if got := reasonOf(Gate{}.CheckURL(c.url)); got != c.not {
			t.Errorf("%s: got %q, want %q", c.url, got, c.not)
		}
	}
	for addr, want := range map[string]bool{"127.0.0.1": true, "::1": true, "127.0.0.2": false, "10.0.0.1": false, "169.254.169.254": false} {
		if err := dev.CheckAddr(netip.MustParseAddr(addr)); (err == nil) != want {
			t.Errorf("in development %s: got %v, want it allowed: %v", addr, err, want)
		}
	}
}

func TestGateOpensWhatTheOperatorAllows(t *testing.T) {
	g := Gate{Private: prefixes("10.1.0.0/16 fd00::/8"), Ports: []uint16{9443}}
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "fd00::1": true, "8.8.8.8": true,
		"10.2.0.1": false, "127.0.0.1": false, "169.254.169.254": false, "fd00::1%eth0": false, "fc00::1": false,
	} {
		if err := g.CheckAddr(netip.MustParseAddr(addr)); (err == nil) != want {
			t.Errorf("%s: got %v, want it allowed: %v", addr, err, want)
		}
	}
	for url, reason := range map[string]string{
		"https://10.1.2.3:9443/jwks":             "",
		"https://kube.corp.internal:9443/jwks":   "",
		"https://metadata.google.internal:9443/": "reserved_name",
		"https://a.localhost:9443/":              "reserved_name",
		"https://10.1.2.3/jwks":                  "port",
		"https://10.1.2.3:8443/jwks":             "port",
		"https://10.2.0.1:9443/jwks":             "address",
	} {
		if got := reasonOf(g.CheckURL(url)); got != reason {
			t.Errorf("%s: got %q, want %q", url, got, reason)
		}
	}
}

func TestGateNeverDialsOurselves(t *testing.T) {
	everything := prefixes("0.0.0.0/0 ::/0")
	g := Gate{Private: everything, Self: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:8443"), netip.MustParseAddrPort("0.0.0.0:4222")}}
	for addr, want := range map[string]bool{
		"10.0.0.1:8443": false, "[::ffff:10.0.0.1]:8443": false, "10.0.0.1:443": true, "10.0.0.2:8443": true,
		"127.0.0.1:4222": false, "[::1]:4222": false, "127.0.0.1:443": true, "10.9.9.9:4222": true,
	} {
		if r := g.checkDial(netip.MustParseAddrPort(addr)); (r == nil) != want {
			t.Errorf("%s: got %v, want it allowed: %v", addr, r, want)
		}
	}
}

func TestAnIssuerHasNoQuery(t *testing.T) {
	for url, reason := range map[string]string{
		"https://idp.example.com": "", "https://idp.example.com/a/": "", "https://idp.example.com/?a": "query",
		"https://idp.example.com/?": "query", "https://idp.example.com/#": "fragment", "http://idp.example.com": "scheme",
	} {
		if got := reasonOf(Gate{}.CheckIssuerURL(url)); got != reason {
			t.Errorf("%s: got %q, want %q", url, got, reason)
		}
	}
}

func TestTheNameOfAClusterPassesAndItsAddressDecides(t *testing.T) {
	for url, reason := range map[string]string{
		"https://kubernetes.default.svc.cluster.local": "",
		"https://idp.corp.local/jwks":                  "reserved_name",
		"https://idp.corp.internal/jwks":               "reserved_name",
		"https://cluster.local.evil.local/jwks":        "reserved_name",
	} {
		if got := reasonOf(Gate{}.CheckURL(url)); got != reason {
			t.Errorf("%s: got %q, want %q", url, got, reason)
		}
	}
}
