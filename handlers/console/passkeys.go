package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/passkey"
	"sallyport.dev/handlers/session"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

// myPasskeys is where people register and remove their passkeys, and where they
// sign in with one. There is none of it where browsers would refuse.
func (c *Console) myPasskeys() []screen {
	if c.passkeys == nil {
		return nil
	}
	return []screen{
		{path: "/passkeys", menu: "Passkeys", icon: "key", group: meGroup, get: showPasskeys, post: map[string]func(*page) error{"remove": removePasskey}},
		{path: "/passkeys/new", get: newPasskey, post: map[string]func(*page) error{"options": c.beginPasskey, "add": c.addPasskey}},
		{path: signInPath + "/passkey", open: true, get: backToSignIn, post: map[string]func(*page) error{"options": c.beginProof, "prove": c.prove}},
		{path: stepUpPath + "/passkey", get: backToSignIn, post: map[string]func(*page) error{"options": c.beginProof, "prove": c.prove}},
	}
}

// Kinds of attempts.
const (
	ofRegistration = "passkey_registration"
	ofPasskey      = "passkey"
)

// passkeysView is the passkeys of somebody.
type passkeysView struct {
	Passkeys  []identity.Passkey
	OnlyProof bool // they sign in with the one passkey, and with nothing else
	OnlyOwner bool // and nobody else is an owner
}

func showPasskeys(p *page) error {
	var v passkeysView
	p.Org.Read(func(s *control.State, _ domain.Head) {
		who := p.Session.Person
		v.Passkeys = s.Identities().Passkeys(who)
		v.OnlyProof = len(v.Passkeys) == 1 && len(s.Identities().Accounts(who)) == 0
		v.OnlyOwner = v.OnlyProof && p.Person.Has(domain.Owner) && !slices.ContainsFunc(s.Everybody(), func(other person.Person) bool {
			return other.Name != who && slices.Contains(s.EffectiveRoles(other.Name, p.now()), domain.Owner)
		})
	})
	return p.render("passkeys", v)
}

func (p *page) passkeysOf(n domain.Name) (all []identity.Passkey) {
	p.Org.Read(func(s *control.State, _ domain.Head) { all = s.Identities().Passkeys(n) })
	return all
}

// removePasskey ends one of the person's own, and what rests on it, which may be this
// very session; who may do it has just proved who they are.
func removePasskey(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	if ok, err := p.stepUp(); !ok || err != nil {
		return err
	}
	gone, who, m := session.Proof{Passkey: form.Get("passkey")}, p.Session.Person, p.meta()
	all, err := p.Org.Sessions().List(p.Context(), who)
	if err != nil {
		return err
	}
	ended := session.Begun(gone, all)
	at, err := p.Org.Execute(p.Context(), m, func(s *control.State) ([]domain.Fact, error) {
		facts, err := identity.Decide(s.Identities(), identity.RemovePasskey{Person: who, ID: gone.Passkey}, m)
		if err != nil {
			return nil, err
		}
		ends, err := session.Withdrawn(s, who, ended, m)
		return append(facts, ends...), err
	})
	if err == nil {
		err = p.Org.Sessions().Revoke(p.Context(), ended)
	}
	if err != nil {
		return err
	}
	p.Position = at.String()
	return p.done("/passkeys", "The passkey is removed. Remove it from your device, too.")
}

// newPasskeyView is a passkey that is to be registered.
type newPasskeyView struct{ Name string }

func newPasskey(p *page) error {
	if !p.mayRegister() {
		_, err := p.stepUp()
		return err
	}
	return p.render("passkey-new", newPasskeyView{})
}

// mayRegister tells whether the person has just proved who they are; or has just
// signed in at a provider that never says when they did, and whose sign-in is
// trusted with the first passkey. Of a session that is older, nobody registers one.
func (p *page) mayRegister() bool {
	now, s := p.now(), p.Session
	if now.Sub(s.FreshAt) < freshFor {
		return true
	}
	at := p.console.opt.SignIn.Find(p.Org.Name(), domain.Name(s.Provider))
	return at != nil && at.FirstPasskey && s.FreshAt.IsZero() && now.Sub(s.SignedInAt) < freshFor && len(p.passkeysOf(s.Person)) == 0
}

// registration is an attempt to register a passkey, and whose it will be.
type registration struct {
	Person  domain.Name
	Attempt passkey.Attempt
}

// beginPasskey tells the browser what to ask its authenticator for.
func (c *Console) beginPasskey(p *page) error {
	if _, err := p.form(); err != nil {
		return err
	}
	if !p.mayRegister() {
		return errStale
	}
	who := p.Session.Person
	options, a, err := c.passkeys.BeginRegistration(p.Org.Issuer(), who, p.passkeysOf(who))
	if err != nil {
		return err
	}
	return p.tellOptions(ofRegistration, options, registration{who, a})
}

// errStale is told to a script whose page has been open for too long.
var errStale = &problem{Status: http.StatusForbidden, Code: "session.stale", Detail: "Show again that it is you: load the page anew."}

