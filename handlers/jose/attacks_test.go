package jose

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/domain"
)

// A name that leads inside tells nobody what is there: whether a port is open,
// closed or silent, the words are the same and nothing is dialled.
func TestAPrivateHostLooksTheSameWhateverListensThere(t *testing.T) {
	dialled := make(chan struct{}, 8)
	open := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { dialled <- struct{}{} }))
	t.Cleanup(open.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	port := func(s *httptest.Server) uint16 {
		return netip.MustParseAddrPort(s.Listener.Addr().String()).Port()
	}
	said := map[string]bool{}
	for _, p := range []uint16{port(open), port(gone), 443} {
		f, err := newFetcher(Gate{Ports: []uint16{p}}, local(), "")
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = f.get(t.Context(), fmt.Sprintf("https://%s:%d/jwks", idp, p))
		wantReason(t, err, "ssrf_blocked")
		said[strings.ReplaceAll(err.Error(), fmt.Sprint(p), "PORT")] = true
	}
	if len(said) != 1 || len(dialled) > 0 {
		t.Errorf("three ports are told apart: %v, %d connections", said, len(dialled))
	}
}

// A thousand connections whose providers stall, all asked for unknown kids,
// fill every slot; a connection that has its keys does not notice, and who
// comes late is told so at once instead of waiting with the others.
func TestAThousandConnectionsThatStallTakeNoKeysFromAnother(t *testing.T) {
	w := newWorld(t)
	healthy := w.source(1, nil)
	w.want(healthy, "r1", true, false, 1)
	release := make(chan struct{})
	w.serves(func(http.ResponseWriter, *http.Request) { <-release })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			id := SourceID{"acme", domain.Name(fmt.Sprint("stalled", i)), 1}
			_, _ = w.sources.Source(id, KeySpec{JWKSURL: w.url}, nil).Find(ctx, fmt.Sprint("kid", i))
		})
	}
	for len(w.sources.slots) < maxFetches {
		runtime.Gosched()
	}
	began := time.Now()
	for range 1000 {
		if f, err := healthy.Find(t.Context(), "r1"); err != nil || !f.Known {
			t.Fatalf("got %+v, %v", f, err)
		}
	}
	if took := time.Since(began); took > totalTimeout-time.Second {
		t.Errorf("a thousand answers from keys that are there took %s", took)
	}
	for w.sources.waiting.Load() < maxWaitingAll {
		runtime.Gosched()
	}
	began = time.Now()
	_, err := w.sources.Source(SourceID{"acme", "late", 1}, KeySpec{JWKSURL: w.url}, nil).Find(t.Context(), "r1")
	if took := time.Since(began); !errors.Is(err, errCrowded) || took > totalTimeout-time.Second {
		t.Errorf("who came late got %v after %s", err, took)
	}
	if n := len(w.sources.slots); n > maxFetches {
		t.Errorf("%d fetches run at once, want at most %d", n, maxFetches)
	}
	cancel()
	wg.Wait()
	close(release)
}
