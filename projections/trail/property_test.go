package trail_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/projections/trail"
)

// What the random events are made of: few enough that filters meet them, odd
// enough that something is wrong if they are ever taken for syntax.
var (
	identities = []string{
		"repo:acme/app:ref:refs/heads/main", "repo:acme/app-evil", "ÄPFEL/straße", "a b", "x'; DROP TABLE event;--", `"app" OR "main"`,
		"100%", "§t1", "系統:serviceaccount", "e\u0301cole", "main main", "*",
		"aba5e289-a34f-4585-b2f5-e48065d7ff84", "2026-11-22T12:00:00Z", "2026-11-22T12:00:00", "a34f 1",
	}
	conns  = []string{"gitlab-ci", "github", "k8s"}
	people = []string{"devops", "security", "system:keys"}
	asks   = []string{"main", "MAIN", "acme/app", "app-e", "äpfel", "stra", "drop table", "x';", "100", "NOT app", "app*", "heads/re", "issued a token", "éc", "e\u0301c", "系", "token.iss", "connection/k", "b a", "devops", "auditor",
		"aba5e289-a34f-4585-b2f5-e48065d7ff84", "ABA5E289-A34F-4585-B2F5-E48065D7FF84", "a34f", "2026-11-22T12", "2026", "1"}
)

func anEvent(t *rapid.T) happened {
	conn, identity := rapid.SampledFrom(conns).Draw(t, "connection"), rapid.SampledFrom(identities).Draw(t, "identity")
	by := rapid.SampledFrom(people).Draw(t, "by")
	h := rapid.SampledFrom([]happened{
		issued(conn, identity), denied(conn, identity, "repo:acme/app"), denied(conn, "", "main"), deactivated(conn, by), added("alice", by),
	}).Draw(t, "event")
	h.request = rapid.SampledFrom([]string{"", "r1", "r2"}).Draw(t, "request")
	h.at = noon.Add(time.Duration(rapid.IntRange(-50, 50).Draw(t, "minutes")) * time.Minute)
	return h
}

func aQuery(t *rapid.T) trail.Query {
	maybe := func(name string, values ...string) string {
		if rapid.IntRange(0, 2).Draw(t, "with "+name) > 0 {
			return ""
		}
		return rapid.SampledFrom(values).Draw(t, name)
	}
	conn, identity := rapid.SampledFrom(conns).Draw(t, "filter connection"), rapid.SampledFrom(identities).Draw(t, "filter identity")
	q := trail.Query{
		Limit:      rapid.IntRange(1, 7).Draw(t, "limit"),
		Type:       maybe("type", "token.issued", "token.*", "person.added,token.denied", "connection.*,person.added", "nothing.known"),
		Actor:      maybe("actor", "devops", "security", "nobody", uri(conn, identity)),
		Connection: maybe("connection", "gitlab-ci", "k8s", "nowhere"),
		Workload:   maybe("workload", identity, uri(conn, identity), "workload://other/"+conn+"/"+url.PathEscape(identity)),
		Outcome:    maybe("outcome", trail.Success, trail.Denied, trail.Failed),
		RequestID:  maybe("request", "r1", "r3"),
		Q:          maybe("q", asks...),
	}
	if rapid.Bool().Draw(t, "since") {
		q.Since = noon.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "since minutes")) * time.Minute)
	}
	if rapid.Bool().Draw(t, "until") {
		q.Until = noon.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "until minutes")) * time.Minute)
	}
	return q
}

// holds is what the filters mean, written without any index.
func holds(q trail.Query, e domain.Envelope) bool {
	typ, _ := events.New().Lookup(e.Type)
	conn, identity := typ.Workload(e)
	is := func(filter, value string) bool { return filter == "" || filter == value }
	if strings.HasPrefix(q.Workload, "workload://") {
		if identity == "" || q.Workload != uri(conn, identity) {
			return false
		}
	} else if !is(q.Workload, identity) {
		return false
	}
	ofType := q.Type == "" || slices.ContainsFunc(strings.Split(q.Type, ","), func(item string) bool {
		family, ok := strings.CutSuffix(item, "*")
		return e.Type == item || ok && strings.HasPrefix(e.Type, family)
	})
	return ofType && is(q.Actor, e.Actor) && is(q.Connection, conn) && is(q.Outcome, typ.Outcome(e)) && is(q.RequestID, e.RequestID) &&
		(q.Since.IsZero() || !e.Time.Before(q.Since)) && (q.Until.IsZero() || e.Time.Before(q.Until)) && says(q.Q, e)
}

