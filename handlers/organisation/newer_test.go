package organisation_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/organisation/orgtest"
)

// newer has an event in the log as a newer version writes it, and tells where.
func (s *site) newer(subject, typ string) domain.Position {
	s.t.Helper()
	b, err := domain.Envelope{
		ID: "01JD8Z3Y6T9V4K2M7Q5R1S0X8W", Type: typ, Source: "https://sallyport.example/orgs/default", Subject: "connection/ci",
		Time: s.Now(), Actor: "dana", CommitID: "01JD8Z3Y6T9V4K2M7Q5R1S0X8V", Data: json.RawMessage(`{}`),
	}.MarshalJSON()
	if err != nil {
		s.t.Fatal(err)
	}
	ack, err := s.manage().Publish(s.t.Context(), subject, fmt.Appendf(nil, "[%s]", b))
	if err != nil {
		s.t.Fatal(err)
	}
	return domain.Position{Sequence: ack.Sequence}
}

const activities = "org.default.activity"

// newerEvents are what only a newer version knows.
var newerEvents = []struct{ name, subject, typ string }{
	{"a new type that changes what is true", controls, "connection.frozen"},
	{"a new meaning of a type that changes what is true", controls, "connection.activated.v2"},
	{"a new type of what was done", activities, "secret.shown"},
	{"a new meaning of what was done", activities, "token.issued.v2"},
}

// toldNewer wants to be told which type stands where, and that another version reads it.
func toldNewer(t *testing.T, err error, typ string, at domain.Position) {
	t.Helper()
	if !errors.Is(err, domain.ErrNewer) || domain.Damaged(err) != nil {
		t.Fatalf("err = %v, want one that is of a newer version and no damage", err)
	}
	for _, part := range []string{typ, at.String(), "a newer version of Sallyport wrote it"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// A replica that meets what it cannot know stops, and skips nothing.
func TestANewerEventStopsARunningReplica(t *testing.T) {
	for _, x := range newerEvents {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := sealedSite(t)
			at := s.newer(x.subject, x.typ)
			await(t, "a halt", func() bool { return s.Halted() != nil })
			toldNewer(t, s.Halted(), x.typ, at)
			for what, err := range map[string]error{"writing": s.tryRecord(), "opening": s.Fresh(t.Context())} {
				var d *domain.Error
				if !errors.As(err, &d) || d.Kind != domain.KindUnavailable || d.Code != "log.unavailable" {
					t.Errorf("%s: %v, want log.unavailable", what, err)
				}
			}
			ready := s.Ready(t.Context())
			if ready["log"] == nil {
				t.Errorf("readiness says %v", ready)
			}
			if got := s.Trail().Applied(); got >= at.Sequence {
				t.Errorf("the trail went on to commit %d, over commit %s", got, at)
			}
		})
	}
}

func TestALogWithANewerEventIsNotStarted(t *testing.T) {
	for _, x := range newerEvents {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := sealedSite(t)
			now := s.Organisation
			s.stop()
			s.serve()
			s.Organisation = now // for its clock
			at := s.newer(x.subject, x.typ)
			s.Organisation = nil
			s.stop()
			toldNewer(t, s.start(), x.typ, at)
		})
	}
}

// A newer version also fed the trail, so that it is at the end of the log when
// the older one starts, long after.
func TestOldActivityOfANewerVersionIsNotStarted(t *testing.T) {
	t.Parallel()
	s := sealedSite(t)
	at := s.newer(activities, "secret.shown")
	s.stop()
	db, err := sql.Open("sqlite", s.path("trail.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("UPDATE checkpoint SET applied = ?", at.Sequence)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	types := s.path("trail.db.types")
	b, err := os.ReadFile(types)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(types, []byte(strings.Replace(string(b), `[`, `["secret.shown",`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.serve()
	_, err = organisation.Open(t.Context(), organisation.Options{
		Name: "default", BaseURL: orgtest.BaseURL, Conn: s.conn, TrailPath: s.path("trail.db"), SealDir: s.path("seal", "default"),
		Sealer: s.sealer, Gate: jose.Gate{LoopbackHTTP: true}, Log: orgtest.Quiet(),
		Now: func() time.Time { return time.Now().AddDate(0, 1, 0) },
	})
	toldNewer(t, err, "secret.shown", at)
}

// What a newer version knows and did not write stops nobody.
func TestTypesThatWereNeverWrittenStopNobody(t *testing.T) {
	t.Parallel()
	s := sealedSite(t)
	s.stop()
	types := s.path("trail.db.types")
	if err := os.WriteFile(types, []byte(`["secret.shown"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(types); err != nil || !strings.Contains(string(b), `"token.issued"`) || strings.Contains(string(b), "secret.shown") {
		t.Errorf("the types are %s, %v", b, err)
	}
}
