package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/session"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

// Bounds of what one browser keeps of us, so that what it sends with every request
// stays within what a server takes of one ([api.MaxHeader]): at most 4 KiB of it.
const (
	maxOrganisations = 20 // that it is signed in to at once
	maxAttempts      = 5  // sign-ins that it has under way
)

// cookiePrefix begins the name of every cookie of ours. Browsers take __Host- by TLS alone.
func (c *Console) cookiePrefix() string {
	if c.secure() {
		return "__Host-sallyport-"
	}
	return "sallyport-dev-"
}

// cookieName is the cookie of a session in the organisation. Each has its own, so
// that signing in to one changes nothing in another. A name has no dot in it: what
// is behind one is never another organisation's.
func (c *Console) cookieName(org domain.Name) string { return c.cookiePrefix() + org.String() }

func (p *page) cookieName() string { return p.console.cookieName(p.Org.Name()) }

// ofAttempts is behind the organisation's name in cookies that name attempts.
const (
	ofAttempts        = ".attempt-"
	ofPasskeyAttempts = ofAttempts + "passkey"
)

// attemptCookie names the attempt with that tag that this browser has begun. Each
// has its own, so that two tabs that sign in at once both do.
func (p *page) attemptCookie(tag string) string { return p.cookieName() + ofAttempts + tag }

// passkeyCookie names the attempt with a passkey that this browser has begun. There
// is one: an authenticator asks its person one thing at a time, and an older one
// is told that it is over.
func (p *page) passkeyCookie() string { return p.cookieName() + ofPasskeyAttempts }

// ofAttempt tells whether a cookie of that name is an attempt's.
func (c *Console) ofAttempt(name string) bool {
	return strings.HasPrefix(name, c.cookiePrefix()) && strings.Contains(name, ofAttempts)
}

// ofOther tells whether a cookie of that name is a session's in another organisation.
func (p *page) ofOther(name string) bool {
	return strings.HasPrefix(name, p.console.cookiePrefix()) && !strings.Contains(name, ".") && name != p.cookieName()
}

// setCookie gives the browser a cookie that no script reads and no other site
// sends; a life of zero is until the browser closes, a negative one takes it away.
func (p *page) setCookie(name, value string, life time.Duration) {
	p.Echo.SetCookie(&http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life.Seconds()),
		Secure: p.console.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// makeRoom has the browser forget the oldest of those cookies, so that with one
// more there are no more than most. A session whose cookie is forgotten ends, in the
// log of its organisation first; if it cannot be now, it does for want of requests.
func (p *page) makeRoom(most int, of func(name string) bool) {
	// They come in the order in which they were given (RFC 6265 section 5.4).
	cookies := slices.DeleteFunc(p.Echo.Cookies(), func(c *http.Cookie) bool { return !of(c.Name) })
	for _, old := range cookies[:max(0, len(cookies)-most+1)] {
		p.setCookie(old.Name, "", -time.Second)
		if org := p.console.orgs[domain.Name(strings.TrimPrefix(old.Name, p.console.cookiePrefix()))]; org != nil {
			p.forget(org, old.Value)
		}
	}
}

// forget ends a session of another organisation, whose cookie there is no room for.
func (p *page) forget(org *organisation.Organisation, cookie string) {
	s, err := org.Sessions().Find(p.Context(), cookie)
	if err != nil {
		return
	}
	m := domain.Meta{Actor: signin.Actor(), Now: org.Now(), RequestID: api.RequestID(p.Echo)}
	_, err = org.Execute(p.Context(), m, func(state *control.State) ([]domain.Fact, error) {
		standing, _ := session.Standing(state, []session.Session{s}, m.Now)
		return session.SignOuts(state, standing, m)
	})
	if err == nil {
		_ = org.Sessions().Revoke(p.Context(), []session.Session{s})
	}
}
