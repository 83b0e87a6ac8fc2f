package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/session"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

// signIn is where people prove who they are: at first, and anew.
func (c *Console) signIn() []screen {
	return []screen{
		{path: signInPath, open: true, get: c.showSignIn, post: map[string]func(*page) error{"with": c.goToProvider}},
		{path: stepUpPath, get: c.showSignIn, post: map[string]func(*page) error{"with": c.goToProvider}},
		{path: provedPath, get: showProved},
		{path: "/sign-out", open: true, get: c.showSignedOut, post: map[string]func(*page) error{"now": c.signOut}},
	}
}

// signInView is the page where people prove who they are.
type signInView struct {
	Again     bool     // they are signed in, and prove anew who they are
	Over      bool     // they did something in a session that is over
	Timeless  *problem // why the provider that they signed in at proves nothing anew; nil: it may
	Return    string
	Providers []domain.Name
	Passkeys  bool // can be used
}

func (c *Console) showSignIn(p *page) error {
	again := p.screen.path == stepUpPath
	if !again && p.Person.ID != "" {
		return p.redirect(p.returnTo(p.query("return"))) // they are signed in
	}
	return p.renderSignIn(again)
}

// renderSignIn shows where one can sign in. It asks no provider anything: one that
// is down is told to who chose it.
func (p *page) renderSignIn(again bool) error {
	v := signInView{Again: again, Over: !again && p.query(overParameter) != "", Return: p.query("return"), Passkeys: p.console.passkeys != nil}
	for _, one := range p.console.opt.SignIn.Of(p.Org.Name()) {
		v.Providers = append(v.Providers, one.Name)
		if again && one.Name.String() == p.Session.Provider && p.Session.FreshAt.IsZero() {
			v.Timeless = p.timeless(one.Name, v.Return) // it did not say at the sign-in; some say when they are asked
		}
	}
	return p.render("signin", v)
}

// timeless tells who is to prove anew who they are what they can do, as a sign-in at a
// provider that does not say when they did proves nothing anew.
func (p *page) timeless(provider domain.Name, returnTo string) *problem {
	told := &problem{Status: http.StatusForbidden, Code: signin.ErrTimeless.Code,
		Detail: provider.String() + " does not say when you proved who you are, so signing in there once more proves nothing: use a passkey."}
	at := p.console.opt.SignIn.Find(p.Org.Name(), provider)
	switch {
	case p.console.passkeys == nil:
		told.Detail = provider.String() + " does not say when you proved who you are, and browsers have no passkeys at an address such as this server's: ask who runs it to give it a name."
	case len(p.passkeysOf(p.Session.Person)) > 0:
		told.Do, told.URL = "Use a passkey", p.url(stepUpPath)+"?return="+url.QueryEscape(p.returnTo(returnTo))
	case p.mayRegister():
		told.Do, told.URL = "Register a passkey", p.url("/passkeys/new")
		told.Detail += " You have none yet, and may register your first now."
	case at != nil && at.FirstPasskey:
		told.Detail += " You have none yet: sign out, sign in again, and register your first within five minutes of it, under Passkeys."
	default:
		told.Detail += " You have none yet, and a sign-in at " + provider.String() + " is not trusted with the first: who runs the server sets first_passkey for it."
	}
	return told
}

// returnTo is a path of this organisation's console to go to after a sign-in:
// what a parameter says, as far as it leads nowhere else.
func (p *page) returnTo(path string) string {
	path = local(path)
	if path == "" || !strings.HasPrefix(path, p.url("/")) || strings.HasPrefix(path, p.url(signInPath)) || strings.HasPrefix(path, p.url("/sign-out")) {
		return p.url("/")
	}
	return path
}

// How often one network may begin a sign-in, a second and at once, and how
// many of its refused ones are recorded.
const (
	signInsPerSecond, signInsAtOnce = 5, 200
	refusalsPerSecond               = 1.0 / 60
	refusalsAtOnce                  = 10
	sourcesRemembered               = 20_000
)

// doors bound what strangers may do at the sign-in.
type doors struct{ tries, refusals *limit.Limiter }

func newDoors(replicas func() int) doors {
	d := doors{limit.New(signInsPerSecond, signInsAtOnce, sourcesRemembered), limit.New(refusalsPerSecond, refusalsAtOnce, sourcesRemembered)}
	if replicas != nil {
		d.tries.Share(replicas)
		d.refusals.Share(replicas)
	}
	return d
}

// source is the network that the browser is in.
func source(ec echo.Context) string { return limit.Source(ec.RealIP()) }

// mayTry refuses a network that begins too many sign-ins. To end one costs nothing:
// who holds an attempt has begun it, and it works once.
func (p *page) mayTry() error {
	if !p.console.doors.tries.Allow(source(p.Echo), p.console.now()) {
		return &domain.Error{Kind: domain.KindTooMany, Code: "rate.limited", Message: "Too many sign-ins from this network: wait a moment."}
	}
	return nil
}

