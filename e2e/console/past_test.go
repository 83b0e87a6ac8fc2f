package console

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/streams"
)

// withPast are the files of journeys whose server goes on with what one left that
// began an hour ago: keys are rotated only once servers had time to hear of the next.
var withPast = map[string]bool{"proofs.test.mjs": true}

// past makes what a server leaves that began an hour ago at a port of this machine,
// by TLS: the folder has its data, and kek.json that seals the keys in it.
func past(t *testing.T, port int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	kek, err := jose.NewKEK()
	ok(t, err)
	sealer, err := jose.ParseKEK(kek)
	ok(t, err)
	data := filepath.Join(dir, "data")
	ok(t, errors.Join(os.MkdirAll(filepath.Join(data, "trail"), 0o700), os.WriteFile(filepath.Join(dir, "kek.json"), kek, 0o600)))
	log := slog.New(slog.DiscardHandler)
	server, err := streams.StartServer(t.Context(), streams.ServerOptions{Dir: data, Log: log})
	ok(t, err)
	defer server.Close()
	conn, err := server.Connect()
	ok(t, err)
	defer conn.Close()
	o, err := organisation.Open(t.Context(), organisation.Options{
		Name: "default", BaseURL: fmt.Sprintf("https://localhost:%d", port), Conn: conn, Sealer: sealer, Log: log,
		TrailPath: filepath.Join(data, "trail", "default.sqlite"), SealDir: filepath.Join(data, "seal", "default"),
		Now: func() time.Time { return time.Now().Add(-time.Hour) },
	})
	ok(t, err)
	o.Close()
	return dir
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
