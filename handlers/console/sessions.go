package console

import (
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
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
	v := sessionsView{Sessions: all, This: p.Session.ID}
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

// endSessions ends those of the person's own sessions that match. That is recorded
// first: what ends without a word would be missed.
func (p *page) endSessions(notice string, match func(session.Session) bool) error {
	all, err := p.Org.Sessions().List(p.Context(), p.Session.Person)
	if err != nil {
		return err
	}
	ended := slices.DeleteFunc(all, func(s session.Session) bool { return !match(s) })
	if err := p.recordSignOut(ended...); err != nil {
		return err
	}
	if err := p.Org.Sessions().Revoke(p.Context(), ended); err != nil {
		return err
	}
	return p.done("/sessions", notice)
}

// recordSignOut records that sessions of the person are ended.
func (p *page) recordSignOut(ended ...session.Session) error {
	m := p.meta()
	_, err := p.Org.Execute(p.Context(), m, func(s *control.State) ([]domain.Fact, error) { return session.SignOuts(s, ended, m) })
	return err
}
