package console

import (
	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

// sessions is where people see in which browsers they are signed in.
func (c *Console) sessions() []screen {
	return []screen{{path: "/sessions", menu: "Sessions", icon: "person", group: meGroup, get: c.showSessions, post: map[string]func(*page) error{
		"end": endSession, "end-program": endProgram, "end-others": endOthers,
	}}}
}

// sessionsView is where somebody is signed in, and what they let in.
type sessionsView struct {
	Sessions []session.Session
	This     string         // id of the one that asks
	Programs []person.Token // of sallyport login
	Accounts []identity.Account
}

// Others tells whether anything is signed in beside the session that asks.
func (v sessionsView) Others() bool { return len(v.Sessions) > 1 || len(v.Programs) > 0 }

func (c *Console) showSessions(p *page) error {
	all, err := p.Org.Sessions().List(p.Context(), p.Session.Person)
	if err != nil {
		return err
	}
	v := sessionsView{This: p.Session.ID}
	p.Org.Read(func(s *control.State, _ domain.Head) {
		v.Sessions, _ = session.Standing(s, all, p.now())
		v.Programs, v.Accounts = s.LetIn(p.Session.Person, p.now()), s.Identities().Accounts(p.Session.Person)
	})
	return p.render("sessions", v)
}

// endSession ends one of the person's own. That is recorded first: what ends
// without a word would be missed.
func endSession(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	all, err := p.Org.Sessions().List(p.Context(), p.Session.Person)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.ID != form.Get("session") || s.ID == p.Session.ID {
			continue
		}
		if err := p.recordSignOut(s); err != nil {
			return err
		}
		if err := p.Org.Sessions().Disown(p.Context(), s); err != nil {
			return err
		}
	}
	return p.done("/sessions", "The session is ended.")
}

// endProgram ends the token of a program that the person let in.
func endProgram(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	err = p.endBy(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		t, known := s.People().Token(form.Get("program"))
		if !known || t.Person != p.Session.Person || !t.LetIn() {
			return nil, errNothing
		}
		return person.Decide(s.People(), person.RevokeToken{ID: t.ID}, m)
	})
	if err != nil {
		return err
	}
	return p.done("/sessions", "The program is not let in any more.")
}

// endOthers ends whatever the person is signed in by but this session.
func endOthers(p *page) error {
	if _, err := p.form(); err != nil {
		return err
	}
	all, err := p.Org.Sessions().List(p.Context(), p.Session.Person)
	if err != nil {
		return err
	}
	err = p.endBy(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return person.Decide(s.People(), person.SignOutEverywhere{Person: p.Session.Person, Kept: p.Session.ID, Began: p.Session.Began}, m)
	})
	if err != nil {
		return err
	}
	var over []session.Session
	p.Org.Read(func(s *control.State, _ domain.Head) { _, over = session.Standing(s, all, p.now()) })
	if err := p.Org.Sessions().Revoke(p.Context(), over); err != nil {
		return err
	}
	return p.done("/sessions", "Everything else that you were signed in by is ended.")
}

// endBy records what ends something of the person's, as long as they are still
// signed in on the very state that it is decided on: who was signed out keeps nothing.
func (p *page) endBy(decide func(*control.State, domain.Meta) ([]domain.Fact, error)) error {
	m := p.meta()
	at, err := p.Org.Execute(p.Context(), m, func(s *control.State) ([]domain.Fact, error) {
		if _, err := (session.Caller{Session: p.Session}).Actor(s, m.Now); err != nil {
			return nil, err
		}
		return decide(s, m)
	})
	p.Position = at.String()
	return err
}

// recordSignOut records that sessions of the person are ended.
func (p *page) recordSignOut(ended ...session.Session) error {
	m := p.meta()
	_, err := p.Org.Execute(p.Context(), m, func(s *control.State) ([]domain.Fact, error) { return session.SignOuts(s, ended, m) })
	return err
}