// says tells whether every word of q occurs in the event, the last one by its beginning.
func says(q string, e domain.Envelope) bool {
	typ, _ := events.New().Lookup(e.Type)
	actor, err := url.PathUnescape(e.Actor)
	if err != nil {
		panic(err)
	}
	text := []string{}
	for _, v := range distinct(append([]string{typ.Summary(e), e.Type, e.Subject, actor}, values(e.Data)...)) {
		text = append(text, split(v)...)
	}
	asked := [][]string{}
	for _, f := range strings.Fields(q) {
		if w := split(f); len(w) > 0 {
			asked = append(asked, w)
		}
	}
	for i, phrase := range asked {
		if !occurs(phrase, text, i == len(asked)-1) {
			return false
		}
	}
	return true
}

func occurs(phrase, text []string, prefix bool) bool {
	end := len(phrase) - 1
	for i := 0; i+end < len(text); i++ {
		last := text[i+end]
		begins := prefix && len([]rune(phrase[end])) > 1 && strings.HasPrefix(last, phrase[end])
		if slices.Equal(phrase[:end], text[i:i+end]) && (last == phrase[end] || begins) {
			return true
		}
	}
	return false
}

func split(s string) []string {
	if uuid.MatchString(s) { // a word of its own
		s = strings.ReplaceAll(s, "-", "")
	}
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.N, unicode.M)
	})
}

var (
	uuid = regexp.MustCompile(`(?i)\A[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\z`)
	when = regexp.MustCompile(`\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.0-9]*Z\z`)
)

func distinct(vs []string) (out []string) {
	for _, v := range vs {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// values is every text of a document that is no time, in order, member names left out.
func values(data []byte) (vs []string) {
	d := json.NewDecoder(bytes.NewReader(data))
	var walk func()
	walk = func() {
		tok, err := d.Token()
		if err != nil {
			panic(err)
		}
		switch v := tok.(type) {
		case string:
			if !when.MatchString(v) {
				vs = append(vs, v)
			}
		case json.Delim:
			for d.More() {
				if v == '{' {
					d.Token() // the member's name
				}
				walk()
			}
			d.Token() // the closing bracket
		}
	}
	walk()
	return vs
}

// Paging through any query, in either order and across a restart, gives what
// filtering the events one by one gives.
func TestPagingEqualsFiltering(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(dir, "trail.db")
		for _, part := range []string{"", "-wal", "-shm"} {
			os.Remove(path + part)
		}
		var commits []domain.Commit
		var all []domain.Envelope
		for seq := range rapid.IntRange(0, 25).Draw(rt, "commits") {
			c := commit(uint64(seq+1), rapid.SliceOfN(rapid.Custom(anEvent), 1, 4).Draw(rt, "events")...)
			commits, all = append(commits, c), append(all, c.Events...)
		}
		tr := fill(rt, t, path, commits)
		defer func() { tr.Close() }()
		for range 8 {
			q := aQuery(rt)
			want := []string{}
			for _, e := range all {
				if holds(q, e) {
					want = append(want, e.Position.String())
				}
			}
			if diff := cmp.Diff(want, walk(t, tr, q)); diff != "" {
				rt.Fatalf("ascending %+v (-want +got):\n%s", q, diff)
			}
			slices.Reverse(want)
			q.Order = trail.Descending
			first := query(t, tr, q)
			tr.Close()
			tr = fill(rt, t, path, nil)
			if tr.Applied() != uint64(len(commits)) {
				rt.Fatalf("after a restart it is at %d of %d", tr.Applied(), len(commits))
			}
			got := positions(first.Events)
			if q.After = first.Next; first.HasMore {
				got = append(got, walk(t, tr, q)...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				rt.Fatalf("descending %+v (-want +got):\n%s", q, diff)
			}
		}
	})
}

func fill(rt *rapid.T, t *testing.T, path string, commits []domain.Commit) *trail.Trail {
	tr, err := trail.Open(t.Context(), path, events.New(), quiet)
	if err != nil {
		rt.Fatal(err)
	}
	if err := tr.Apply(commits); err != nil {
		rt.Fatal(err)
	}
	return tr
}

// A poller that keeps one string sees every event that its filter holds for
// exactly once, however its polls and the commits interleave.
func TestAPollerMissesAndRepeatsNothing(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(dir, "poll.db")
		for _, part := range []string{"", "-wal", "-shm"} {
			os.Remove(path + part)
		}
		tr := fill(rt, t, path, nil)
		defer tr.Close()
		q := aQuery(rt)
		want, got := []string{}, []string{}
		poll := func() bool {
			p := query(t, tr, q)
			got, q.After = append(got, positions(p.Events)...), p.Next
			return p.HasMore
		}
		for seq := uint64(1); seq <= 12; seq++ {
			c := commit(seq, rapid.SliceOfN(rapid.Custom(anEvent), 1, 4).Draw(rt, "events")...)
			apply(t, tr, c)
			for _, e := range c.Events {
				if holds(q, e) {
					want = append(want, e.Position.String())
				}
			}
			for range rapid.IntRange(0, 2).Draw(rt, "polls") {
				poll()
			}
		}
		for poll() {
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("%+v (-want +got):\n%s", q, diff)
		}
	})
}
