package notification

import (
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/request"
)

// noticed is the notice that an event is, if people are told of it.
func noticed(e domain.Envelope) (n Notice, ok bool) {
	n = Notice{ID: e.ID, Type: e.Type, Subject: e.Subject, Actor: e.Actor, At: e.Time}
	switch ev := e.Event.(type) {
	case request.WasRaised:
		n.Step = 1
	case request.StepWasOpened:
		if n.Step = ev.Step; ev.Step == 1 {
			return n, false // it was raised in the same moment, and that is told
		}
	case request.WasEscalated:
		n.Step = ev.Step
	case request.WasApproved, request.WasDenied, request.WasExpired, access.GlassWasBroken:
	case group.MemberWasRemoved:
		n.Person, n.Group, n.Until = ev.Person, ev.Group, ev.Until
		return n, ev.Reason == group.Lapsed
	case access.CheckoutHasLapsed:
		n.Person, n.Until, n.Resource, n.Account = domain.Name(ev.Of), ev.Until, string(ev.Resource), ev.Account
	default:
		return n, false
	}
	return n, true
}

// About is the id in the notice's subject, such as that of an access request.
func (n Notice) About() string {
	_, id, _ := strings.Cut(n.Subject, "/")
	return id
}
