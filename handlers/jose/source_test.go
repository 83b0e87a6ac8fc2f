package jose

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
)

// recordedSet is what the log remembers: the corpus's r1, fetched at some time.
func recordedSet(t testing.TB, version uint64, at time.Time) *connection.KeySet {
	t.Helper()
	set := setOf(t, hostKey(t, "rsa_r1"))
	return &connection.KeySet{Version: version, Keys: set.Public(), KeyIDs: set.KeyIDs(), At: at, SourceURL: "https://" + idp + "/jwks"}
}

// world is a provider on the loopback, a clock, and sources that use both.
type world struct {
	t       testing.TB
	url     string
	sources *Sources
	hits    atomic.Int32

	mu     sync.Mutex
	now    time.Time
	answer http.HandlerFunc
	told   chan Observation
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: noon, told: make(chan Observation, 16)}
	w.publish(hostKey(t, "rsa_r1"))
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.hits.Add(1)
		w.mu.Lock()
		h := w.answer
		w.mu.Unlock()
		h(rw, r)
	}))
	w.url = srv.URL + "/jwks"
	w.sources = NewSources(Gate{LoopbackHTTP: true}, SourcesOptions{Now: w.clock, Observe: w.tell})
	t.Cleanup(func() { w.sources.Close(); srv.CloseClientConnections(); srv.Close() })
	return w
}

func (w *world) clock() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }

func (w *world) pass(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

func (w *world) tell(ctx context.Context, o Observation) error {
	select {
	case w.told <- o:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) serves(h http.HandlerFunc) { w.mu.Lock(); defer w.mu.Unlock(); w.answer = h }

// publish makes these the provider's keys.
func (w *world) publish(keys ...*HostKey) { w.serveBody(http.StatusOK, string(documentOf(keys...))) }

func (w *world) serveBody(status int, body string) {
	w.serves(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(body))
	})
}

func (w *world) source(version uint64, lastGood *connection.KeySet) *Source {
	return w.sources.Source(SourceID{"acme", "ci", version}, KeySpec{JWKSURL: w.url}, lastGood)
}

// want asks for a kid and compares what the source says, and how many fetches there were until now.
func (w *world) want(s *Source, kid string, known, stale bool, hits int32) {
	w.t.Helper()
	f, err := s.Find(w.t.Context(), kid)
	if err != nil || f.Known != known || f.Stale != stale {
		w.t.Errorf("%s: got %+v, %v, want known %v, stale %v", kid, f, err, known, stale)
	}
	w.wantHits(hits)
}

func (w *world) wantNone(s *Source, kid string, hits int32) {
	w.t.Helper()
	if f, err := s.Find(w.t.Context(), kid); err == nil {
		w.t.Errorf("%s: got %+v, want no keys at all", kid, f)
	}
	w.wantHits(hits)
}

func (w *world) wantHits(hits int32) {
	w.t.Helper()
	if n := w.hits.Load(); n != hits {
		w.t.Errorf("got %d fetches, want %d", n, hits)
	}
}

// settle waits until no fetch of s runs.
func settle(s *Source) {
	s.mu.Lock()
	f := s.flight
	s.mu.Unlock()
	if f != nil {
		<-f.done
	}
}

// As many as may wait are answered by it; the others are told at once that too many wait.
func TestFiveThousandAtOnceMakeOneFetch(t *testing.T) {
	w := newWorld(t)
	release, document := make(chan struct{}), string(documentOf(hostKey(t, "rsa_r1")))
	w.serves(func(rw http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = rw.Write([]byte(document))
	})
	s := w.source(1, nil)
	var wg sync.WaitGroup
	var found, crowded, asked atomic.Int32
	for range 5000 {
		wg.Go(func() {
			if asked.Add(1) == 5000 {
				close(release)
			}
			switch f, err := s.Find(t.Context(), "r1"); {
			case err == nil && f.Known:
				found.Add(1)
			case errors.Is(err, errCrowded):
				crowded.Add(1)
			}
		})
	}
	wg.Wait()
	if found.Load() < maxWaiting || found.Load()+crowded.Load() != 5000 || w.hits.Load() != 1 {
		t.Errorf("%d were answered and %d turned away after %d fetches, want 5000, of them %d answered at least, after 1",
			found.Load(), crowded.Load(), w.hits.Load(), maxWaiting)
	}
}

