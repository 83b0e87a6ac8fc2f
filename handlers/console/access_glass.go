package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
	"sallyport.dev/projections/control"
)

// glassFormView is the form by which somebody lets themself in.
type glassFormView struct {
	Ref          resource.Ref
	Method, Does string
	For          time.Duration
	Told         string // who could have approved, and sees it
	Reason       string
	Unreviewed   bool // the person's last is not reviewed yet
	Back         string
}

func glassForm(p *page, ref, method string, typed url.Values) (v glassFormView, ok bool, err error) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(p.now())
		var m access.Method
		if v.Ref, m, err = wayOf(p, s, ref, method, now); err != nil {
			return
		}
		g := access.Glass{Resource: v.Ref, By: p.Person.ID}
		for _, q := range m.Requires {
			if q.Type == policy.AccessRequest && !q.Met {
				g.RequestTypes = append(g.RequestTypes, q.RequestType)
			}
		}
		ok = m.BreakGlass > 0 && len(g.RequestTypes) > 0
		v.Method, v.Does, v.For = m.ID, does(v.Ref, m.Kind, m.Account.String(), m.Username), time.Duration(m.BreakGlass)*time.Second
		v.Told, v.Unreviewed = someNames(s.Reviewers(g, now)), s.Access().Unreviewed(p.Person.ID)
	})
	v.Reason, v.Back = typed.Get("reason"), p.url(wayPath(ref))
	return v, ok, err
}

func showGlassForm(p *page) error {
	if p.query("resource") == "" {
		return p.redirect(p.url("/access"))
	}
	v, ok, err := glassForm(p, p.query("resource"), p.query("method"), nil)
	switch {
	case err != nil:
		return err
	case !ok:
		return p.redirect(v.Back)
	}
	return p.render("access-glass", v)
}

func breakGlass(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	in := struct {
		Resource string `json:"resource"`
		Method   string `json:"method"`
		Reason   string `json:"reason"`
	}{form.Get("resource"), form.Get("method"), form.Get("reason")}
	err = p.API(http.MethodPost, "/access/break-glass", nil, in, nil)
	if err == nil {
		return p.done(wayPath(in.Resource), glassSays(p, in.Resource, in.Method))
	}
	v, ok, gone := glassForm(p, in.Resource, in.Method, form)
	switch {
	case gone != nil:
		return gone
	case !ok:
		return refuseUse(p, form, err)
	}
	return p.refused("access-glass", v, err)
}

// glassSays is what is told of glass that was just broken: it stands for the
// approval, and the rule may want more.
func glassSays(p *page, ref, method string) (says string) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		_, m, err := wayOf(p, s, ref, method, s.Later(p.now()))
		var steps []string
		for _, s := range stillToDo(m) {
			steps = append(steps, s.do)
		}
		switch {
		case err != nil:
			says = "You broke glass, but no rule opens it for you any more. Somebody else will review it."
		case len(steps) == 0:
			says = "You broke glass: it is open now, and somebody else will review it."
		case len(steps) == 1:
			says = "You broke glass in place of the approval. It is not open yet, one more step: " + steps[0] + ". Somebody else will review it."
		default:
			says = "You broke glass in place of the approval. It is not open yet. Still to do: " + strings.Join(steps, ", then ") + ". Somebody else will review it."
		}
	})
	return says
}

// glassRow is glass that somebody broke.
type glassRow struct {
	access.Glass
	What   string
	Why    string // the reason, shortened
	Review bool   // whoever looks may review it
	Open   bool   // what it opened still is
}

// glassesView is the broken glass that somebody may see.
type glassesView struct {
	Review []glassRow // theirs to review, oldest first
	Mine   []glassRow // newest first
	Others []glassRow // newest first
}

// maxGlassRows is how many rows each list has at most.
const maxGlassRows = 50

// reviews tells whether the person may review the glass.
func reviews(p *page, s *control.State, g access.Glass, now time.Time) bool {
	return reviewer(p, s, now)(&g)
}

// reviewer is [reviews] for many glasses.
func reviewer(p *page, s *control.State, now time.Time) func(*access.Glass) bool {
	could := s.ReviewsAt(now)
	return func(g *access.Glass) bool {
		return g.ReviewedBy == "" && g.By != p.Person.ID &&
			(p.Person.Has(domain.SecurityAdmin) || could(domain.Name(p.Person.ID), g))
	}
}

// seesGlass tells whether the person may see the glass, as /v1 has it.
func seesGlass(p *page, s *control.State, g access.Glass, now time.Time) bool {
	return g.By == p.Person.ID || g.ReviewedBy == p.Person.ID || slices.ContainsFunc(readers, p.Person.Has) || reviews(p, s, g, now)
}

func newGlassRow(p *page, s *control.State, g access.Glass, now time.Time) glassRow {
	_, last, _ := cutLast(g.Method, "/")
	kind, account, _ := strings.Cut(last, ":")
	row := glassRow{Glass: g, What: does(g.Resource, access.Kind(kind), account, g.Username), Review: reviews(p, s, g, now), Open: now.Before(g.Until)}
	row.Reason, row.Comment, row.Why = visible(g.Reason), visible(g.Comment), shortWhy(g.Reason)
	return row
}

// countGlass is how many broken glasses the person is to review.
func countGlass(p *page) (n int) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		reviews := reviewer(p, s, s.Later(p.now()))
		for g := range s.Access().Waiting() {
			if reviews(g) {
				n++
			}
		}
	})
	return n
}

// glassesLookedAt is among how many of the newest glasses the list looks for those
// that are not to be reviewed; the audit trail has every one.
const glassesLookedAt = 1000

func showGlasses(p *page) error {
	var v glassesView
	p.Org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(p.now())
		reviews := reviewer(p, s, now)
		for g := range s.Access().Waiting() {
			if reviews(g) && len(v.Review) < maxGlassRows {
				v.Review = append(v.Review, newGlassRow(p, s, *g, now))
			}
		}
		looked := 0
		for g := range s.Access().Newest() {
			if looked++; looked > glassesLookedAt {
				break
			}
			list := &v.Others
			switch {
			case reviews(g):
				continue
			case g.By == p.Person.ID:
				list = &v.Mine
			case !seesGlass(p, s, *g, now):
				continue
			}
			if len(*list) < maxGlassRows {
				*list = append(*list, newGlassRow(p, s, *g, now))
			}
		}
	})
	return p.render("break-glass", v)
}

// glassView is one broken glass, with the form to review it where it is one's to.
type glassView struct {
	glassRow
	Said string // the comment as typed
}

func glassPage(p *page, typed url.Values) (v glassView, err error) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(p.now())
		g, known := s.Access().Glass(p.param("id"))
		if !known || !seesGlass(p, s, g, now) {
			err = errNothing
			return
		}
		v.glassRow = newGlassRow(p, s, g, now)
	})
	v.Said = typed.Get("comment")
	return v, err
}

func showGlass(p *page) error {
	v, err := glassPage(p, nil)
	if err != nil {
		return err
	}
	return p.render("glass-review", v)
}

func reviewGlass(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	in := struct {
		Comment string `json:"comment,omitempty"`
	}{form.Get("comment")}
	err = p.API(http.MethodPost, "/access/break-glass/"+url.PathEscape(p.param("id"))+"/review", nil, in, nil)
	if err == nil {
		return p.done("/break-glass/"+p.param("id"), "Reviewed.")
	}
	v, gone := glassPage(p, form)
	if gone != nil {
		return gone
	}
	return p.refused("glass-review", v, err)
}
