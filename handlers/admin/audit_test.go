package admin_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
)

// drafts makes n connections, c0 and on, and tells where the last stands.
func (e *edge) drafts(n int) (last reply) {
	for i := range n {
		last = e.must(201, e.as("devops", "POST", "/connections", e.document(fmt.Sprint("c", i), nil)))
	}
	return last
}

func subjects(r reply) (all []string) {
	for _, v := range r.Body["events"].([]any) {
		all = append(all, v.(map[string]any)["subject"].(string))
	}
	return all
}

func TestTheTrailIsReadPageByPageWithoutAHole(t *testing.T) {
	e := newEdge(t)
	last := e.drafts(7)
	path := "/audit?type=connection.drafted&limit=3&min_position=" + last.Header.Get("Sallyport-Position")
	var all []string
	next := ""
	for range 4 {
		r := e.must(200, e.as("auditor", "GET", path+"&after="+url.QueryEscape(next), nil))
		all = append(all, subjects(r)...)
		next = r.text("next")
		if more := len(all) < 7; r.Body["has_more"] != more || next == "" || r.text("last_position") != e.Last().String() {
			t.Errorf("after %d events: has_more %v, next %q, last_position %s", len(all), r.Body["has_more"], next, r.text("last_position"))
		}
	}
	if want := "connection/c0 connection/c1 connection/c2 connection/c3 connection/c4 connection/c5 connection/c6"; strings.Join(all, " ") != want {
		t.Errorf("read %v", all)
	}
	r := e.must(201, e.as("devops", "POST", "/connections", e.document("later", nil)))
	r = e.must(200, e.as("auditor", "GET", "/audit?type=connection.drafted&limit=3&min_position="+r.Header.Get("Sallyport-Position")+"&after="+url.QueryEscape(next), nil))
	if got := subjects(r); !slices.Equal(got, []string{"connection/later"}) {
		t.Errorf("the string that a poller kept gives %v", got)
	}
	r = e.must(200, e.as("auditor", "GET", "/audit?order=desc&limit=1", nil))
	if got := subjects(r); !slices.Equal(got, []string{"connection/later"}) {
		t.Errorf("the newest is %v", got)
	}
	if r := e.as("auditor", "GET", "/audit?type=connection.edited&after="+url.QueryEscape(next), nil); r.Status != 422 || r.text("code") != "cursor.filter" {
		t.Errorf("a cursor with another filter: %d %s", r.Status, r.Raw)
	}
}

func TestAnEventIsFoundByTheRequestThatCausedIt(t *testing.T) {
	e := newEdge(t)
	r := e.drafts(1)
	id := r.Header.Get("X-Request-Id")
	r = e.must(200, e.as("resource", "GET", "/audit?request_id="+id+"&min_position="+r.Header.Get("Sallyport-Position"), nil))
	events := r.Body["events"].([]any)
	if len(events) != 1 {
		t.Fatalf("found %d events of request %s", len(events), id)
	}
	ev := events[0].(map[string]any)
	if ev["type"] != "connection.drafted" || ev["actor"] != "devops" || ev["requestid"] != id || ev["position"] != e.Last().String() || ev["summary"] == "" || ev["specversion"] != "1.0" {
		t.Errorf("the event is %v", ev)
	}
}

