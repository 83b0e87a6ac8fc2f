package notification

import "sallyport.dev/domain"

// Finish records what became of a notice that was begun.
type Finish struct {
	Notice  Notice
	Channel Channel
	Tries   int    // how often it was tried, at least 1
	Reason  string // a code: why it was given up; "" it was sent
}

// WasSent is recorded when the channel has taken a notice.
type WasSent struct {
	Notice  string  `json:"notice"`
	Of      string  `json:"of"`
	About   string  `json:"about"`
	Channel Channel `json:"channel"`
	Tries   int     `json:"tries"`
}

// EventType names the event.
func (WasSent) EventType() string { return "notification.sent" }

// HasFailed is recorded when a notice was given up.
type HasFailed struct {
	Notice  string  `json:"notice"`
	Of      string  `json:"of"`
	About   string  `json:"about"`
	Channel Channel `json:"channel"`
	Tries   int     `json:"tries"`
	Reason  string  `json:"reason"` // a code such as timeout; never what somebody answered
}

// EventType names the event.
func (HasFailed) EventType() string { return "notification.failed" }

func (c Finish) decide(s State, _ domain.Meta) ([]domain.Fact, error) {
	// A notice that was forgotten meanwhile has an outcome all the same.
	if k := s.notices[c.Notice.ID]; k != nil && k.by[c.Channel].done {
		return nil, nil
	}
	n := c.Notice
	if c.Reason == "" {
		return []domain.Fact{{Subject: subject(n.ID), Event: WasSent{
			Notice: n.ID, Of: n.Type, About: n.Subject, Channel: c.Channel, Tries: c.Tries,
		}}}, nil
	}
	return []domain.Fact{{Subject: subject(n.ID), Event: HasFailed{
		Notice: n.ID, Of: n.Type, About: n.Subject, Channel: c.Channel, Tries: c.Tries, Reason: c.Reason,
	}}}, nil
}

func (ev WasSent) evolve(s State, _ domain.Envelope) State { return s.finished(ev.Notice, ev.Channel) }

func (ev HasFailed) evolve(s State, _ domain.Envelope) State {
	return s.finished(ev.Notice, ev.Channel)
}

func (s State) finished(id string, c Channel) State {
	if k := s.notices[id]; k != nil {
		p := k.by[c]
		p.done = true
		k.by[c] = p
	}
	return s
}
