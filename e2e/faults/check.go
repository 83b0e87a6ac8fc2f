package faults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/streams"
)

// checked is what a check found, for the row of the page.
type checked struct {
	Events, Tokens, Writes int
}

// check holds a server that runs, its log and what its client wrote down against
// each other, in five steps, and leaves it running:
//
//   - the log has no gap, no id twice, no token twice and no Idempotency-Key twice;
//   - every token that was answered has exactly its event, and every write that
//     was acknowledged stands where its answer said;
//   - the trail as it lived has the events of the log, in its order, and no others;
//   - a trail built from nothing begins with the very same bytes;
//   - and the control state folded from nothing answers the same.
func check(s *server, l *ledger) checked {
	s.t.Helper()
	if !s.running() {
		s.up()
	}
	s.awaitReady()
	lived := s.answers(s.last())
	s.stop()
	log := readLog(s.t, s.data)
	out := l.hold(s.t, log)
	s.forget()
	s.up()
	built := s.answers(log[len(log)-1].Position())
	equal(s.t, lived, built)
	inOrder(s.t, lived.trail, log)
	return out
}

// answers are a server's read models as anybody sees them.
type answers struct {
	trail       []byte // every event, as NDJSON
	connections []byte
	settings    []byte
}

// answers asks for all of it, once the trail has what stands at a position.
func (s *server) answers(at domain.Position) answers {
	s.t.Helper()
	var a answers
	s.until("the trail is answered up to "+at.String(), func() (ok bool) {
		a.trail, ok = s.get("/v1/audit?order=asc", "application/x-ndjson", "Sallyport-Min-Position", at.String())
		return ok
	})
	ok := false
	if a.connections, ok = s.get("/v1/connections", ""); !ok {
		s.t.Fatalf("the connections are not answered: %s", a.connections)
	}
	if a.settings, ok = s.get("/v1/organisation", ""); !ok {
		s.t.Fatalf("the settings are not answered: %s", a.settings)
	}
	return a
}

var patient = &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}

func (s *server) get(path, accept string, header ...string) ([]byte, bool) {
	req, err := http.NewRequest(http.MethodGet, s.issuer+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.tokens["audrey"])
	req.Header.Set("X-Forwarded-For", from())
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := patient.Do(req)
	if err != nil {
		return []byte(err.Error()), false
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return []byte(err.Error()), false
	}
	return b, res.StatusCode == http.StatusOK
}

// last is the newest position of the trail.
func (s *server) last() domain.Position {
	s.t.Helper()
	var page struct {
		Events []struct {
			Position string `json:"position"`
		} `json:"events"`
	}
	s.until("the newest event is answered", func() bool {
		b, ok := s.get("/v1/audit?order=desc&limit=1", "")
		return ok && json.Unmarshal(b, &page) == nil && len(page.Events) == 1
	})
	p, err := domain.ParsePosition(page.Events[0].Position)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// forget removes everything that is derived from the log.
func (s *server) forget() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.data, "trail")); err != nil {
		s.t.Fatal(err)
	}
}

// readLog reads a whole log by the same reader as every read model, from a data
// directory that no server has open.
func readLog(t testing.TB, dir string) []domain.Commit {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	quiet := slog.New(slog.DiscardHandler)
	srv, err := streams.StartServer(ctx, streams.ServerOptions{Dir: dir, Log: quiet})
	if err != nil {
		t.Fatalf("opening the log: %v", err)
	}
	defer srv.Close()
	conn, err := srv.Connect()
	if err != nil {
		t.Fatalf("opening the log: %v", err)
	}
	defer conn.Close()
	j, err := streams.Open(ctx, conn, streams.Options{Org: "default", Source: "check", Codec: events.New(), Log: quiet})
	if err != nil {
		t.Fatalf("opening the log: %v", err)
	}
	last, err := j.Last(ctx)
	if err != nil {
		t.Fatalf("reading the log: %v", err)
	}
	var all collector
	f, err := j.Follow(ctx, &all)
	if err != nil {
		t.Fatalf("reading the log: %v", err)
	}
	defer f.Close()
	if err := f.Wait(ctx, last); err != nil {
		t.Fatalf("reading the log: %v", err)
	}
	return all
}

type collector []domain.Commit

func (c *collector) Applied() uint64 { return 0 }
func (c *collector) Apply(cs []domain.Commit) error {
	*c = append(*c, cs...)
	return nil
}

