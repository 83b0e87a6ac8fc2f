// Package journals keeps a log of every released version and shows that this
// one reads it: the commits as they were stored, and the store as the release
// left it. See the README beside.
package journals

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/e2e/ports"
	"sallyport.dev/e2e/program"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

var update = flag.Bool("update", false, "write what is made of each journal; the commits themselves are written once and never again")

func TestMain(m *testing.M) {
	flag.Parse()
	program.Main(m)
}

// The journals were recorded by `sallyportd dev` on this address (see record).
const (
	baseURL = "http://127.0.0.1:18420"
	org     = domain.Name("default")
	patient = time.Minute
)

// stored is a commit as a release stored it.
type stored struct {
	Sequence uint64    `json:"sequence"`
	Subject  string    `json:"subject"`
	Time     time.Time `json:"time"`
	Header   string    `json:"header"`
	Body     string    `json:"body"`
}

// releases are the folders, one for each version.
func releases(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/*/store.tar.zst")
	if err != nil || len(all) == 0 {
		t.Fatalf("there are no journals: %v", err)
	}
	for i := range all {
		all[i] = filepath.Dir(all[i])
	}
	return all
}

// A journal that a release wrote is folded into what it was folded into then.
func TestEveryReleasedJournalIsRead(t *testing.T) {
	for _, dir := range releases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(dir, "journal.jsonl.zst")
			if _, err := os.Stat(name); *update && errors.Is(err, os.ErrNotExist) {
				extract(t, dir, name)
			}
			state, entries := fold(t, journal(t, name))
			golden(t, filepath.Join(dir, "state.json"), state)
			golden(t, filepath.Join(dir, "trail.jsonl"), entries)
		})
	}
}

// extract writes the commits of a store.
func extract(t *testing.T, dir, name string) {
	var out bytes.Buffer
	for r := range records(t, unpack(t, dir)) {
		b, err := json.Marshal(stored{r.Sequence, r.Subject, r.Time, string(r.Header), string(r.Body)})
		ok(t, err)
		out.Write(append(b, '\n'))
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	ok(t, err)
	ok(t, os.WriteFile(name, z.EncodeAll(out.Bytes(), nil), 0o644))
}

// records are the commits that a data directory holds.
func records(t *testing.T, data string) iter.Seq[streams.Record] {
	return func(yield func(streams.Record) bool) {
		s, err := streams.StartServer(t.Context(), streams.ServerOptions{Dir: data, Log: streamstest.Log(t)})
		ok(t, err)
		defer s.Close()
		c, err := s.Connect()
		ok(t, err)
		defer c.Close()
		snapshot, err := c.Snapshot(t.Context(), streams.LogStream(org))
		ok(t, err)
		defer snapshot.Close()
		for r, err := range snapshot.Records() {
			ok(t, err)
			if !yield(r) {
				return
			}
		}
	}
}

// journal reads the commits of a release.
func journal(t *testing.T, name string) (all []streams.Record) {
	t.Helper()
	b, err := os.ReadFile(name)
	ok(t, err)
	z, err := zstd.NewReader(nil)
	ok(t, err)
	defer z.Close()
	b, err = z.DecodeAll(b, nil)
	ok(t, err)
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var s stored
		ok(t, json.Unmarshal(lines.Bytes(), &s))
		all = append(all, streams.Record{Sequence: s.Sequence, Subject: s.Subject, Time: s.Time, Header: []byte(s.Header), Body: []byte(s.Body)})
	}
	ok(t, lines.Err())
	if len(all) == 0 {
		t.Fatalf("%s has no commits", name)
	}
	return all
}

// fold makes a log of commits and folds it as a server does.
func fold(t *testing.T, commits []streams.Record) (state, entries []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	dir := t.TempDir()
	s, err := streams.StartServer(ctx, streams.ServerOptions{Dir: dir, Log: streamstest.Log(t)})
	ok(t, err)
	defer s.Close()
	c, err := s.Connect()
	ok(t, err)
	defer c.Close()
	last := commits[len(commits)-1].Sequence
	config := fmt.Appendf(nil, `{"name": %q, "subjects": ["org.default.control", "org.default.activity"], "retention": "limits", "max_consumers": -1,
		"max_msgs": -1, "max_bytes": -1, "max_msgs_per_subject": -1, "max_msg_size": -1, "discard": "new", "storage": "file", "num_replicas": 1,
		"duplicate_window": 120000000000, "deny_delete": true, "deny_purge": true}`, streams.LogStream(org))
	ok(t, c.Restore(ctx, config, 1, streams.StreamState{Messages: uint64(len(commits)), First: 1, Last: last}, each(commits)))
	catalogue := events.New()
	j, err := streams.Open(ctx, c, streams.Options{Org: org, Source: baseURL + "/orgs/default", Codec: catalogue, Log: streamstest.Log(t)})
	ok(t, err)

	seeded := control.New()
	_, err = j.ReplayControl(ctx, seeded.Seed)
	ok(t, err)
	tr, err := trail.Open(ctx, filepath.Join(dir, "trail.sqlite"), catalogue, streamstest.Log(t))
	ok(t, err)
	defer tr.Close()
	followed := control.New()
	f, err := j.Follow(ctx, followed, tr)
	ok(t, err)
	err = f.Wait(ctx, last)
	f.Close()
	ok(t, errors.Join(err, f.Err()))
	state = dump(t, followed)
	if diff := cmp.Diff(string(state), string(dump(t, seeded))); diff != "" {
		t.Errorf("the control commits alone lead elsewhere:\n%s", diff)
	}
	var out bytes.Buffer
	for e, err := range tr.All(ctx, trail.Query{}) {
		ok(t, err)
		out.Write(append(bytes.Clone(e.JSON), '\n'))
	}
	return state, out.Bytes()
}

func each(commits []streams.Record) iter.Seq2[streams.Record, error] {
	return func(yield func(streams.Record, error) bool) {
		for _, r := range commits {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// dump is the control state, for people to compare.
func dump(t *testing.T, p *control.Projection) (b []byte) {
	t.Helper()
	p.Read(func(s *control.State, _ domain.Head) {
		var err error
		b, err = json.MarshalIndent(map[string]any{
			"organisation": s.Organisation(), "connections": s.Connections(), "people": s.People().People(),
			"tokens": s.People().Tokens(), "keys": s.Keys().All(),
		}, "", "  ")
		ok(t, err)
	})
	return append(b, '\n')
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		ok(t, os.WriteFile(name, got, 0o644))
		return
	}
	want, err := os.ReadFile(name)
	ok(t, err)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is made of it no more (an old journal keeps its meaning; if this is wanted, -update):\n%s", name, diff)
	}
}

// The store that a release left is opened by the real program, which serves
// from it, adds to it and changes nothing in it.
func TestEveryReleasedStoreIsServedFrom(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	bin := program.Build(t)
	for _, dir := range releases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			data := unpack(t, dir)
			want := journal(t, filepath.Join(dir, "journal.jsonl.zst"))
			config := configure(t, data)
			said := serve(t, bin, config)
			for _, list := range [][]string{{"keys", "list"}, {"token", "list"}} {
				out, err := exec.Command(filepath.Join(bin, "sallyportd"), append(list, "--config", config, "-o", "json")...).CombinedOutput()
				if err != nil || !strings.Contains(string(out), `"active"`) {
					t.Errorf("sallyportd %s: %v\n%s", strings.Join(list, " "), err, out)
				}
			}
			backup := filepath.Join(t.TempDir(), "old.tar.zst")
			if out, err := exec.Command(filepath.Join(bin, "sallyportd"), "backup", "--config", config, "--out", backup).CombinedOutput(); err != nil {
				t.Errorf("sallyportd backup: %v\n%s", err, out)
			}
			said.stop(t)
			var got []streams.Record
			for r := range records(t, data) {
				got = append(got, r)
			}
			if len(got) < len(want) {
				t.Fatalf("the log has %d commits, the release wrote %d", len(got), len(want))
			}
			if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
				t.Errorf("the commits are not those that the release wrote:\n%s", diff)
			}
		})
	}
}

// configure writes a configuration for what `sallyportd dev` of the release left.
func configure(t *testing.T, data string) string {
	t.Helper()
	name := filepath.Join(data, "config.yaml")
	text := fmt.Sprintf("listen: %s\nbase_url: %s\ndata_dir: %s\nkey_encryption_key_file: %s\nlog: {level: warn, format: text}\n",
		ports.Address(t), baseURL, data, filepath.Join(data, "kek.json"))
	ok(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// running is a server of ours.
type running struct {
	cmd  *exec.Cmd
	said bytes.Buffer
}

// serve starts the real program and returns when it is ready.
func serve(t *testing.T, bin, config string) *running {
	t.Helper()
	r := &running{cmd: exec.Command(filepath.Join(bin, "sallyportd"), "serve", "--config", config)}
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	ok(t, r.cmd.Start())
	t.Cleanup(func() { r.cmd.Process.Kill() }) // fails where it was stopped
	text, err := os.ReadFile(config)
	ok(t, err)
	listen, _, _ := strings.Cut(strings.TrimPrefix(string(text), "listen: "), "\n")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	client := &http.Client{Timeout: 5 * time.Second}
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); <-tick.C {
		res, err := client.Get("http://" + listen + "/readyz")
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return r
		}
	}
	r.cmd.Process.Kill()
	r.cmd.Wait() // killed
	t.Fatalf("the server is not ready:\n%s", &r.said)
	return nil
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	ok(t, r.cmd.Process.Signal(os.Interrupt))
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("the server stopped with %v:\n%s", err, &r.said)
	}
}

// unpack puts the store of a release into a folder of the test.
func unpack(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "store.tar.zst"))
	ok(t, err)
	defer f.Close()
	z, err := zstd.NewReader(f)
	ok(t, err)
	defer z.Close()
	data := t.TempDir()
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if err == io.EOF {
			return data
		}
		ok(t, err)
		name := filepath.Join(data, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			ok(t, os.MkdirAll(name, 0o700))
			continue
		}
		b, err := io.ReadAll(in)
		ok(t, err)
		ok(t, os.WriteFile(name, b, 0o600))
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
