package events

import (
	"fmt"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
)

// ofRequests is the types of request types, access requests and delegations.
func ofRequests() []definition {
	return append(ofRequestTypes(),
		control("request.raised", func(e request.WasRaised, v domain.Envelope) string {
			s := fmt.Sprintf("%s asks for %s", asking(e.Matter), wanted(e.Matter))
			switch {
			case e.Group != "":
				s += " until " + clock(e.Until)
			case e.ApprovalSeconds > 0:
				s += " for " + domain.Lasting(time.Duration(e.ApprovalSeconds)*time.Second)
			}
			if e.Justification != "" {
				s += ": " + short(e.Justification)
			}
			return s
		}).asker(func(e domain.Event) request.Matter { return e.(request.WasRaised).Matter }),
		control("request.step_opened", func(e request.StepWasOpened, v domain.Envelope) string {
			return fmt.Sprintf("the request of %s for %s waits for %s (step %d) until %s", asking(e.Matter), wanted(e.Matter), e.Name, e.Step, clock(e.ExpiresAt))
		}).asker(func(e domain.Event) request.Matter { return e.(request.StepWasOpened).Matter }),
		control("request.decided", func(e request.WasDecided, v domain.Envelope) string {
			verb, by := "said yes to", v.Actor
			if e.Verdict == request.Denied {
				verb = "said no to"
			}
			if e.For != "" {
				by += ", for " + e.For.String() + ","
			}
			s := fmt.Sprintf("%s %s %s in the request of %s for %s", by, verb, e.Name, asking(e.Matter), wanted(e.Matter))
			if e.Comment != "" {
				s += ": " + short(e.Comment)
			}
			return s
		}).asker(func(e domain.Event) request.Matter { return e.(request.WasDecided).Matter }),
		control("request.escalated", func(e request.WasEscalated, v domain.Envelope) string {
			to := "group " + e.To.Group.String()
			if len(e.To.People) > 0 {
				var people []string
				for _, p := range e.To.People {
					people = append(people, p.String())
				}
				to = listed(people, "nobody")
			}
			return fmt.Sprintf("the request of %s for %s has waited long for %s, so %s may decide it, too", asking(e.Matter), wanted(e.Matter), e.Name, to)
		}).asker(func(e domain.Event) request.Matter { return e.(request.WasEscalated).Matter }),
		control("request.approved", func(e request.WasApproved, v domain.Envelope) string {
			return fmt.Sprintf("the request of %s for %s was approved, until %s", asking(e.Matter), wanted(e.Matter), clock(e.ValidUntil))
		}).asker(func(e domain.Event) request.Matter { return e.(request.WasApproved).Matter }),
		control("request.denied", func(e request.WasDenied, v domain.Envelope) string {
			return fmt.Sprintf("the request of %s for %s was denied by %s", asking(e.Matter), wanted(e.Matter), v.Actor)
		}).outcome(func(domain.Event) string { return Denied }).
			asker(func(e domain.Event) request.Matter { return e.(request.WasDenied).Matter }),
		control("request.cancelled", func(e request.WasCancelled, v domain.Envelope) string {
			return fmt.Sprintf("%s withdrew the request for %s", asking(e.Matter), wanted(e.Matter))
		}).asker(func(e domain.Event) request.Matter { return e.(request.WasCancelled).Matter }),
		control("request.expired", func(e request.WasExpired, v domain.Envelope) string {
			return fmt.Sprintf("the request of %s for %s expired, waiting for %s (step %d)", asking(e.Matter), wanted(e.Matter), e.Name, e.Step)
		}).asker(func(e domain.Event) request.Matter { return e.(request.WasExpired).Matter }),
		control("request.lapsed", func(e request.HasLapsed, v domain.Envelope) string {
			return fmt.Sprintf("the approval of %s for %s was over at %s", asking(e.Matter), wanted(e.Matter), clock(e.ValidUntil))
		}).asker(func(e domain.Event) request.Matter { return e.(request.HasLapsed).Matter }),
		control("delegation.set", func(e request.DelegationWasSet, v domain.Envelope) string {
			return fmt.Sprintf("%s lets %s decide access requests for them until %s", e.From, e.To, clock(e.Until))
		}),
		control("delegation.ended", func(e request.DelegationWasEnded, v domain.Envelope) string {
			return fmt.Sprintf("%s no more lets %s decide access requests for them", e.From, e.To)
		}),
	)
}

func ofRequestTypes() []definition {
	return []definition{
		control("request_type.drafted", func(e request.TypeWasDrafted, v domain.Envelope) string {
			return fmt.Sprintf("%s drafted request type %s with %s", v.Actor, typeIn(v), counted(len(e.Spec.Steps), "step", "steps"))
		}),
		control("request_type.edited", func(e request.TypeWasEdited, v domain.Envelope) string {
			return fmt.Sprintf("%s edited request type %s (version %d)", v.Actor, typeIn(v), e.Version)
		}),
		control("request_type.published", func(e request.TypeWasPublished, v domain.Envelope) string {
			return fmt.Sprintf("%s published request type %s (version %d)", v.Actor, typeIn(v), e.Version)
		}),
		control("request_type.disabled", func(_ request.TypeWasDisabled, v domain.Envelope) string {
			return fmt.Sprintf("%s disabled request type %s; requests under way take their course", v.Actor, typeIn(v))
		}),
		control("request_type.deleted", func(_ request.TypeWasDeleted, v domain.Envelope) string {
			return fmt.Sprintf("%s deleted request type %s; its name is never given again", v.Actor, typeIn(v))
		}),
	}
}

// asker is the definition of a type that says itself which workload asks, if any.
func (d definition) asker(f func(domain.Event) request.Matter) definition {
	d.Workload = func(v domain.Envelope) (string, string) {
		m := f(v.Event)
		return m.Connection.String(), m.Identity
	}
	return d
}

// typeIn is the request type that the event is about.
func typeIn(v domain.Envelope) string { return strings.TrimPrefix(v.Subject, "request_type/") }

// asking is who asks, for people.
func asking(m request.Matter) string {
	if m.Connection != "" {
		return short(m.Identity) + " of " + m.Connection.String()
	}
	return m.Requester
}

// wanted is what is asked for, for people.
func wanted(m request.Matter) string {
	if m.Group != "" {
		return "membership of group " + m.Group.String()
	}
	return fmt.Sprintf("%s by %s", m.Resource, m.Method)
}
