package request

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
)

// Answer is one person's word on the step that is open: yes or no.
type Answer struct {
	ID      string
	Verdict Status            // Approved or Denied
	Step    int               // the step that is meant, counted from 1; 0 is whichever is open
	Comment string            // up to 2 KiB
	Fields  map[string]string // the approver's; those required are asked for with a yes
	World   World
}

func (c Answer) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	r, seat, err := c.seat(s, m)
	if err != nil {
		return nil, err
	}
	b := &broken{}
	b.long("/comment", c.Comment)
	r.Spec.checkFilled(b, OfApprover, c.Fields, c.Verdict == Approved)
	if err := domain.ErrFields(b.fields); err != nil {
		return nil, err
	}
	if err := c.possible(r); err != nil {
		return nil, err
	}
	decided := WasDecided{
		Matter: r.Matter, Step: len(r.Steps), Name: r.step().Name, Verdict: c.Verdict, For: seat.standsFor, Escalated: seat.escalated,
		Comment: c.Comment, Fields: c.Fields,
	}
	switch {
	case c.Verdict == Denied:
		return about(r.ID, decided, WasDenied{r.Matter}), nil
	case r.open().approvals()+1 < r.step().Needed:
		return about(r.ID, decided), nil
	case len(r.Steps) < len(r.Spec.Steps):
		n := len(r.Steps) + 1
		return about(r.ID, decided, r.opens(r.Matter, r.Spec.step(n), n, m.Now)), nil
	}
	return about(r.ID, decided, WasApproved{Matter: r.Matter, ValidUntil: r.validUntil(m.Now)}), nil
}

// seat is the request and the chair from which the caller decides it, or why they may not.
func (c Answer) seat(s State, m domain.Meta) (Request, chair, error) {
	r, err := s.visible(c.ID, m, c.World)
	if err != nil {
		return r, chair{}, err
	}
	who := domain.Name(m.Actor.ID)
	switch {
	case r.Requester == m.Actor.ID:
		return r, chair{}, ErrOwn
	case !c.World.Known(who):
		return r, chair{}, ErrPeopleOnly
	case r.used()[who]:
		return r, chair{}, ErrTwice
	case r.Status != Pending:
		return r, chair{}, ErrOver.With("The request is over: it was %s.", r.Status)
	}
	chairs := s.chairs(r, m.Now, c.World)
	i := slices.IndexFunc(chairs, func(h chair) bool { return h.by == who })
	switch {
	case i < 0:
		return r, chair{}, ErrNotYours
	case c.Step != 0 && c.Step != len(r.Steps):
		return r, chair{}, ErrStep
	}
	return r, chairs[i], nil
}

// visible is the request as it is at m.Now, for who may see it.
func (s State) visible(id string, m domain.Meta, w World) (Request, error) {
	r, ok := s.requests[id]
	if !ok || !s.Sees(r, m.Actor, m.Now, w) {
		return Request{}, ErrNotFound
	}
	return r.At(m.Now), nil
}

// possible tells whether what is approved can still be given. A no is always possible.
func (c Answer) possible(r Request) error {
	if c.Verdict == Denied {
		return nil
	}
	if p := r.Person(); p != "" && !c.World.Known(p) {
		return ErrGone.With("There is no person %s any more: deny the request.", p)
	}
	if r.Group == "" {
		return nil
	}
	switch bears, there := c.World.Group(r.Group); {
	case !there:
		return ErrGone.With("There is no group %s any more: deny the request.", r.Group)
	case bears && !r.ByOwner:
		return ErrOwnerOnly.With("Group %s has come to lend admin roles, and no owner published the request type: deny the request.", r.Group)
	}
	return nil
}

// approvals counts the yeses of a step: each of another person.
func (o Opened) approvals() (n int) {
	for _, d := range o.Decisions {
		if d.Verdict == Approved {
			n++
		}
	}
	return n
}

// validUntil is when what is approved at now closes again.
func (r Request) validUntil(now time.Time) time.Time {
	if r.Group != "" {
		return r.Until
	}
	return now.Add(time.Duration(r.ApprovalSeconds) * time.Second).UTC()
}

// WasDecided records one person's word on a step.
type WasDecided struct {
	Matter
	Step      int               `json:"step"` // counted from 1
	Name      domain.Name       `json:"name"`
	Verdict   Status            `json:"decision"`            // approved or denied
	For       domain.Name       `json:"for,omitempty"`       // whose delegate the actor was in this
	Escalated bool              `json:"escalated,omitempty"` // they might since the step escalated
	Comment   string            `json:"comment,omitempty"`
	Fields    map[string]string `json:"fields,omitempty"`
}

// EventType is request.decided.
func (WasDecided) EventType() string { return "request.decided" }

