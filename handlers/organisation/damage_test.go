package organisation_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
	"sallyport.dev/streams"
	"sallyport.dev/streams/seal"
)

// site is a data directory and the process that may be running on it.
type site struct {
	*organisation.Organisation
	t         testing.TB
	dir       string
	sealer    *jose.Sealer
	server    *streams.Server
	conn      *streams.Conn
	intervals organisation.Intervals
}

// often is how often a site is checked, unless a test says never.
var (
	often = organisation.Intervals{State: 20 * time.Millisecond, Scrub: time.Second, Pause: 20 * time.Millisecond}
	never = organisation.Intervals{State: time.Hour, Scrub: time.Hour, Pause: time.Hour}
)

const (
	stream   = "ORG_default"
	controls = "org.default.control"
)

func newSite(t testing.TB) *site {
	t.Helper()
	kek, err := jose.NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := jose.ParseKEK(kek)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: t.TempDir(), sealer: sealer, intervals: often}
	t.Cleanup(s.stop)
	return s
}

func (s *site) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// start opens the log and the organisation, as a process that starts does.
func (s *site) start() error {
	s.t.Helper()
	s.serve()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	o, err := organisation.Open(ctx, organisation.Options{
		Name: "default", BaseURL: orgtest.BaseURL, Conn: s.conn, TrailPath: s.path("trail.db"), SealDir: s.path("seal", "default"),
		Sealer: s.sealer, Gate: jose.Gate{LoopbackHTTP: true}, Log: orgtest.Quiet(),
		Intervals: s.intervals,
	})
	if err != nil {
		s.stop()
		return err
	}
	s.Organisation = o
	return nil
}

// serve opens the log alone.
func (s *site) serve() {
	s.t.Helper()
	var err error
	if s.server, err = streams.StartServer(s.t.Context(), streams.ServerOptions{Dir: s.dir, Listen: "127.0.0.1:0", Log: orgtest.Quiet()}); err != nil {
		s.t.Fatal(err)
	}
	if s.conn, err = s.server.Connect(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) stop() {
	if s.Organisation != nil {
		s.Close()
	}
	if s.conn != nil {
		s.conn.Close()
	}
	if s.server != nil {
		s.server.Close()
	}
	s.Organisation, s.conn, s.server = nil, nil, nil
}

// sealed is a site with some commits, all of them sealed, that runs.
func sealedSite(t testing.TB) *site {
	t.Helper()
	s := newSite(t)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		s.record()
	}
	s.awaitSealed()
	return s
}