func TestKeysAreRefreshedAheadAndThenBeforeUse(t *testing.T) {
	w := newWorld(t)
	w.serves(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Cache-Control", "public, max-age=600")
		_, _ = rw.Write(documentOf(hostKey(t, "rsa_r1")))
	})
	s := w.source(1, nil)
	w.want(s, "r1", true, false, 1)
	w.pass(7 * time.Minute) // under 80 % of nine to ten minutes
	w.want(s, "r1", true, false, 1)
	release := make(chan struct{}) // until then the fetch ahead runs
	w.serves(func(rw http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = rw.Write(documentOf(hostKey(t, "ec_e1")))
	})
	w.pass(time.Minute + 5*time.Second) // over 80 %
	if f, err := s.Find(t.Context(), "r1"); err != nil || !f.Known {
		t.Errorf("a refresh ahead made somebody wait: got %+v, %v", f, err)
	}
	close(release)
	settle(s)
	w.want(s, "r1", false, false, 2) // removed upstream, gone here
	w.want(s, "e1", true, false, 2)
	w.pass(5 * time.Minute) // over: 5 minutes are the default
	w.publish(hostKey(t, "rsa_r1"))
	w.want(s, "r1", true, false, 3)
}

func TestLifeIsCacheControlWithinBounds(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 5 * time.Minute, "public": 5 * time.Minute, "max-age=600": 10 * time.Minute, "MAX-AGE=600, must-revalidate": 10 * time.Minute,
		"max-age=0": time.Minute, "max-age=1": time.Minute, "max-age=86400": time.Hour, "no-store": time.Minute, "no-cache, max-age=600": time.Minute,
		"max-age=x": 5 * time.Minute, "max-age=-1": 5 * time.Minute, "max-age=99999999999999999999": 5 * time.Minute, `max-age="600"`: 10 * time.Minute,
	} {
		for range 20 {
			if got := life(http.Header{"Cache-Control": {value}}); got > want || got < want*9/10 || got < time.Minute {
				t.Errorf("%q: got %v, want %v or up to a tenth less, and a minute at least", value, got, want)
			}
		}
	}
}

func TestAnUnknownKidFetchesOnceInThirtySeconds(t *testing.T) {
	w := newWorld(t)
	s := w.source(1, nil)
	w.want(s, "r1", true, false, 1)
	for i := range 1000 {
		w.want(s, fmt.Sprint("x", i), false, false, 1) // the fetch before counts
	}
	w.publish(hostKey(t, "rsa_r1"), hostKey(t, "ec_e1"))
	w.pass(29 * time.Second)
	w.want(s, "e1", false, false, 1)
	w.pass(time.Second)
	w.want(s, "e1", true, false, 2) // the provider has rotated
	w.serveBody(http.StatusInternalServerError, "")
	w.pass(30 * time.Second)
	w.want(s, "x", false, false, 3)
	w.pass(29 * time.Second)
	w.want(s, "x", false, false, 3) // a failed fetch counts
	w.pass(time.Second)
	w.want(s, "y", false, false, 4)
	if n := len(s.keys.set.keys); n != 2 {
		t.Errorf("the source keeps %d keys, want 2: unknown kids are not kept", n)
	}
}

func TestTenThousandUnknownKidsAtOnceMakeOneFetch(t *testing.T) {
	w := newWorld(t)
	s := w.source(1, nil)
	w.want(s, "r1", true, false, 1)
	w.pass(time.Minute)
	var wg sync.WaitGroup
	for g := range 10 {
		wg.Go(func() {
			for i := range 1000 {
				if f, err := s.Find(t.Context(), fmt.Sprint(g, "-", i)); err != nil || f.Known {
					t.Errorf("got %+v, %v", f, err)
				}
			}
		})
	}
	wg.Wait()
	w.wantHits(2)
}

