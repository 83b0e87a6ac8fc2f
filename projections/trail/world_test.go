package trail_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/events"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/token"
	"sallyport.dev/projections/trail"
)

// quiet is where tests that open hundreds of trails log.
var quiet = slog.New(slog.DiscardHandler)

// noContext is of a process that is going to be killed.
var noContext = context.Background()

const source = "https://sallyport.example/orgs/acme"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// open opens the trail at path until the test ends.
func open(t testing.TB, path string) *trail.Trail {
	t.Helper()
	tr, err := trail.Open(t.Context(), path, events.New(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// begin opens a new trail.
func begin(t testing.TB) *trail.Trail {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "trail.db"))
}

func apply(t testing.TB, tr *trail.Trail, commits ...domain.Commit) {
	t.Helper()
	if err := tr.Apply(commits); err != nil {
		t.Fatal(err)
	}
}

// happened is what the tests say of an event; the rest follows from it.
type happened struct {
	event   domain.Event
	subject string
	actor   string
	request string
	at      time.Time
}

// commit is a commit as it comes out of the log.
func commit(seq uint64, hs ...happened) domain.Commit {
	c := domain.Commit{ID: fmt.Sprintf("C%025d", seq), Sequence: seq}
	for i, h := range hs {
		data, err := json.Marshal(h.event)
		if err != nil {
			panic(err)
		}
		at := h.at
		if at.IsZero() {
			at = noon.Add(time.Duration(seq) * time.Second)
		}
		c.Events = append(c.Events, domain.Envelope{
			ID: fmt.Sprintf("E%020d%05d", seq, i), Type: h.event.EventType(), Source: source, Subject: h.subject,
			Time: at, Actor: h.actor, RequestID: h.request, CommitID: c.ID, Data: data, Event: h.event,
			Position: domain.Position{Sequence: seq, Index: i},
		})
	}
	return c
}

func uri(conn, identity string) string {
	return "workload://acme/" + conn + "/" + url.PathEscape(identity)
}

func issued(conn, identity string) happened {
	return happened{
		event: token.WasIssued{
			Connection: domain.Name(conn), Version: 1, Identity: identity, ID: "jti-" + identity, Audience: source, Algorithm: "ES256",
			IssuedAt: noon, ExpiresAt: noon.Add(15 * time.Minute),
		},
		subject: "connection/" + conn, actor: uri(conn, identity),
	}
}

func denied(conn, identity, expected string) happened {
	return happened{
		event: token.WasDenied{
			Connection: domain.Name(conn), Version: 1, Identity: identity, Code: "proof.conditions",
			Checks: []proof.Check{{Check: "condition", Claim: "sub", Operator: "equals", Expected: expected, Actual: identity, Result: proof.Fail, Message: "not equal"}},
		},
		subject: "connection/" + conn, actor: uri(conn, identity),
	}
}

func deactivated(conn, by string) happened {
	return happened{event: connection.WasDeactivated{}, subject: "connection/" + conn, actor: by}
}

func added(name, by string) happened {
	return happened{
		event:   person.WasAdded{Name: domain.Name(name), Roles: []domain.Role{domain.Auditor}},
		subject: "person/" + name, actor: by,
	}
}

// query answers q, which has to be in order.
func query(t testing.TB, tr *trail.Trail, q trail.Query) trail.Page {
	t.Helper()
	p, err := tr.Query(t.Context(), q)
	if err != nil {
		t.Fatalf("query %+v: %v", q, err)
	}
	if p.Next == "" {
		t.Fatalf("query %+v: next is empty", q)
	}
	return p
}

// walk pages through q to its end.
func walk(t testing.TB, tr *trail.Trail, q trail.Query) []string {
	t.Helper()
	found := []string{}
	for {
		p := query(t, tr, q)
		found = append(found, positions(p.Events)...)
		q.After = p.Next
		if !p.HasMore {
			return found
		}
	}
}

func positions(es []trail.Entry) []string {
	ps := []string{}
	for _, e := range es {
		ps = append(ps, e.Position.String())
	}
	return ps
}

// count tells how many rows the trail has, each position once, by reading all of it.
func count(ctx context.Context, tr *trail.Trail) (int, error) {
	n := 0
	last := domain.Position{}
	for e, err := range tr.All(ctx, trail.Query{}) {
		if err != nil {
			return 0, err
		}
		if !last.Less(e.Position) {
			return 0, fmt.Errorf("%s came after %s", e.Position, last)
		}
		last = e.Position
		n++
	}
	return n, nil
}