// hold checks the record against the log.
func (l *ledger) hold(t testing.TB, log []domain.Commit) checked {
	t.Helper()
	out, err := l.compare(log)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// index is a log by what a client knows of it.
type index struct {
	ids    map[string]bool
	issued map[string]bool   // jti of every token
	keys   map[string]uint64 // commit of every Idempotency-Key
	at     map[domain.Position]domain.Envelope
}

// compare tells the first thing in which log and record differ.
func (l *ledger) compare(log []domain.Commit) (out checked, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := index{map[string]bool{}, map[string]bool{}, map[string]uint64{}, map[domain.Position]domain.Envelope{}}
	for i, c := range log {
		if c.Sequence != uint64(i+1) {
			return out, fmt.Errorf("commit %d of the log stands at %d: there is a gap", i+1, c.Sequence)
		}
		for _, e := range c.Events {
			if err := x.add(e, c.Sequence); err != nil {
				return out, err
			}
			out.Events++
		}
	}
	for jti := range l.tokens {
		if !x.issued[jti] {
			return out, fmt.Errorf("the token %s was answered and has no event", jti)
		}
	}
	for _, w := range l.written {
		e, there := x.at[w.At]
		if !there || e.Subject != "connection/"+w.Name || e.Idempotency == nil || x.keys[e.Idempotency.Key] != w.At.Sequence {
			return out, fmt.Errorf("%s %s was acknowledged at %s, where the log has %q of %q", w.Method, w.Name, w.At, e.Type, e.Subject)
		}
	}
	out.Tokens, out.Writes = len(l.tokens), len(l.written)
	return out, nil
}

// add takes an event in, or tells what it repeats.
func (x index) add(e domain.Envelope, sequence uint64) error {
	if x.ids[e.ID] {
		return fmt.Errorf("the event %s is in the log twice", e.ID)
	}
	x.ids[e.ID], x.at[e.Position] = true, e
	if e.Idempotency != nil {
		if was, twice := x.keys[e.Idempotency.Key]; twice && was != sequence {
			return fmt.Errorf("the Idempotency-Key %s has two commits, %d and %d", e.Idempotency.Key, was, sequence)
		}
		x.keys[e.Idempotency.Key] = sequence
	}
	if e.Type != "token.issued" {
		return nil
	}
	var data struct {
		JTI string `json:"jti"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil || data.JTI == "" {
		return fmt.Errorf("%s at %s names no token: %v", e.Type, e.Position, err)
	}
	if x.issued[data.JTI] {
		return fmt.Errorf("the token %s is in the log twice", data.JTI)
	}
	x.issued[data.JTI] = true
	return nil
}

// equal holds read models that were built from nothing against those that lived.
// A restart may have added events behind, and must have changed none.
func equal(t testing.TB, lived, built answers) {
	t.Helper()
	if !bytes.HasPrefix(built.trail, lived.trail) {
		a, b := strings.Split(string(lived.trail), "\n"), strings.Split(string(built.trail), "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("line %d of %d of the trail was\n%s\nand built again (%d lines) it is\n%s", i+1, len(a), a[i], len(b), b[min(i, len(b)-1)])
			}
		}
	}
	if !bytes.Equal(lived.connections, built.connections) {
		t.Fatalf("the connections were\n%s\nand folded again they are\n%s", lived.connections, built.connections)
	}
	if !bytes.Equal(lived.settings, built.settings) {
		t.Fatalf("the settings were\n%s\nand folded again they are\n%s", lived.settings, built.settings)
	}
}

// inOrder holds the trail against the log, event by event. What the log has
// beyond it was recorded since, in stopping.
func inOrder(t testing.TB, trail []byte, log []domain.Commit) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(trail))
	lines.Buffer(nil, 1<<20)
	n := 0
	for _, c := range log {
		for _, e := range c.Events {
			if !lines.Scan() {
				if rest := log[len(log)-1].Sequence - c.Sequence; n == 0 || rest > 8 {
					t.Fatalf("the trail has %d events and lacks the newest %d commits", n, rest+1)
				}
				return
			}
			n++
			var entry struct {
				ID       string `json:"id"`
				Position string `json:"position"`
			}
			if err := json.Unmarshal(lines.Bytes(), &entry); err != nil || entry.ID != e.ID || entry.Position != e.Position.String() {
				t.Fatalf("event %d of the trail is %s at %s, of the log %s at %s (%v)", n, entry.ID, entry.Position, e.ID, e.Position, err)
			}
		}
	}
	if lines.Scan() {
		t.Fatalf("the trail has an event that the log has not: %s", lines.Bytes())
	}
}

// String is the check in a row of the page.
func (c checked) String() string {
	return fmt.Sprintf("%d answered tokens and %d acknowledged writes in %d events", c.Tokens, c.Writes, c.Events)
}
