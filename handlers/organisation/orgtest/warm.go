package orgtest

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"sallyport.dev/handlers/organisation"
	"sallyport.dev/streams"
)

// Warm is [New] for tests that look at no keys: the organisation is made once for
// all tests of a binary, and each opens a copy of it. Making one is mostly making an
// RSA key, which takes longer than such a test. Worlds that are warm have the same keys.
func Warm(t testing.TB) *World {
	t.Helper()
	made, err := template()
	if err != nil {
		t.Fatalf("making the organisation that is copied: %v", err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, made); err != nil {
		t.Fatalf("copying the organisation: %v", err)
	}
	return newIn(t, filepath.Join(dir, logDir), filepath.Join(dir, dataDir))
}

// What a template has: the log, and what is folded from it.
const logDir, dataDir = "log", "data"

// template is the files of an organisation that was made and closed.
var template = sync.OnceValues(func() (files fstest.MapFS, err error) {
	dir, err := os.MkdirTemp("", "orgtest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := makeIn(dir); err != nil {
		return nil, err
	}
	files = fstest.MapFS{}
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = &fstest.MapFile{Data: content}
		return err
	})
	return files, err
})

func makeIn(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	server, err := streams.StartServer(ctx, streams.ServerOptions{Dir: filepath.Join(dir, logDir), Log: Quiet()})
	if err != nil {
		return err
	}
	defer server.Close()
	conn, err := server.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	data := filepath.Join(dir, dataDir)
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	opt, err := options(conn, data)
	if err != nil {
		return err
	}
	o, err := organisation.Open(ctx, opt)
	if err != nil {
		return err
	}
	o.Close()
	return nil
}
