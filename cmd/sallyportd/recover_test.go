package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain/identity"
)

// oneLink is a link as it stands alone in its line.
var oneLink = regexp.MustCompile(`(?m)^ *(http://localhost:\d+/console/orgs/[a-z]+/enrol(?:\?person=dana)?)#(sallyport_[\w-]{43})$`)

// named is a server whose base URL has a name, as passkeys need it.
func named(t *testing.T, more string) *served {
	t.Helper()
	s := serveFile(t, more)
	b, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), "base_url: http://127.0.0.1", "base_url: http://localhost", 1)
	text = strings.Replace(text, "log: {level: error}", "log: {level: debug, format: text}", 1)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// says serves until what it prints on stdout has the text, and then stops. It
// returns all that was printed, and what was logged.
func (s *served) says(t *testing.T, text string, meanwhile func()) (out, log string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var printed, logged lines
	ended := make(chan int, 1)
	go func() {
		io := cli.IO{Out: &printed, Err: &logged, Getenv: func(string) string { return "" }, Environ: func() []string { return nil }}
		ended <- cli.Run(ctx, root(io), io, []string{"serve", "--config", s.config})
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(printed.String(), text); {
		select {
		case code := <-ended:
			t.Fatalf("the server ended with %d:\n%s", code, &logged)
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q was not printed, but:\n%s\n%s", text, &printed, &logged)
		}
	}
	if meanwhile != nil {
		meanwhile()
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("the server ended with %d:\n%s", code, &logged)
	}
	return printed.String(), logged.String()
}

// recover runs the command, and returns the link, in two at its secret.
func (s *served) recover(t *testing.T, args ...string) (page, secret string) {
	t.Helper()
	out, errs, code := command(t, t.Context(), nil, append([]string{"recover", "--config", s.config, "--person", "dana"}, args...)...)
	found := oneLink.FindStringSubmatch(out)
	if code != 0 || found == nil || strings.TrimSpace(out) != found[0] || strings.Contains(errs, found[2]) || !strings.Contains(errs, "dana") {
		t.Fatalf("recover ended with %d:\n%s\n%s", code, out, errs)
	}
	return found[1], found[2]
}

func TestAFirstStartPrintsOneLink(t *testing.T) {
	s := named(t, "organisations: [acme, beta]\n")
	out, log := s.says(t, "beta --person NAME\n", nil)
	links := oneLink.FindAllStringSubmatch(out, -1)
	if len(links) != 2 || !strings.HasSuffix(links[0][1], "/acme/enrol") || !strings.HasSuffix(links[1][1], "/beta/enrol") || links[0][2] == links[1][2] {
		t.Fatalf("printed was:\n%s", out)
	}
	for _, l := range links {
		if strings.Contains(log, l[2]) {
			t.Errorf("the log has the secret:\n%s", log)
		}
	}
	again, _ := s.says(t, "beta --person NAME\n", nil)
	if oneLink.MatchString(again) || strings.Count(again, "was printed before") != 2 {
		t.Errorf("a second start printed:\n%s", again)
	}
	if _, errs, code := command(t, t.Context(), nil, "token", "create", "--config", s.config, "--org", "acme", "--person", "olga", "--role", "owner"); code != 0 {
		t.Fatalf("making an owner: %s", errs)
	}
	if owned, _ := s.says(t, "beta --person NAME\n", nil); strings.Contains(owned, "acme") {
		t.Errorf("with an owner it printed:\n%s", owned)
	}
}

func TestRecoverPrintsALinkWhetherTheServerRunsOrNot(t *testing.T) {
	s := named(t, "")
	page, before := s.recover(t)
	var during, after string
	out, log := s.says(t, "was printed before", func() {
		_, during = s.recover(t)
		res, err := http.Get(page)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK || !strings.HasSuffix(page, "?person=dana") {
			t.Errorf("%s answers %d", page, res.StatusCode)
		}
		out, _, code := command(t, t.Context(), nil, "recover", "--config", s.config, "--person", "dana", "-o", "json")
		var r recovery
		if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || r.Person != "dana" || r.ID == "" {
			t.Fatalf("%v, %d: %s", err, code, out)
		}
		if left := time.Until(r.ExpiresAt); left <= 0 || left > identity.EnrolmentLife {
			t.Errorf("it is good for %s", left)
		}
		_, after, _ = strings.Cut(r.Link, "#")
	})
	for i, secret := range []string{before, during, after} {
		if secret == "" || strings.Contains(log, secret) || strings.Contains(out, secret) {
			t.Errorf("the server tells the secret %d: %s\n%s", i, out, log)
		}
	}
	if before == during || during == after {
		t.Error("two links have one secret")
	}
}

func TestRecoverSaysWhatIsWrong(t *testing.T) {
	s, address := named(t, ""), serveFile(t, "")
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nobody", []string{"--config", s.config}, cli.ExitUsage, "--person is missing"},
		{"no name", []string{"--config", s.config, "--person", "Dana"}, cli.ExitUsage, `--person "Dana"`},
		{"two people", []string{"--config", s.config, "--person", "dana", "--person", "sam"}, cli.ExitUsage, "given twice"},
		{"a word of the audit trail", []string{"--config", s.config, "--person", "system"}, cli.ExitFailed, "person.reserved"},
		{"an organisation that is not there", []string{"--config", s.config, "--person", "dana", "--org", "other"}, cli.ExitFailed, "organisation.not_found"},
		{"an address", []string{"--config", address.config, "--person", "dana"}, cli.ExitFailed, "sallyportd token create --config " + address.config + " --person dana --role owner"},
	} {
		out, errs, code := command(t, t.Context(), nil, append([]string{"recover"}, tt.args...)...)
		if code != tt.code || !strings.Contains(errs, tt.want) || out != "" {
			t.Errorf("%s: ended with %d: %s%s", tt.name, code, out, errs)
		}
	}
}

func TestWhereBrowsersHaveNoPasskeysAStartSaysHowToMakeAnOwner(t *testing.T) {
	s := serveFile(t, "")
	out, _ := s.says(t, "\n", nil)
	if want := "sallyportd token create --config " + s.config + " --person NAME --role owner\n"; !strings.HasSuffix(out, want) || strings.Contains(out, "#") {
		t.Errorf("printed was:\n%s", out)
	}
}
