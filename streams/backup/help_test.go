package backup_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/backup"
	"sallyport.dev/streams/seal"
	"sallyport.dev/streams/streamstest"
)

// happened is the one type of event of these tests.
type happened struct {
	Created, Retired string `json:",omitempty"` // names of keys
}

func (happened) EventType() string { return "test.happened" }

type codec struct{}

func (codec) Encode(e domain.Event) (json.RawMessage, error) { return json.Marshal(e) }

func (codec) Decode(_ string, data json.RawMessage) (domain.Event, error) {
	var e happened
	return e, json.Unmarshal(data, &e)
}

const (
	org    = streamstest.Org
	issuer = streamstest.Source
	origin = "127.0.0.1/orgs/default"
)

var (
	meta = domain.Meta{Actor: domain.Actor{ID: "tess"}, Now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// site is a log with a bucket of keys and a sealer, as a server has them.
type site struct {
	*streamstest.Fixture
	after  uint64 // last control commit
	sealer *seal.Log
	fed    *streams.Follower
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{Fixture: streamstest.New(t, codec{})}
	s.keys(t)
	return s
}

func (s *site) keys(t testing.TB) *streams.Bucket {
	t.Helper()
	return must(s.Conn.Bucket(t.Context(), "KEYS_default"))(t)
}

func sealDir(dir string) string { return filepath.Join(dir, "seal", org.String()) }

func signer() crypto.Signer {
	seed := sha256.Sum256([]byte("the key of these tests"))
	return ed25519.NewKeyFromSeed(seed[:])
}

// commit records n events, each a commit.
func (s *site) commit(t testing.TB, n int) {
	t.Helper()
	for range n {
		s.record(t, happened{})
	}
}

func (s *site) record(t testing.TB, e happened) {
	t.Helper()
	p, err := s.Journal.Commit(t.Context(), s.after, meta, []domain.Fact{{Subject: "x", Event: e}, {Subject: "y", Event: e}})
	ok(t, err)
	s.after = p.Sequence
}

// seal begins to seal what is and will be committed.
func (s *site) seal(t testing.TB) {
	t.Helper()
	var err error
	s.sealer, err = seal.Open(seal.Options{Dir: sealDir(s.Dir), Origin: origin, Signer: signer(), Log: streamstest.Log(t), Every: 10})
	ok(t, err)
	s.fed, err = s.Journal.Follow(t.Context(), s.sealer)
	ok(t, err)
	t.Cleanup(func() { s.unseal(t) })
}

// unseal seals what is left and stops.
func (s *site) unseal(t testing.TB) {
	t.Helper()
	if s.sealer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), streamstest.Within)
	defer cancel()
	ok(t, s.fed.Wait(ctx, s.after))
	s.fed.Close()
	ok(t, s.sealer.Close())
	s.sealer = nil
}

func (s *site) options() backup.Options {
	return backup.Options{
		Sources: []backup.Source{{Name: org, Issuer: issuer, Conn: s.Conn, SealDir: sealDir(s.Dir)}},
		Version: "v0.0.1", Now: noon,
	}
}

// backup makes a backup file.
func (s *site) backup(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	ok(t, write(&b, t.Context(), s.options()))
	return file(t, b.Bytes())
}

func write(b *bytes.Buffer, ctx context.Context, o backup.Options) error {
	z, err := backup.Compress(b)
	if err != nil {
		return err
	}
	return errors.Join(backup.Write(ctx, z, o), z.Close())
}

func file(t testing.TB, b []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.backup")
	ok(t, os.WriteFile(name, b, 0o600))
	return name
}

func restoreOptions(t testing.TB, file, dir string) backup.RestoreOptions {
	return backup.RestoreOptions{File: file, Dir: dir, Wanted: []backup.Source{{Name: org, Issuer: issuer}}, Now: noon, Log: streamstest.Log(t)}
}

// records are all messages of a stream.
func records(t testing.TB, c *streams.Conn, stream string) (all []streams.Record) {
	t.Helper()
	s := must(c.Snapshot(t.Context(), stream))(t)
	defer s.Close()
	for r, err := range s.Records() {
		ok(t, err)
		all = append(all, r)
	}
	return all
}

func same(a, b []streams.Record) bool {
	return slices.EqualFunc(a, b, func(a, b streams.Record) bool {
		return a.Sequence == b.Sequence && a.Subject == b.Subject && a.Time.Equal(b.Time) && bytes.Equal(a.Header, b.Header) && bytes.Equal(a.Body, b.Body)
	})
}

// serve opens what is in a data directory.
func serve(t testing.TB, dir string) *streams.Conn {
	t.Helper()
	s := must(streams.StartServer(t.Context(), streams.ServerOptions{Dir: dir, Log: streamstest.Log(t)}))(t)
	t.Cleanup(s.Close)
	c := must(s.Connect())(t)
	t.Cleanup(c.Close)
	return c
}

// tree is a folder's files by name, with what is in them.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	ok(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "lock" {
			return err
		}
		b, err := os.ReadFile(p)
		all[p] = string(b)
		return err
	}))
	return all
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
