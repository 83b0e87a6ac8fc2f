package console

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/projections/control"
)

// openRow is something that the person has until it ends.
type openRow struct {
	What, URL, Kind string
	Until           time.Time
	Soon            bool
}

// Bounds of what the overview looks through.
const (
	newestRequests = 2000 // of everybody, for the person's own
	newestGlasses  = 100
	maxOpen        = 10 // rows
	endsSoon       = time.Hour
)

// mine is what the person asked for lately, and what they have for a time, what
// ends first first.
func (v *overviewView) mine(p *page, s *control.State) {
	now, me := s.Later(p.now()), p.Person.ID
	has := func(what, url, kind string, until time.Time) {
		if now.Before(until) {
			v.Open = append(v.Open, openRow{what, url, kind, until, until.Before(now.Add(endsSoon))})
		}
	}
	looked := 0
	for r := range s.Requests().Requests() {
		if looked++; looked > newestRequests {
			break
		}
		if r.Requester != me {
			continue
		}
		if len(v.Mine) < maxListed {
			v.Mine = append(v.Mine, requestRowOf(r.At(now)))
		}
		if r.Status == request.Approved && r.Group == "" {
			has(whatIsAsked(r), p.url("/requests/"+r.ID), "approved", r.ValidUntil)
		}
	}
	for _, g := range s.Groups().Of(domain.Name(me), now) {
		if m, _ := s.Groups().Member(g, domain.Name(me), now); !m.Until.IsZero() {
			url := p.url("/access")
			if m.Request != "" {
				url = p.url("/requests/" + m.Request)
			}
			has("Member of the group "+g.String(), url, "member", m.Until)
		}
	}
	for _, c := range s.Access().Checkouts(now) {
		if c.By == me {
			has(heldSays(c), reachURL(p, c.Resource), "checked out", c.Until)
		}
	}
	glasses := s.Access().Glasses()
	for _, g := range glasses[max(0, len(glasses)-newestGlasses):] {
		if g.By == me {
			has(newGlassRow(p, s, g, now).What, p.url("/break-glass/"+g.ID), "broken glass", g.Until)
		}
	}
	slices.SortFunc(v.Open, func(a, b openRow) int { return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.What, b.What)) })
	v.Open = v.Open[:min(len(v.Open), maxOpen)]
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
	for _, r := range slices.Backward(waiting) {
		if len(n.Items) == maxNamed {
			n.Text = fmt.Sprintf("And %d more.", len(waiting)-maxNamed)
			break
		}
		n.Items = append(n.Items, needItem{What: whatIsAsked(r), By: visible(r.Requester), URL: p.url("/requests/" + r.ID)})
	}
	v.Needs = append(v.Needs, n)
}

// waits says that so many wait.
func waits(n int, one, more string) string { return plural(n, one+" waits", more+" wait") }
