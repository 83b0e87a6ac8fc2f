package notification

import "sallyport.dev/domain"

// Begin asks to be the one who tells people of a notice.
type Begin struct {
	Notice     Notice
	Channel    Channel
	Recipients int // how many people are told; 0 where only the channel is
}

// WasBegun is recorded before anybody is told. It says how many are, and
// neither who nor what.
type WasBegun struct {
	Notice     string  `json:"notice"` // id of the event that people are told of
	Of         string  `json:"of"`     // its type
	About      string  `json:"about"`  // its subject
	Channel    Channel `json:"channel"`
	Recipients int     `json:"recipients"`
}

// EventType names the event.
func (WasBegun) EventType() string { return "notification.begun" }

func subject(id string) string { return "notification/" + id }

func (c Begin) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	k := s.notices[c.Notice.ID]
	if k == nil || !k.free(c.Channel, m.Now) {
		return nil, nil
	}
	return []domain.Fact{{Subject: subject(k.ID), Event: WasBegun{
		Notice: k.ID, Of: k.Type, About: k.Subject, Channel: c.Channel, Recipients: c.Recipients,
	}}}, nil
}

func (ev WasBegun) evolve(s State, e domain.Envelope) State {
	if k := s.notices[ev.Notice]; k != nil {
		k.by[ev.Channel] = progress{begun: k.by[ev.Channel].begun + 1, at: e.Time}
	}
	return s
}
