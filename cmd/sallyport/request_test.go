package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport.dev/cmd/internal/cli"
)

// desk is a server that has one request and notes what it is asked.
type desk struct {
	t     *testing.T
	url   string
	polls []string // codes that polling answers, one after the other; "" is approved. The last stays
	asked []string // method, path and body
}

const pendingRequest = `{"id":"01A","status":"pending","requester":"ben","type":"server-access","resource":"server/web-1","method":"p/r/ssh:a",
 "username":"a","policy":"p","rule":"r","approval_seconds":5400,"justification":"disk\u001b[2J is full\nstatus approved","raised_at":"2026-11-22T12:00:00Z",
 "link":"https://sallyport.example/console/orgs/default/requests/01A","fields":{"ticket":"OPS-17"},
 "steps":[{"step":1,"name":"first","status":"done","needed":1,"approvers":{"manager":true},"decisions":[{"by":"dana","for":"carol","decision":"approved","at":"2026-11-22T12:01:00Z","comment":"fine"}]},
  {"step":2,"name":"second","status":"open","needed":2,"expires_at":"2026-11-23T12:00:00Z","approvers":{"people":["erin","frank"]},"decisions":[]}]}`

func newDesk(t *testing.T, polls ...string) *desk {
	d := &desk{t: t, polls: polls}
	s := httptest.NewServer(d)
	t.Cleanup(s.Close)
	d.url = s.URL
	return d
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Error(err)
	}
	path := strings.TrimPrefix(r.URL.RequestURI(), "/orgs/default/v1/access")
	d.asked = append(d.asked, strings.TrimSpace(r.Method+" "+path+" "+string(body)))
	switch {
	case strings.HasSuffix(path, "/poll"):
		code := d.polls[0]
		if len(d.polls) > 1 {
			d.polls = d.polls[1:]
		}
		if code != "" {
			w.WriteHeader(400)
			io.WriteString(w, `{"title":"Bad Request","detail":"d","code":"`+code+`","error":"whatever","interval":5}`)
			return
		}
		io.WriteString(w, pendingRequest)
	case strings.HasPrefix(path, "/delegation"):
		io.WriteString(w, `{"to":"carol","until":"2026-11-23T12:00:00Z","received":[{"from":"dana","until":"2026-11-24T12:00:00Z"}]}`)
	case strings.HasPrefix(path, "/requests?"):
		io.WriteString(w, `{"requests":[`+pendingRequest+`],"more":true}`)
	default:
		io.WriteString(w, pendingRequest)
	}
}

func (d *desk) run(args ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	d.asked = nil
	var out, errs bytes.Buffer
	env := map[string]string{"SALLYPORT_ADDR": d.url, "SALLYPORT_TOKEN": "x"}
	std := cli.IO{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: func(k string) string { return env[k] }}
	return cli.Run(d.t.Context(), root(std), std, args), out.String(), errs.String()
}

func TestWhatRequestCommandsSend(t *testing.T) {
	d := newDesk(t, "")
	for _, tt := range []struct {
		name string
		args []string
		exit int
		want string // what was asked first
	}{
		{"access", []string{"create", "server/web-1", "p/r/ssh:a", "--justification", "why", "--field", "ticket=a=b"}, 0,
			`POST /requests {"fields":{"ticket":"a=b"},"justification":"why","method":"p/r/ssh:a","resource":"server/web-1"}`},
		{"membership", []string{"create", "--type", "t", "--group", "g", "--until", "2026-12-01T18:00:00Z", "--justification", "why"}, 0,
			`POST /requests {"group":"g","justification":"why","type":"t","until":"2026-12-01T18:00:00Z"}`},
		{"a resource without a method", []string{"create", "server/web-1"}, 2, ""},
		{"something behind the method", []string{"create", "server/web-1", "m", "why"}, 2, ""},
		{"a group without a type", []string{"create", "--group", "g", "--for", "8h"}, 2, ""},
		{"a group besides a resource", []string{"create", "server/web-1", "m", "--group", "g"}, 2, ""},
		{"two ends", []string{"create", "--type", "t", "--group", "g", "--for", "8h", "--until", "2026-12-01T18:00:00Z"}, 2, ""},
		{"an end in the past", []string{"create", "--type", "t", "--group", "g", "--for", "-8h"}, 2, ""},
		{"a field without a value", []string{"create", "server/web-1", "m", "--field", "ticket"}, 2, ""},
		{"a yes", []string{"approve", "01A", "--comment", "fine", "--field", "risk=low", "--step", "2"}, 0,
			`POST /requests/01A/approve {"comment":"fine","fields":{"risk":"low"},"step":2}`},
		{"a no", []string{"deny", "01A"}, 0, `POST /requests/01A/deny {"comment":""}`},
		{"an id does not lead elsewhere", []string{"deny", "../requests/01A"}, 2, ""},
		{"a withdrawal", []string{"cancel", "01A"}, 0, `POST /requests/01A/cancel {}`},
		{"a list", []string{"list"}, 0, `GET /requests?view=mine`},
		{"another list", []string{"list", "--view", "inbox", "--status", "pending"}, 0, `GET /requests?status=pending&view=inbox`},
		{"one", []string{"show", "01A"}, 0, `GET /requests/01A`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, _, errs := d.run(append([]string{"request"}, tt.args...)...)
			asked := strings.Join(d.asked, "\n")
			if code != tt.exit || asked != tt.want {
				t.Errorf("exit %d, asked %q, want %d, %q: %s", code, asked, tt.exit, tt.want, errs)
			}
		})
	}
	if code, _, errs := d.run("request", "create", "--type", "t", "--group", "g", "--for", "8h"); code != 0 {
		t.Errorf("for 8h: exit %d: %s", code, errs)
	}
	var sent struct{ Until time.Time }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(d.asked[0], "POST /requests ")), &sent); err != nil || time.Until(sent.Until) > 8*time.Hour {
		t.Errorf("for 8h it sends %v, %v", sent.Until, err)
	}
}