func TestEveryFilterThatCannotBeReadIsNamed(t *testing.T) {
	e := newEdge(t)
	e.client = http.DefaultClient // an empty parameter is an absent one, which the document cannot say
	for _, tc := range []struct {
		query  string
		status int
		fields []string
	}{
		{"after=&limit=&order=&type=&actor=&connection=&workload=&outcome=&request_id=&since=&until=&q=", 200, nil},
		{"limit=200&order=asc&type=token.*&outcome=denied&since=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00.5%2B02:00&q=two+words", 200, nil},
		{"limit=0", 422, []string{"/limit limit.range"}},
		{"limit=201&since=yesterday&until=2026-11-22&page=2", 422, []string{"/limit limit.range", "/page query.unknown", "/since time.invalid", "/until time.invalid"}},
		{"limit=1e1", 422, []string{"/limit limit.range"}},
		{"limit=010", 422, []string{"/limit limit.range"}},
		{"limit=10&limit=20", 422, []string{"/limit query.repeated"}},
		{"order=newest", 422, []string{"/order order.unknown"}},
		{"outcome=good", 422, []string{"/outcome outcome.unknown"}},
		{"type=%27%20OR%201=1", 422, []string{"/type type.form"}},
		{"type=token.isued", 422, []string{"/type type.unknown"}},
		{"type=token.issued,conection.*", 422, []string{"/type type.unknown"}},
		{"after=nonsense", 422, nil},
		{"actor=" + strings.Repeat("a", 3000), 422, []string{"/actor filter.text"}},
		{"identity=x", 422, []string{"/identity query.unknown"}},
	} {
		r := e.as("auditor", "GET", "/audit?"+tc.query, nil)
		if r.Status != tc.status || !slices.Equal(r.pointers(), tc.fields) {
			t.Errorf("%.80s got %d %v, want %d %v", tc.query, r.Status, r.pointers(), tc.status, tc.fields)
		}
	}
}

func TestAllOfTheTrailComesAsLines(t *testing.T) {
	e := newEdge(t)
	last := e.drafts(5)
	r := e.must(200, e.as("auditor", "GET", "/audit?min_position="+last.Header.Get("Sallyport-Position"), nil, "Accept", "application/x-ndjson"))
	if r.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("the media type is %q", r.Header.Get("Content-Type"))
	}
	lines := strings.Split(strings.TrimSuffix(r.Raw, "\n"), "\n")
	if want := len(e.Events()); len(lines) != want {
		t.Fatalf("%d lines of %d events", len(lines), want)
	}
	for _, line := range lines {
		var ev map[string]any
		if err := json.Unmarshal([]byte(line), &ev); err != nil || ev["position"] == "" || ev["summary"] == "" {
			t.Fatalf("a line is no event: %s", line)
		}
	}
	r = e.must(200, e.as("auditor", "GET", "/audit?type=token.denied", nil, "Accept", "application/x-ndjson"))
	if r.Raw != "" {
		t.Errorf("nothing matches, and there is %q", r.Raw)
	}
	if r := e.as("auditor", "GET", "/audit?order=up", nil, "Accept", "application/x-ndjson"); r.Status != 422 {
		t.Errorf("a broken filter got %d", r.Status)
	}
	if r := e.as("alice", "GET", "/audit", nil, "Accept", "application/x-ndjson"); r.Status != 403 {
		t.Errorf("a member got %d", r.Status)
	}
}

// tail is an open stream of events.
type tail struct {
	res   *http.Response
	lines *bufio.Scanner
}

func (e *edge) tail(person, query string, headers ...string) *tail {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), "GET", e.url+"/orgs/default/v1/audit/stream"+query, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e.tokens[person])
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := e.client.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(res.Body)
		e.t.Fatalf("the stream is %d %s: %s", res.StatusCode, res.Header.Get("Content-Type"), b)
	}
	s := &tail{res: res, lines: bufio.NewScanner(res.Body)}
	if !s.lines.Scan() || s.lines.Text() != ": connected" || !s.lines.Scan() {
		e.t.Fatalf("the stream begins with %q", s.lines.Text())
	}
	return s
}

// next is the next event's id and subject; ok is false at the end.
func (s *tail) next(t testing.TB) (id, subject string, ok bool) {
	t.Helper()
	for s.lines.Scan() {
		line := s.lines.Text()
		if strings.HasPrefix(line, ":") || line == "" {
			continue
		}
		id, isID := strings.CutPrefix(line, "id: ")
		if !isID || !s.lines.Scan() {
			t.Fatalf("no id but %q", line)
		}
		data, isData := strings.CutPrefix(s.lines.Text(), "data: ")
		var ev map[string]any
		if err := json.Unmarshal([]byte(data), &ev); !isData || err != nil || ev["position"] != id {
			t.Fatalf("event %s has no data of its own: %q", id, s.lines.Text())
		}
		return id, ev["subject"].(string), true
	}
	return "", "", false
}

