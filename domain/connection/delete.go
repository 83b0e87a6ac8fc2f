package connection

import "sallyport.dev/domain"

// Delete ends a connection for good: a draft by who may edit it, any other by
// a security admin once it is inactive. Its name is never given again, so its
// tokens stay dead.
type Delete struct {
	Version uint64 // as in If-Match
}

func (c Delete) decide(s State, m domain.Meta) ([]Event, error) {
	if err := MayWrite(s, m.Actor); err != nil {
		return nil, err
	}
	switch {
	case c.Version != s.Version:
		return nil, ErrStale
	case s.Status == Active:
		return nil, ErrActive
	}
	return []Event{WasDeleted{}}, nil
}

// WasDeleted records that a connection is gone.
type WasDeleted struct{}

func (WasDeleted) EventType() string { return "connection.deleted" }

// evolve keeps what must be known for ever: that there was one, and when it ended.
func (WasDeleted) evolve(s State, env domain.Envelope) State {
	return State{
		Name: s.Name, Status: Deleted, Version: s.Version, Generation: s.Generation, EverActivated: s.EverActivated,
		CreatedAt: s.CreatedAt, CreatedBy: s.CreatedBy, UpdatedAt: env.Time, UpdatedBy: env.Actor,
	}
}