// ofProvider tells attempts at a provider from others.
const ofProvider = "oidc"

// goToProvider sends the browser to the provider that was chosen, and keeps what
// has to be known when it comes back.
func (c *Console) goToProvider(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	if err := p.mayTry(); err != nil {
		return err
	}
	name, err := domain.ParseName(form.Get("provider"))
	provider := c.opt.SignIn.Find(p.Org.Name(), name)
	if err != nil || provider == nil {
		return errNothing
	}
	var again domain.Name
	if p.screen.path == stepUpPath {
		again = p.Session.Person
	}
	to, attempt, err := provider.Begin(p.Context(), p.Org.Name(), again, p.returnTo(form.Get("return")))
	if err != nil {
		return err
	}
	cookie, err := p.Org.Sessions().Begin(p.Context(), ofProvider, attempt)
	if err != nil {
		return err
	}
	_, tag, _ := signin.ReadState(attempt.State)
	p.makeRoom(maxAttempts, c.ofAttempt)
	p.setCookie(p.attemptCookie(tag), cookie, session.AttemptLife)
	return p.render("signin-on", signInOnView{provider.Name, to})
}

// signInOnView is the page that leads on to the provider, by itself or by its link.
// It is no redirect: browsers hold a form to our own form-action through every one
// that follows, and a provider may lead on to whom it trusts in turn.
type signInOnView struct {
	Provider domain.Name
	To       string
}

// callback is where providers send browsers back to. Nothing is done, and nothing
// is recorded, unless this very browser has begun a sign-in that is not over yet.
func (c *Console) callback(ec echo.Context) error {
	p := c.stranger(ec)
	org, tag, ok := signin.ReadState(ec.QueryParam("state"))
	if p.Org = c.orgs[org]; !ok || p.Org == nil {
		return session.ErrAttempt
	}
	cookie, err := ec.Cookie(p.attemptCookie(tag))
	if err != nil {
		return session.ErrAttempt
	}
	p.setCookie(cookie.Name, "", -time.Second)
	var a signin.Attempt
	if err := p.Org.Sessions().Finish(p.Context(), ofProvider, cookie.Value, &a); err != nil {
		return err
	}
	provider := c.opt.SignIn.Find(p.Org.Name(), a.Provider)
	if provider == nil {
		return session.ErrAttempt
	}
	if err := p.identify(); err != nil && !errors.Is(err, session.ErrNone) {
		return err
	}
	proof, err := provider.Finish(p.Context(), a, ec.QueryParams())
	if err == nil {
		err = p.enterWith(provider, a, proof)
	}
	if err != nil {
		p.recordRefusal(provider.Name.String(), proof.Account, err)
		if errors.Is(err, signin.ErrTimeless) && p.Session.ID != "" {
			return p.timeless(provider.Name, a.Return)
		}
		return p.mayBeginAgain(a, err)
	}
	return p.redirect(p.returnTo(a.Return))
}

// mayBeginAgain has a refusal of who came back from a provider lead to where they begin
// again, and from there to where they were going.
func (p *page) mayBeginAgain(a signin.Attempt, err error) error {
	status, told := api.Explain(err)
	if status != http.StatusForbidden && status != http.StatusConflict {
		return err
	}
	at := signInPath
	if a.Person != "" && p.Session.ID != "" {
		at = stepUpPath
	}
	return &problem{Status: status, Code: told.Code, Detail: told.Message, Do: "Begin again", URL: p.url(at) + "?return=" + url.QueryEscape(p.returnTo(a.Return))}
}

// enterWith signs in whom the provider vouches for.
func (p *page) enterWith(provider *signin.Provider, a signin.Attempt, proof signin.Proof) error {
	s := session.Session{Method: "oidc", Provider: provider.Name.String(), FreshAt: proof.At, Proofs: []session.Proof{{Account: proof.Account}}}
	if proof.MFA { // when the provider does not say when, it may be long ago, and counts for nothing
		s.MFAAt = proof.At
	}
	return p.enter(s, func(s *control.State, m domain.Meta) (domain.Name, []domain.Fact, error) {
		who, facts, err := provider.Decide(s, proof, m)
		if err == nil && a.Person != "" && who != a.Person {
			err = signin.ErrOther
		}
		return who, facts, err
	})
}