func TestAnOutageIsServedForAnHourPastTheKeysLife(t *testing.T) {
	w := newWorld(t)
	s := w.source(1, nil)
	w.want(s, "r1", true, false, 1)
	w.serveBody(http.StatusServiceUnavailable, "")
	w.pass(5 * time.Minute) // their life is over
	w.want(s, "r1", true, true, 2)
	w.want(s, "r1", true, true, 2) // nobody else waits for a provider that just failed
	for range 54 {
		w.pass(time.Minute)
		if f, err := s.Find(t.Context(), "r1"); err != nil || !f.Known || !f.Stale || !f.At.Equal(noon) {
			t.Fatalf("got %+v, %v, want the stale key of noon", f, err)
		}
		settle(s)
	}
	w.pass(6*time.Minute + time.Second) // 65 minutes and a second after noon
	if _, err := s.Find(t.Context(), "r1"); err == nil {
		t.Error("keys serve longer than an hour past their life")
	}
	w.publish(hostKey(t, "rsa_r1"))
	w.pass(2 * time.Minute)
	if f, err := s.Find(t.Context(), "r1"); err != nil || !f.Known || f.Stale {
		t.Errorf("after the outage: got %+v, %v", f, err)
	}
}

func TestAfterAFailureTheNextFetchWaitsALittle(t *testing.T) {
	w := newWorld(t)
	w.serveBody(http.StatusInternalServerError, "")
	s := w.source(1, nil)
	w.wantNone(s, "r1", 1)
	w.wantNone(s, "r1", 1) // not yet
	w.pass(2 * time.Second)
	w.wantNone(s, "r1", 2)
	w.pass(time.Second)
	w.wantNone(s, "r1", 2) // two seconds now
	w.publish(hostKey(t, "rsa_r1"))
	w.pass(2 * time.Second)
	w.want(s, "r1", true, false, 3)
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1000: time.Minute} {
		if got := backoff(failures); got < want*9/10 || got > want*11/10 {
			t.Errorf("after %d failures: got %v, want %v give or take a tenth", failures, got, want)
		}
	}
}

func TestAFetchedDocumentWithoutUsableKeysChangesNothing(t *testing.T) {
	r1 := hostKey(t, "rsa_r1")
	for name, body := range map[string]string{
		"HTML":                  "<html>",
		"an empty set":          `{"keys":[]}`,
		"unknown keys alone":    `{"keys":[{"kty":"AKP","kid":"r1"}]}`,
		"malformed entries":     `{"keys":[1,[],{"kty":1}]}`,
		"a kid twice":           `{"keys":[` + entry(t, r1, nil) + "," + entry(t, r1, nil) + `]}`,
		"a private key":         `{"keys":[` + entry(t, r1, map[string]any{"d": "AQ"}) + `]}`,
		"trailing data":         `{"keys":[` + entry(t, r1, nil) + `]}x`,
		"an error as a 200":     `{"error":"x"}`,
		"more than 256 KiB":     strings.Repeat(" ", MaxKeySetBytes+1),
		"a discovery document":  `{"issuer":"x","jwks_uri":"y"}`,
		"a bare key":            entry(t, r1, nil),
		"nothing":               ``,
		"half a document":       `{"keys":[` + entry(t, r1, nil),
		"a key that is too big": `{"keys":[` + entry(t, r1, map[string]any{"n": strings.Repeat("A", 4000)}) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.source(1, nil)
			w.want(s, "r1", true, false, 1)
			w.serveBody(http.StatusOK, body)
			w.pass(5 * time.Minute)
			w.want(s, "r1", true, true, 2)
		})
	}
}

