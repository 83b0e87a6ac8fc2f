package notification

import "sallyport.dev/domain"

// told lists the types of events of which people are told.
var told = map[string]bool{
	"request.raised":      true,
	"request.step_opened": true,
	"request.escalated":   true,
	"request.approved":    true,
	"request.denied":      true,
	"request.expired":     true,
	"break_glass.used":    true,
}

// noticed is the notice that an event is, if it is one.
func noticed(e domain.Envelope) (Notice, bool) {
	return Notice{ID: e.ID, Type: e.Type, Subject: e.Subject, Actor: e.Actor, At: e.Time}, told[e.Type]
}
