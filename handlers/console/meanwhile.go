package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sallyport.dev/handlers/session"
)

// meanwhileView is the part of a page that asks, now and then, whether what the
// page shows is still so. Once it is not, it says so and asks no more: what
// somebody is typing stays theirs.
type meanwhileView struct {
	Ask      string // path that is asked; "" asks nothing
	Shown    string // what the page shows
	Says     string // what happened
	Show, Do string // where it is shown, and what one does there
}

// meanwhilePart is the element's id, and the parameter that has what the page shows.
const meanwhilePart = "meanwhile"

// asksByItself tells whether the page asks, and nobody in front of it: that keeps no
// session alive, and takes no notice away.
func (p *page) asksByItself() bool {
	r := p.Echo.Request()
	return p.screen.asks && r.Method == http.MethodGet && r.URL.Query().Has(meanwhilePart) && asksForPart(p.Echo) &&
		strings.HasSuffix(r.Header.Get("HX-Target"), "#"+meanwhilePart)
}

// stillSo is the part of a page at path that shows this; says tells what happened
// since, and is called only then. same tells that nothing did, to a page that asks.
func (p *page) stillSo(path, shown string, says func() string) (v meanwhileView, same bool) {
	if !p.asksByItself() {
		v.Ask, v.Shown = path, shown
		return v, false
	}
	if p.query(meanwhilePart) == shown {
		return v, true
	}
	return meanwhileView{Says: says(), Show: p.url(path), Do: "Show it as it is now"}, false
}

// nothingNew answers a page that asks, where all is as it shows it.
func (p *page) nothingNew() error { return p.Echo.NoContent(http.StatusNoContent) }

// askedInVain answers a page that asks when its session is over; ok is false of any
// other request.
func (p *page) askedInVain(err error) (ok bool, told error) {
	if !p.asksByItself() || !errors.Is(err, session.ErrNone) {
		return false, nil
	}
	v := struct{ Meanwhile meanwhileView }{meanwhileView{Says: "Your session is over: what happens from now on is not shown here.", Show: p.url(signInPath) + "?return=" + url.QueryEscape(p.Echo.Request().URL.Path), Do: "Sign in again"}}
	return true, p.render("request", v)
}

// meanwhileSays is what happened to a request that the page shows as open.
func (v requestView) meanwhileSays() string {
	by := ""
	if n := len(v.Steps); n > 0 && len(v.Steps[n-1].Decisions) > 0 {
		by = ", by " + v.Steps[n-1].Decisions[len(v.Steps[n-1].Decisions)-1].By.String()
	}
	switch v.Status {
	case "approved", "denied":
		return fmt.Sprintf("It was %s meanwhile%s.", v.Status, by)
	case "cancelled":
		return "It was withdrawn meanwhile."
	case "expired":
		return "It expired meanwhile: nobody decided in time."
	}
	return "Somebody decided meanwhile, and it goes on."
}

// shown is how far a request is.
func (v requestView) shown() string {
	decided := 0
	for _, s := range v.Steps {
		decided += len(s.Decisions)
	}
	return fmt.Sprintf("%s.%d.%d", v.Status, len(v.Steps), decided)
}

// shown is what waits, told from what waits at another time.
func (v inboxView) shown() string {
	newest := ""
	if n := len(v.Waiting); n > 0 {
		newest = v.Waiting[n-1].ID
	}
	return fmt.Sprintf("%d.%s", len(v.Waiting)+v.More, newest)
}
