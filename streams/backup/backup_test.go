package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/backup"
	"sallyport.dev/streams/seal"
	"sallyport.dev/streams/streamstest"
)

func TestWhatIsRestoredIsWhatWasThere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.seal(t)
	s.commit(t, 50)
	ok(t, s.keys(t).Put(t.Context(), "one", []byte("sealed")))
	ok(t, s.keys(t).Put(t.Context(), "two", []byte("sealed")))
	ok(t, s.keys(t).Delete(t.Context(), "one"))
	s.unseal(t)
	name := s.backup(t)
	dir := t.TempDir()
	tried := ""
	o := restoreOptions(t, name, dir)
	o.Try = func(_ context.Context, dir string) error { tried = dir; return nil }
	got := must(backup.Restore(t.Context(), o))(t)
	m := got.Manifest.Organisations[0]
	if got.Aside != "" || m.Last != 50 || m.Events != 100 || m.Checkpoint.Size != 100 || got.Manifest.Mode != "standalone" || filepath.Dir(tried) != dir {
		t.Errorf("restored %+v, tried in %s", got, tried)
	}
	c := serve(t, dir)
	for _, stream := range []string{"ORG_default", "KV_KEYS_default"} {
		if !same(records(t, c, stream), records(t, s.Conn, stream)) {
			t.Errorf("the stream %s is another one", stream)
		}
	}
	cp, found, err := seal.Newest(sealDir(dir))
	if err != nil || !found || cp.Size != 100 {
		t.Errorf("the newest checkpoint is %+v, %v, %v", cp, found, err)
	}
	_, err = seal.Verify(sealDir(dir), nil)
	ok(t, err)
	if got, err := must(c.Bucket(t.Context(), "KEYS_default"))(t).Get(t.Context(), "two"); err != nil || string(got) != "sealed" {
		t.Errorf("the key is %q, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "restoring-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// Keys are rotated, events recorded and sealed all the while: each backup opens,
// has all that was acknowledged before it began, and has the key of every event
// that says that one is in use.
func TestABackupWhileEverythingIsWrittenTo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.seal(t)
	keys := s.keys(t)
	begin, done := make(chan bool), make(chan error, 1)
	go func() { done <- s.rotate(begin, keys) }()
	for range 4 {
		select {
		case begin <- true:
		case err := <-done:
			t.Fatal(err)
		}
		before := must(s.Journal.Last(t.Context()))(t)
		name := s.backup(t)
		f := must(backup.Open(name, backup.OpenOptions{Dir: t.TempDir()}))(t)
		if last := f.Manifest.Organisations[0].Last; last < before {
			t.Errorf("the backup ends at commit %d, and %d was acknowledged before it began", last, before)
		}
		keysInUse(t, f)
		dir := t.TempDir()
		_, err := backup.Restore(t.Context(), restoreOptions(t, name, dir))
		ok(t, err)
		sealed := must(seal.Open(seal.Options{Dir: sealDir(dir), Origin: origin, Signer: signer(), Log: streamstest.Log(t)}))(t)
		if sealed.Applied() > f.Manifest.Organisations[0].Last {
			t.Errorf("commit %d is sealed, and the log ends at %d", sealed.Applied(), f.Manifest.Organisations[0].Last)
		}
		ok(t, sealed.Close())
	}
	close(begin)
	ok(t, <-done)
}

// rotate makes a key, puts it in use, and destroys the one before, thirty times
// in a row whenever it is told to.
func (s *site) rotate(begin <-chan bool, keys *streams.Bucket) error {
	ctx, last, n := context.Background(), "", 0
	for range begin {
		for range 30 {
			n++
			name := fmt.Sprint("k", n)
			if err := keys.Put(ctx, name, []byte("sealed")); err != nil {
				return err
			}
			p, err := s.Journal.Commit(ctx, s.after, meta, []domain.Fact{{Subject: "key", Event: happened{Created: name, Retired: last}}})
			if err != nil {
				return err
			}
			s.after = p.Sequence
			if last != "" {
				if err := keys.Delete(ctx, last); err != nil {
					return err
				}
			}
			last = name
		}
	}
	return nil
}

// keysInUse wants the key that the log says is in use to be in the bucket.
func keysInUse(t testing.TB, f *backup.File) {
	t.Helper()
	inUse := map[string]bool{}
	for r, err := range f.Records(org, "ORG_default") {
		ok(t, err)
		events, err := domain.ParseBatch(r.Body)
		ok(t, err)
		e, err := codec{}.Decode("", events[0].Data)
		ok(t, err)
		delete(inUse, e.(happened).Retired)
		inUse[e.(happened).Created] = true
	}
	for r, err := range f.Records(org, "KV_KEYS_default") {
		ok(t, err)
		if !bytes.Contains(r.Header, []byte("KV-Operation")) {
			delete(inUse, strings.TrimPrefix(r.Subject, "$KV.KEYS_default."))
		}
	}
	if len(inUse) > 0 {
		t.Errorf("the backup lacks the keys %v", inUse)
	}
}

func TestABackupThatLacksWhatIsThereIsRefused(t *testing.T) {
	for _, test := range []struct {
		name string
		then func(t *testing.T, s *site) // after the backup
		want string
	}{
		{"the log goes on", func(t *testing.T, s *site) { s.commit(t, 3) }, "would be forgotten: 3"},
		{"the checkpoint goes on", func(t *testing.T, s *site) {
			s.seal(t)
			s.commit(t, 30)
			s.unseal(t)
			s.Close()
			ok(t, os.RemoveAll(filepath.Join(s.Dir, "nats")))
			ok(t, os.RemoveAll(filepath.Join(s.Dir, "mode")))
		}, "newest checkpoint is at commit 50"},
		{"another log of the same length", func(t *testing.T, s *site) {
			s.Close()
			ok(t, os.RemoveAll(filepath.Join(s.Dir, "nats")))
			s.Restart(t)
			s.keys(t)
			s.after = 0
			s.commit(t, 20)
		}, "branched off"},
		{"a damaged log", func(t *testing.T, s *site) {
			s.Close()
			block := filepath.Join(s.Dir, "nats", "jetstream", "$G", "streams", "ORG_default", "msgs", "1.blk")
			b, err := os.ReadFile(block)
			ok(t, err)
			b[len(b)/2] ^= 1
			ok(t, os.WriteFile(block, b, 0o600))
		}, "cannot be read whole"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.Abandon()
			s.commit(t, 20)
			name := s.backup(t)
			test.then(t, s)
			s.Close()
			before := tree(t, s.Dir)
			o := restoreOptions(t, name, s.Dir)
			_, err := backup.Restore(t.Context(), o)
			var refused *backup.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("err = %v, want a refusal that says %q", err, test.want)
			}
			if !maps.Equal(tree(t, s.Dir), before) {
				t.Error("a refused restore changed the data directory")
			}
			o.AllowRollback = true
			got := must(backup.Restore(t.Context(), o))(t)
			for name, content := range before {
				rel, _ := filepath.Rel(s.Dir, name)
				if b, err := os.ReadFile(filepath.Join(got.Aside, rel)); err != nil || string(b) != content {
					t.Errorf("%s was not kept aside: %v", rel, err)
				}
			}
			if n := len(records(t, serve(t, s.Dir), "ORG_default")); n != 20 {
				t.Errorf("the log has %d commits, want 20", n)
			}
		})
	}
}

