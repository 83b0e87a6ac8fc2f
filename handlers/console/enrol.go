package console

import (
	"errors"
	"net/http"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/passkey"
	"sallyport.dev/handlers/session"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

// enrolPath is where one-time links lead: those for owners, which are made on the
// server's host, and with [organisation.InvitedParameter] those that owners make.
const enrolPath = "/enrol"

// enrol is where somebody who has such a link registers a passkey. Its
// secret is in the fragment: in no request line, no Referer and no page. The page's
// script sends it once, in a body.
func (c *Console) enrol() []screen {
	if c.passkeys == nil {
		return nil
	}
	return []screen{{path: enrolPath, open: true, get: showEnrol, post: map[string]func(*page) error{"check": checkEnrol, "options": c.beginEnrol, "register": c.finishEnrol}}}
}

// ofEnrolment is the kind of attempts to use an enrolment.
const ofEnrolment = "passkey_enrolment"

// enrolView is a link that was opened. Whether it is good, nobody knows yet.
type enrolView struct {
	Person  domain.Name // whose it says to be; "" they choose
	Invited bool        // it says to be for signing in, and no more
}

func showEnrol(p *page) error {
	who, err := domain.ParseName(p.query("person"))
	if err != nil {
		who = ""
	}
	return p.render("enrol", enrolView{who, who != "" && p.query(organisation.InvitedParameter) != ""})
}

// enrolling is an attempt to use an enrolment, by who has shown its secret.
type enrolling struct {
	At      time.Time // when it was begun, which is how old the proof is
	ID      string    // of the enrolment, or invitation
	Owner   bool      // it makes an owner
	Person  domain.Name
	Name    string // of the passkey
	Attempt passkey.Attempt
}

// checkEnrol tells the page's script, when somebody opens a link, why it opens
// nothing, before they fill in anything.
func checkEnrol(p *page) error {
	form, err := p.form()
	if err == nil {
		err = p.mayTry()
	}
	if err == nil {
		err = p.Org.Fresh(p.Context())
	}
	if err == nil {
		p.Org.Read(func(s *control.State, _ domain.Head) {
			_, err = organisation.FindEnrolment(s, form.Get("secret"), p.now())
		})
	}
	if err != nil {
		p.recordEnrolRefusal(err)
		return p.tellScript(err)
	}
	return p.Echo.NoContent(http.StatusNoContent)
}

// beginEnrol tells the browser of who knows the secret what to ask its
// authenticator for, and a script why not.
func (c *Console) beginEnrol(p *page) error {
	begun, err := p.mayEnrol()
	if err != nil {
		p.recordEnrolRefusal(err)
		return p.tellScript(err)
	}
	// A key that they have already keeps nobody from making another: they may have lost it.
	options, a, err := c.passkeys.BeginRegistration(p.Org.Issuer(), begun.Person, nil)
	if err != nil {
		return err
	}
	begun.Attempt = a
	return p.tellOptions(ofEnrolment, options, begun)
}

// mayEnrol is what the form asks for, if it could be: the secret first, so that
// nobody without it learns of a name.
func (p *page) mayEnrol() (enrolling, error) {
	form, err := p.form()
	if err != nil {
		return enrolling{}, err
	}
	if err := p.mayTry(); err != nil {
		return enrolling{}, err
	}
	if err := p.Org.Fresh(p.Context()); err != nil {
		return enrolling{}, err
	}
	begun := enrolling{At: p.now(), Name: form.Get("name")}
	m := domain.Meta{Actor: signin.Actor(), Now: p.now()}
	p.Org.Read(func(s *control.State, _ domain.Head) {
		if begun.ID, err = organisation.FindEnrolment(s, form.Get("secret"), m.Now); err != nil {
			return
		}
		begun.Owner = s.Identities().Enrolment().ID == begun.ID
		if begun.Person, err = domain.ParseName(form.Get("person")); err == nil {
			err = organisation.CheckEnrolled(s, begun.ID, begun.Person, m)
		}
	})
	if err == nil {
		err = identity.CheckPasskeyName(begun.Name)
	}
	return begun, err
}

// finishEnrol makes who began it the person that the enrolment promises, with the
// passkey that the authenticator made, and signs them in: all of it or nothing.
func (c *Console) finishEnrol(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	var begun enrolling
	if err := p.finishAttempt(ofEnrolment, &begun); err != nil {
		return err
	}
	made, err := c.passkeys.FinishRegistration(p.Org.Issuer(), begun.Person, begun.Attempt, []byte(form.Get("credential")))
	if err != nil {
		err = p.noPasskey(err)
		p.recordEnrolRefusal(err)
		return err
	}
	made.Name = begun.Name
	s := session.Session{
		Method: "passkey", FreshAt: begun.At, MFAAt: begun.At, Proofs: []session.Proof{{Passkey: made.ID}},
		Notice: "You are signed in. Register a second passkey before you lose this one.",
	}
	if begun.Owner {
		s.Notice = "You are an owner of " + p.Org.Name().String() + ". Register a second passkey, or make somebody else an owner too, before you lose this one."
	}
	err = p.enter(s, func(s *control.State, m domain.Meta) (domain.Name, []domain.Fact, error) {
		facts, err := organisation.Enrolled(s, begun.ID, begun.Person, made, m)
		return begun.Person, facts, err
	})
	if err != nil {
		p.recordEnrolRefusal(err)
		return err
	}
	return p.redirect(p.url("/"))
}

// recordEnrolRefusal records, within bounds, that somebody without a good link, or
// without a good answer of an authenticator, was refused; not that a name was taken.
func (p *page) recordEnrolRefusal(err error) {
	if errors.Is(err, identity.ErrEnrolment) || errors.Is(err, passkey.ErrRefused) {
		p.recordRefusal("", identity.Account{}, err)
	}
}

// tellScript answers a script that asked by itself: with what a person is to be
// told, as JSON. What is ours to see to is told as everywhere.
func (p *page) tellScript(err error) error {
	status, told := api.Explain(err)
	if told.Code == "internal" {
		return err
	}
	return p.Echo.JSON(status, map[string]string{"code": told.Code, "detail": told.Message})
}
