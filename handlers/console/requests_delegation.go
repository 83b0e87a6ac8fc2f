package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/projections/control"
)

// delegationView is who decides for somebody, and for whom they do.
type delegationView struct {
	Mine      request.Delegation // To is "" where there is none
	Received  []request.Delegation
	To, Until string   // as typed
	People    []option // to choose from; nil: too many
}

func delegationPage(p *page, typed url.Values) (v delegationView) {
	me := domain.Name(p.Person.ID)
	p.Org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(p.now())
		if d, holds := s.Requests().Delegation(me, now); holds {
			v.Mine = d
		}
		v.Received = s.Requests().DelegatedTo(me, now)
	})
	v.To, v.Until = typed.Get("to"), typed.Get("until")
	if slices.ContainsFunc(readers, p.Person.Has) { // anybody else is not told who there is
		v.People = slices.DeleteFunc(p.peopleOptions(v.To), func(o option) bool { return o.Value == p.Person.ID && v.To != o.Value })
	}
	return v
}

func showDelegation(p *page) error { return p.render("delegation", delegationPage(p, nil)) }

func setDelegation(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	in := struct {
		To    string `json:"to"`
		Until string `json:"until"`
	}{To: form.Get("to")}
	in.Until, err = enteredUTC(p, form.Get("until"))
	if err = cmp.Or(p.proved(), err); err == nil {
		err = p.API(http.MethodPut, "/access/delegation", nil, in, nil)
	}
	if err != nil {
		return p.refused("delegation", delegationPage(p, form), err)
	}
	return p.done("/delegation", in.To+" may decide for you now.")
}

func endDelegation(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	if err := p.API(http.MethodDelete, "/access/delegation", nil, nil, nil); err != nil {
		return p.refused("delegation", delegationPage(p, form), err)
	}
	return p.done("/delegation", "You decide for yourself alone again.")
}