func TestAStreamTellsWhatHappensAndGoesOnWhereItsReaderStopped(t *testing.T) {
	e := newEdge(t)
	e.drafts(1)
	s := e.tail("auditor", "?type=connection.drafted")
	e.must(200, e.as("devops", "PUT", "/connections/c0", e.document("c0", map[string]any{"description": "x"}), "If-Match", `"1"`))
	r := e.must(201, e.as("devops", "POST", "/connections", e.document("new", nil)))
	id, subject, _ := s.next(t)
	if subject != "connection/new" || id != r.Header.Get("Sallyport-Position") {
		t.Errorf("from now on, by its filter, it tells %s of %s", id, subject)
	}
	s.res.Body.Close()
	for _, name := range []string{"missed", "missed-too"} {
		e.must(201, e.as("devops", "POST", "/connections", e.document(name, nil)))
	}
	s = e.tail("auditor", "?type=connection.drafted", "Last-Event-ID", id)
	for _, want := range []string{"connection/missed", "connection/missed-too"} {
		if _, subject, _ := s.next(t); subject != want {
			t.Errorf("behind %s it tells of %s, want %s", id, subject, want)
		}
	}
	s = e.tail("auditor", "?type=connection.drafted&since=2026-01-01T00:00:00Z")
	if _, subject, _ := s.next(t); subject != "connection/c0" {
		t.Errorf("since long ago it tells first of %s", subject)
	}
	s = e.tail("auditor", "", "Last-Event-ID", "0.0")
	if id, _, _ := s.next(t); id != "1.0" {
		t.Errorf("from the beginning it tells first of %s", id)
	}
}

func TestAStreamBehindTheEndOfTheLogIsRefused(t *testing.T) {
	e := newEdge(t)
	r := e.as("auditor", "GET", "/audit/stream", nil, "Last-Event-ID", "99999.0")
	if r.Status != 422 || !strings.Contains(string(r.Raw), "position.ahead") {
		t.Errorf("%d %s", r.Status, r.Raw)
	}
}

func TestAFilterThatNothingCanMatchIsRefused(t *testing.T) {
	e := newEdge(t)
	for query, code := range map[string]string{"?status=activ": "status.unknown", "?provider=gitlabb": "provider.unknown", "?status=": "status.unknown"} {
		if r := e.as("auditor", "GET", "/connections"+query, nil); r.Status != 422 || !strings.Contains(string(r.Raw), code) {
			t.Errorf("%s: %d %s", query, r.Status, r.Raw)
		}
	}
}

func TestAStreamEndsWhenItsReaderMayNotReadAnyMore(t *testing.T) {
	e := newEdge(t)
	s := e.tail("auditor", "")
	e.Advance(2 * time.Hour) // longer than the tokens live
	e.tokens["later"] = e.Token("later", domain.DevOpsAdmin)
	if id, subject, ok := s.next(t); ok {
		t.Errorf("after the token's end it told %s of %s", id, subject)
	}
}

func TestAStreamEndsWhenTheServerStops(t *testing.T) {
	e := newEdge(t)
	s := e.tail("auditor", "")
	close(e.stopping)
	if id, _, ok := s.next(t); ok {
		t.Errorf("the stream told of %s", id)
	}
}

func TestAStreamIsRefusedAsAnyOtherRequest(t *testing.T) {
	e := newEdge(t)
	for _, tc := range []struct {
		person, query, id string
		status            int
	}{
		{"", "", "", 401}, {"alice", "", "", 403}, {"auditor", "?after=x", "", 422}, {"auditor", "?limit=3", "", 422}, {"auditor", "?order=desc", "", 422},
		{"auditor", "?since=today", "", 422}, {"auditor", "", "12", 422}, {"auditor", "", "12.0\n", 200}, {"auditor", "?min_position=x", "", 422},
	} {
		method := "GET"
		if tc.status == 200 {
			method = "HEAD"
			e.client = http.DefaultClient
			tc.id = strings.TrimSpace(tc.id)
		}
		if r := e.as(tc.person, method, "/audit/stream"+tc.query, nil, "Last-Event-ID", tc.id); r.Status != tc.status {
			t.Errorf("%s %s with Last-Event-ID %q got %d %s, want %d", tc.person, tc.query, tc.id, r.Status, r.Raw, tc.status)
		}
	}
}
