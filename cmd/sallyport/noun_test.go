package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/cmd/internal/cli"
)

// shelf is a server that keeps groups and notes what it is asked.
type shelf struct {
	t       *testing.T
	url     string
	version map[string]string // of each group
	asked   []string          // method, path, If-Match, body
}

func newShelf(t *testing.T, version map[string]string) *shelf {
	s := &shelf{t: t, version: version}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/orgs/default/v1")
	s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+path+" "+r.Header.Get("If-Match")+" "+string(body)))
	name := strings.TrimPrefix(path, "/groups/")
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		io.WriteString(w, `{"title":"t","detail":"d","code":"`+code+`","errors":[{"pointer":"/roles/0","code":"role.unknown","detail":"no such role"}]}`)
	}
	switch v := s.version[name]; {
	case r.Method == "POST" && strings.Contains(string(body), "bad"):
		refuse(422, "request.invalid")
	case r.Method == "POST" && path == "/groups":
		w.WriteHeader(201)
		w.Write(body)
	case path == "/groups":
		io.WriteString(w, `{"groups":[{"name":"a","members":2,"roles":["auditor","owner"],"named":true,"version":3,"updated_at":"2026-11-22T12:00:00Z","updated_by":"owner"}]}`)
	case v == "":
		refuse(404, "group.not_found")
	case r.Method == "PUT" && r.Header.Get("If-Match") != v:
		refuse(412, "version.stale")
	case r.Method == "PUT" && !bytes.Contains(body, []byte(`"same"`)):
		w.Header().Set("ETag", `"8"`)
	default:
		w.Header().Set("ETag", v)
		io.WriteString(w, `{"name":"`+name+`","roles":[],"version":`+strings.Trim(v, `"`)+`}`)
	}
}

// run runs a command line, with that on stdin.
func (s *shelf) run(stdin string, args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	s.asked = nil
	var out, errs bytes.Buffer
	env := map[string]string{"SALLYPORT_ADDR": s.url, "SALLYPORT_TOKEN": "x"}
	std := cli.IO{In: strings.NewReader(stdin), Out: &out, Err: &errs, Getenv: func(k string) string { return env[k] }}
	return cli.Run(s.t.Context(), root(std), std, args), out.String(), errs.String()
}

func TestPutCreatesOrReplacesWhatWasRead(t *testing.T) {
	s := newShelf(t, map[string]string{"old": `"7"`})
	for _, tt := range []struct {
		name, stdin string
		exit        int
		asked       []string
		say         string
	}{
		{"what is not there is created", `{"name":"new"}`, 0, []string{"GET /groups/new", `POST /groups  {"name":"new"}`}, "Created group new."},
		{"what is there is replaced at the version that was read", "name: old\n", 0, []string{"GET /groups/old", `PUT /groups/old "7" {"name":"old"}`}, "Changed group old, now version 8."},
		{"a file says which version it was made from", `{"name":"old","version":6}`, 1, []string{"GET /groups/old", `PUT /groups/old "6" {"name":"old","version":6}`}, "next: run `sallyport group show old` and repeat"},
		{"what says so already is not changed", `{"name":"old","description":"same"}`, 0, []string{"GET /groups/old", `PUT /groups/old "7" {"description":"same","name":"old"}`}, "Nothing was changed: group old says so already."},
		{"a list", "- name: new\n- name: old\n", 0, []string{"GET /groups/new", `POST /groups  {"name":"new"}`, "GET /groups/old", `PUT /groups/old "7" {"name":"old"}`}, "Changed group old"},
		{"what list -o json prints", `{"groups":[{"name":"new"}]}`, 0, []string{"GET /groups/new", `POST /groups  {"name":"new"}`}, "Created group new."},
		{"an empty list", `[]`, 0, nil, ""},
		{"the first that is refused ends it, by name", `[{"name":"bad"},{"name":"old"}]`, 1, []string{"GET /groups/bad", `POST /groups  {"name":"bad"}`}, "bad: d (request.invalid)"},
		{"what is wrong is pointed at in the file", `{"name":"bad"}`, 1, []string{"GET /groups/bad", `POST /groups  {"name":"bad"}`}, "/roles/0: no such role"},
		{"a document has a name", `{"description":"x"}`, 1, nil, "the 1st document in - has no name"},
		{"each of them", `[{"name":"new"},{"description":"x"}]`, 1, nil, "the 2nd document in - has no name"},
		{"a name is text", `{"name":1}`, 1, nil, "has no name"},
		{"text is no document", `hello`, 1, nil, "has no name"},
		{"nothing is none", ``, 1, nil, "neither JSON nor YAML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := s.run(tt.stdin, "group", "put", "-f", "-")
			if code != tt.exit || out != "" || !strings.Contains(errs, tt.say) && tt.asked != nil {
				t.Errorf("exit %d, %q, %q, want %q", code, out, errs, tt.say)
			}
			if tt.asked != nil && !slices.Equal(s.asked, tt.asked) {
				t.Errorf("asked %q\nwant  %q", s.asked, tt.asked)
			}
		})
	}
	if code, out, _ := s.run(`{"name":"new"}`, "group", "put", "-f", "-", "-o", "yaml"); code != 0 || out != "name: new\n" {
		t.Errorf("as YAML: exit %d, %q", code, out)
	}
	if code, out, _ := s.run(`[{"name":"new"},{"name":"newer"}]`, "group", "put", "-f", "-", "-o", "yaml"); code != 0 || out != "- name: new\n- name: newer\n" {
		t.Errorf("as YAML: exit %d, %q", code, out)
	}
	if code, _, errs := s.run("", "group", "put"); code != 2 || !strings.Contains(errs, "give -f") {
		t.Errorf("without a file: exit %d, %q", code, errs)
	}
}

