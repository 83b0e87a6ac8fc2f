package notification_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/notification"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/request"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func envelope(id string, at time.Time, e domain.Event) domain.Envelope {
	return domain.Envelope{ID: id, Type: e.EventType(), Subject: "request/" + id, Actor: "alice", Time: at, Event: e}
}

func anybody(string) bool { return false }

// pending is the ids of what may be begun.
func pending(s notification.State, c notification.Channel, now time.Time) (ids []string) {
	for _, n := range s.Pending(c, now, 1000, anybody) {
		ids = append(ids, n.ID)
	}
	return ids
}

// do decides and folds, and is how many facts that made.
func do(t *testing.T, s *notification.State, c notification.Command, now time.Time) int {
	t.Helper()
	facts, err := notification.Decide(*s, c, domain.Meta{Actor: domain.System("notify"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range facts {
		e := domain.Envelope{Type: f.Event.EventType(), Subject: f.Subject, Time: now, Event: f.Event}
		if *s, err = notification.Evolve(*s, e); err != nil {
			t.Fatal(err)
		}
		*s = s.Observe(e)
	}
	return len(facts)
}

func TestPeopleAreToldOfTheseAlone(t *testing.T) {
	for _, tt := range []struct {
		event domain.Event
		told  bool
	}{
		{request.WasRaised{}, true},
		{request.StepWasOpened{Step: 1}, false}, // with the request that was raised
		{request.StepWasOpened{Step: 2}, true},
		{request.WasEscalated{Step: 1}, true},
		{request.WasDecided{}, false},
		{request.WasApproved{}, true},
		{request.WasDenied{}, true},
		{request.WasExpired{}, true},
		{request.WasCancelled{}, false},
		{access.GlassWasBroken{}, true},
		{access.GlassWasReviewed{}, false},
		{access.CheckoutHasLapsed{Of: "alice"}, true},
		{access.CheckoutWasReleased{Of: "alice"}, false},
		{group.MemberWasRemoved{Person: "alice", Reason: group.Lapsed}, true},
		{group.MemberWasRemoved{Person: "alice", Reason: group.Removed}, false},
		{group.MemberWasAdded{Person: "alice"}, false},
		{person.WasAdded{Name: "alice"}, false},
		{notification.WasBegun{}, false},
	} {
		s := notification.Keeping().Observe(envelope("a", noon, tt.event))
		if got := len(pending(s, notification.Email, noon)) == 1; got != tt.told {
			t.Errorf("%s %+v: told %v, want %v", tt.event.EventType(), tt.event, got, tt.told)
		}
	}
}

func TestANoticeGoesItsWayOnceInEachChannel(t *testing.T) {
	s := notification.Keeping().Observe(envelope("a", noon, request.WasRaised{}))
	n := s.Pending(notification.Email, noon, 1, anybody)[0]
	begin := notification.Begin{Notice: n, Channel: notification.Email, Recipients: 2}
	finish := notification.Finish{Notice: n, Channel: notification.Email, Tries: 1}
	for _, step := range []struct {
		what    string
		command notification.Command
		at      time.Time
		facts   int
		email   []string // what may be begun by mail afterwards
	}{
		{"the first who begins it has it", begin, noon, 1, nil},
		{"the second has not", begin, noon, 0, nil},
		{"nor a moment before it is given up on", begin, noon.Add(notification.AgainAfter - 1), 0, nil},
		{"then it may be begun again", begin, noon.Add(notification.AgainAfter), 1, nil},
		{"and never a third time", begin, noon.Add(2 * notification.AgainAfter), 0, nil},
		{"its outcome is recorded", finish, noon.Add(2 * notification.AgainAfter), 1, nil},
		{"once", finish, noon.Add(2 * notification.AgainAfter), 0, nil},
		{"also if it is another one", notification.Finish{Notice: n, Channel: notification.Email, Tries: 5, Reason: "timeout"}, noon.Add(2 * notification.AgainAfter), 0, nil},
	} {
		if got := do(t, &s, step.command, step.at); got != step.facts {
			t.Errorf("%s: %d facts, want %d", step.what, got, step.facts)
		}
		if got := pending(s, notification.Email, step.at); !cmp.Equal(got, step.email) {
			t.Errorf("%s: pending is %v, want %v", step.what, got, step.email)
		}
	}
	if got := pending(s, notification.Webhook, noon); len(got) != 1 {
		t.Error("what went by mail is not pending for the webhook any more")
	}
}

func TestAFailedOneIsOver(t *testing.T) {
	s := notification.Keeping().Observe(envelope("a", noon, request.WasRaised{}))
	n := s.Pending(notification.Webhook, noon, 1, anybody)[0]
	do(t, &s, notification.Begin{Notice: n, Channel: notification.Webhook}, noon)
	do(t, &s, notification.Finish{Notice: n, Channel: notification.Webhook, Tries: 5, Reason: "timeout"}, noon)
	if got := do(t, &s, notification.Begin{Notice: n, Channel: notification.Webhook}, noon.Add(20*time.Minute)); got != 0 {
		t.Error("it is begun after it was given up")
	}
}

func TestWhatIsKeptIsBoundedInNumberAndAge(t *testing.T) {
	s := notification.Keeping()
	for i := range notification.MaxKept + 5 {
		s = s.Observe(envelope(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Millisecond), request.WasApproved{}))
	}
	if s.Len() != notification.MaxKept || s.Has("4") || !s.Has("5") {
		t.Errorf("%d are kept; the oldest forgotten: %v, and no more: %v", s.Len(), !s.Has("4"), s.Has("5"))
	}
	if got := pending(s, notification.Email, noon.Add(notification.KeptFor+time.Minute)); len(got) != 0 {
		t.Errorf("%d are pending after an hour", len(got))
	}
	s = s.Observe(envelope("later", noon.Add(notification.KeptFor+time.Minute), person.WasAdded{}))
	if s.Len() != 0 {
		t.Errorf("%d are kept after an hour", s.Len())
	}
}

// A process that tells nobody keeps nothing, and folds what others record.
func TestWithoutAChannelNothingIsKept(t *testing.T) {
	var s notification.State
	s = s.Observe(envelope("a", noon, request.WasRaised{}))
	if s.Len() != 0 || len(pending(s, notification.Email, noon)) != 0 {
		t.Error("it is kept")
	}
	for _, e := range []domain.Event{notification.WasBegun{Notice: "a"}, notification.WasSent{Notice: "a"}, notification.HasFailed{Notice: "a"}} {
		var err error
		if s, err = notification.Evolve(s, envelope("b", noon, e)); err != nil {
			t.Errorf("%s: %v", e.EventType(), err)
		}
	}
	if _, err := notification.Evolve(s, envelope("b", noon, request.WasRaised{})); err == nil {
		t.Error("it folds what is not its own")
	}
}

// An outcome of a notice that was forgotten while it was sent is recorded all the same.
func TestTheOutcomeOfAForgottenNoticeIsRecorded(t *testing.T) {
	s := notification.Keeping()
	n := notification.Notice{ID: "gone", Type: "request.raised", Subject: "request/1"}
	if got := do(t, &s, notification.Finish{Notice: n, Channel: notification.Email, Tries: 1}, noon); got != 1 {
		t.Errorf("%d facts, want 1", got)
	}
	if got := do(t, &s, notification.Begin{Notice: n, Channel: notification.Email}, noon); got != 0 {
		t.Error("it is begun though it is forgotten")
	}
}
