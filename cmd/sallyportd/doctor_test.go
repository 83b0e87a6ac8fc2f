package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
	"sallyport.dev/e2e/ports"
	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/streams"
)

// command runs sallyportd as typed, and returns what it printed and its exit code.
func command(t *testing.T, ctx context.Context, environ []string, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	s := cli.IO{Out: &o, Err: &e, Getenv: func(name string) string { return lookup(environ, name) }, Environ: func() []string { return environ }}
	code = cli.Run(ctx, root(s), s, args)
	return o.String(), e.String(), code
}

// production's server of a configuration file, in this process.
type served struct {
	config, url string
	data        string
	stop        func()
}

func serveFile(t *testing.T, more string) *served {
	t.Helper()
	addr := ports.Address(t)
	dir := t.TempDir()
	kek, err := jose.NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	s := &served{config: filepath.Join(dir, "config.yaml"), url: "http://" + addr, data: filepath.Join(dir, "data")}
	for path, b := range map[string][]byte{filepath.Join(dir, "kek.json"): kek, s.config: fmt.Appendf(nil,
		"listen: %s\nbase_url: %s\ndata_dir: %s\nkey_encryption_key_file: %s\nshutdown: {wait: 0s}\nlog: {level: error}\n%s", addr, s.url, s.data, filepath.Join(dir, "kek.json"), more)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// start serves until the test ends or stops it.
func (s *served) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, errs, code := command(t, ctx, nil, "serve", "--config", s.config); code != 0 {
			t.Errorf("serve ended with %d: %s", code, errs)
		}
	}()
	s.stop = func() { cancel(); <-ended }
	t.Cleanup(s.stop)
	for deadline := time.Now().Add(time.Minute); ; {
		res, err := (&http.Client{}).Get(s.url + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server is not ready: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// diagnosis runs the doctor and returns its findings by check.
func (s *served) diagnosis(t *testing.T, args ...string) (found map[string]host.Finding, code int) {
	t.Helper()
	out, errs, code := command(t, t.Context(), nil, append([]string{"doctor", "--config", s.config, "-o", "json"}, args...)...)
	var doc struct {
		OK     bool           `json:"ok"`
		Checks []host.Finding `json:"checks"`
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	if doc.OK != (code == 0) {
		t.Errorf("ok is %t and the exit code %d", doc.OK, code)
	}
	found = map[string]host.Finding{}
	for _, f := range doc.Checks {
		if !slices.Contains([]string{"ok", "warn", "fail", "unknown"}, f.Result) || f.Detail == "" || f.Result == host.FoundFail && f.Next == "" {
			t.Errorf("%s: no result, no detail, or nothing to do: %+v", f.Check, f)
		}
		found[f.Check] = f
	}
	return found, code
}

func TestDoctorBesideAServerAndWithoutOne(t *testing.T) {
	s := serveFile(t, "")
	found, _ := s.diagnosis(t) // before the first start
	if f := found["server"]; f.Result != host.FoundUnknown {
		t.Errorf("before the first start: %+v", f)
	}
	if _, err := os.Stat(s.data); err == nil {
		t.Error("the doctor made the data directory")
	}
	s.start(t)
	// What depends on the machine (clock, disk) is not looked at here.
	healthy := []string{"configuration", "server", "nats", "certificate", "log/default", "fold/default", "trail/default", "keys/default", "sealer/default",
		"stream/default", "clock of the log/default", "signing keys/default", "sessions/default", "key sources/default"}
	found, _ = s.diagnosis(t)
	for _, name := range append(healthy, "base_url") {
		if found[name].Result != host.FoundOK {
			t.Errorf("beside a server that is well, %s is %+v", name, found[name])
		}
	}
	for _, name := range []string{"clock", "disk", "sync"} {
		if found[name].Detail == "" {
			t.Errorf("nothing is said of %s", name)
		}
	}

	unreachable(t, s)
	found, code := s.diagnosis(t)
	if f := found["key source/default/far"]; f.Result != host.FoundFail || code != cli.ExitFailed {
		t.Errorf("a provider that cannot be reached: %+v, exit code %d", f, code)
	}
	s.stop()
	found, _ = s.diagnosis(t)
	if f := found["server"]; f.Result != host.FoundWarn {
		t.Errorf("without a server: %+v", f)
	}
	for _, name := range healthy {
		if name != "server" && found[name].Result != host.FoundOK {
			t.Errorf("without a server, %s is %+v", name, found[name])
		}
	}
	if out, _, _ := command(t, t.Context(), nil, "doctor", "--config", s.config); !strings.HasPrefix(out, "CHECK") || !strings.Contains(out, "key source/default/far") {
		t.Errorf("the table is\n%s", out)
	}
}

// unreachable makes a connection whose provider nobody reaches.
func unreachable(t *testing.T, s *served) {
	t.Helper()
	client, err := host.Dial(t.Context(), s.data)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ask := func(person string, role domain.Role, path, version, body string, want int) {
		made, err := client.CreateToken(t.Context(), "default", host.TokenRequest{Person: person, Role: role, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		r := &running{url: s.url}
		a := r.send(t, "POST", "/orgs/default/v1"+path, body, "Authorization", "Bearer "+made.Token, "Content-Type", "application/json", "If-Match", version)
		if a.StatusCode != want {
			t.Fatalf("%s: %d %s", path, a.StatusCode, a.raw)
		}
	}
	ask("dana", domain.DevOpsAdmin, "/connections", "", `{"name":"far","provider":"generic_jwt","jwks_url":"https://keys.invalid/jwks","conditions":[
		{"claim":"iss","operator":"equals","value":"https://keys.invalid"},{"claim":"aud","operator":"equals","value":"`+s.url+`/orgs/default"},
		{"claim":"sub","operator":"equals","value":"job"}]}`, 201)
	ask("sara", domain.SecurityAdmin, "/connections/far/activate", `"1"`, "{}", 200)
}

func TestDoctorTellsWhatIsWrongWithTheConfiguration(t *testing.T) {
	s := serveFile(t, "colour: red\n")
	found, code := s.diagnosis(t)
	if f := found["configuration"]; f.Result != host.FoundFail || !strings.Contains(f.Detail, "colour is no setting") || code != cli.ExitFailed {
		t.Errorf("got %+v, exit code %d", f, code)
	}
}

func TestDoctorTellsOfACertificateThatRunsOut(t *testing.T) {
	cert, key, _ := selfSigned(t) // good for an hour, for 127.0.0.1
	s := serveFile(t, fmt.Sprintf("tls: {cert_file: %s, key_file: %s}\n", cert, key))
	found, _ := s.diagnosis(t)
	if f := found["certificate"]; f.Result != host.FoundWarn || !strings.Contains(f.Detail, "expires in 0 hours") {
		t.Errorf("got %+v", f)
	}
}

func TestDoctorTellsOfAClusterWhatItCanSee(t *testing.T) {
	nats, err := streams.StartServer(t.Context(), streams.ServerOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	s := serveFile(t, fmt.Sprintf("nats: {url: %q, replicas: 1, allow_few_replicas: true}\n", nats.ClientURL()))
	answer := `{"config":{"sync_always":true}}`
	monitor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/jsz" || r.URL.Query().Get("config") != "1" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(monitor.Close)
	if found, _ := s.diagnosis(t); found["nats"].Result != host.FoundOK || found["nats sync"].Result != host.FoundUnknown {
		t.Errorf("without a monitor: %+v, %+v", found["nats"], found["nats sync"])
	}
	for text, want := range map[string]string{answer: host.FoundOK, `{"config":{"sync_interval":120000000000}}`: host.FoundFail, `{}`: host.FoundUnknown, `<`: host.FoundUnknown} {
		answer = text
		if found, _ := s.diagnosis(t, "--nats-monitor", monitor.URL); found["nats sync"].Result != want {
			t.Errorf("%s: got %+v, want %s", text, found["nats sync"], want)
		}
	}
	nats.Close()
	if found, code := s.diagnosis(t); found["nats"].Result != host.FoundFail || code != cli.ExitFailed || strings.Contains(fmt.Sprint(found), "sallyport:") {
		t.Errorf("without the cluster: %+v", found["nats"])
	}
}
