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
	"sallyport.dev/domain/token"
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
	Needs     []need
	Elsewhere []domain.Name // connections that the person wrote and somebody else activates, the first few
	More      int           // of those
	Open      []openRow     // what the person has for a time
	Mine      []requestRow  // the person's own newest requests
	MayRead   bool          // the rest is shown
	Day       histogramView
	Issued    int // in that day
	Denied    int
	Keys      []keyView
	Warnings  []warning
	Issuer    string

	Active, Inactive, Drafts int // connections
}

// New tells whether nobody has drafted a connection yet.
func (v overviewView) New() bool { return v.Active+v.Inactive+v.Drafts == 0 }

// need is something that waits for the person.
type need struct {
	Title, Text, URL, Do string
	Items                []needItem
}

// needItem is one of the things that wait; By tells who wrote or asked for it.
type needItem struct{ What, By, URL string }

// keyView is a key that signs.
type keyView struct {
	Algorithm string
	Since, By time.Time // it signs since, and should be replaced by
	Next      bool      // there is one that follows it
	Ready     time.Time // from when on the next one may sign; zero: it may
	Late      bool
}

// warning is something that does not do its work, or could do it better.
type warning struct {
	Tone, Text, URL string
	Last            time.Time // when it last did its work; zero says nothing
}

// maxListed is how many of one kind the overview names.
const maxListed = 5

// rotateSoon is how long before a key is due the overview warns of it.
const rotateSoon = 14 * 24 * time.Hour

func showOverview(p *page) error {
	v := overviewView{Issuer: p.Org.Issuer(), MayRead: slices.ContainsFunc(readers, p.Person.Has)}
	p.counted = map[string]int{}
	v.reviews(p)
	var keys key.State
	var warned []domain.Name
	p.Org.Read(func(s *control.State, _ domain.Head) {
		v.inbox(p, s)
		v.mine(p, s)
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
	v.checks(p)
	if err := v.silent(p); err != nil {
		return err
	}
	v.warn(p, warned)
	return p.render("overview", v)
}

// reviews asks for those of broken glass that wait.
func (v *overviewView) reviews(p *page) {
	n := countGlass(p)
	p.counted["/break-glass"] = n
	if n > 0 {
		v.Needs = append(v.Needs, need{
			Title: waits(n, "review of broken glass", "reviews of broken glass") + " for you",
			Text:  "Somebody let themself in without the approval; see what was done.", URL: p.url("/break-glass"), Do: "Review",
		})
	}
}

// connections counts them, names those that wait for this person to activate
// them, and gives those that work with warnings.
func (v *overviewView) connections(p *page, s *control.State) (warned []domain.Name) {
	waiting, settings := 0, s.Organisation()
	n := need{URL: p.url("/connections"), Do: "Open the connections"}
	alone := settings.DualControl == connection.DualControlRoles && settings.UpdatedBy != p.Person.ID && p.Person.Has(domain.SecurityAdmin)
	v.Active, v.Inactive, v.Drafts = s.CountConnections(connection.Active), s.CountConnections(connection.Inactive), s.CountConnections(connection.Drafted)
	for c := range s.ToActivate() {
		if slices.Contains(c.Writers, p.Person.ID) && !alone {
			if len(v.Elsewhere) < maxListed {
				v.Elsewhere = append(v.Elsewhere, c.Name)
			} else {
				v.More++
			}
			continue
		}
		if !p.Person.Has(domain.SecurityAdmin) {
			continue
		}
		if waiting++; waiting <= maxListed {
			n.Items = append(n.Items, needItem{What: c.Name.String(), By: "written by " + strings.Join(c.Writers, ", "), URL: p.url("/connections/" + c.Name.String() + "/activate")})
		}
	}
	switch {
	case waiting == 1:
		n.URL, n.Do = n.Items[0].URL, "Review"
	case waiting > maxListed:
		n.Text = fmt.Sprintf("And %d more.", waiting-maxListed)
	}
	if waiting > 0 {
		n.Title = waits(waiting, "connection", "connections") + " for your review"
		v.Needs = append(v.Needs, n)
	}
	return s.WithWarnings()
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
			if k.Next = true; now.Before(next.CreatedAt.Add(key.CacheTime)) {
				k.Ready = next.CreatedAt.Add(key.CacheTime)
			}
		}
		k.Late = now.After(k.By.Add(-rotateSoon))
		v.Keys = append(v.Keys, k)
	}
}