func TestAStartInAnOutageServesTheRecordedKeysForTheRestOfTheirTime(t *testing.T) {
	for _, c := range []struct {
		name    string
		version uint64
		age     time.Duration
		serves  bool
		stale   bool
	}{
		{"young", 1, time.Minute, true, false},
		{"past its life", 1, 30 * time.Minute, true, true},
		{"a second before its bound", 1, 65*time.Minute - time.Second, true, true},
		{"at its bound", 1, 65 * time.Minute, false, false},
		{"of another version", 2, time.Minute, false, false},
		{"from the future, as far as this clock knows", 1, -time.Hour, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.serveBody(http.StatusInternalServerError, "")
			s := w.source(1, recordedSet(t, c.version, noon.Add(-c.age)))
			f, err := s.Find(t.Context(), "r1")
			if (err == nil) != c.serves || f.Known != c.serves || f.Stale != c.stale {
				t.Errorf("got %+v, %v, want it to serve: %v, stale: %v", f, err, c.serves, c.stale)
			}
			if want := noon.Add(-max(c.age, 0)); c.serves && !f.At.Equal(want) {
				t.Errorf("got the age %v, want %v", f.At, want)
			}
		})
	}
}

// Another replica met the new key first and recorded it: the log has told us, so
// nobody asks the provider again.
func TestKeysThatAnotherReplicaFetchedAreTaken(t *testing.T) {
	w := newWorld(t)
	w.publish(hostKey(t, "ec_e1"))
	s := w.source(1, nil)
	w.want(s, "e1", true, false, 1)
	w.pass(time.Minute)
	for name, k := range map[string]*connection.KeySet{
		"of another version":  recordedSet(t, 2, w.clock()),
		"older than our own":  recordedSet(t, 1, noon.Add(-time.Second)),
		"the same as our own": recordedSet(t, 1, noon),
	} {
		if f, err := w.source(1, k).Find(t.Context(), "e1"); err != nil || !f.Known || !f.At.Equal(noon) {
			t.Errorf("%s: got %+v, %v", name, f, err)
		}
	}
	newer := recordedSet(t, 1, w.clock())
	w.want(w.source(1, newer), "r1", true, false, 1)
	w.pass(defaultLife*4/5 - time.Second)
	w.want(w.source(1, newer), "r1", true, false, 1) // it has the life of any other
	release, document := make(chan struct{}), string(documentOf(hostKey(t, "ec_e1")))
	w.serves(func(rw http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = rw.Write([]byte(document))
	})
	w.pass(2 * time.Second)
	// It answers, and is refreshed ahead meanwhile.
	if f, err := w.source(1, newer).Find(t.Context(), "r1"); err != nil || !f.Known || f.Stale {
		t.Errorf("got %+v, %v, want the key", f, err)
	}
	close(release)
	settle(s)
	w.wantHits(2)
}

func TestAnUnknownKeyIsLookedForOnceByAllReplicasTogether(t *testing.T) {
	w := newWorld(t)
	w.sources.replicas = func() int { return 3 }
	s := w.source(1, nil)
	w.want(s, "r1", true, false, 1)
	w.pass(3*missCooldown - time.Second)
	w.want(s, "made up", false, false, 1)
	w.pass(time.Second)
	w.want(s, "made up", false, false, 2)
}

func TestRecordedKeysAreRefreshedAtTheirFirstUse(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{}) // until then the fetch runs
	w.serves(func(rw http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = rw.Write(documentOf(hostKey(t, "ec_e1")))
	})
	s := w.source(1, recordedSet(t, 1, noon.Add(-time.Minute)))
	f, err := s.Find(t.Context(), "r1")
	close(release)
	if err != nil || !f.Known {
		t.Fatalf("got %+v, %v", f, err)
	}
	settle(s)
	w.want(s, "r1", false, false, 1)
}

func TestTwoConnectionsShareNoKeys(t *testing.T) {
	w := newWorld(t)
	attacker := hostKey(t, "rsa_attacker")
	attacker.KeyID = "r1"
	other := newWorld(t)
	other.publish(attacker)
	for _, id := range []SourceID{{"acme", "b", 1}, {"acme", "a", 2}, {"other", "a", 1}} {
		a := w.sources.Source(SourceID{"acme", "a", 1}, KeySpec{JWKSURL: w.url}, nil)
		b := w.sources.Source(id, KeySpec{JWKSURL: other.url}, nil)
		fa, err1 := a.Find(t.Context(), "r1")
		fb, err2 := b.Find(t.Context(), "r1")
		if err := errors.Join(err1, err2); err != nil || fa.Key.Thumbprint() == fb.Key.Thumbprint() {
			t.Errorf("%v: got one key for both, %v", id, err)
		}
		good := hostKey(t, "rsa_r1")
		got, _ := reasons(t, forge(t, good, "RS256", header(t, good, nil), claims(t, nil)), everyAlgorithm, b, noon)
		wantReasons(t, got, "bad_signature")
	}
	first := w.sources.Source(SourceID{"acme", "a", 1}, KeySpec{}, nil)
	if first != w.sources.Source(SourceID{"acme", "a", 1}, KeySpec{}, nil) {
		t.Error("one name gives two sources")
	}
}

