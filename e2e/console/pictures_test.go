package console

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sallyport.dev/e2e/program"
)

// maxPicture bounds a picture of the README, in bytes.
const maxPicture = 150 << 10

// TestPictures takes the pictures of the README into bin/pictures, of a server
// of its own; docs/console.md says how they get into it.
func TestPictures(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real browser; go test without -short")
	}
	dir, err := filepath.Abs("../../bin/pictures")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := program.Dev(t)
	world, err := json.Marshal(map[string]any{"base_url": s.BaseURL, "issuer": s.Issuer, "tokens": s.Tokens, "provider": s.Provider, "pictures": dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "pictures.mjs")
	cmd.Env = append(os.Environ(), "SALLYPORT_CONSOLE="+string(world))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"console-overview", "console-review", "console-denial", "console-approve-phone"} {
		info, err := os.Stat(filepath.Join(dir, name+".png"))
		if err != nil || info.Size() > maxPicture {
			t.Errorf("%s: %v, of at most %d bytes", name, info, maxPicture)
		}
	}
}
