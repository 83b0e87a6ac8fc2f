package console

import (
	"net/http"
	"net/url"
)

// provedPath is where a tab ends that was opened to prove anew who somebody is.
const provedPath = stepUpPath + "/done"

// proved is nil if the person proved who they are within [freshFor]; otherwise a
// refusal of the form, which keeps what was typed: they prove it in another tab and
// send the form again. [page.stepUp] is for what has nothing typed in it.
func (p *page) proved() error {
	if p.now().Sub(p.Session.FreshAt) < freshFor {
		return nil
	}
	return &problem{
		Status: http.StatusForbidden, Code: "session.stale",
		Detail: "Nothing is saved yet: it is more than five minutes ago that you proved who you are.",
		Do:     "Prove it in another tab", URL: p.url(stepUpPath) + "?return=" + url.QueryEscape(p.url(provedPath)),
		Then: "Then send this form again: what you typed is still in it.",
	}
}

func showProved(p *page) error { return p.render("proved", struct{}{}) }
