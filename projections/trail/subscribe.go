package trail

import (
	"context"

	"sallyport.dev/domain"
)

// Subscription is a query that goes on into the future: first what is there,
// then what arrives, each event once and in order. It holds nothing while its
// reader is slow: it asks for its next page when its reader does. It is for one
// goroutine; there is nothing to close.
type Subscription struct {
	trail *Trail
	plan  *plan
	after domain.Position
}

// Subscribe begins behind q.After, which [EncodeCursor] makes of a
// Last-Event-ID or of [Trail.Last]; empty is the oldest event. Descending is refused.
func (t *Trail) Subscribe(q Query) (*Subscription, error) {
	p, err := newPlan(q)
	if err != nil {
		return nil, err
	}
	if p.desc {
		return nil, domain.ErrFields([]domain.FieldError{{
			Pointer: "/order", Code: "order.stream", Detail: "a stream goes forward in time: order is asc",
		}})
	}
	return &Subscription{trail: t, plan: p, after: p.after}, nil
}

// Next waits until there is at least one more event and returns up to a page
// of them. With an error nothing was passed over: when it is ctx's, as after the
// deadline by which a heartbeat is due, the next call goes on where this one began.
func (s *Subscription) Next(ctx context.Context) ([]Entry, error) {
	for {
		_, changed := s.trail.watch() // before looking, so that nothing arrives unseen between
		found, err := s.trail.find(ctx, s.plan, s.after, maxKey)
		if err != nil {
			return nil, err
		}
		s.after = found.next(s.plan)
		if len(found.events) > 0 {
			return found.events, nil
		}
		if err := s.trail.await(ctx, changed); err != nil {
			return nil, err
		}
	}
}
