// Package console has people use the console in a real browser, against real
// servers: each kind's main journey, every screen in light and dark looked at by
// axe, and what strangers write shown as text.
package console

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/e2e/program"
	"sallyport.dev/handlers/console"
)

func TestMain(m *testing.M) { program.Main(m) }

// patience bounds one file of journeys.
const patience = 10 * time.Minute

// TestJourneys runs the files *.test.mjs, which say what is done and seen, each
// against a server of its own.
func TestJourneys(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real browser; go test without -short")
	}
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatal("the browser's driver is not installed; scripts/setup installs it")
	}
	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no journeys: %v", err)
	}
	pictures, screens := screenshots(t), screens(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".test.mjs"), func(t *testing.T) {
			t.Parallel()
			s := program.Dev(t, "--listen", "localhost:0") // browsers have passkeys for names alone
			world, err := json.Marshal(map[string]any{
				"base_url": s.BaseURL, "issuer": s.Issuer, "tokens": s.Tokens, "provider": s.Provider,
				"programs": program.Build(t), "screens": screens, "screenshots": pictures,
			})
			if err != nil {
				t.Fatal(err)
			}
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

// screens is the address of every page that people open, such as
// /connections/:name, as the console itself serves them.
func screens(t *testing.T) (all []string) {
	t.Helper()
	c, err := console.New(console.Options{BaseURL: "http://localhost"})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	c.Mount(e)
	for _, r := range e.Routes() {
		path, below := strings.CutPrefix(r.Path, "/console/orgs/:org/")
		if r.Method == http.MethodGet && below && !strings.HasSuffix(r.Name, ".back-fm") { // what leads from an action to its screen
			all = append(all, "/"+path)
		}
	}
	if len(all) < 50 {
		t.Fatalf("the console serves %d screens, so this looks in the wrong place", len(all))
	}
	return all
}

// screenshots is where pictures of every screen go, those of this run alone: bin is
// in no commit.
func screenshots(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../bin/screenshots")
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
