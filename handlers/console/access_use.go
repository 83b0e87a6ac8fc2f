package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"sallyport.dev/domain"
)

// refuseUse shows the resource as it is now, and why what was done was refused.
func refuseUse(p *page, form url.Values, err error) error {
	v, gone := reach(p, form.Get("resource"))
	if gone != nil {
		return gone
	}
	return p.refused("access-way", v, err)
}

// wayPath is the page of a resource, below the organisation's console.
func wayPath(ref string) string {
	return "/access/resource?" + url.Values{"resource": {ref}}.Encode()
}

func takeCheckout(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	in := struct {
		Resource string `json:"resource"`
		Method   string `json:"method"`
		Seconds  int    `json:"seconds,omitempty"`
	}{Resource: form.Get("resource"), Method: form.Get("method")}
	if in.Seconds, err = strconv.Atoi(form.Get("seconds")); err != nil {
		return errForm
	}
	if err := p.API(http.MethodPost, "/access/checkouts", nil, in, nil); err != nil {
		return refuseUse(p, form, err)
	}
	return p.done(wayPath(in.Resource), "You have it to yourself now.")
}

func releaseCheckout(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	in := struct {
		Resource string `json:"resource"`
		Account  string `json:"account,omitempty"`
	}{form.Get("resource"), form.Get("account")}
	if err := p.API(http.MethodPost, "/access/checkouts/release", nil, in, nil); err != nil {
		return refuseUse(p, form, err)
	}
	return p.done("/access", "Released: somebody else can have it now.")
}

// valueView is a value that was revealed. It is on this one page, and nowhere else.
type valueView struct {
	What    string
	Value   string
	Version int
	Back    string
}

// revealValue answers the value itself: nothing of it goes into an address, a
// session or a title, and the same form sent again shows nothing.
func revealValue(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	in := struct {
		Resource string `json:"resource"`
		Method   string `json:"method"`
	}{form.Get("resource"), form.Get("method")}
	var out struct {
		Account domain.Name `json:"account"`
		Value   string      `json:"value"`
		Version int         `json:"version"`
	}
	if p.once == "" {
		return errForm
	}
	err = p.API(http.MethodPost, "/access/grants", nil, in, &out)
	if told := (*problem)(nil); errors.As(err, &told) && told.Code == "grant.answered" {
		told.Detail = "This was shown already, and it is shown once. Press Reveal to see it again."
	}
	if err != nil {
		return refuseUse(p, form, err)
	}
	v := valueView{What: in.Resource, Value: out.Value, Version: out.Version, Back: p.url(wayPath(in.Resource))}
	if out.Account != "" {
		v.What = out.Account.String() + " on " + in.Resource
	}
	return p.render("access-value", v)
}