// tellOptions keeps an attempt in this browser, and tells a script what to ask for.
func (p *page) tellOptions(kind string, options json.RawMessage, attempt any) error {
	cookie, err := p.Org.Sessions().Begin(p.Context(), kind, attempt)
	if err != nil {
		return err
	}
	p.makeRoom(maxAttempts, p.console.ofAttempt)
	p.setCookie(p.passkeyCookie(), cookie, session.AttemptLife)
	return p.Echo.JSONBlob(http.StatusOK, options)
}

// finishAttempt reads what this browser has begun, once.
func (p *page) finishAttempt(kind string, attempt any) error {
	cookie, err := p.Echo.Cookie(p.passkeyCookie())
	if err != nil {
		return session.ErrAttempt
	}
	p.setCookie(p.passkeyCookie(), "", -time.Second)
	return p.Org.Sessions().Finish(p.Context(), kind, cookie.Value, attempt)
}

// addPasskey registers what the authenticator made.
func (c *Console) addPasskey(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	v := newPasskeyView{Name: form.Get("name")}
	var begun registration
	if err := p.finishAttempt(ofRegistration, &begun); err != nil {
		return err
	}
	if begun.Person != p.Session.Person {
		return session.ErrAttempt
	}
	made, err := c.passkeys.FinishRegistration(p.Org.Issuer(), begun.Person, begun.Attempt, []byte(form.Get("credential")))
	if err != nil {
		return p.noPasskey(err)
	}
	made.Name = v.Name
	m := p.meta()
	at, err := p.Org.Execute(p.Context(), m, func(s *control.State) ([]domain.Fact, error) {
		return identity.Decide(s.Identities(), made, m)
	})
	if errors.Is(err, identity.ErrPasskeyName) {
		return p.refused("passkey-new", v, p.invalid("/name", identity.ErrPasskeyName.Message))
	}
	if err != nil {
		return err
	}
	p.Position = at.String()
	return p.done("/passkeys", "The passkey is registered: you can sign in with it.")
}

// noPasskey notes in the log why an authenticator's answer was refused, which
// nobody else is told.
func (p *page) noPasskey(err error) error {
	if errors.Is(err, passkey.ErrRefused) {
		p.console.log.InfoContext(p.Context(), "a passkey was refused", "error", err)
		return passkey.ErrRefused
	}
	return err
}

func backToSignIn(p *page) error {
	path := signInPath
	if p.Person.ID != "" {
		path = stepUpPath
	}
	return p.redirect(p.url(path) + "?return=" + url.QueryEscape(p.query("return")))
}

// proving is an attempt to prove with a passkey who one is. The proof is as old as the
// challenge: when it was signed since, nobody knows, and it may be sent ten minutes later.
type proving struct {
	At      time.Time
	Attempt passkey.Attempt
}

// beginProof tells the browser what to ask an authenticator to prove.
func (c *Console) beginProof(p *page) error {
	if _, err := p.form(); err != nil {
		return err
	}
	if err := p.mayTry(); err != nil {
		return err
	}
	options, a, err := c.passkeys.BeginSignIn()
	if err != nil {
		return err
	}
	return p.tellOptions(ofPasskey, options, proving{p.now(), a})
}

// prove signs in whose passkey it is. Who is to prove anew who they are does so
// with a passkey of their own.
func (c *Console) prove(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	var begun proving
	if err := p.finishAttempt(ofPasskey, &begun); err != nil {
		return err
	}
	if err := c.enterByPasskey(p, begun, []byte(form.Get("credential"))); err != nil {
		p.recordRefusal("", identity.Account{}, err)
		return err
	}
	return p.redirect(p.returnTo(form.Get("return")))
}

// enterByPasskey signs in whom an authenticator's answer proves.
func (c *Console) enterByPasskey(p *page, begun proving, answer []byte) error {
	if err := p.Org.Fresh(p.Context()); err != nil {
		return err
	}
	again := p.screen.path == stepUpPath+"/passkey"
	used, err := c.passkeys.FinishSignIn(p.Org.Issuer(), begun.Attempt, answer, func(id string) (k identity.Passkey, known bool) {
		p.Org.Read(func(s *control.State, _ domain.Head) { k, known = s.Identities().Passkey(id) })
		return k, known
	})
	if err != nil {
		return p.noPasskey(err)
	}
	var since time.Time
	if again { // a passkey alone makes no session longer than the provider's sign-in did
		since = p.Session.SignedInAt
	}
	s := session.Session{Method: "passkey", SignedInAt: since, FreshAt: begun.At, MFAAt: begun.At, Proofs: []session.Proof{{Passkey: used.ID}}} // what one has, and what one knows or is
	return p.enter(s, func(s *control.State, m domain.Meta) (domain.Name, []domain.Fact, error) {
		key, known := s.Identities().Passkey(used.ID)
		if _, there := s.Person(key.Person); !known || !there {
			return "", nil, passkey.ErrRefused
		}
		if again && key.Person != p.Session.Person {
			return "", nil, signin.ErrOther
		}
		if !again && c.opt.SignIn.OfWhom(p.Org.Name(), s.Identities().Accounts(key.Person)) != nil {
			return "", nil, signin.ErrPasskey
		}
		if again { // of a session that ended meanwhile nothing goes on
			if _, err := (session.Caller{Session: p.Session}).Actor(s, m.Now); err != nil {
				return "", nil, err
			}
		}
		facts, err := identity.Decide(s.Identities(), used, m)
		return key.Person, facts, err
	})
}
