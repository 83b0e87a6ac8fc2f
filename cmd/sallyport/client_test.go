package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

// run executes a command line with that environment and gives what it said.
func run(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	s := cli.IO{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: func(k string) string { return env[k] }}
	return cli.Run(t.Context(), root(s), s, args), out.String(), errs.String()
}

// server answers every request with that.
func server(t *testing.T, status int, header http.Header, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range header {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// someJWT looks like one: {"alg":"ES256"}, {}.
const someJWT = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"

func TestExitCodes(t *testing.T) {
	const problem = `{"type":"about:blank","title":"Nope","status":%d,"detail":"It is so.","code":"%s","request_id":"R1","errors":[{"pointer":"/name","code":"name.invalid","detail":"too long"}]}`
	for _, tt := range []struct {
		name   string
		status int
		body   string
		exit   int
		say    []string
	}{
		{"no token is a denial", 401, fmt.Sprintf(problem, 401, "api_token.unknown"), 3, []string{"It is so. (api_token.unknown)", "next: run `sallyport login`, or set SALLYPORT_TOKEN", "request id: R1"}},
		{"no role is a denial", 403, fmt.Sprintf(problem, 403, "role.missing"), 3, []string{"next: ask someone who has the role"}},
		{"a field is named", 422, fmt.Sprintf(problem, 422, "request.invalid"), 1, []string{"NAME: too long (name.invalid)", "next: correct"}},
		{"a stale version says what to do", 412, fmt.Sprintf(problem, 412, "version.stale"), 1, []string{"somebody changed it since you looked (version.stale)", "next: run `sallyport connection show NAME` and repeat"}},
		{"too often says how long to wait", 429, fmt.Sprintf(problem, 429, "rate.limited"), 1, []string{"next: wait 7 s"}},
		{"not now is unreachable", 503, fmt.Sprintf(problem, 503, "log.unavailable"), 5, []string{"next: try again in 7 s"}},
		{"an organisation that is not there is named", 404, fmt.Sprintf(problem, 404, "route.not_found"), 1, []string{"the organisation may not exist there: nothing answers at /orgs/default/v1/connections", "next: check --org or SALLYPORT_ORG"}},
		{"headers are told as flags", 422, `{"title":"t","detail":"d","code":"request.invalid","errors":[{"pointer":"","code":"position.ahead","detail":"Last-Event-ID is 9.0"}]}`, 1, []string{"  --after is 9.0 (position.ahead)"}},
		{"what to acknowledge is named", 422, `{"title":"t","detail":"d","code":"connection.blocked","errors":[{"pointer":"/acknowledge","code":"prefix.open","detail":"long"}]}`, 1, []string{"next: if that is meant, repeat and add --acknowledge prefix.open"}},
		{"another server is told as such", 404, "<html>", 1, []string{"404 Not Found", "next: check the name"}},
		{"a redirect is not followed", 302, "", 1, []string{"the server redirects"}},
		{"a gateway that finds nobody is unreachable", 502, "<html>", 5, []string{"next: try again"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := server(t, tt.status, http.Header{"Retry-After": {"7"}, "Location": {"https://elsewhere.example.com"}}, tt.body)
			code, out, errs := run(t, map[string]string{"SALLYPORT_ADDR": url, "SALLYPORT_TOKEN": "x"}, "connection", "list")
			if code != tt.exit || out != "" {
				t.Errorf("exit %d, stdout %q, want %d and nothing", code, out, tt.exit)
			}
			for _, want := range tt.say {
				if !strings.Contains(errs, want) {
					t.Errorf("stderr lacks %q:\n%s", want, errs)
				}
			}
		})
	}
}

func TestTokenDenialsExitWith3(t *testing.T) {
	url := server(t, 400, nil, `{"error":"invalid_request","error_description":"the proof has expired","error_code":"proof.expired","request_id":"R2"}`)
	code, out, errs := run(t, map[string]string{"SALLYPORT_ADDR": url, "J": someJWT}, "wl", "auth", "--connection", "c", "--jwt-env", "J")
	if code != cli.ExitDenied || out != "" || !strings.Contains(errs, "the proof has expired (proof.expired)") || !strings.Contains(errs, "R2") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

func TestARequestThatIsNotUnderstoodIsNoDenial(t *testing.T) {
	url := server(t, 400, nil, `{"error":"invalid_request","error_description":"role_hint is too long","error_code":"request.invalid","request_id":"R3"}`)
	code, _, errs := run(t, map[string]string{"SALLYPORT_ADDR": url, "J": someJWT}, "wl", "auth", "--connection", "c", "--jwt-env", "J")
	if code != cli.ExitFailed || !strings.Contains(errs, "next: correct") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

func TestAServerThatDoesNotAnswerIsUnreachable(t *testing.T) {
	hang := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(func() { close(hang); s.Close() })
	code, _, errs := run(t, map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "x"}, "--timeout", "50ms", "connection", "list")
	if code != cli.ExitUnreachable || !strings.Contains(errs, "no answer within 50ms") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

func TestATokenIsNotSentWhereItCouldBeRead(t *testing.T) {
	for addr, exit := range map[string]int{
		"http://sallyport.example.com": 2, "http://10.0.0.1": 2, "https://u:p@host": 2, "ftp://host": 2, "host:8420": 2, "": 2,
		"https://h/?x=1": 2, "http://127.0.0.1:1": 5, "http://[::1]:1": 5, "http://localhost:1": 5,
	} {
		code, _, errs := run(t, map[string]string{"SALLYPORT_TOKEN": "x"}, "--addr", addr, "connection", "list")
		if code != exit || strings.Contains(errs, "u:p") {
			t.Errorf("%q: exit %d, want %d: %s", addr, code, exit, errs)
		}
	}
}

func TestWorkloadsSendNoPersonsToken(t *testing.T) {
	var got http.Header
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		io.WriteString(w, `{"access_token":"t"}`)
	}))
	t.Cleanup(s.Close)
	env := map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "x", "J": someJWT}
	code, out, errs := run(t, env, "wl", "auth", "--connection", "c", "--jwt-env", "J")
	if code != 0 || out != "t\n" || errs != "" {
		t.Fatalf("exit %d, %q, %q", code, out, errs)
	}
	if a := got.Get("Authorization"); a != "" {
		t.Errorf("the exchange carried %q", a)
	}
}

