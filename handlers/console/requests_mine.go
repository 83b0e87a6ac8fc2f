package console

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/projections/control"
)

// perPage is how many requests a page of a list has.
const perPage = 50

// requestSeers may see the requests of everybody.
var requestSeers = []domain.Role{domain.Owner, domain.SecurityAdmin, domain.Auditor}

// requestsView is a list of requests, newest first.
type requestsView struct {
	Rows       []requestRow
	All, Seer  bool   // everybody's are shown; may be
	Next       string // address of the older ones, "" if there are none
	First      string // of the newest, "" if they are shown
	Membership bool   // there is a request type for groups
}

func showRequests(p *page) error {
	v := requestsView{Seer: slices.ContainsFunc(requestSeers, p.Person.Has)}
	v.All = v.Seer && p.query("view") == "all"
	before := p.query("before")
	p.Org.Read(func(s *control.State, _ domain.Head) {
		v.Membership = len(membershipTypes(s)) > 0
		v.fill(s.Requests(), p.Person.ID, before, s.Later(p.now()))
	})
	at := url.Values{}
	if v.All {
		at.Set("view", "all")
	}
	if before != "" {
		v.First = p.url("/requests?") + at.Encode()
	}
	if v.Next != "" {
		at.Set("before", v.Next)
		v.Next = p.url("/requests?") + at.Encode()
	}
	return p.render("requests", v)
}

// fill takes the rows that come after the request named before; "" is none.
func (v *requestsView) fill(all request.State, who, before string, now time.Time) {
	skip := before != ""
	for r := range all.Requests() {
		switch {
		case skip:
			skip = r.ID != before
		case !v.All && r.Requester != who:
		case len(v.Rows) == perPage:
			v.Next = v.Rows[perPage-1].ID
			return
		default:
			v.Rows = append(v.Rows, requestRowOf(r.At(now)))
		}
	}
}

// membershipTypes are the published request types for groups.
func membershipTypes(s *control.State) (out []request.Type) {
	for _, t := range s.Requests().Types() {
		if t.Status == request.Published && t.Published != nil && t.Published.Kind == request.ForGroup {
			out = append(out, t)
		}
	}
	return out
}

// membershipView is the form by which somebody asks to be in a group; without a
// type it lets them choose one.
type membershipView struct {
	Types         []membershipType // to choose from; of one the form is shown
	Chosen        *membershipType
	Asked         []fieldAsked
	Group, Until  string
	Justification string
}

// membershipType is a request type for groups, as people choose it.
type membershipType struct {
	Name    domain.Name
	Says    string
	Groups  []option
	Longest time.Duration
	Why     bool // must be said
	Steps   []string
	fields  []request.Field
}

func newMembershipType(t request.Type) membershipType {
	out := membershipType{
		Name: t.Name, Says: visible(t.Published.Description), Longest: time.Duration(t.Published.MaxSeconds) * time.Second,
		Why: t.Published.Justification == request.Required, fields: t.Published.Fields,
	}
	for _, g := range t.Published.Groups {
		out.Groups = append(out.Groups, option{g.String(), g.String()})
	}
	for i, st := range t.Published.Steps {
		out.Steps = append(out.Steps, stepSays(i, len(t.Published.Steps), st))
	}
	return out
}

func membershipForm(p *page, chosen string, typed url.Values) (v membershipView) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		for _, t := range membershipTypes(s) {
			v.Types = append(v.Types, newMembershipType(t))
		}
	})
	i := slices.IndexFunc(v.Types, func(t membershipType) bool { return t.Name.String() == chosen })
	if len(v.Types) == 1 && chosen == "" {
		i = 0
	}
	if i < 0 {
		return v
	}
	v.Chosen = &v.Types[i]
	v.Asked = fieldsToAsk(v.Chosen.fields, request.OfRequester, typed)
	v.Group, v.Until, v.Justification = typed.Get("group"), typed.Get("until"), typed.Get("justification")
	return v
}

// fieldsToAsk are the fields of one side, with what was typed into them.
func fieldsToAsk(all []request.Field, side request.Side, typed url.Values) (out []fieldAsked) {
	for _, f := range all {
		if f.Of == side {
			out = append(out, fieldAsked{f, typed.Get("fields." + f.Name.String())})
		}
	}
	return out
}

func showMembership(p *page) error {
	return p.render("membership", membershipForm(p, p.query("type"), nil))
}

// raising is what /v1 takes as a request.
type raising struct {
	Resource      string            `json:"resource,omitempty"`
	Method        string            `json:"method,omitempty"`
	Type          string            `json:"type,omitempty"`
	Group         string            `json:"group,omitempty"`
	Until         string            `json:"until,omitempty"`
	Justification string            `json:"justification,omitempty"`
	Fields        map[string]string `json:"fields,omitempty"`
}

// raise asks, and gives the id of the request.
func raise(p *page, in raising) (id string, err error) {
	var raised struct {
		ID string `json:"id"`
	}
	err = p.API(http.MethodPost, "/access/requests", nil, in, &raised)
	return raised.ID, err
}

func raiseMembership(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	in := raising{Type: form.Get("type"), Group: form.Get("group"), Justification: form.Get("justification"), Fields: fieldsOf(form)}
	var id string
	if in.Until, err = enteredUTC(p, form.Get("until")); err == nil {
		id, err = raise(p, in)
	}
	if err != nil {
		return p.refused("membership", membershipForm(p, in.Type, form), err)
	}
	return p.done("/requests/"+id, "Asked. It is in the inbox of those who may decide.")
}

// enteredUTC is a time as a form has it, which says that it is UTC.
func enteredUTC(p *page, text string) (string, error) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Format(time.RFC3339), nil
		}
	}
	return "", p.invalid("/until", "this is a date and a time, such as 2026-11-22T18:00, in UTC")
}
