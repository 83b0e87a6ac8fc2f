package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport.dev/e2e/program"
)

// marker stands on the line before a block of a page that is run as it stands.
const marker = "<!-- e2e -->"

// refused is what a page has the shell say behind a command that must fail; it
// closes nobody's terminal.
const refused = "refused, as it should be"

// TestDocs runs the marked blocks of the README, of each how-to and of a runbook in bash, in
// their order, in one shell, against a server of their own whose credentials
// are in dev.json of the working folder, as the pages say.
func TestDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	pages, err := filepath.Glob("../docs/howto-*.md")
	if err != nil || len(pages) < 6 {
		t.Fatalf("%d how-to pages (%v): one for each provider and one for a bare host are promised", len(pages), err)
	}
	pages = append(pages, "../README.md", "../docs/policies.md", "../docs/runbook-damaged-log.md")
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) { runPage(t, page) })
	}
}

var drafted = regexp.MustCompile(`connection draft ([a-z0-9-]+)`)

// Whoever tries one page after the other on one server meets no name that is
// taken: a connection's name is never given again.
func TestPagesDraftConnectionsOfTheirOwn(t *testing.T) {
	pages, err := filepath.Glob("../docs/howto-*.md")
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]string{}
	for _, page := range append(pages, "../README.md") {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range drafted.FindAllStringSubmatch(string(b), -1) {
			if other := first[m[1]]; other != "" {
				t.Errorf("%s and %s both draft %s", other, page, m[1])
			}
			first[m[1]] = page
		}
	}
	if len(first) < 7 { // one for each provider, and others
		t.Errorf("found %d connections on %d pages, so this test looks in the wrong place", len(first), len(pages))
	}
}

func runPage(t *testing.T, page string) {
	script, blocks := extract(t, page)
	if blocks == 0 {
		t.Fatalf("%s has no block marked %s before ```sh", page, marker)
	}
	s := program.Dev(t)
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "PATH="+program.Build(t)+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+s.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", page, err, out)
	}
	if want, got := strings.Count(script, refused), strings.Count(string(out), refused); got != want {
		t.Errorf("%s: %d commands were refused, %d should be\n%s", page, got, want, out)
	}
}

// extract is the marked blocks of a page as one script that says, when it
// fails, which line of the page it was at.
func extract(t *testing.T, page string) (script string, blocks int) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("trap 'echo \"failed in the block at line $block\" >&2' ERR\n")
	marked, in := false, false
	for n, line := range strings.Split(string(b), "\n") {
		switch {
		case in && line == "```":
			in = false
		case in:
			out.WriteString(line + "\n")
		case marked && line == "```sh":
			in, marked = true, false
			blocks++
			fmt.Fprintf(&out, "block=%d\n", n+1)
		case line == marker:
			marked = true
		case marked && strings.TrimSpace(line) != "":
			t.Fatalf("%s:%d: %s is not followed by ```sh", page, n+1, marker)
		}
	}
	if in || marked {
		t.Fatalf("%s ends in the middle of a block", page)
	}
	return out.String(), blocks
}