func (e WasDecided) evolve(s State, env domain.Envelope) (State, error) {
	r, err := s.inStep(env, e.Matter)
	used := r.used()
	switch by := domain.Name(env.Actor); {
	case err != nil:
	case e.Step != len(r.Steps) || e.Verdict != Approved && e.Verdict != Denied:
		err = fmt.Errorf("request %s is at step %d, and step %d was %s", r.ID, len(r.Steps), e.Step, e.Verdict)
	case env.Actor == r.Requester || e.For.String() == r.Requester || used[by] || e.For != "" && used[e.For]:
		err = fmt.Errorf("%s decided request %s for %q, and may not", env.Actor, r.ID, e.For)
	}
	if err != nil {
		return s, err
	}
	r.change(func(o *Opened) {
		o.Decisions = append(slices.Clone(o.Decisions), Decision{
			By: domain.Name(env.Actor), For: e.For, Verdict: e.Verdict, Escalated: e.Escalated, Comment: e.Comment, Fields: e.Fields, At: env.Time,
		})
	})
	s.requests[r.ID] = r
	return s, nil
}

// change replaces the step that was opened last, in a list of the request's own.
func (r *Request) change(f func(*Opened)) {
	r.Steps = slices.Clone(r.Steps)
	f(&r.Steps[len(r.Steps)-1])
}

// WasApproved records that every step has its approvals.
type WasApproved struct {
	Matter
	ValidUntil time.Time `json:"valid_until"`
}

// EventType is request.approved.
func (WasApproved) EventType() string { return "request.approved" }

func (e WasApproved) evolve(s State, env domain.Envelope) (State, error) {
	r, err := s.inStep(env, e.Matter)
	if err == nil && (len(r.Steps) != len(r.Spec.Steps) || r.open().approvals() < r.step().Needed) {
		err = fmt.Errorf("request %s was approved at step %d of %d", r.ID, len(r.Steps), len(r.Spec.Steps))
	}
	if err != nil {
		return s, err
	}
	r.ValidUntil = e.ValidUntil
	if was := s.requests[s.approved[r.Key()]]; !was.ValidUntil.After(r.ValidUntil) { // a longer membership may be approved already
		s.approved[r.Key()] = r.ID
	}
	if r.Group == "" { // of a membership, the group records when it is over
		s.holding[r.ID] = struct{}{}
	}
	return s.end(r, Approved, env), nil
}

// WasDenied records that somebody said no, which ends a request.
type WasDenied struct{ Matter }

// EventType is request.denied.
func (WasDenied) EventType() string { return "request.denied" }

func (e WasDenied) evolve(s State, env domain.Envelope) (State, error) {
	r, err := s.inStep(env, e.Matter)
	if err == nil && !slices.ContainsFunc(r.open().Decisions, func(d Decision) bool { return d.Verdict == Denied }) {
		err = fmt.Errorf("request %s was denied, and nobody said no", r.ID)
	}
	if err != nil {
		return s, err
	}
	return s.end(r, Denied, env), nil
}

// idOf is the request that the envelope's subject names.
func idOf(e domain.Envelope) (string, error) {
	id, ok := strings.CutPrefix(e.Subject, "request/")
	if !ok || id == "" {
		return "", fmt.Errorf("the subject %q names no request", e.Subject)
	}
	return id, nil
}

// underWay is the request that the envelope is about, which has to be pending
// and about that.
func (s State) underWay(e domain.Envelope, about Matter) (Request, error) {
	id, err := idOf(e)
	r := s.requests[id]
	switch {
	case err != nil:
		return r, err
	case r.Status != Pending:
		return r, fmt.Errorf("request %s is %q", id, r.Status)
	case r.Matter != about:
		return r, fmt.Errorf("request %s is about %+v, not %+v", id, r.Matter, about)
	}
	return r, nil
}

// inStep is as underWay, of a request that has a step opened.
func (s State) inStep(e domain.Envelope, about Matter) (Request, error) {
	r, err := s.underWay(e, about)
	if err == nil && len(r.Steps) == 0 {
		err = fmt.Errorf("request %s has no step opened", r.ID)
	}
	return r, err
}

// end is the state once a request is over. Of those that were over longest ago
// one is forgotten, unless what it opened is still open.
func (s State) end(r Request, as Status, env domain.Envelope) State {
	r.Status, r.EndedAt, r.EndedBy = as, env.Time, env.Actor
	s.requests[r.ID] = r
	delete(s.pending, r.ID)
	if s.specs[r.Spec]--; s.specs[r.Spec] == 0 {
		delete(s.specs, r.Spec)
	}
	s.ended = append(s.ended, r.ID)
	if len(s.ended) <= keptEnded {
		return s
	}
	oldest := s.requests[s.ended[0]]
	s.ended = s.ended[1:]
	if env.Time.Before(oldest.ValidUntil) {
		s.ended = append(s.ended, oldest.ID)
		return s
	}
	delete(s.requests, oldest.ID)
	delete(s.holding, oldest.ID)
	if i := slices.Index(s.raised, oldest.ID); i >= 0 { // among the first
		s.raised = slices.Delete(s.raised, i, i+1)
	}
	for _, index := range []map[Key]string{s.newest, s.approved} {
		if k := oldest.Key(); index[k] == oldest.ID {
			delete(index, k)
		}
	}
	return s
}
