package console

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/projections/control"
)

// openRow is something that the person has until it ends.
type openRow struct {
	What, URL, Kind string
	Until           time.Time
	Soon            bool

	resource resource.Ref // of what was approved, or glass was broken for
	method   string       // of it; "" of what is open as it is
}

// Bounds of what the overview looks through.
const (
	newestRequests = 2000 // of everybody, for the person's own
	newestGlasses  = 100
	maxOpen        = 10 // rows
	endsSoon       = 10 * time.Minute
)

// mine is what the person asked for lately, and what they have for a time, what
// ends first first.
func (v *overviewView) mine(p *page, s *control.State) {
	now := s.Later(p.now())
	v.asked(p, s, now)
	v.lent(p, s, now)
	slices.SortFunc(v.Open, func(a, b openRow) int { return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.What, b.What)) })
	v.Open = v.Open[:min(len(v.Open), maxOpen)]
	for i := range v.Open {
		v.Open[i].unmet(p, s, now)
	}
}

// unmet says what is still to be done before the person has what was approved,
// or what glass was broken for: the rule may want more.
func (r *openRow) unmet(p *page, s *control.State, now time.Time) {
	if r.method == "" {
		return
	}
	_, m, err := wayOf(p, s, string(r.resource), r.method, now)
	steps := stillToDo(m)
	switch {
	case err != nil:
		r.Kind += ", but no rule opens it now"
	case len(steps) > 0:
		r.Kind, r.URL = r.Kind+", still to be "+steps[0].done, reachURL(p, r.resource)
	}
}

// has adds what the person has until then, unless that is over.
func (v *overviewView) has(now time.Time, row openRow) {
	if row.Soon = row.Until.Before(now.Add(endsSoon)); now.Before(row.Until) {
		v.Open = append(v.Open, row)
	}
}

// asked is the person's newest requests, and the approvals that hold.
func (v *overviewView) asked(p *page, s *control.State, now time.Time) {
	looked := 0
	for r := range s.Requests().Requests() {
		if looked++; looked > newestRequests {
			break
		}
		if r.Requester != p.Person.ID {
			continue
		}
		if len(v.Mine) < maxListed {
			v.Mine = append(v.Mine, requestRowOf(r.At(now)))
		}
		if r.Status == request.Approved && r.Group == "" {
			v.has(now, openRow{What: whatIsAsked(r), URL: p.url("/requests/" + r.ID), Kind: "approved", Until: r.ValidUntil, resource: r.Resource, method: r.Method})
		}
	}
}

// lent is memberships that end, checkouts, and broken glass.
func (v *overviewView) lent(p *page, s *control.State, now time.Time) {
	me := domain.Name(p.Person.ID)
	for _, g := range s.Groups().Of(me, now) {
		m, _ := s.Groups().Member(g, me, now)
		row := openRow{What: "Member of the group " + g.String(), URL: p.url("/access"), Kind: "member", Until: m.Until}
		if m.Request != "" {
			row.URL = p.url("/requests/" + m.Request)
		}
		v.has(now, row) // one that is for good has no end
	}
	for _, c := range s.Access().CheckoutsOf(p.Person.ID, now) {
		v.has(now, openRow{What: heldSays(c), URL: reachURL(p, c.Resource), Kind: "checked out", Until: c.Until})
	}
	looked := 0
	for g := range s.Access().Newest() {
		if looked++; looked > newestGlasses {
			break
		}
		if g.By == p.Person.ID {
			v.has(now, openRow{What: newGlassRow(p, s, *g, now).What, URL: p.url("/break-glass/" + g.ID), Kind: "broken glass", Until: g.Until, resource: g.Resource, method: g.Method})
		}
	}
}

// maxNamed is how many of the requests that wait are named.
const maxNamed = 3

// inbox is what waits for the person's word, and the newest of it.
func (v *overviewView) inbox(p *page, s *control.State) {
	waiting := s.WaitingFor(domain.Name(p.Person.ID), s.Later(p.now()))
	p.counted["/inbox"] = len(waiting)
	if len(waiting) == 0 {
		return
	}
	n := need{Title: waits(len(waiting), "request", "requests") + " for you", URL: p.url("/inbox"), Do: "Open the inbox"}
	for _, id := range slices.Backward(waiting) {
		if len(n.Items) == maxNamed {
			n.Text = fmt.Sprintf("And %d more.", len(waiting)-maxNamed)
			break
		}
		r, _ := s.Requests().Request(id)
		n.Items = append(n.Items, needItem{What: whatIsAsked(r), By: "asked by " + visible(r.Requester), URL: p.url("/requests/" + r.ID)})
	}
	v.Needs = append(v.Needs, n)
}

// waits says that so many wait.
func waits(n int, one, more string) string { return plural(n, one+" waits", more+" wait") }
