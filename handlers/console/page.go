package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	pathpkg "path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

// page is one request for a screen, or one action on it. It belongs to one goroutine.
type page struct {
	// Org is the organisation; nil where none is chosen.
	Org *organisation.Organisation
	// Person is who is signed in, with every role that they bear now; its ID is
	// empty on a screen that is open to strangers.
	Person  domain.Actor
	Session session.Session
	// Echo is for answers that are streams, and for cookies; everything else is below.
	Echo echo.Context
	// ETag and Position are of the last answer of [page.API] that had them.
	ETag, Position string

	// counted is what waits at screens, by path, where the page asked already: the
	// menu need not again.
	counted map[string]int

	console *Console
	screen  screen
	action  string // name of the action; "" of a page
	status  int    // of the answer; zero is 200
	problem *problem
	sent    url.Values // the form, once it is read
	once    string     // of the form: its Idempotency-Key
	writes  int        // done under it
}

// serve answers a screen, or one of its actions.
func (c *Console) serve(s screen, action string, f func(*page) error) echo.HandlerFunc {
	return func(ec echo.Context) error {
		p := c.stranger(ec)
		p.screen, p.action = s, action
		name, err := domain.ParseName(ec.Param("org"))
		if err != nil || c.orgs[name] == nil {
			return errNothing
		}
		p.Org = c.orgs[name]
		if path, slash := strings.CutSuffix(ec.Request().URL.Path, "/"); slash && ec.Request().Method == http.MethodGet && path+"/" != p.url("/") {
			to := url.URL{Path: path, RawQuery: ec.Request().URL.RawQuery} // as people and mail programs add one
			return p.redirect(to.String())
		}
		if err := p.identify(); err != nil {
			if asked, told := p.askedInVain(err); asked {
				return told
			}
			if s.open && errors.Is(err, session.ErrNone) {
				return f(p)
			}
			return p.signInFirst(err)
		}
		ec.Set(pageKey, p) // an error is then shown with their menu
		if !s.admits(p.Person) {
			return errRoles(s.roles, p.Person)
		}
		if err := p.waitForWrite(); err != nil {
			return err
		}
		if err := f(p); err != nil {
			return p.signInFirst(err)
		}
		return nil
	}
}

// pageKey is where echo's context has the page of somebody who is signed in.
const pageKey = "sallyport.page"

// stranger is a page for whoever asks.
func (c *Console) stranger(ec echo.Context) *page { return &page{Echo: ec, console: c} }

// identify finds out who is signed in, and what they bear now. A state that may
// be stale lets nobody in.
func (p *page) identify() error {
	cookie, err := p.Echo.Cookie(p.cookieName())
	if err != nil {
		return session.ErrNone
	}
	if err := p.Org.Fresh(p.Context()); err != nil {
		return err
	}
	sessions := p.Org.Sessions()
	s, err := sessions.Find(p.Context(), cookie.Value)
	if err != nil {
		return err
	}
	p.Org.Read(func(state *control.State, _ domain.Head) {
		p.Person, err = session.Caller{Session: s}.Actor(state, p.Org.Now())
	})
	if err != nil {
		return err
	}
	if p.Session = s; p.asksByItself() {
		return nil
	}
	return sessions.Seen(p.Context(), cookie.Value, s)
}

// signInFirst leads who is not signed in to where they can, and from there back;
// any other error stays what it is.
func (p *page) signInFirst(err error) error {
	switch {
	case errors.Is(err, errOpener):
		return p.openedByAnother()
	case !isOver(err):
		return err
	case p.action != "" && p.Session.ID == "": // before anything was done
		return p.sessionOver()
	}
	return p.redirect(p.url(signInPath) + "?return=" + url.QueryEscape(p.returnPath()))
}

// Where one signs in, and proves anew who one is; both lead back to the parameter return.
const (
	signInPath = "/sign-in"
	stepUpPath = "/step-up"
)

// Context ends when the browser is gone or the server stops waiting for it.
func (p *page) Context() context.Context { return p.Echo.Request().Context() }

// now is the organisation's time.
func (p *page) now() time.Time { return p.Org.Now() }

// param is a parameter of the path.
func (p *page) param(name string) string { return p.Echo.Param(name) }