func TestWhatAnApproverIsShown(t *testing.T) {
	d := newDesk(t, "")
	_, out, _ := d.run("request", "show", "01A")
	for _, want := range []string{
		"requester     ben\n", "for           server/web-1 by p/r/ssh:a\n", "as            a\n", "for how long  1h30m from the approval\n", "by rule       p/r\n",
		`why           disk\u001b[2J is full\u000astatus approved`, "ticket        OPS-17\n", "1 first: done, needs 1 of the requester's manager\n",
		"dana, for carol: approved at 2026-11-22 12:01:00Z: fine\n", "2 second: open, needs 2 of erin, frank, until 2026-11-23 12:00:00Z\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if _, out, _ := d.run("request", "list"); !strings.Contains(out, "second (step 2 of 2, 0 of 2)") || !strings.Contains(out, "older ones") {
		t.Errorf("the list is\n%s", out)
	}
}

func TestWaitTellsByItsExitCodeHowItEnded(t *testing.T) {
	for _, tt := range []struct {
		name, code string
		args       []string
		exit       int
		say        string
	}{
		{"approved", "", nil, 0, ""},
		{"denied", "request.denied", nil, 3, "request.denied"},
		{"cancelled", "request.cancelled", nil, 3, "request.cancelled"},
		{"expired", "request.expired", nil, 3, "request.expired"},
		{"approved, and over", "request.lapsed", nil, 3, "request.lapsed"},
		{"the time is over", "request.pending", []string{"--timeout", "300ms"}, 4, "still waits for approval"},
		{"not there", "request.not_found", nil, 1, "request.not_found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, tt.code)
			code, out, errs := d.run(append([]string{"request", "wait", "01A"}, tt.args...)...)
			if code != tt.exit || !strings.Contains(errs, tt.say) || (out == "") != (tt.exit != 0) {
				t.Errorf("exit %d, want %d: %q %q", code, tt.exit, out, errs)
			}
		})
	}
}

func TestDelegationCommands(t *testing.T) {
	d := newDesk(t, "")
	for _, tt := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"set", "carol", "--until", "2026-11-23T12:00:00Z"}, 0, `PUT /delegation {"to":"carol","until":"2026-11-23T12:00:00Z"}`},
		{[]string{"set", "carol"}, 2, ""},
		{[]string{"set", "carol", "--for", "1h", "--until", "2026-11-23T12:00:00Z"}, 2, ""},
		{[]string{"end"}, 0, "DELETE /delegation"},
		{[]string{"show"}, 0, "GET /delegation"},
	} {
		code, out, errs := d.run(append([]string{"delegation"}, tt.args...)...)
		if asked := strings.Join(d.asked, "\n"); code != tt.exit || asked != tt.want {
			t.Errorf("%v: exit %d, asked %q, want %d, %q: %s", tt.args, code, asked, tt.exit, tt.want, errs)
		}
		if tt.args[0] == "show" && !strings.Contains(out, "carol, until 2026-11-23 12:00:00Z") {
			t.Errorf("shown is %q", out)
		}
	}
}

func TestARequestIsToldAsItStands(t *testing.T) {
	for until, want := range map[string]string{"2001-01-01T00:00:00Z": "approved, over since 2001-01-01", "2100-01-01T00:00:00Z": "approved until 2100-01-01"} {
		if got := (accessRequest{Status: "approved", ValidUntil: until}).status(); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	d := newDesk(t, "")
	for args, want := range map[string]string{
		"server/web-1": "METHOD is missing: `sallyport access resolve server/web-1`", "server/web-1 m why": "why is said with --justification",
		"--group g --for 8h": "--type is missing", "--group g --type t": "--until or --for is missing", "server/web-1 m --group g": "leave out RESOURCE and METHOD",
	} {
		if code, _, errs := d.run(append([]string{"request", "create"}, strings.Fields(args)...)...); code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d: %s", args, code, errs)
		}
	}
	res := &http.Response{StatusCode: 409, Request: httptest.NewRequest("POST", "/orgs/default/v1/access/requests/01A/approve", nil)}
	if e := failure(res, []byte(`{"title":"t","code":"request.over"}`)); e.Next != "see how it ended: sallyport request show 01A" {
		t.Errorf("next: %s", e.Next)
	}
}