// record writes one commit to control.
func (s *site) record() {
	s.t.Helper()
	if err := s.tryRecord(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) tryRecord() error {
	m := domain.Meta{Actor: domain.System("host"), Now: s.Now()}
	_, err := s.CreateToken(s.t.Context(), m, "alice", domain.Member, time.Hour)
	return err
}

// awaitSealed closes the site, which seals what there is if there is time for it,
// opens it again, and waits for the rest.
func (s *site) awaitSealed() {
	s.t.Helper()
	s.stop()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
	await(s.t, "all is sealed", func() bool {
		now := s.Sealed()
		return now.Err == nil && now.Lag == 0 && now.Checkpoint.Size > 0
	})
}

// await waits until f, and fails the test after a minute.
func await(t testing.TB, what string, f func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	for !f() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-late:
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// manage is a client that may do anything with the stream, as somebody does who
// has the password of the NATS server.
func (s *site) manage() jetstream.JetStream {
	s.t.Helper()
	nc, err := nats.Connect(s.server.ClientURL())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// messages are the commits of the log as they are stored.
func (s *site) messages() (all []*jetstream.RawStreamMsg) {
	s.t.Helper()
	st, err := s.manage().Stream(s.t.Context(), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := st.Info(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
		m, err := st.GetMsg(s.t.Context(), seq)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// replace makes the log anew with other messages, under the configuration it had.
func (s *site) replace(messages []*jetstream.RawStreamMsg) {
	s.t.Helper()
	js := s.manage()
	config := s.config()
	if err := js.DeleteStream(s.t.Context(), stream); err != nil {
		s.t.Fatal(err)
	}
	if _, err := js.CreateStream(s.t.Context(), config); err != nil {
		s.t.Fatal(err)
	}
	for _, m := range messages {
		for name := range m.Header {
			if strings.HasPrefix(name, "Nats-Expected") { // who replaces a log leaves the fences out
				m.Header.Del(name)
			}
		}
		if _, err := js.PublishMsg(s.t.Context(), &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) config() jetstream.StreamConfig {
	s.t.Helper()
	st, err := s.manage().Stream(s.t.Context(), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	return st.CachedInfo().Config
}

// change changes one field of the stream's configuration.
func (s *site) change(f func(*jetstream.StreamConfig)) {
	s.t.Helper()
	config := s.config()
	f(&config)
	if _, err := s.manage().UpdateStream(s.t.Context(), config); err != nil {
		s.t.Fatal(err)
	}
}

// alter changes the text of an event inside commit number seq.
func alter(t testing.TB, messages []*jetstream.RawStreamMsg, seq int) []*jetstream.RawStreamMsg {
	t.Helper()
	out := slices.Clone(messages)
	m := *out[seq-1]
	m.Data = []byte(strings.Replace(string(m.Data), `"actor":"system:`, `"actor":"System:`, 1))
	if string(m.Data) == string(out[seq-1].Data) {
		t.Fatalf("there is nothing to alter in %s", m.Data)
	}
	out[seq-1] = &m
	return out
}

// tamperings are what somebody with the password of the NATS server can do, and
// what finds it. Commit 4 is an early one: the log has at least nine.
var tamperings = []struct {
	name   string
	do     func(*site)
	checks []string
}{
	{"a limit that removes commits", func(s *site) { s.change(func(c *jetstream.StreamConfig) { c.MaxMsgs = 2 }) }, []string{"first", "count", "configuration"}},
	{"a limit that will remove commits", func(s *site) { s.change(func(c *jetstream.StreamConfig) { c.MaxAge = 24 * time.Hour }) }, []string{"configuration"}},
	{"another subject", func(s *site) {
		s.change(func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "org.default.other") })
	}, []string{"configuration"}},
	{"a deleted stream", func(s *site) {
		if err := s.manage().DeleteStream(s.t.Context(), stream); err != nil {
			s.t.Fatal(err)
		}
	}, []string{"missing"}},
	{"a stream made anew with fewer commits", func(s *site) { m := s.messages(); s.replace(m[:len(m)-2]) }, []string{"last", "gap", "missing"}},
	{"a stream made anew without its first commit", func(s *site) { s.replace(s.messages()[1:]) }, []string{"last", "gap", "missing", "altered", "unreadable"}},
	{"an altered event", func(s *site) { s.replace(alter(s.t, s.messages(), 4)) }, []string{"altered", "missing", "last", "gap"}},
	{"an altered last event", func(s *site) { m := s.messages(); s.replace(alter(s.t, m, len(m))) }, []string{"altered", "missing", "last", "gap"}},
	{"a message that is no commit", func(s *site) {
		if _, err := s.manage().Publish(s.t.Context(), controls, []byte(`{"hello":1}`)); err != nil {
			s.t.Fatal(err)
		}
	}, []string{"unreadable"}},
	{"an event that cannot have happened", func(s *site) {
		if _, err := s.manage().Publish(s.t.Context(), controls, []byte(`[{"specversion":"1.0","id":"x","type":"organisation.created","source":"s","subject":"organisation/default","time":"2026-11-22T12:00:00Z","actor":"mallory","commitid":"c","data":{"name":"default","issuer":"https://mallory.example","dual_control":"roles"}}]`)); err != nil {
			s.t.Fatal(err)
		}
	}, []string{"fold"}},
	{"a message of another's", func(s *site) {
		if _, err := s.manage().Publish(s.t.Context(), controls, []byte(`[{"specversion":"1.0","id":"x","type":"connection.activated","source":"s","subject":"s","time":"2026-11-22T12:00:00Z","actor":"mallory","commitid":"c","data":{"version":"one"}}]`)); err != nil {
			s.t.Fatal(err)
		}
	}, []string{"unreadable"}},
}

// damaged fails the test unless err is damage found by one of the checks, and
// tells how to repair it.
func damaged(t *testing.T, err error, checks []string) {
	t.Helper()
	d := domain.Damaged(err)
	if d == nil || !slices.Contains(checks, d.Check) {
		t.Fatalf("got %v, want damage found by one of %v", err, checks)
	}
	for _, part := range []string{"the log of default is damaged", "to repair: ", "sallyportd"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestTamperingWithARunningLogStopsWritingAndIssuing(t *testing.T) {
	for _, x := range tamperings {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := sealedSite(t)
			x.do(s)
			await(t, "a halt", func() bool { return s.Halted() != nil })
			damaged(t, s.Halted(), x.checks)
			halted(t, s)
		})
	}
}

// halted fails the test unless nothing is written or opened any more.
func halted(t *testing.T, s *site) {
	t.Helper()
	_, recordErr := s.Record(t.Context(), domain.Meta{Actor: domain.System("host"), Now: s.Now()},
		func(*control.State) ([]domain.Fact, string, error) {
			t.Error("something was still decided")
			return nil, "", nil
		})
	for what, err := range map[string]error{"writing": s.tryRecord(), "issuing": recordErr, "opening": s.Fresh(t.Context())} {
		var d *domain.Error
		if !errors.As(err, &d) || d.Kind != domain.KindUnavailable || d.Code != "log.unavailable" {
			t.Errorf("%s: %v, want log.unavailable", what, err)
		}
	}
	if err := s.Ready(t.Context())["log"]; domain.Damaged(err) == nil {
		t.Errorf("readiness says %v", err)
	}
}

// An event that was altered long ago is found where it is by reading the log back.
func TestReadingBackFindsTheCommitThatWasAltered(t *testing.T) {
	s := sealedSite(t)
	s.stop()
	s.intervals = never
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.ReadBack(t.Context()); err != nil || n < 9 {
		t.Fatalf("reading back what nobody changed: %d events, %v", n, err)
	}
	s.replace(alter(t, s.messages(), 4))
	_, err := s.ReadBack(t.Context())
	damaged(t, err, []string{"altered"})
	if d := domain.Damaged(err); d.Sequence != 4 {
		t.Errorf("it was found at %d, not at 4", d.Sequence)
	}
}

// What was done to the log before a process starts keeps it from starting.
func TestATamperedLogIsNotStarted(t *testing.T) {
	for _, x := range tamperings {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := sealedSite(t)
			s.stop()
			s.serve()
			x.do(s)
			s.stop()
			err := s.start()
			damaged(t, err, x.checks)
		})
	}
}

// What is done to the folders of a stopped process, and what finds it.
func TestADataDirectoryThatLostSomethingIsNotStarted(t *testing.T) {
	remove := func(t *testing.T, names ...string) {
		for _, name := range names {
			if err := os.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, x := range []struct {
		name  string
		do    func(*testing.T, *site, string)
		check string
	}{
		{"the store is gone", func(t *testing.T, s *site, _ string) { remove(t, s.path("nats")) }, "missing"},
		{"the seal is gone", func(t *testing.T, s *site, _ string) { remove(t, s.path("seal")) }, "seal"},
		{"the store and the seal are gone", func(t *testing.T, s *site, _ string) { remove(t, s.path("nats"), s.path("seal")) }, "seal"},
		{"the store is an older one", func(t *testing.T, s *site, older string) {
			remove(t, s.path("nats"))
			if err := os.CopyFS(s.path("nats"), os.DirFS(filepath.Join(older, "nats"))); err != nil {
				t.Fatal(err)
			}
		}, "last"},
		{"the checkpoint is an older one", func(t *testing.T, s *site, older string) {
			b, err := os.ReadFile(filepath.Join(older, "seal", "default", "checkpoint"))
			if err == nil {
				err = os.WriteFile(s.path("seal", "default", "checkpoint"), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "seal"},
		{"the checkpoint is altered", func(t *testing.T, s *site, _ string) {
			name := s.path("seal", "default", "checkpoint")
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			b[len(orgtest.BaseURL)+20] ^= 1
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "seal"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := sealedSite(t)
			s.stop()
			older := t.TempDir()
			if err := os.CopyFS(older, os.DirFS(s.dir)); err != nil {
				t.Fatal(err)
			}
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
			s.record()
			s.stop()
			x.do(t, s, older)
			err := s.start()
			damaged(t, err, []string{x.check})
			if x.check == "missing" {
				s.serve()
				if _, err := s.manage().Stream(t.Context(), stream); !errors.Is(err, jetstream.ErrStreamNotFound) {
					t.Errorf("a log was made anew: %v", err)
				}
			}
		})
	}
}

// An older seal under a newer log proves less, and goes on from there; a data
// directory from before there was one is sealed from its first commit on.
func TestALogIsSealedFromWhereItsSealEnds(t *testing.T) {
	s := sealedSite(t)
	s.stop()
	older := t.TempDir()
	if err := os.CopyFS(older, os.DirFS(s.path("seal"))); err != nil {
		t.Fatal(err)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	s.record()
	s.stop()
	want := newestOf(t, s)
	for _, x := range []struct {
		name string
		do   func() error
	}{
		{"an older seal", func() error {
			return errors.Join(os.RemoveAll(s.path("seal")), os.CopyFS(s.path("seal"), os.DirFS(older)))
		}},
		{"no seal yet", func() error { return errors.Join(os.RemoveAll(s.path("seal")), os.RemoveAll(s.path("sealed"))) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			if err := x.do(); err != nil {
				t.Fatal(err)
			}
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
			s.stop()
			if got := newestOf(t, s); got.Root != want.Root || got.Sequence != want.Sequence {
				t.Errorf("it is sealed up to %+v, want %+v", got, want)
			}
			if _, err := seal.Verify(s.path("seal", "default"), nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func newestOf(t *testing.T, s *site) seal.Checkpoint {
	t.Helper()
	cp, found, err := seal.Newest(s.path("seal", "default"))
	if err != nil || !found {
		t.Fatalf("the newest checkpoint: %v, %v", found, err)
	}
	return cp
}

// What cannot be written beside the log keeps nobody from the log, and is made
// up for when it can be.
func TestASealerThatCannotWriteIsBehindAndRecovers(t *testing.T) {
	s := sealedSite(t)
	before := s.Sealed().Checkpoint.Sequence
	if err := os.Mkdir(s.path("seal", "default", "checkpoint.new"), 0o700); err != nil { // where it would write
		t.Fatal(err)
	}
	for s.Sealed().Err == nil {
		for range 400 { // a checkpoint is due after 1,000 events
			s.record()
		}
	}
	s.record()
	if err := s.Halted(); err != nil {
		t.Fatalf("it halted: %v", err)
	}
	got := s.Sealed()
	if got.Lag == 0 || got.Since.IsZero() || got.Late(time.Now().Add(2*time.Minute)) == nil {
		t.Errorf("it does not say that it is behind: %+v", got)
	}
	if err := os.Remove(s.path("seal", "default", "checkpoint.new")); err != nil {
		t.Fatal(err)
	}
	await(t, "sealing again", func() bool {
		now := s.Sealed()
		return now.Err == nil && now.Lag == 0 && now.Checkpoint.Sequence > before
	})
	if err := s.Sealed().Late(time.Now()); err != nil {
		t.Error(err)
	}
}

func TestASealerIsLate(t *testing.T) {
	now := time.Now()
	for _, x := range []struct {
		name string
		s    organisation.Sealing
		late bool
	}{
		{"with nothing to seal", organisation.Sealing{}, false},
		{"5,000 events behind, a minute ago", organisation.Sealing{Lag: 5000, Since: now.Add(-time.Minute)}, false},
		{"5,001 events behind", organisation.Sealing{Lag: 5001, Since: now}, true},
		{"one event behind for more than a minute", organisation.Sealing{Lag: 1, Since: now.Add(-61 * time.Second)}, true},
		{"with a folder that is spoilt", organisation.Sealing{Spoilt: errors.New("a bit has flipped")}, true},
	} {
		if err := x.s.Late(now); (err != nil) != x.late {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}

// A folder that rots while it is in use is told, and the log serves on.
func TestARottenSecondCopyIsToldAndHaltsNothing(t *testing.T) {
	s := sealedSite(t)
	name := s.path("seal", "default", "tree")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "being told", func() bool {
		// Again each time: a sealer that goes on writes the last part of the tree anew.
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{b[40] ^ 1}, 40); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return s.Ready(t.Context())["sealer"] != nil
	})
	s.record()
	if err := s.Halted(); err != nil {
		t.Errorf("it halted: %v", err)
	}
}

// A log that cannot be reached is not damaged.
func TestALogThatCannotBeReachedHaltsNothing(t *testing.T) {
	s := sealedSite(t)
	s.server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := s.CheckLog(ctx); err == nil || domain.Damaged(err) != nil {
		t.Errorf("checking it: %v", err)
	}
	if err := s.Halted(); err != nil {
		t.Errorf("it halted: %v", err)
	}
}

// Replicas have one key and come to one root, each in its own folder.
func TestReplicasAgreeOnTheirCheckpoints(t *testing.T) {
	a := orgtest.New(t)
	b := orgtest.Join(t, a.Conn)
	a.Token("alice", domain.Member)
	b.Token("bob", domain.Member)
	a.Organisation.Close()
	b.Organisation.Close()
	var notes [][]byte
	for _, w := range []*orgtest.World{a, b} {
		if _, err := seal.Verify(w.SealDir, nil); err != nil {
			t.Fatal(err)
		}
		note, err := os.ReadFile(filepath.Join(w.SealDir, "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		notes = append(notes, note)
	}
	if string(notes[0]) != string(notes[1]) {
		t.Errorf("one says\n%s\nand the other\n%s", notes[0], notes[1])
	}
}

// The public half of the key is in the log, and the folder's verifier is it.
func TestTheKeyOfTheCheckpointsIsRecordedOnce(t *testing.T) {
	w := orgtest.New(t)
	w.Reopen(func() {})
	var verifiers []string
	for _, e := range w.Events() {
		if e.Type == "checkpoint_key.created" {
			var data struct {
				Verifier string `json:"verifier"`
			}
			if err := json.Unmarshal(e.Data, &data); err != nil {
				t.Fatal(err)
			}
			verifiers = append(verifiers, data.Verifier)
		}
	}
	b, err := os.ReadFile(filepath.Join(w.SealDir, "verifier"))
	if err != nil {
		t.Fatal(err)
	}
	if len(verifiers) != 1 || verifiers[0]+"\n" != string(b) || !strings.HasPrefix(verifiers[0], "sallyport.example/orgs/default+") {
		t.Errorf("recorded are %q, and the folder has %q", verifiers, b)
	}
}
