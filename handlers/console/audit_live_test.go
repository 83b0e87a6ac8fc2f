package console

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
	"sallyport.dev/projections/control"
)

// tail is a live tail as a browser reads it.
type tail struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
	last   string // id of the last row
}

func (s *site) serve() *httptest.Server {
	s.t.Helper()
	server := httptest.NewServer(s.handler)
	s.t.Cleanup(server.Close)
	return server
}

func (s *site) tail(t *testing.T, server *httptest.Server, who domain.Name, query, lastID string) *tail {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a test that would wait for ever fails
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+s.path("/audit/live?")+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html, text/event-stream")
	r.Header.Set("HX-Request", "true")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	if c := s.cookies[who]; c != nil {
		r.AddCookie(c)
	}
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("X-Accel-Buffering") != "no" {
		t.Fatalf("status %d, %v", res.StatusCode, res.Header)
	}
	return &tail{t: t, lines: bufio.NewScanner(res.Body), cancel: cancel}
}

// next is the next message: its id, its event, its data. ok is false at the end.
func (l *tail) next() (id, event, data string, ok bool) {
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch {
		case name == "id":
			id = value
		case name == "event":
			event = value
		case name == "data":
			data += value + "\n"
		case l.lines.Text() == "" && data != "":
			return id, event, data, true
		}
	}
	return "", "", "", false
}

func (l *tail) rows(n int) (ids []string) {
	l.t.Helper()
	for range n {
		id, _, data, ok := l.next()
		if !ok || !strings.HasPrefix(data, "<tr>") {
			l.t.Fatalf("after %v: no row but %q", ids, data)
		}
		ids, l.last = append(ids, id), id
	}
	return ids
}

func TestATailGoesOnAfterItWasDroppedWithoutGapOrDouble(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	server := s.serve()
	after := "connection=ci&after=" + s.world.Last().String()
	var want, got []string
	happens := func(n int) {
		for i := range n {
			at := s.happens(s.refusedToken("ci", fmt.Sprintf("a-%d", i)), s.refusedToken("other", "b"))
			want = append(want, at.String())
		}
	}
	l := s.tail(t, server, "audrey", after, "")
	for drop := range 4 {
		happens(7)
		got = append(got, l.rows(5)...)
		l.cancel() // two were sent or not, and never seen
		happens(2 + drop)
		l = s.tail(t, server, "audrey", after, l.last)
		got = append(got, l.rows(len(want)-len(got))...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestATailSendsWhatAWorkloadClaimsAsText(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	l := s.tail(t, s.serve(), "audrey", "after="+s.world.Last().String(), "")
	s.happens(s.refusedToken("ci", hostile))
	if _, _, data, _ := l.next(); strings.Contains(data, "<img") || !strings.Contains(data, "&lt;img") {
		t.Errorf("the row is %s", data)
	}
}

func TestATailEndsWithItsSession(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	server := s.serve()
	after := "after=" + s.world.Last().String()
	l := s.tail(t, server, "audrey", after, "")
	s.happens(s.refusedToken("ci", "a"))
	at := l.rows(1)[0]
	if err := s.world.Sessions().End(t.Context(), s.cookies["audrey"].Value); err != nil {
		t.Fatal(err)
	}
	s.happens(s.refusedToken("ci", "b"))
	if _, event, data, _ := l.next(); event != "ended" || !strings.Contains(data, toldSession) {
		t.Fatalf("got %q with %q", event, data)
	}
	if _, _, data, ok := l.next(); ok {
		t.Errorf("it goes on with %q", data)
	}
	if _, event, _, _ := s.tail(t, server, "audrey", after, at).next(); event != "ended" {
		t.Errorf("asked again: %q", event)
	}
}

func (s *site) loseRole(who domain.Name, role domain.Role) {
	s.t.Helper()
	m := s.world.Meta("olga", domain.Owner)
	if _, err := s.world.Execute(s.t.Context(), m, func(state *control.State) ([]domain.Fact, error) {
		return person.Decide(state.People(), person.RevokeRole{Name: who, Role: role}, m) // it is not their only one
	}); err != nil {
		s.t.Fatal(err)
	}
}

func TestATailEndsWithTheRole(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	s.world.Token("audrey", domain.Member)
	s.signIn("olga", domain.Owner)
	l := s.tail(t, s.serve(), "audrey", "type=token.denied&after="+s.world.Last().String(), "")
	s.happens(s.refusedToken("ci", "a"))
	l.rows(1)
	s.loseRole("audrey", domain.Auditor)
	s.happens(s.refusedToken("ci", "b"))
	if _, event, data, _ := l.next(); event != "ended" || !strings.Contains(data, toldRoles) {
		t.Errorf("got %q with %q", event, data)
	}
}

func TestTailsEndWhenTheServerStops(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	stopping := make(chan struct{})
	s.console.opt.Stopping = stopping
	l := s.tail(t, s.serve(), "audrey", "after="+s.world.Last().String(), "")
	close(stopping)
	if _, _, data, ok := l.next(); ok {
		t.Errorf("got %q", data)
	}
}

func TestTailsAreBounded(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	server := s.serve()
	after := "after=" + s.world.Last().String()
	for range maxTailsPerson {
		s.tail(t, server, "audrey", after, "")
	}
	if _, event, data, _ := s.tail(t, server, "audrey", after, "").next(); event != "ended" || !strings.Contains(data, toldMany) {
		t.Errorf("got %q with %q", event, data)
	}
}

func TestATailSaysWhatItCannotRead(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	server := s.serve()
	for query, why := range map[string]string{"after=x": toldFilter, "": toldFilter, "after=1.0&since=x": toldFilter, "after=1.0&outcome=good": toldFilter, "after=99999.0": toldAhead} {
		if _, event, data, _ := s.tail(t, server, "audrey", query, "").next(); event != "ended" || !strings.Contains(data, why) {
			t.Errorf("%s: got %q with %q", query, event, data)
		}
	}
}
