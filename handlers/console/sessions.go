package console

import (
	"context"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

// sessions is where people see in which browsers they are signed in.
func (c *Console) sessions() []screen {
	return []screen{{path: "/sessions", menu: "Sessions", icon: "person", group: meGroup, get: c.showSessions, post: map[string]func(*page) error{
		"end": c.endSession, "end-others": c.endOtherSessions,
	}}}
}

// sessionsView is in which browsers somebody is signed in.
type sessionsView struct {
	Sessions []session.Session
	This     string // id of the one that asks
	Accounts []identity.Account
}

// Others tells whether there is another session than the one that asks.
func (v sessionsView) Others() bool { return len(v.Sessions) > 1 }

func (c *Console) showSessions(p *page) error {
	all, err := p.Org.Sessions().List(p.Context(), p.Session.Person)
	if err != nil {
		return err
	}
	v := sessionsView{Sessions: all[:min(len(all), 100)], This: p.Session.ID}
	p.Org.Read(func(s *control.State, _ domain.Head) { v.Accounts = s.Identities().Accounts(p.Session.Person) })
	return p.render("sessions", v)
}

func (c *Console) endSession(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	id := form.Get("session")
	return p.endSessions("The session is ended.", func(s session.Session) bool { return s.ID == id && id != p.Session.ID })
}

func (c *Console) endOtherSessions(p *page) error {
	if _, err := p.form(); err != nil {
		return err
	}
	return p.endSessions("All other sessions are ended.", func(s session.Session) bool { return s.ID != p.Session.ID })
}

// endSessions ends those of the person's own sessions that match.
func (p *page) endSessions(notice string, match func(session.Session) bool) error {
	ended, err := p.Org.Sessions().Revoke(p.Context(), p.Session.Person, match)
	if err != nil {
		return err
	}
	if err := signedOut(p.Context(), p.Org, p.meta(), ended); err != nil {
		return err
	}
	return p.done("/sessions", notice)
}

// signedOut records that sessions were ended.
func signedOut(ctx context.Context, org *organisation.Organisation, m domain.Meta, ended []session.Session) error {
	if len(ended) == 0 {
		return nil
	}
	_, err := org.Execute(ctx, m, func(s *control.State) (facts []domain.Fact, err error) {
		for _, one := range ended {
			more, err := identity.Decide(s.Identities(), identity.SignOut{Person: one.Person, Session: one.ID, At: one.SignedInAt}, m)
			if err != nil {
				return nil, err
			}
			facts = append(facts, more...)
		}
		return facts, nil
	})
	return err
}
