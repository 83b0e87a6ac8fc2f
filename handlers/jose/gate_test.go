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