// failing says what it means when a check of /readyz fails, and what to do next.
var failing = map[string]string{
	"log":    "The log cannot be written to, or read from, right now: nothing can be changed and no token is issued. See whether NATS runs and is reached; docs/runbook-damaged-log.md goes on from there.",
	"fold":   "The state could not be brought up to date with the log. Look at what the server logged last; a newer version may have written to the log.",
	"trail":  "The audit trail lags behind the log; newer events may be missing here. It catches up by itself; if it does not, look at the disk.",
	"keys":   "A signing key cannot be used, so tokens are not signed with it. See that the server has the key it seals them with, then run sallyportd doctor.",
	"sealer": "The log is not sealed up to its end: its newest part could be changed without a trace. Look at the disk, and at what the server logged last.",
	"disk":   "The disk is nearly full. Make room or enlarge it before writes stop; docs/runbook-full-disk.md tells how.",
	"clock":  "The clock of the server is not to be trusted, so neither are the times of tokens. Set it by NTP.",
}

// checks names those that fail.
func (v *overviewView) checks(p *page) {
	for _, r := range append([]Readiness{p.Org}, p.console.opt.Checks...) {
		results := r.Ready(p.Context())
		for _, check := range slices.Sorted(maps.Keys(results)) {
			if results[check] == nil {
				continue
			}
			text, known := failing[check]
			if !known {
				text = "The check " + check + " fails. Run sallyportd doctor on the host."
			}
			v.Warnings = append(v.Warnings, warning{Tone: "bad", Text: text})
		}
	}
}

// newestDenials is how many denials are looked at for connections that do
// nothing else: however many connections there are, it is that many at most.
const newestDenials = 20

// silent names the connections that were asked for tokens in the last day, and
// issued none.
func (v *overviewView) silent(p *page) error {
	found, err := p.Org.Trail().Query(p.Context(), trail.Query{
		Type: token.WasDenied{}.EventType(), Since: p.now().Add(-dayHours * time.Hour), Order: trail.Descending, Limit: newestDenials, Bare: true,
	})
	if err != nil {
		return err
	}
	var names []string
	p.Org.Read(func(s *control.State, _ domain.Head) {
		for _, e := range found.Events {
			if !slices.Contains(names, e.Connection) && s.Connection(domain.Name(e.Connection)).Status == connection.Active {
				names = append(names, e.Connection)
			}
		}
	})
	days, err := p.Org.Trail().Activity(p.Context(), names, p.now(), dayHours)
	if err != nil {
		return err
	}
	named := 0
	for _, name := range names {
		day := newDay(days[name])
		if day.Issued > 0 || day.Denied == 0 || named == maxListed {
			continue
		}
		named++
		w := warning{Tone: "warn", URL: p.at("/denials", url.Values{"connection": {name}}), Last: days[name].LastIssued}
		w.Text = fmt.Sprintf("%s issued no token in the last 24 hours: it refused every exchange, %d in all.", name, day.Denied)
		v.Warnings = append(v.Warnings, w)
	}
	return nil
}

// warn names keys that are due, and connections that work with warnings.
func (v *overviewView) warn(p *page, warned []domain.Name) {
	for _, k := range v.Keys {
		if k.Late {
			v.Warnings = append(v.Warnings, warning{Tone: "warn", Text: "The " + k.Algorithm + " key signs for a long time already; rotate the keys.", URL: p.url("/keys")})
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
