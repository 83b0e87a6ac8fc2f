package console

import (
	"net/url"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/projections/control"
)

// accessFormView is the form by which somebody asks for an approval.
type accessFormView struct {
	Ref           resource.Ref
	Method, Does  string
	Type          domain.Name
	Says          string // of the request type
	Holds         time.Duration
	Why           bool // must be said
	Steps         []string
	Asked         []fieldAsked
	Justification string
	Back          string
}

// wayOf is a method of the person, with its resource's reference.
func wayOf(p *page, s *control.State, ref, method string, now time.Time) (r resource.Ref, m access.Method, err error) {
	r, err = resource.ParseRef(ref)
	if err != nil {
		return r, m, errNothing
	}
	_, answer, _ := access.ResolveRef(s.World(), p.subject(s, now), r, now)
	m, found := access.Find(answer, method)
	if !found {
		return r, m, errNoReach
	}
	return r, m, nil
}

// accessForm is the form for a method; ok is false where there is no approval to ask for.
func accessForm(p *page, ref, method string, typed url.Values) (v accessFormView, ok bool, err error) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		var m access.Method
		if v.Ref, m, err = wayOf(p, s, ref, method, s.Later(p.now())); err != nil {
			return
		}
		for _, q := range m.Requires {
			t, there := s.Requests().Type(q.RequestType)
			if q.Type != policy.AccessRequest || q.Met && !q.BreakGlass || !there || t.Status != request.Published {
				continue
			}
			ok = true
			v.Method, v.Does, v.Type = m.ID, does(v.Ref, m.Kind, m.Account.String(), m.Username), t.Name
			v.Says, v.Holds = visible(t.Published.Description), time.Duration(q.Seconds)*time.Second
			v.Why = t.Published.Justification == request.Required
			for i, st := range t.Published.Steps {
				v.Steps = append(v.Steps, stepSays(i, len(t.Published.Steps), st))
			}
			v.Asked = fieldsToAsk(t.Published.Fields, request.OfRequester, typed)
			return
		}
	})
	v.Justification, v.Back = typed.Get("justification"), p.url(wayPath(ref))
	return v, ok, err
}

func showAccessForm(p *page) error {
	if p.query("resource") == "" {
		return p.redirect(p.url("/access"))
	}
	v, ok, err := accessForm(p, p.query("resource"), p.query("method"), nil)
	switch {
	case err != nil:
		return err
	case !ok:
		return p.redirect(v.Back)
	}
	return p.render("access-ask", v)
}

func raiseAccess(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	in := raising{
		Resource: form.Get("resource"), Method: form.Get("method"), Type: form.Get("type"),
		Justification: form.Get("justification"), Fields: fieldsOf(form),
	}
	id, err := raise(p, in)
	if err == nil {
		return p.done("/requests/"+id, "Asked. It is in the inbox of those who may decide.")
	}
	v, ok, gone := accessForm(p, in.Resource, in.Method, form)
	switch {
	case gone != nil:
		return gone
	case !ok: // nothing is to be asked for any more: what there is says so
		return refuseUse(p, form, err)
	}
	return p.refused("access-ask", v, err)
}
