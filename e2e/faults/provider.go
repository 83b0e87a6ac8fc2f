package faults

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/handlers/jose"
)

// provider publishes a key set over TLS, well or not.
type provider struct {
	*httptest.Server
	Key     *jose.HostKey // whose proofs it is
	CA      string        // PEM
	fetches atomic.Int64

	mu   sync.Mutex
	mode string
	set  json.RawMessage
	end  chan struct{} // closed with the test: whoever stalls goes on
}

// The ways in which a provider fails. A provider that is down is closed.
var failures = []string{"slow", "status", "garbage", "huge", "redirect", "truncated"}

// newProvider publishes one key, well.
func newProvider(t testing.TB) *provider {
	t.Helper()
	key, err := jose.NewHostKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{Key: key, set: key.PublicJWKS(), end: make(chan struct{})}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.Config.ErrorLog = nil
	p.StartTLS()
	p.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}))
	t.Cleanup(func() {
		close(p.end)
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

// port is where it listens.
func (p *provider) port() string {
	u, _ := url.Parse(p.URL)
	return u.Port()
}

// fail lets the provider fail from now on; empty: it is well.
func (p *provider) fail(mode string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
}

// rotate publishes another key in place of the one there was.
func (p *provider) rotate(t testing.TB) {
	t.Helper()
	key, err := jose.NewHostKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Key, p.set = key, key.PublicJWKS()
}

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	p.fetches.Add(1)
	p.mu.Lock()
	mode, set := p.mode, p.set
	p.mu.Unlock()
	w.Header().Set("Cache-Control", "max-age=60")
	switch mode {
	case "slow": // a byte now and then
		w.Header().Set("Content-Length", strconv.Itoa(len(set)))
		for i := range set {
			select {
			case <-time.After(500 * time.Millisecond):
			case <-p.end:
				return
			case <-r.Context().Done():
				return
			}
			_, _ = w.Write(set[i : i+1])
			_ = http.NewResponseController(w).Flush()
		}
	case "status":
		http.Error(w, "no", http.StatusInternalServerError)
	case "garbage":
		_, _ = w.Write([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43)))
	case "huge":
		piece := []byte(strings.Repeat(" ", 64<<10))
		for range 1024 {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	case "redirect":
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	case "truncated":
		w.Header().Set("Content-Length", strconv.Itoa(len(set)+10))
		_, _ = w.Write(set)
	default:
		_, _ = w.Write(set)
	}
}
