// Package console has people use the console in a real browser, against a real
// server: each kind's main journey, every screen in light and dark looked at by
// axe, and what strangers write shown as text.
package console

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport.dev/e2e/program"
)

func TestMain(m *testing.M) { program.Main(m) }

// patience bounds the whole of the journeys.
const patience = 10 * time.Minute

// TestJourneys runs the files *.test.mjs, which say what is done and seen.
func TestJourneys(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real browser; go test without -short")
	}
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatal("the browser's driver is not installed; scripts/setup installs it")
	}
	s := program.Dev(t)
	world, err := json.Marshal(map[string]any{
		"base_url": s.BaseURL, "issuer": s.Issuer, "tokens": s.Tokens, "provider": s.Provider, "screenshots": screenshots(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no journeys: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".test.mjs"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "--test", "--test-reporter=spec", file)
			cmd.Env = append(os.Environ(), "SALLYPORT_CONSOLE="+string(world))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

// screenshots is where pictures of every screen go: bin is in no commit.
func screenshots(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../bin/screenshots")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