func TestTestingNeverAsksForAnAudienceThatExists(t *testing.T) {
	var audiences []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		audiences = append(audiences, r.FormValue("audience"))
		w.WriteHeader(400)
		io.WriteString(w, `{"error":"invalid_target","error_code":"audience.not_allowed"}`)
	}))
	t.Cleanup(s.Close)
	env := map[string]string{"SALLYPORT_ADDR": s.URL, "J": someJWT}
	for range 2 {
		code, out, _ := run(t, env, "wl", "test", "--connection", "c", "--jwt-env", "J", "--audience", "real.example.com")
		if code != 0 || out != "connection.active\n" {
			t.Errorf("exit %d, %q", code, out)
		}
	}
	if len(audiences) != 2 || audiences[0] == audiences[1] || !strings.HasPrefix(audiences[0], "urn:sallyport:test:") {
		t.Errorf("asked for %q", audiences)
	}
}

func TestEscapesOfStrangersAreShown(t *testing.T) {
	url := server(t, 200, nil, `{"connections":[{"name":"a\u001b[2Jb\nc\u202e","version":1}]}`)
	_, out, _ := run(t, map[string]string{"SALLYPORT_ADDR": url, "SALLYPORT_TOKEN": "x"}, "connection", "list")
	if strings.ContainsAny(out, "\x1b\u202e") || !strings.Contains(out, `a\u001b[2Jb\u000ac\u202e`) {
		t.Errorf("got %q", out)
	}
}