func TestAnIssuerIsDiscovered(t *testing.T) {
	for _, c := range []struct {
		name           string
		slash          string
		issuer, keys   func(base string) string // as the document says
		document       string                   // instead of it
		reason, detail string
	}{
		{name: "with its own name"},
		{name: "with a slash at the end", slash: "/"},
		{name: "that names another", issuer: func(string) string { return "https://other.example.com" }, reason: "issuer_differs"},
		{name: "that adds a slash", issuer: func(base string) string { return base + "/" }, reason: "issuer_differs"},
		{name: "that names no keys", keys: func(string) string { return "" }, reason: "jwks_uri_missing"},
		{name: "that names keys behind the gate", keys: func(string) string { return "https://169.254.169.254/keys" }, reason: "address"},
		{name: "that names keys of another scheme", keys: func(string) string { return "file:///etc/passwd" }, reason: "scheme"},
		{name: "whose document is HTML", document: "<html>", reason: "not_an_object"},
		{name: "whose document says issuer twice", document: `{"issuer":"a","issuer":"b"}`, reason: "duplicate_member"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			base := strings.TrimSuffix(w.url, "/jwks")
			issuer := base + c.slash
			said, uri := issuer, w.url
			if c.issuer != nil {
				said = c.issuer(base)
			}
			if c.keys != nil {
				uri = c.keys(base)
			}
			document := documentOf(hostKey(t, "rsa_r1"))
			w.serves(func(rw http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/jwks":
					_, _ = rw.Write(document)
				case r.URL.Path != "/.well-known/openid-configuration":
					http.NotFound(rw, r)
				case c.document != "":
					_, _ = rw.Write([]byte(c.document))
				default:
					_ = json.NewEncoder(rw).Encode(map[string]any{"issuer": said, "jwks_uri": uri})
				}
			})
			s := w.sources.Source(SourceID{"acme", "ci", 1}, KeySpec{IssuerURL: issuer}, nil)
			f, err := s.Find(t.Context(), "r1")
			if reasonOf(err) != c.reason || f.Known != (c.reason == "") {
				t.Errorf("got %+v, %v (%s), want %q", f, err, reasonOf(err), c.reason)
			}
		})
	}
}

func TestUploadedKeysAreNeverFetched(t *testing.T) {
	w := newWorld(t)
	s := w.sources.Source(SourceID{"acme", "ci", 1}, KeySpec{Static: documentOf(hostKey(t, "rsa_r1"))}, nil)
	w.want(s, "r1", true, false, 0)
	w.pass(48 * time.Hour)
	w.want(s, "r1", true, false, 0)
	w.want(s, "r2", false, false, 0)
}

func TestASourceWithoutSenseHasNoKeys(t *testing.T) {
	w := newWorld(t)
	for i, spec := range []KeySpec{{}, {JWKSURL: w.url, IssuerURL: w.url}, {Static: json.RawMessage(`{}`)}, {JWKSURL: w.url, CA: "x"}, {JWKSURL: "http://10.0.0.1/"}} {
		w.wantNone(w.sources.Source(SourceID{"acme", "ci", uint64(i)}, spec, nil), "r1", 0)
	}
}

func TestACallerWhoGoesAwayTakesNobodysFetchAlong(t *testing.T) {
	w := newWorld(t)
	release, document := make(chan struct{}), documentOf(hostKey(t, "rsa_r1"))
	w.serves(func(rw http.ResponseWriter, _ *http.Request) { <-release; _, _ = rw.Write(document) })
	s := w.source(1, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Find(ctx, "r1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the caller went away", err)
	}
	close(release)
	w.want(s, "r1", true, false, 1)
}