// name is a parameter of the path as a name; what is none is not there.
func (p *page) name(param string) (domain.Name, error) {
	n, err := domain.ParseName(p.param(param))
	if err != nil {
		return "", errNothing
	}
	return n, nil
}

// query is a parameter of the query, "" where there is none.
func (p *page) query(name string) string { return p.Echo.QueryParam(name) }

// url is the address of a path of the console, such as /connections, in this organisation.
func (p *page) url(path string) string {
	return base + "/orgs/" + p.Org.Name().String() + path
}

// within tells whether the page is the one at path, or below it.
func (p *page) within(path string) bool {
	at, entry := p.Echo.Request().URL.Path, p.url(path)
	return at == entry || path != "/" && strings.HasPrefix(at, entry+"/")
}

// returnPath is where to come back to: the page as it is, and from an action its
// screen, with the query that it was shown with.
func (p *page) returnPath() string {
	u := p.Echo.Request().URL
	if p.action == "" {
		return u.RequestURI()
	}
	path := strings.TrimSuffix(u.Path, "/"+p.action)
	if from, err := url.Parse(p.Echo.Request().Referer()); err == nil && from.Path == path && from.RawQuery != "" {
		path += "?" + from.RawQuery
	}
	return path
}

// local is a path of our own console, or "" for anything else, so that nobody is
// led elsewhere by a parameter.
func local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(path, base+"/") || strings.ContainsAny(path, "\\\r\n") {
		return ""
	}
	if clean := pathpkg.Clean(u.Path); u.Path != clean && u.Path != clean+"/" {
		return "" // what a browser makes of it is another path
	}
	return path
}

// asksForPart tells whether a page of ours asks, to show a part of itself anew. A
// refusal of that is a sentence, which the page shows above the part.
func asksForPart(ec echo.Context) bool { return ec.Request().Header.Get("HX-Request") != "" }

// redirect leads the browser on, with GET.
func (p *page) redirect(to string) error {
	if asksForPart(p.Echo) {
		p.Echo.Response().Header().Set("HX-Redirect", to)
		return p.Echo.NoContent(http.StatusOK)
	}
	return p.Echo.Redirect(http.StatusSeeOther, to)
}

// done ends an action: the browser goes to a path of this organisation's console,
// such as /connections/ci, where the notice is shown once.
func (p *page) done(path, notice string) error {
	if notice != "" {
		p.Session.Notice = notice
		if err := p.keepSession(); err != nil {
			return err
		}
	}
	to := p.url(path)
	if p.Position != "" && p.Org.Replicas() > 1 { // the next request may be another replica's
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		to += sep + atParameter + "=" + url.QueryEscape(p.Position)
	}
	return p.redirect(to)
}

// atParameter names the write that a page must show.
const atParameter = "at"

// waitForWrite waits until what the browser just did is folded here. What is
// behind the end of the log nobody did, and an address that says so holds nothing.
func (p *page) waitForWrite() error {
	at, err := domain.ParsePosition(p.query(atParameter))
	if err != nil || p.action != "" {
		return nil
	}
	if err := p.Org.Current(p.Context()); err != nil {
		return err
	}
	var end domain.Head
	p.Org.Read(func(_ *control.State, h domain.Head) { end = h })
	if at.Sequence > end.Stream {
		return nil
	}
	return p.Org.WaitFor(p.Context(), at)
}

// keepSession stores the notice of p.Session.
func (p *page) keepSession() error {
	cookie, err := p.Echo.Cookie(p.cookieName())
	if err != nil {
		return session.ErrNone
	}
	return p.Org.Sessions().Change(p.Context(), cookie.Value, func(s *session.Session) { s.Notice = p.Session.Notice })
}

// notice is what the last action left to be told, once.
func (p *page) notice() (string, error) {
	n := p.Session.Notice
	if n == "" || p.screen.path == stepUpPath || p.asksByItself() { // it is for the page behind it
		return "", nil
	}
	p.Session.Notice = ""
	return n, p.keepSession()
}

// freshFor is how long a proof of who it is counts as fresh.
const freshFor = 5 * time.Minute

