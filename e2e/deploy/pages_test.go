package deploy_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport.dev/e2e/program"
)

// ours is a command of ours in a page: the program, what it is told, up to the
// end of the command.
var ours = regexp.MustCompile(`(?:^|[\s(/])(sallyportd|sallyport) ([a-z][^|;)]*)`)

// Whoever follows a runbook does so at night. Commands that need a broken
// machine are not run here, but each exists, and has the flags that it is given.
func TestThePagesGiveCommandsThatExist(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	var pages []string
	for _, pattern := range []string{"runbook-*.md", "deploy-*.md"} {
		found, err := filepath.Glob(filepath.Join(top, "docs", pattern))
		must(t, err)
		pages = append(pages, found...)
	}
	if len(pages) < 10 {
		t.Fatalf("found %d pages, so this test looks in the wrong place", len(pages))
	}
	seen, help := 0, map[string]string{}
	for _, page := range pages {
		text := read(t, filepath.Join("docs", filepath.Base(page)))
		for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
			line, _, _ = strings.Cut(line, " #")
			for _, m := range ours.FindAllStringSubmatch(strings.ReplaceAll(line, "`", ";"), -1) {
				if words := strings.Fields(m[2]); command(words[0]) {
					seen++
					checkCommand(t, help, filepath.Base(page), m[1], words)
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("found %d commands, so this test reads the pages wrongly", seen)
	}
}

// command tells whether a word behind the name of a program is a command of it,
// and not the next word of a sentence.
func command(word string) bool {
	switch word {
	case "serve", "token", "recover", "keys", "config", "doctor", "backup", "restore", "log", "nats", "connection", "audit", "wl", "version":
		return true
	}
	return false
}

func checkCommand(t *testing.T, help map[string]string, page, name string, words []string) {
	t.Helper()
	path := []string{words[0]}
	if text := helpOf(t, help, name, path); len(words) > 1 && strings.Contains(text, "Available Commands:") && !strings.HasPrefix(words[1], "-") {
		path = append(path, words[1])
	}
	text := helpOf(t, help, name, path)
	if !strings.Contains(text, "Usage:\n  "+name+" "+strings.Join(path, " ")) {
		t.Errorf("%s: there is no command %s %s", page, name, strings.Join(path, " "))
	}
	for _, w := range words[len(path):] {
		flag, _, _ := strings.Cut(w, "=")
		if strings.HasPrefix(flag, "--") && !strings.Contains(text, flag+" ") && !strings.Contains(text, flag+"\n") {
			t.Errorf("%s: %s %s has no flag %s", page, name, strings.Join(path, " "), flag)
		}
	}
}

func helpOf(t *testing.T, help map[string]string, name string, path []string) string {
	t.Helper()
	key := name + " " + strings.Join(path, " ")
	if help[key] == "" {
		out, err := exec.Command(filepath.Join(program.Build(t), name), append(path, "--help")...).CombinedOutput()
		if err != nil {
			t.Errorf("%s --help: %v\n%s", key, err, out)
		}
		help[key] = string(out)
	}
	return help[key]
}