func TestKeySetsAreObservedWhenTheyChangeAndHourlyWhileInUse(t *testing.T) {
	w := newWorld(t)
	s := w.source(1, nil)
	r1, e1 := setOf(t, hostKey(t, "rsa_r1")), setOf(t, hostKey(t, "ec_e1"))
	only := func(set *KeySet) []string { all, _ := difference(nil, set); return all }
	w.want(s, "r1", true, false, 1)
	first := <-w.told
	if first.ID != (SourceID{"acme", "ci", 1}) || string(first.Keys) != string(r1.Public()) || fmt.Sprint(first.Added, first.Removed, first.KeyIDs) != fmt.Sprint(only(r1), []string(nil), []string{"r1"}) || !first.At.Equal(noon) || first.SourceURL != w.url {
		t.Errorf("at first: got %+v", first)
	}
	waitRecorded(s)
	w.publish(hostKey(t, "ec_e1"))
	w.pass(5 * time.Minute)
	w.want(s, "e1", true, false, 2)
	if second := <-w.told; fmt.Sprint(second.Added, second.Removed) != fmt.Sprint(only(e1), only(r1)) {
		t.Errorf("when they change: got %+v", second)
	}
	waitRecorded(s)
	for range 11 { // 55 minutes of use and fetches
		w.pass(5 * time.Minute)
		if _, err := s.Find(t.Context(), "e1"); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.told) != 0 {
		t.Errorf("told %d times within the hour: %+v", len(w.told), <-w.told)
	}
	w.pass(5 * time.Minute)
	if _, err := s.Find(t.Context(), "e1"); err != nil {
		t.Fatal(err)
	}
	if again := <-w.told; len(again.Added)+len(again.Removed) != 0 || string(again.Keys) != string(e1.Public()) {
		t.Errorf("after an hour: got %+v", again)
	}
}

// waitRecorded returns once what was told last is taken as recorded.
func waitRecorded(s *Source) {
	for {
		s.mu.Lock()
		done := s.recorded.set != nil && s.recorded.at.Equal(s.keys.at)
		s.mu.Unlock()
		if done {
			return
		}
		runtime.Gosched()
	}
}

func TestWhatWasRecordedBeforeIsNotObservedAgain(t *testing.T) {
	w := newWorld(t)
	s := w.source(1, recordedSet(t, 1, noon.Add(-10*time.Minute)))
	w.want(s, "r1", true, false, 1)
	w.sources.Close()
	if len(w.told) != 0 {
		t.Errorf("told %+v", <-w.told)
	}
}

func TestAnObservationThatFailedIsToldAgainAtTheNextFetch(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		logged bool
	}{
		{"a failure is logged", errors.New("the log is away"), true},
		{"no use yet is not", fmt.Errorf("a draft: %w", ErrNotYet), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			var log bytes.Buffer // of the goroutine that tells, until Close
			told := make(chan Observation, 4)
			w.sources.log = slog.New(slog.NewTextHandler(&log, nil))
			w.sources.observe = func(_ context.Context, o Observation) error { told <- o; return tt.err }
			s := w.source(1, nil)
			w.want(s, "r1", true, false, 1)
			first := <-told
			w.pass(5 * time.Minute)
			w.want(s, "r1", true, false, 2)
			if second := <-told; fmt.Sprint(first.Added) != fmt.Sprint(second.Added) {
				t.Errorf("got %v and then %v", first.Added, second.Added)
			}
			w.sources.Close()
			if logged := strings.Contains(log.String(), "key set not recorded"); logged != tt.logged {
				t.Errorf("the log is %q", log.String())
			}
		})
	}
}

func TestASlowObserverHoldsNobodyUp(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	w.sources.observe = func(context.Context, Observation) error { <-release; return nil }
	for i := range uint64(maxTellings + 10) {
		w.want(w.source(i, nil), "r1", true, false, int32(i)+1)
	}
	if n := len(w.sources.tellings); n > maxTellings {
		t.Errorf("%d observations wait, want at most %d", n, maxTellings)
	}
	close(release)
}