// undone is what the screen says to whom an action of it led to prove who they are.
const undone = "Nothing was done yet. You proved who you are: do it again."

// stepUp tells whether the person proved who they are within [freshFor]. If not
// they are led to do so, and back to the screen, which says that nothing was done:
// the caller returns err at once.
func (p *page) stepUp() (ok bool, err error) {
	if p.now().Sub(p.Session.FreshAt) < freshFor {
		return true, nil
	}
	if p.action != "" {
		p.Session.Notice = undone
		if err := p.keepSession(); err != nil {
			return false, err
		}
	}
	return false, p.redirect(p.url(stepUpPath) + "?return=" + url.QueryEscape(p.returnPath()))
}

// Bounds of what a form may send, in bytes.
const (
	maxForm      = 64 << 10
	maxLargeForm = 128 << 10 // with certificates
)

// form is what the browser sent, at most [maxForm].
func (p *page) form() (url.Values, error) { return p.formUpTo(maxForm) }

// formUpTo is what the browser sent, at most so many bytes.
func (p *page) formUpTo(limit int64) (url.Values, error) {
	form, err := p.readForm(limit)
	if err != nil {
		return nil, err
	}
	if p.Session.ID != "" { // it may have taken its time, and a session that ended meanwhile does nothing more
		if err := p.identify(); err != nil {
			p.Session = session.Session{}
			return nil, err
		}
		if err := p.opened(); err != nil {
			return nil, err
		}
	}
	return form, nil
}

// readForm reads what the browser sent, whoever sent it.
func (p *page) readForm(limit int64) (url.Values, error) {
	r := p.Echo.Request()
	if typ, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || typ != "application/x-www-form-urlencoded" {
		return nil, errForm
	}
	body, err := api.ReadBody(p.Echo, limit)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errForm
	}
	if p.once = form.Get(onceField); !onceForm.MatchString(p.once) {
		return nil, errForm
	}
	p.sent = form
	return form, nil
}

// onceField is the field by which a form that is sent twice does its work once; what
// is in it is ours ([frame.Once]), or nothing.
const onceField = "_once"

var onceForm = regexp.MustCompile(`^[A-Za-z0-9-]{0,64}$`)

// render shows a screen: the whole page, or, to htmx that asks for the element
// with some id, the template "#id" of it alone. Its template sees a [frame].
func (p *page) render(name string, view any) error {
	f, err := p.frame(view)
	if err != nil {
		return err
	}
	t, known := p.console.templates[name]
	if !known {
		return fmt.Errorf("there is no template %s", name)
	}
	part := "layout"
	if r := p.Echo.Request().Header; asksForPart(p.Echo) && r.Get("HX-Request-Type") != "full" {
		if _, id, found := strings.Cut(r.Get("HX-Target"), "#"); found && t.Lookup("#"+id) != nil {
			part = "#" + id
		}
	}
	var b bytes.Buffer
	if part == "layout" {
		b.Grow(32 << 10) // most pages are about as long, and would be copied as often as they doubled
	}
	if err := t.ExecuteTemplate(&b, part, f); err != nil {
		return fmt.Errorf("rendering %s: %w", name, err)
	}
	return p.Echo.HTMLBlob(max(p.status, http.StatusOK), b.Bytes())
}

// refused shows the screen again after /v1 refused what was asked for: with the
// reason on top and at the fields. An error that is no refusal is passed on.
func (p *page) refused(name string, view any, err error) error {
	if !errors.As(err, &p.problem) || p.problem.Status == http.StatusUnauthorized || p.problem.Status >= 500 {
		return err
	}
	p.status = p.problem.Status
	return p.render(name, view)
}

// invalid is a refusal of a form by the console itself: what has no form to be
// sent to /v1. The pointer is that of the field, such as /ttl.
func (p *page) invalid(pointer, detail string) error {
	return &problem{Status: http.StatusUnprocessableEntity, Code: "form.invalid", Detail: "Something is not right yet.",
		Fields: map[string]string{pointer: detail}, Order: []string{pointer}}
}

// onceMore is the Idempotency-Key of the next write of this form.
func (p *page) onceMore() string {
	p.writes++
	return "console-" + p.once + "-" + strconv.Itoa(p.writes)
}