func TestANounIsListedShownAndDeleted(t *testing.T) {
	s := newShelf(t, map[string]string{"old": `"7"`})
	code, out, _ := s.run("", "group", "list")
	if want := "NAME  MEMBERS  ROLES          NAMED  VERSION  UPDATED               BY\na     2        auditor owner  yes    3        2026-11-22 12:00:00Z  owner\n"; code != 0 || out != want {
		t.Errorf("exit %d, got\n%swant\n%s", code, out, want)
	}
	if code, out, _ := s.run("", "groups", "show", "old"); code != 0 || out != "name: old\nroles: []\nversion: 7\n" {
		t.Errorf("exit %d, %q", code, out)
	}
	if code, out, _ := s.run("", "group", "show", "old", "-o", "json"); code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("exit %d, %q", code, out)
	}
	if code, _, errs := s.run("", "group", "show", "none"); code != 1 || !strings.Contains(errs, "sallyport group list") {
		t.Errorf("exit %d, %q", code, errs)
	}
	if code, _, errs := s.run("", "group", "delete", "old"); code != 0 || !strings.Contains(errs, "Deleted group old.") ||
		s.asked[0] != "GET /groups/old" || s.asked[len(s.asked)-1] != `DELETE /groups/old "7"` {
		t.Errorf("exit %d, %q, asked %q", code, errs, s.asked)
	}
}

func TestAMembershipEndsWhenItIsSaidTo(t *testing.T) {
	s := newShelf(t, nil)
	for _, args := range [][]string{{"--for", "8h", "--until", "2026-11-22T12:00:00Z"}, {"--for", "-1h"}} {
		if code, _, _ := s.run("", append([]string{"group", "add", "old", "carol"}, args...)...); code != 2 || len(s.asked) > 0 {
			t.Errorf("%v: exit %d, asked %q", args, code, s.asked)
		}
	}
	code, _, errs := s.run("", "group", "add", "old", "carol", "--until", "2026-12-24T18:00:00+01:00")
	if want := []string{`POST /groups/old/members  {"person":"carol","until":"2026-12-24T18:00:00+01:00"}`}; code != 1 || !slices.Equal(s.asked, want) {
		t.Errorf("exit %d, %q, asked %q", code, errs, s.asked)
	}
}

func TestTooManyDocumentsAreRefusedBeforeTheFirst(t *testing.T) {
	s := newShelf(t, nil)
	file := filepath.Join(t.TempDir(), "many.json")
	if err := os.WriteFile(file, []byte("["+strings.Repeat(`{"name":"a"},`, 1000)+`{"name":"a"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := s.run("", "group", "put", "-f", file); code != 1 || len(s.asked) > 0 || !strings.Contains(errs, "more than 1000") {
		t.Errorf("exit %d, %q, asked %q", code, errs, s.asked)
	}
}

func TestWhatIsNoNameIsNotAsked(t *testing.T) {
	s := newShelf(t, map[string]string{"a": `"7"`})
	for _, bad := range []string{"a b", "a/b", "a?b", "größe", "../a", "A", ""} {
		for _, args := range [][]string{{"group", "show", bad}, {"group", "delete", bad}, {"group", "members", bad}, {"group", "add", "a", bad},
			{"server", "show", bad}, {"server", "password", "a", bad, "--destroy", "1"}, {"policy", "publish", bad}, {"connection", "show", bad}} {
			if code, _, stderr := s.run("", args...); code != 2 || !strings.Contains(stderr, "1 to 63 characters") || len(s.asked) != 0 {
				t.Errorf("%q: exit code %d, %s, asked %q", args, code, stderr, s.asked)
			}
		}
		if bad == "" {
			continue
		}
		code, _, stderr := s.run(`[{"name":"fresh"},{"name":"`+bad+`"}]`, "group", "put", "-f", "-")
		if code != 1 || !strings.Contains(stderr, "/name: a name is 1 to 63 characters") || !strings.Contains(stderr, "(name.invalid)") || len(s.asked) != 0 {
			t.Errorf("put %q: exit code %d, %s, asked %q", bad, code, stderr, s.asked)
		}
	}
	if code, _, stderr := s.run("", "request", "show", "../x"); code != 2 || len(s.asked) != 0 {
		t.Errorf("exit code %d, %s, asked %q", code, stderr, s.asked)
	}
}

func TestWhoMayNotEvenReadIsToldWhoWrites(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(403)
		detail := "security_admin writes"
		if r.Method == "GET" {
			detail = "auditor reads"
		}
		io.WriteString(w, `{"title":"t","detail":"`+detail+`","code":"role.missing"}`)
	}))
	t.Cleanup(srv.Close)
	s := &shelf{t: t, url: srv.URL}
	for _, args := range [][]string{{"policy", "put", "-f", "-"}, {"policy", "delete", "a"}, {"policy", "publish", "a"}} {
		if code, _, stderr := s.run(`{"name":"a"}`, args...); code != 3 || !strings.Contains(stderr, "security_admin writes") {
			t.Errorf("%q: exit code %d, %s", args, code, stderr)
		}
	}
}
