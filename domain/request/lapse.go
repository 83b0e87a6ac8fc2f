package request

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport.dev/domain"
)

// Next is when the next deadline is that is not recorded as passed; zero if there is none.
func (s State) Next() (next time.Time) {
	for id := range s.pending {
		if at := s.requests[id].deadline(); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for id := range s.holding {
		if at := s.requests[id].ValidUntil; next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// deadline is the next one of the open step that is not recorded as passed; zero
// if no step was opened.
func (r Request) deadline() time.Time {
	if len(r.Steps) == 0 {
		return time.Time{}
	}
	o := r.open()
	if !o.EscalatesAt.IsZero() && o.EscalatedAt.IsZero() && o.EscalatesAt.Before(o.ExpiresAt) {
		return o.EscalatesAt
	}
	return o.ExpiresAt
}

// maxLapses bounds one commit of [State.Lapse].
const maxLapses = 64

// Lapse is what deadlines have brought by m.Now and is not recorded: requests
// that expired, steps that escalated, approvals that are over, as many as one
// commit should hold: as long as [State.Next] is past, there are more.
//
// That an approval is over is recorded for the trail, and so that no clock that
// is put back afterwards can make it hold again.
func (s State) Lapse(m domain.Meta) (facts []domain.Fact) {
	for _, id := range slices.Sorted(maps.Keys(s.pending)) {
		r := s.requests[id]
		switch at := r.deadline(); {
		case len(facts) == maxLapses:
			return facts
		case at.IsZero() || m.Now.Before(at):
		case r.At(m.Now).Status == Expired:
			facts = append(facts, about(id, WasExpired{r.Matter, len(r.Steps), r.step().Name})...)
		default:
			facts = append(facts, about(id, WasEscalated{r.Matter, len(r.Steps), r.step().Name, r.step().Escalate.To})...)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.holding)) {
		if r := s.requests[id]; len(facts) < maxLapses && !m.Now.Before(r.ValidUntil) {
			facts = append(facts, about(id, HasLapsed{r.Matter, r.ValidUntil})...)
		}
	}
	return facts
}

// WasEscalated records that more people may decide a step, which waited for long.
type WasEscalated struct {
	Matter
	Step int         `json:"step"` // counted from 1
	Name domain.Name `json:"name"`
	To   Approvers   `json:"to"`
}

// EventType is request.escalated.
func (WasEscalated) EventType() string { return "request.escalated" }

func (e WasEscalated) evolve(s State, env domain.Envelope) (State, error) {
	r, err := s.inStep(env, e.Matter)
	if err == nil && (e.Step != len(r.Steps) || r.open().EscalatesAt.IsZero() || !r.open().EscalatedAt.IsZero()) {
		err = fmt.Errorf("step %d of request %s escalated, and does not, or did before", e.Step, r.ID)
	}
	if err != nil {
		return s, err
	}
	r.change(func(o *Opened) { o.EscalatedAt = env.Time })
	s.requests[r.ID] = r
	return s, nil
}

// WasExpired records that a step did not have its approvals in time, which ends a request.
type WasExpired struct {
	Matter
	Step int         `json:"step"` // counted from 1
	Name domain.Name `json:"name"`
}

// EventType is request.expired.
func (WasExpired) EventType() string { return "request.expired" }

func (e WasExpired) evolve(s State, env domain.Envelope) (State, error) {
	r, err := s.inStep(env, e.Matter)
	if err == nil && e.Step != len(r.Steps) {
		err = fmt.Errorf("step %d of request %s expired, which is at step %d", e.Step, r.ID, len(r.Steps))
	}
	if err != nil {
		return s, err
	}
	return s.end(r, Expired, env), nil
}

// HasLapsed records that the time of an approval is over; what it opened was
// closed from that moment on.
type HasLapsed struct {
	Matter
	ValidUntil time.Time `json:"valid_until"`
}

// EventType is request.lapsed.
func (HasLapsed) EventType() string { return "request.lapsed" }

func (e HasLapsed) evolve(s State, env domain.Envelope) (State, error) {
	id, err := idOf(env)
	r := s.requests[id]
	if _, holds := s.holding[id]; err == nil && (!holds || r.Matter != e.Matter || !r.ValidUntil.Equal(e.ValidUntil)) {
		err = fmt.Errorf("the approval of request %s lapsed, and there is none, or it did before", id)
	}
	if err != nil {
		return s, err
	}
	delete(s.holding, id)
	return s, nil
}
