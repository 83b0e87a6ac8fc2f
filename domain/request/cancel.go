package request

import (
	"fmt"

	"sallyport.dev/domain"
)

// Cancel withdraws a request: by who raised it, before anybody has decided.
type Cancel struct {
	ID    string
	World World
}

func (c Cancel) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	r, err := s.visible(c.ID, m, c.World)
	switch {
	case err != nil:
		return nil, err
	case r.Requester != m.Actor.ID:
		return nil, ErrRequester
	case r.Status == Cancelled:
		return nil, nil // already so
	case r.Status != Pending:
		return nil, ErrOver.With("The request is over: it was %s.", r.Status)
	case len(r.used()) > 0:
		return nil, ErrBegun
	}
	return about(r.ID, WasCancelled{r.Matter}), nil
}

// WasCancelled records that a requester withdrew a request.
type WasCancelled struct{ Matter }

// EventType is request.cancelled.
func (WasCancelled) EventType() string { return "request.cancelled" }

func (e WasCancelled) evolve(s State, env domain.Envelope) (State, error) {
	r, err := s.underWay(env, e.Matter)
	if err == nil && (env.Actor != r.Requester || len(r.used()) > 0) {
		err = fmt.Errorf("%s cancelled request %s, and may not", env.Actor, r.ID)
	}
	if err != nil {
		return s, err
	}
	return s.end(r, Cancelled, env), nil
}
