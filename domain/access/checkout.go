package access

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
)

// MinCheckout is the shortest checkout that can be asked for.
const MinCheckout = time.Minute

// Checkout is an account of a server, or a secret, that one person has to themself.
type Checkout struct {
	Resource    resource.Ref
	Account     domain.Name // "" of a secret
	Method      string      // by which it was taken
	By          string      // a person's name
	From, Until time.Time
}

// TakeCheckout gives the subject the method's account, or the secret, alone.
type TakeCheckout struct {
	World    World
	Subject  Subject
	Resource resource.Ref
	Method   string // id of one that asks for it
	Seconds  int    // how long; 0 is as long as may be
}

// CheckoutWasTaken records that somebody has it alone.
type CheckoutWasTaken struct {
	Resource resource.Ref `json:"resource"`
	Account  domain.Name  `json:"account,omitempty"`
	Method   string       `json:"method"`
	By       string       `json:"by"`
	From     time.Time    `json:"from"`
	Until    time.Time    `json:"until"`
}

// EventType is checkout.taken.
func (CheckoutWasTaken) EventType() string { return "checkout.taken" }

func (c TakeCheckout) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if c.Subject.Workload() {
		return nil, ErrPeopleOnly
	}
	method, err := c.World.given(c.Subject, c.Resource, c.Method, m.Now)
	if err != nil {
		return nil, err
	}
	longest, needed := method.checkout()
	if !needed {
		return nil, &domain.Error{Kind: domain.KindConflict, Code: "checkout.not_needed",
			Message: "This access method is used without a checkout: ask for access as it is."}
	}
	if err := unmet(method, policy.Checkout); err != nil {
		return nil, err
	}
	period := longest
	if c.Seconds != 0 {
		period = time.Duration(c.Seconds) * time.Second
	}
	if period < MinCheckout || period > longest {
		return nil, domain.ErrFields([]domain.FieldError{{Pointer: "/seconds", Code: "value.range",
			Detail: fmt.Sprintf("seconds is from %d to %d here", MinCheckout/time.Second, longest/time.Second)}})
	}
	at := spot{c.Resource, method.Account}
	was, held := s.checkouts[at]
	var facts []domain.Fact
	switch {
	case held && !m.Now.Before(was.Until):
		facts = append(facts, was.lapsed())
	case held && was.By == c.Subject.ID:
		return nil, nil // they have it already, and as long as they were told then
	case held:
		return nil, &domain.Error{Kind: domain.KindConflict, Code: "checkout.taken",
			Message: fmt.Sprintf("%s has it checked out until %s: wait, or ask them to release it.", was.By, was.Until.UTC().Format(time.RFC3339))}
	}
	return append(facts, domain.Fact{Subject: string(c.Resource), Event: CheckoutWasTaken{
		Resource: c.Resource, Account: method.Account, Method: c.Method, By: c.Subject.ID, From: m.Now, Until: m.Now.Add(period),
	}}), nil
}

// checkout is how long the method's account may be checked out, if it has to be.
func (m Method) checkout() (longest time.Duration, needed bool) {
	for _, r := range m.Requires {
		if r.Type == policy.Checkout {
			d := time.Duration(r.Seconds) * time.Second
			if !needed || d < longest {
				longest = d
			}
			needed = true
		}
	}
	return longest, needed
}

func (ev CheckoutWasTaken) evolve(s State, _ domain.Envelope) (State, error) {
	at := spot{ev.Resource, ev.Account}
	if was, held := s.checkouts[at]; held {
		return s, fmt.Errorf("%s of %s is checked out by %s already", ev.Account, ev.Resource, was.By)
	}
	if ev.By == "" || !ev.From.Before(ev.Until) {
		return s, fmt.Errorf("a checkout of %s is nobody's, or ends before it begins", ev.Resource)
	}
	s.checkouts[at] = Checkout(ev)
	return s, nil
}

// ReleaseCheckout gives back what the caller has checked out, or, of a resource
// admin, what anybody has. Who has nothing there has given it back already: nobody
// else learns whether somebody has.
type ReleaseCheckout struct {
	Resource resource.Ref
	Account  domain.Name
}

// CheckoutWasReleased records that it is free again before its time.
type CheckoutWasReleased struct {
	Resource resource.Ref `json:"resource"`
	Account  domain.Name  `json:"account,omitempty"`
	Of       string       `json:"of"` // whose it was
}

// EventType is checkout.released.
func (CheckoutWasReleased) EventType() string { return "checkout.released" }

func (c ReleaseCheckout) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	was, held := s.Checkout(c.Resource, c.Account, m.Now)
	if !held || was.By != m.Actor.ID && !m.Actor.Has(domain.ResourceAdmin) {
		return nil, nil
	}
	return []domain.Fact{{Subject: string(c.Resource), Event: CheckoutWasReleased{Resource: c.Resource, Account: c.Account, Of: was.By}}}, nil
}

func (ev CheckoutWasReleased) evolve(s State, _ domain.Envelope) (State, error) {
	return s.free(ev.Resource, ev.Account, ev.Of)
}

// CheckoutHasLapsed records that a checkout's time was over. It was no longer
// effective from then on, whenever this is recorded.
type CheckoutHasLapsed struct {
	Resource resource.Ref `json:"resource"`
	Account  domain.Name  `json:"account,omitempty"`
	Of       string       `json:"of"`
	Until    time.Time    `json:"until"`
}

// EventType is checkout.lapsed.
func (CheckoutHasLapsed) EventType() string { return "checkout.lapsed" }

func (c Checkout) lapsed() domain.Fact {
	return domain.Fact{Subject: string(c.Resource), Actor: domain.System("clock").ID,
		Event: CheckoutHasLapsed{Resource: c.Resource, Account: c.Account, Of: c.By, Until: c.Until}}
}

func (ev CheckoutHasLapsed) evolve(s State, _ domain.Envelope) (State, error) {
	return s.free(ev.Resource, ev.Account, ev.Of)
}

func (s State) free(ref resource.Ref, account domain.Name, of string) (State, error) {
	at := spot{ref, account}
	if was, held := s.checkouts[at]; !held || was.By != of {
		return s, fmt.Errorf("%s of %s is not checked out by %s", account, ref, of)
	}
	delete(s.checkouts, at)
	return s, nil
}