func TestOutputFormats(t *testing.T) {
	url := server(t, 200, nil, `{"name":"c","version":12345678901234567890,"description":"<a & b>","conditions":[{"claim":"project_id","operator":"equals","value":"20"},{"claim":"on","operator":"equals","value":"yes"}],"audiences":[],"ok":true,"none":null}`)
	env := map[string]string{"SALLYPORT_ADDR": url, "SALLYPORT_TOKEN": "x"}
	_, out, _ := run(t, env, "connection", "show", "c", "-o", "json")
	if !strings.Contains(out, `"version": 12345678901234567890`) || !strings.Contains(out, "<a & b>") {
		t.Errorf("json: %s", out)
	}
	_, out, _ = run(t, env, "connection", "show", "c", "-o", "yaml")
	const want = `name: c
version: 12345678901234567890
description: <a & b>
conditions:
  - claim: project_id
    operator: equals
    value: "20"
  - claim: "on"
    operator: equals
    value: "yes"
audiences: []
ok: true
none: null
`
	if out != want {
		t.Errorf("yaml: got\n%s\nwant\n%s", out, want)
	}
	back, err := toJSON([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(back, &doc); err != nil || string(doc["version"]) != "12345678901234567890" {
		t.Errorf("read back: %s, %v", back, err)
	}
}

func TestParseCondition(t *testing.T) {
	for in, want := range map[string]string{
		"ref equals main":                    `{"claim":"ref","operator":"equals","value":"main"}`,
		"sub starts_with repo:acme/app:":     `{"claim":"sub","operator":"starts_with","value":"repo:acme/app:"}`,
		"workflow equals two  blanks":        `{"claim":"workflow","operator":"equals","value":"two  blanks"}`,
		"workflow equals two blanks ":        "",
		"workflow equals  two blanks":        "",
		`workflow equals "quoted"`:           "",
		`workflow starts_with 'quoted'`:      "",
		`workflow equals say "hi"`:           `{"claim":"workflow","operator":"equals","value":"say \"hi\""}`,
		"ref one_of main , release":          `{"claim":"ref","operator":"one_of","values":["main","release"]}`,
		`ref one_of "main","release"`:        "",
		"ref one_of main,,release":           "",
		`ref one_of [" main"]`:               `{"claim":"ref","operator":"one_of","values":[" main"]}`,
		"environment exists":                 `{"claim":"environment","operator":"exists"}`,
		"ref one_of main,release":            `{"claim":"ref","operator":"one_of","values":["main","release"]}`,
		`ref one_of ["a,b","c"]`:             `{"claim":"ref","operator":"one_of","values":["a,b","c"]}`,
		"aud includes https://s.example.com": `{"claim":"aud","operator":"includes","value":"https://s.example.com"}`,
		"ref":                                "",
		"ref equals":                         "",
		"ref equals ":                        "",
		"ref like main":                      "",
		" equals main":                       "",
		"ref exists main":                    "",
		"":                                   "",
	} {
		got, err := parseCondition(in)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q: got %v, want an error", in, got)
		case want != "" && (err != nil || string(text(got)) != want):
			t.Errorf("%q: got %s, %v, want %s", in, text(got), err, want)
		}
	}
}

func TestDurationsKeepTheirUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		15 * time.Minute: `{"amount":15,"unit":"minutes"}`,
		90 * time.Second: `{"amount":90,"unit":"seconds"}`,
		24 * time.Hour:   `{"amount":24,"unit":"hours"}`,
		90 * time.Minute: `{"amount":90,"unit":"minutes"}`,
		time.Second:      `{"amount":1,"unit":"seconds"}`,
	} {
		if got := string(durationText(d)); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

func TestFilesAreReadAsWritten(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1}`:                     `{"a":1}`,
		`{"emoji":"\ud83d\ude00"}`:    `{"emoji":"\ud83d\ude00"}`,
		"a: 2026-01-02\n":             `{"a":"2026-01-02"}`,
		"a: 0x10\nb: True\nc: ~\n":    `{"a":16,"b":true,"c":null}`,
		"a: 12345678901234567890\n":   `{"a":12345678901234567890}`,
		"a: \"20\"\nb: [1.50, text]":  `{"a":"20","b":[1.50,"text"]}`,
		"a: 1\na: 2\n":                "",
		"a: &x 1\nb: *x\n":            "",
		"<<: {a: 1}\n":                "",
		"":                            "",
		"a: [":                        "",
		"? [a]\n: b\n":                "",
		"%YAML 9.9\n---\na: !!set {}": "",
	} {
		got, err := toJSON([]byte(in))
		switch {
		case want == "" && err == nil:
			t.Errorf("%q: got %s, want an error", in, got)
		case want != "" && (err != nil || string(got) != want):
			t.Errorf("%q: got %s, %v, want %s", in, got, err, want)
		}
	}
}

func TestAnEditStartsFromThePendingVersion(t *testing.T) {
	var c connection
	err := json.Unmarshal([]byte(`{"name":"c","status":"active","version":3,"description":"old","jwks_url":"u","warnings":[],
		"pending":{"version":3,"difference":[],"description":"new","issuer_url":"i"}}`), &c)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(text(c.newest())); got != `{"description":"new","issuer_url":"i"}` {
		t.Errorf("got %s", got)
	}
	c.Pending = nil
	if got := string(text(c.newest())); got != `{"description":"old","jwks_url":"u","name":"c"}` {
		t.Errorf("got %s", got)
	}
}

func TestServerSentEvents(t *testing.T) {
	const stream = ": hello\n\nid: 1.0\ndata: {\"a\":1}\n\nretry: 5\nid: 2.0\ndata: one\ndata: two\n\ndata: cut off"
	var got []string
	err := follow(strings.NewReader(stream), func(id string, data []byte) error {
		got = append(got, id+" "+string(data))
		return nil
	})
	if want := []string{`1.0 {"a":1}`, "2.0 one\ntwo"}; err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestATailThatBreaksGoesOnWhereItWas(t *testing.T) {
	var resumed []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resumed = append(resumed, r.Header.Get("Last-Event-ID"))
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "id: %d.0\ndata: {\"type\":\"t\",\"summary\":\"event %d\"}\n\n", len(resumed), len(resumed))
	}))
	t.Cleanup(s.Close)
	code, out, _ := run(t, map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "x"}, "audit", "tail", "--after", "0.5", "--count", "2")
	if code != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(out, "event 2") {
		t.Errorf("exit %d, %q", code, out)
	}
	if fmt.Sprint(resumed) != "[0.5 1.0]" {
		t.Errorf("resumed after %v", resumed)
	}
}

func TestAnInterruptedTailEndsWell(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	io := cli.IO{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Getenv: func(k string) string {
		return map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "x"}[k]
	}}
	for _, args := range [][]string{{"audit", "tail", "--after", "1.0"}, {"audit", "tail"}} { // at the stream; before it
		if code := cli.Run(ctx, root(io), io, args); code != 0 {
			t.Errorf("exit %d", code)
		}
	}
}

func TestATailThatBreaksBeforeItsFirstEventLosesNone(t *testing.T) {
	var resumed []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/orgs/default/v1/audit" {
			io.WriteString(w, `{"events":[],"last_position":"7.1"}`)
			return
		}
		if resumed = append(resumed, r.Header.Get("Last-Event-ID")); len(resumed) == 2 {
			io.WriteString(w, "id: 8.0\ndata: {\"type\":\"t\",\"summary\":\"meanwhile\"}\n\n")
		}
	}))
	t.Cleanup(s.Close)
	code, out, _ := run(t, map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "x"}, "audit", "tail", "--count", "1")
	if code != 0 || !strings.Contains(out, "meanwhile") || fmt.Sprint(resumed) != "[7.1 7.1]" {
		t.Errorf("exit %d, %q, resumed after %v", code, out, resumed)
	}
}

// What the console takes for a time, the command line does, too.
func TestATimeIsWrittenAsInTheConsole(t *testing.T) {
	var asked url.Values
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		io.WriteString(w, `{"events":[],"next":"n","has_more":false,"last_position":"9.0"}`)
	}))
	t.Cleanup(s.Close)
	env := map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "x"}
	for since, ago := range map[string]time.Duration{"30m": 30 * time.Minute, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "1h30m": 90 * time.Minute} {
		earliest := time.Now().Add(-ago)
		code, _, _ := run(t, env, "audit", "list", "--since", since)
		at, err := time.Parse(time.RFC3339Nano, asked.Get("since"))
		if code != 0 || err != nil || at.Before(earliest) || at.After(time.Now().Add(-ago)) {
			t.Errorf("--since %s asks for %q, %v", since, asked.Get("since"), err)
		}
	}
	if run(t, env, "audit", "list", "--until", "2026-11-22"); asked.Get("until") != "2026-11-22T00:00:00Z" {
		t.Errorf("--until with a date asks for %q", asked.Get("until"))
	}
	for _, wrong := range []string{"yesterday", "-7d", "7w"} {
		if code, _, errs := run(t, env, "audit", "list", "--since="+wrong); code != 2 || !strings.Contains(errs, "30m, 24h, 7d") {
			t.Errorf("--since %s: exit %d, %q", wrong, code, errs)
		}
	}
}

func TestTheNewestEventsAreShownInTheOrderTheyHappened(t *testing.T) {
	var asked string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query().Encode()
		io.WriteString(w, `{"events":[{"time":"2026-11-22T13:00:01.5Z","position":"9.0","type":"t","summary":"second"},{"position":"8.0","summary":"first"}],"next":"n","has_more":true,"last_position":"9.0"}`)
	}))
	t.Cleanup(s.Close)
	env := map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "x"}
	_, out, errs := run(t, env, "audit", "list", "--since", "2026-11-22T12:00:00Z")
	const want = "TIME                  POSITION  TYPE  SUMMARY\n                      8.0             first\n2026-11-22 13:00:01Z  9.0       t     second\n"
	if out != want || asked != "limit=20&order=desc&since=2026-11-22T12%3A00%3A00Z" {
		t.Errorf("asked for %s, got\n%swant\n%s", asked, out, want)
	}
	if !strings.Contains(errs, "repeat with --after n --since 2026-11-22T12:00:00Z") {
		t.Errorf("got %q", errs)
	}
	_, out, _ = run(t, env, "audit", "list", "--order", "desc", "-o", "json")
	if strings.Index(out, "second") > strings.Index(out, "first") || !strings.Contains(out, `"last_position": "9.0"`) {
		t.Errorf("got %s", out)
	}
}

func TestWhatIsNoJWTIsNotSent(t *testing.T) {
	asked := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(s.Close)
	for value, says := range map[string]string{
		"a.b.c":                  "three parts",
		"eyJhbGciOiJFUzI1NiJ9":   "three parts",
		`{"token":"x"}`:          "it is JSON",
		"Bearer " + someJWT:      "leave out the word",
		`"` + someJWT + `"`:      "leave out the quotes",
		someJWT + ".four.five":   "three parts",
		"sallyport_abcdefghijkl": "SALLYPORT_TOKEN",
	} {
		for _, sub := range []string{"auth", "test"} {
			code, _, errs := run(t, map[string]string{"SALLYPORT_ADDR": s.URL, "J": value}, "wl", sub, "--connection", "c", "--jwt-env", "J")
			if code != cli.ExitUsage || !strings.Contains(errs, "the environment variable J gave no JWT") || !strings.Contains(errs, says) || strings.Contains(errs, value) {
				t.Errorf("%s %s: exit %d: %s", sub, value, code, errs)
			}
		}
	}
	if code, _, errs := run(t, map[string]string{"SALLYPORT_ADDR": s.URL, "J": someJWT}, "wl", "auth", "--connection", "c", "--jwt-env", "J", "--out", t.TempDir()+"/none/token"); code != cli.ExitFailed || !strings.Contains(errs, "no token was asked for") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if asked {
		t.Error("the server was asked")
	}
}

func TestMistakenAddressesAreTold(t *testing.T) {
	plain := server(t, 200, nil, "{}")
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for addr, says := range map[string]string{
		"127.0.0.1:8420":                                "add https:// in front of it, or http:// (this machine only)",
		"sallyport.example.com":                         "add https://",
		"https://h/orgs/acme":                           "leave out /orgs/",
		strings.Replace(plain, "http", "https", 1):      "it speaks http://, not https://",
		strings.Replace(secure.URL, "https", "http", 1): "give its address with https://",
		secure.URL: "name an authority of your own in SSL_CERT_FILE",
	} {
		if _, _, errs := run(t, map[string]string{"SALLYPORT_ADDR": addr, "SALLYPORT_TOKEN": "x"}, "connection", "list"); !strings.Contains(errs, says) {
			t.Errorf("%s: %s", addr, errs)
		}
	}
}

func TestPointersAreToldAsFlags(t *testing.T) {
	for pointer, want := range map[string]string{
		"/settings/domain": "--setting domain", "/jwks_url": "--jwks-url", "/conditions/1/value": "--condition, the 2nd of those sent",
		"/colour": "/colour", "": "", "/token_ttl/unit": "--ttl",
	} {
		if got := inFlags(pointer); got != want {
			t.Errorf("%s: got %q, want %q", pointer, got, want)
		}
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s: no example or no description", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root(cli.Std()))
}

func TestNoCodeOfAccessLeadsToAConnection(t *testing.T) {
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| (\\d{3}) \\| (`.*?`) \\|").FindAllStringSubmatch(string(page), -1)
	if len(rows) < 50 {
		t.Fatalf("%d rows are read", len(rows))
	}
	for _, row := range rows {
		status, _ := strconv.Atoi(row[1])
		for code := range strings.SplitSeq(strings.ReplaceAll(row[2], "`", ""), ", ") {
			for _, path := range []string{"/orgs/default/v1/ssh/ca/rotate", "/orgs/default/v1/access/grants", "/orgs/default/v1/secrets/versions"} {
				res := &http.Response{StatusCode: status, Request: httptest.NewRequest("POST", path, nil)}
				e := failure(res, []byte(`{"title":"t","code":"`+code+`"}`))
				if strings.Contains(e.Next, "sallyport connection") && !strings.HasPrefix(code, "connection.") && code != "version.stale" {
					t.Errorf("%s at %s: next: %s", code, path, e.Next)
				}
			}
		}
	}
}