func TestSourcesAreBounded(t *testing.T) {
	w := newWorld(t)
	for i := range uint64(maxSources + 100) {
		w.pass(time.Millisecond)
		w.source(i, nil)
	}
	if n := len(w.sources.all); n != maxSources {
		t.Errorf("got %d sources, want %d", n, maxSources)
	}
	if w.sources.all[SourceID{"acme", "ci", 0}] != nil || w.sources.all[SourceID{"acme", "ci", maxSources + 99}] == nil {
		t.Error("not the longest unused went first")
	}
	w.pass(3 * time.Hour)
	w.source(1<<40, nil)
	if n := len(w.sources.all); n != 1 {
		t.Errorf("got %d sources after hours without use, want 1", n)
	}
	w.sources.Forget("acme", "ci")
	if n := len(w.sources.all); n != 0 {
		t.Errorf("got %d sources after they were forgotten, want none", n)
	}
}

func TestSixtyFourFetchesAtMostRunAtOnce(t *testing.T) {
	w := newWorld(t)
	release, document := make(chan struct{}), documentOf(hostKey(t, "rsa_r1"))
	var running, most atomic.Int32
	full := make(chan struct{})
	var once sync.Once
	w.serves(func(rw http.ResponseWriter, _ *http.Request) {
		n := running.Add(1)
		if n > most.Load() {
			most.Store(n)
		}
		if n == maxFetches {
			once.Do(func() { close(full) })
		}
		<-release
		running.Add(-1)
		_, _ = rw.Write(document)
	})
	var wg sync.WaitGroup
	for i := range uint64(100) {
		wg.Go(func() {
			if _, err := w.sources.Source(SourceID{"acme", domain.Name(fmt.Sprint("c", i)), 1}, KeySpec{JWKSURL: w.url}, nil).Find(t.Context(), "r1"); err != nil {
				t.Error(err)
			}
		})
	}
	<-full
	if n := len(w.sources.slots); n != maxFetches {
		t.Errorf("got %d slots taken, want %d", n, maxFetches)
	}
	close(release)
	wg.Wait()
	if most.Load() > maxFetches {
		t.Errorf("got %d fetches at once, want at most %d", most.Load(), maxFetches)
	}
}

// Whoever may draft may also point drafts at servers that never answer. They
// hold up each other, and nobody whose connection two people stood for.
func TestDraftsThatStallDelayNobodyElse(t *testing.T) {
	w := newWorld(t)
	release, document := make(chan struct{}), documentOf(hostKey(t, "rsa_r1"))
	w.serves(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("stall") {
			<-release
		}
		_, _ = rw.Write(document)
	})
	var wg sync.WaitGroup
	stalled := func(i int) *Source {
		return w.sources.Source(SourceID{"acme", domain.Name(fmt.Sprint("draft", i)), 1}, KeySpec{JWKSURL: w.url + "?stall", Draft: true}, nil)
	}
	for i := range maxFetches + maxDrafts {
		wg.Go(func() { _, _ = stalled(i).Find(t.Context(), "r1") })
	}
	defer wg.Wait()
	defer close(release)
	for len(w.sources.drafts) < maxDrafts {
		runtime.Gosched()
	}
	active := w.sources.Source(SourceID{"acme", "active", 1}, KeySpec{JWKSURL: w.url}, nil)
	if f, err := active.Find(t.Context(), "r1"); err != nil || !f.Known {
		t.Errorf("an active connection got %+v, %v", f, err)
	}
	if n := len(w.sources.slots); n != 0 {
		t.Errorf("drafts took %d slots of the others", n)
	}
}

func TestClosedSourcesAnswerFromWhatTheyHave(t *testing.T) {
	w := newWorld(t)
	s := w.source(1, nil)
	w.want(s, "r1", true, false, 1)
	w.sources.Close()
	w.want(s, "r1", true, false, 1)
	w.wantNone(w.source(2, nil), "r1", 1)
}
