package console

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/key"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
)

func (c *Console) overview() []screen {
	return []screen{{path: "/", menu: "Overview", icon: "home", get: showOverview}}
}

// Readiness tells, check by check, whether something can do its work; nil is ready.
type Readiness interface {
	Ready(context.Context) map[string]error
}

// overviewView is what the first page shows: what needs the person, and, to who
// may read it, how the organisation is.
type overviewView struct {
	Needs    []need
	Mine     []requestRow // the person's own newest requests
	MayRead  bool         // the rest is shown
	Day      histogramView
	Issued   int // in that day
	Denied   int
	Keys     []keyView
	Warnings []warning
	Issuer   string

	Active, Inactive, Drafts int // connections
}

// need is something that waits for the person.
type need struct{ Title, Text, URL, Do string }

// keyView is a key that signs.
type keyView struct {
	Algorithm string
	Since, By time.Time // it signs since, and should be replaced by
	Ready     time.Time // from when on the next one may sign; zero: there is none
	Late      bool
}

// warning is something that does not do its work, or could do it better.
type warning struct{ Tone, Text, URL string }

// maxListed is how many of one kind the overview names.
const maxListed = 5

// rotateSoon is how long before a key is due the overview warns of it.
const rotateSoon = 14 * 24 * time.Hour

func showOverview(p *page) error {
	v := overviewView{Issuer: p.Org.Issuer(), MayRead: slices.ContainsFunc(readers, p.Person.Has)}
	v.waiting(p)
	var keys key.State
	var warned []domain.Name
	p.Org.Read(func(s *control.State, _ domain.Head) {
		for r := range s.Requests().Requests() {
			if r.Requester == p.Person.ID {
				v.Mine = append(v.Mine, requestRowOf(r.At(s.Later(p.now()))))
			}
			if len(v.Mine) == maxListed {
				break
			}
		}
		if keys = s.Keys(); v.MayRead {
			warned = v.connections(p, s)
		}
	})
	if !v.MayRead {
		return p.render("overview", v)
	}
	if err := v.day(p); err != nil {
		return err
	}
	v.keys(keys, p.now())
	v.warn(p, warned)
	return p.render("overview", v)
}

// waiting asks every screen that counts what waits.
func (v *overviewView) waiting(p *page) {
	for _, s := range p.console.all {
		if s.count == nil || !s.admits(p.Person) {
			continue
		}
		if n := s.count(p); n > 0 {
			v.Needs = append(v.Needs, need{Title: s.menu, Text: fmt.Sprintf("%d waiting for you.", n), URL: p.url(s.path), Do: "Open"})
		}
	}
}

// connections counts them, names those that wait for this person to activate
// them, and gives those that work with warnings.
func (v *overviewView) connections(p *page, s *control.State) (warned []domain.Name) {
	waiting := 0
	for c := range s.EachConnection() {
		switch c.Status {
		case connection.Active:
			v.Active++
			if len(c.Acknowledged) > 0 {
				warned = append(warned, c.Name)
			}
		case connection.Inactive:
			v.Inactive++
		default:
			v.Drafts++
		}
		if (c.Pending == nil && c.EverActivated) || !p.Person.Has(domain.SecurityAdmin) || slices.Contains(c.Writers, p.Person.ID) {
			continue
		}
		if waiting++; waiting <= maxListed {
			v.Needs = append(v.Needs, need{
				Title: "Connection " + c.Name.String(), Text: "Written by " + strings.Join(c.Writers, ", ") + "; you may review and activate it.",
				URL: p.url("/connections/" + c.Name.String() + "/activate"), Do: "Review",
			})
		}
	}
	if waiting > maxListed {
		v.Needs = append(v.Needs, need{Title: "Connections", Text: fmt.Sprintf("%d more wait for a review.", waiting-maxListed), URL: p.url("/connections"), Do: "Open"})
	}
	return warned
}

// day draws the exchanges of the last 24 hours.
func (v *overviewView) day(p *page) error {
	now := p.now()
	days, err := p.Org.Trail().Activity(p.Context(), []string{trail.Everything}, now, dayHours)
	if err != nil {
		return err
	}
	all := days[trail.Everything]
	bars := make([]bar, dayHours)
	first := now.Truncate(time.Hour).Add(-(dayHours - 1) * time.Hour)
	for i := range bars {
		from := first.Add(time.Duration(i) * time.Hour)
		bars[i] = bar{Label: from.Format("2 Jan 15:04"), URL: p.at("/audit", url.Values{
			"type": {"token.*"}, "since": {from.Format(time.RFC3339)}, "until": {from.Add(time.Hour).Format(time.RFC3339)},
		})}
		if len(all.Issued) == dayHours {
			bars[i].Good, bars[i].Bad = all.Issued[i], all.Denied[i]
		}
		v.Issued, v.Denied = v.Issued+bars[i].Good, v.Denied+bars[i].Bad
	}
	v.Day = newHistogram("Exchanges by hour (UTC)", "issued", "denied", bars)
	return nil
}

func (v *overviewView) keys(s key.State, now time.Time) {
	for _, alg := range key.Algorithms() {
		active, signs := s.Active(alg)
		if !signs {
			continue
		}
		k := keyView{Algorithm: string(alg), Since: active.ActivatedAt, By: active.ActivatedAt.Add(organisation.RotateWithin)}
		if next, ok := s.Next(alg); ok {
			k.Ready = next.CreatedAt.Add(key.CacheTime)
		}
		k.Late = now.After(k.By.Add(-rotateSoon))
		v.Keys = append(v.Keys, k)
	}
}

// checks says what it means when a check of /readyz fails.
var checks = map[string]string{
	"log":    "The log cannot be written to, or read from, right now: nothing can be changed and no token is issued.",
	"fold":   "The state could not be brought up to date with the log.",
	"trail":  "The audit trail lags behind the log; newer events may be missing here.",
	"keys":   "A signing key cannot be used.",
	"sealer": "The log is not sealed up to its end: its newest part could be changed without a trace.",
	"disk":   "The disk is nearly full.",
	"clock":  "The clock of the server is not to be trusted.",
}

// warn names checks that fail, connections that work with warnings, and keys that are due.
func (v *overviewView) warn(p *page, warned []domain.Name) {
	for _, r := range append([]Readiness{p.Org}, p.console.opt.Checks...) {
		failing := r.Ready(p.Context())
		for _, check := range slices.Sorted(maps.Keys(failing)) {
			if failing[check] == nil {
				continue
			}
			text, known := checks[check]
			if !known {
				text = "The check " + check + " fails."
			}
			v.Warnings = append(v.Warnings, warning{Tone: "bad", Text: text})
		}
	}
	for _, k := range v.Keys {
		if k.Late {
			v.Warnings = append(v.Warnings, warning{Tone: "warn", Text: "The " + k.Algorithm + " key signs for a long time already; rotate the keys."})
		}
	}
	for i, name := range warned {
		if i == maxListed {
			v.Warnings = append(v.Warnings, warning{Tone: "warn", Text: fmt.Sprintf("%d more active connections have warnings.", len(warned)-maxListed), URL: p.url("/connections?status=active")})
			break
		}
		v.Warnings = append(v.Warnings, warning{Tone: "warn", Text: "The active connection " + name.String() + " has warnings that were accepted.", URL: p.url("/connections/" + name.String())})
	}
}