// enter signs somebody in who has proved who they are: whom tells who it is by the
// state, and what else follows. That is recorded before there is a session. A
// session that the browser had ends; whose it was is signed in again, under
// another cookie. s says how they proved it, and when.
func (p *page) enter(s session.Session, whom func(*control.State, domain.Meta) (domain.Name, []domain.Fact, error)) error {
	cookie, id := session.Name()
	s.Source, s.UserAgent = source(p.Echo), p.Echo.Request().UserAgent()
	m := domain.Meta{Actor: signin.Actor(), Now: p.now(), RequestID: api.RequestID(p.Echo)}
	if s.FreshAt.After(m.Now) {
		s.FreshAt = m.Now // by a clock that is ahead
	} // MFAAt stays what it is: by it a proof is known again, and [access.Resolve] looks at clocks
	was, stands := p.Session, false
	began, err := p.Org.Execute(p.Context(), m, func(state *control.State) ([]domain.Fact, error) {
		who, facts, err := whom(state, m)
		if err != nil {
			return nil, err
		}
		s.Person = who
		_, gone := session.Caller{Session: was}.Actor(state, m.Now)
		if stands = gone == nil; stands && was.Person != who {
			replaced, err := session.SignOuts(state, []session.Session{was}, m)
			if err != nil {
				return nil, err
			}
			facts = append(facts, replaced...)
		}
		signedIn, err := identity.Decide(state.Identities(), identity.SignIn{
			Person: who, Method: s.Method, Provider: s.Provider, Session: id, MFA: !s.MFAAt.IsZero(), Source: s.Source,
			Again: stands && was.Person == who,
		}, m)
		return append(facts, signedIn...), err
	})
	if err != nil {
		return err
	}
	s.Began = began
	if stands && was.Person == s.Person {
		s.Notice = was.Notice
		s.Proofs = s.With(was.Proofs)
		if s.MFAAt.IsZero() {
			s.MFAAt = was.MFAAt // that they proved one then stays true
		}
	}
	if s, err = p.Org.Sessions().Create(p.Context(), cookie, s); err != nil {
		return err
	}
	if old, err := p.Echo.Cookie(p.cookieName()); err == nil {
		if err := p.Org.Sessions().End(p.Context(), old.Value); err != nil {
			return err
		}
	}
	p.Session = s
	p.makeRoom(maxOrganisations, p.ofOther)
	p.setCookie(p.cookieName(), cookie, 0)
	p.endSurplus(m)
	return nil
}

// endSurplus ends the sessions that are too many now that this one has begun. Who
// signed in is signed in also where that fails: their next sign-in does it.
func (p *page) endSurplus(m domain.Meta) {
	sessions := p.Org.Sessions()
	ended, err := sessions.Surplus(p.Context(), p.Session)
	if err == nil && len(ended) > 0 {
		_, err = p.Org.Execute(p.Context(), m, func(s *control.State) ([]domain.Fact, error) { return session.SignOuts(s, ended, m) })
		if err == nil {
			err = sessions.Revoke(p.Context(), ended)
		}
	}
	if err != nil {
		p.console.log.WarnContext(p.Context(), "sessions that are too many could not be ended", "error", err, "request_id", m.RequestID)
	}
}

// recordRefusal records that somebody with a sign-in of their own could not sign
// in, so many times of one network; what is no proof of anything is not written.
func (p *page) recordRefusal(provider string, account identity.Account, err error) {
	var told *domain.Error
	if !errors.As(err, &told) || told.Kind != domain.KindForbidden && told.Kind != domain.KindConflict ||
		errors.Is(err, signin.ErrState) || errors.Is(err, signin.ErrDenied) || errors.Is(err, signin.ErrTimeless) ||
		!p.console.doors.refusals.Allow(source(p.Echo), p.console.now()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.Context()), 5*time.Second)
	defer cancel()
	m := domain.Meta{Actor: signin.Actor(), Now: p.now(), RequestID: api.RequestID(p.Echo)}
	_, failed := p.Org.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		return identity.Decide(s.Identities(), identity.Refuse{Code: told.Code, Provider: provider, Account: account, Source: source(p.Echo)}, m)
	})
	if failed != nil { // they are refused all the same
		p.console.log.WarnContext(ctx, "a refused sign-in could not be recorded", "error", failed, "request_id", m.RequestID)
	}
}

func (c *Console) showSignedOut(p *page) error {
	if p.Person.ID != "" {
		return p.redirect(p.url("/"))
	}
	return p.render("signed-out", struct{}{})
}

// signOut ends the session of this browser. Once it is known whether there is one,
// the cookie goes whatever comes of it.
func (c *Console) signOut(p *page) error {
	if _, err := p.form(); err != nil {
		return err
	}
	p.setCookie(p.cookieName(), "", -time.Second)
	if p.Person.ID != "" {
		cookie, err := p.Echo.Cookie(p.cookieName())
		if err == nil {
			err = p.Org.Sessions().End(p.Context(), cookie.Value)
		}
		if err == nil {
			err = p.recordSignOut(p.Session)
		}
		if err != nil {
			return err
		}
	}
	return p.Echo.Redirect(http.StatusSeeOther, p.url("/sign-out"))
}

// meta is who asks, of what is no call of /v1.
func (p *page) meta() domain.Meta {
	return domain.Meta{Actor: p.Person, Now: p.now(), RequestID: api.RequestID(p.Echo)}
}