func TestABackupTakesThePlaceOfWhatItHasAllOf(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.seal(t)
	s.commit(t, 20)
	s.unseal(t)
	old := filepath.Join(t.TempDir(), "old")
	s.Close()
	ok(t, os.CopyFS(old, os.DirFS(s.Dir)))
	s.Restart(t)
	s.commit(t, 5)
	name := s.backup(t)
	got := must(backup.Restore(t.Context(), restoreOptions(t, name, old)))(t)
	if got.Aside == "" {
		t.Error("what was there is not kept aside")
	}
	if n := len(records(t, serve(t, old), "ORG_default")); n != 25 {
		t.Errorf("the log has %d commits, want 25", n)
	}
}

// Whatever a crash leaves in the middle of taking a place, nobody opens it, and
// the restore is done again.
func TestARestoreThatWasBrokenOffIsDoneAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.commit(t, 20)
	name := s.backup(t)
	dir := t.TempDir()
	_, err := backup.Restore(t.Context(), restoreOptions(t, name, dir))
	ok(t, err)
	ok(t, streams.MarkRestoring(dir))
	ok(t, os.Rename(filepath.Join(dir, "nats"), filepath.Join(dir, "elsewhere")))
	ok(t, os.Mkdir(filepath.Join(dir, "restoring-1"), 0o700))
	if _, err := streams.StartServer(t.Context(), streams.ServerOptions{Dir: dir, Log: streamstest.Log(t)}); err == nil || !strings.Contains(err.Error(), "sallyportd restore") {
		t.Fatalf("a server opens what was broken off: %v", err)
	}
	if _, err := streams.Dial(t.Context(), streams.DialOptions{URL: "nats://127.0.0.1:1", Dir: dir}); err == nil || !strings.Contains(err.Error(), "sallyportd restore") {
		t.Fatalf("a replica starts with what was broken off: %v", err)
	}
	_, err = backup.Restore(t.Context(), restoreOptions(t, name, dir))
	ok(t, err)
	if n := len(records(t, serve(t, dir), "ORG_default")); n != 20 {
		t.Errorf("the log has %d commits, want 20", n)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "restoring-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestARestoreThatDoesNotOpenChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.commit(t, 20)
	name := s.backup(t)
	s.Close()
	before := tree(t, s.Dir)
	o := restoreOptions(t, name, s.Dir)
	o.Try = func(context.Context, string) error { return errors.New("no key opens it") }
	if _, err := backup.Restore(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no key opens it") {
		t.Errorf("err = %v", err)
	}
	if !maps.Equal(tree(t, s.Dir), before) {
		t.Error("it changed the data directory")
	}
}

func TestARestoreIntoADirectoryInUseIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.commit(t, 1)
	name := s.backup(t)
	var inUse *streams.InUseError
	if _, err := backup.Restore(t.Context(), restoreOptions(t, name, s.Dir)); !errors.As(err, &inUse) {
		t.Errorf("err = %v", err)
	}
}

// A log that was written standalone moves into a cluster, from the same data
// directory, and out of it again.
func TestALogMovesIntoAClusterAndOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.seal(t)
	s.commit(t, 30)
	ok(t, s.keys(t).Put(t.Context(), "one", []byte("sealed")))
	s.unseal(t)
	want := records(t, s.Conn, "ORG_default")
	name := s.backup(t)
	s.Close()
	cluster := streamstest.StartCluster(t)
	o := restoreOptions(t, name, s.Dir)
	o.Conn, o.Replicas = streamstest.Dial(t, cluster.Nodes[1].URL), 3
	got := must(backup.Restore(t.Context(), o))(t)
	if _, err := os.Stat(filepath.Join(got.Aside, "nats")); err != nil {
		t.Errorf("the standalone log is not kept aside: %v", err)
	}
	c, err := streams.Dial(t.Context(), streams.DialOptions{URL: cluster.Nodes[2].URL, Dir: s.Dir, Log: streamstest.Log(t)})
	ok(t, err)
	defer c.Close()
	if !same(records(t, c, "ORG_default"), want) {
		t.Error("the log in the cluster is another one")
	}
	j := streamstest.Open(t, c, codec{})
	_, err = j.Commit(t.Context(), s.after, meta, []domain.Fact{{Subject: "x", Event: happened{}}})
	ok(t, err)

	o.Dir = t.TempDir()
	if _, err := backup.Restore(t.Context(), o); err == nil || !strings.Contains(err.Error(), "has a log of organisation default, up to commit 31") {
		t.Errorf("a log in the cluster is replaced: %v", err)
	}

	s2 := &site{Fixture: &streamstest.Fixture{Dir: s.Dir, Conn: c}}
	back := s2.backup(t)
	dir := t.TempDir()
	out := must(backup.Restore(t.Context(), restoreOptions(t, back, dir)))(t)
	if out.Manifest.Mode != "cluster" || len(records(t, serve(t, dir), "ORG_default")) != 31 {
		t.Errorf("out of the cluster came %+v", out.Manifest.Organisations)
	}
}

// A user who may not copy streams is told so, and the data directory stays as it
// was; a restore that fails later has moved nothing, and goes back without the cluster.
func TestARestoreIntoAClusterThatFailsMovesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.commit(t, 3)
	ok(t, s.keys(t).Put(t.Context(), "one", []byte("sealed")))
	name := s.backup(t)
	s.Close()
	node := must(server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), Users: []*server.User{
			{Username: "admin", Password: "a"},
			{Username: "writer", Password: "w", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.RESTORE.>"}},
			}},
		},
	}))(t)
	node.Start()
	t.Cleanup(node.Shutdown)
	if !node.ReadyForConnections(streamstest.Within) {
		t.Fatal("the server does not start")
	}
	as := func(user string) *streams.Conn { return streamstest.Dial(t, "nats://"+user+"@"+node.Addr().String()) }
	before := tree(t, s.Dir)

	o := restoreOptions(t, name, s.Dir)
	o.Conn, o.Replicas = as("writer:w"), 1
	if _, err := backup.Restore(t.Context(), o); err == nil || !strings.Contains(err.Error(), "may not copy streams") {
		t.Errorf("err = %v, want that this user may not", err)
	}
	o.Conn = as("admin:a")
	closed := errors.New("another key-encryption key")
	o.Unseal = func(_ domain.Name, sealed map[string][]byte) error {
		if string(sealed["one"]) != "sealed" {
			t.Errorf("the sealed keys are %q", sealed)
		}
		return closed
	}
	if _, err := backup.Restore(t.Context(), o); !errors.Is(err, closed) {
		t.Errorf("err = %v, want %v", err, closed)
	}
	if _, found, err := o.Conn.StreamState(t.Context(), "KV_KEYS_default"); found || err != nil {
		t.Errorf("a bucket is made of keys that do not open: %v", err)
	}
	if !maps.Equal(tree(t, s.Dir), before) {
		t.Error("the data directory is not what it was")
	}

	o.Unseal, o.Try = nil, func(context.Context, string) error { return closed }
	if _, err := backup.Restore(t.Context(), o); !errors.Is(err, closed) {
		t.Errorf("err = %v, want %v", err, closed)
	}
	for file, text := range before {
		if b, err := os.ReadFile(file); filepath.Base(file) != "mode" && (err != nil || string(b) != text) {
			t.Errorf("%s is not what it was: %v", file, err)
		}
	}
	must(backup.Restore(t.Context(), restoreOptions(t, name, s.Dir)))(t)
	if got := len(records(t, serve(t, s.Dir), "ORG_default")); got != 3 {
		t.Errorf("%d commits are back, want 3", got)
	}
}
