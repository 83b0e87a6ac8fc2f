package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/organisation"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
)

func (c *Console) audit() []screen {
	return []screen{
		{path: "/audit", menu: "Audit", icon: "history", group: "Trust", roles: readers, get: showAudit},
		{path: "/audit/live", roles: readers, open: true, get: showLive},
		{path: "/audit/events/:position", roles: readers, get: showEvent},
		{path: "/audit/export/:file", roles: readers, get: exportAudit},
		{path: "/workloads", roles: readers, get: showWorkload},
	}
}

// Bounds of a page of the audit trail.
const (
	auditRows    = 50
	maxCounted   = 500      // events that are looked at to count facets and draw bars
	maxFacet     = 8        // values of a facet
	maxFacetText = 300      // bytes of an identity that is one
	maxChips     = 15 << 10 // bytes of the addresses of filters that are set
)

// auditFilters are the filters as an address has them; the same as of GET /v1/audit.
var auditFilters = []string{"q", "type", "outcome", "connection", "workload", "actor", "request_id", "since", "until"}

// filter is which events are shown, as the address says it.
type filter struct {
	Q, Type, Outcome, Connection, Workload, Actor, RequestID, Since, Until string

	query trail.Query
}

// filterOf reads the filters of an address. Its error is a refusal that names fields.
func filterOf(p *page) (filter, error) {
	f := filter{
		Q: p.query("q"), Type: p.query("type"), Outcome: p.query("outcome"), Connection: p.query("connection"), Workload: p.query("workload"),
		Actor: p.query("actor"), RequestID: p.query("request_id"), Since: p.query("since"), Until: p.query("until"),
	}
	f.query = trail.Query{Q: f.Q, Type: f.Type, Outcome: f.Outcome, Connection: f.Connection, Workload: f.Workload, Actor: f.Actor, RequestID: f.RequestID}
	if says := p.Org.NoSuchType(f.Type); says != "" {
		return f, p.invalid("/type", says)
	}
	var err error
	if f.Since, f.query.Since, err = momentOf(f.Since, p.now()); err != nil {
		return f, p.invalid("/since", err.Error())
	}
	if f.Until, f.query.Until, err = momentOf(f.Until, p.now()); err != nil {
		return f, p.invalid("/until", err.Error())
	}
	return f, nil
}

// momentOf is a time as an address or a person writes it. One that is so long ago is
// also written as the time that it is: an hour ago is another one on the next page.
func momentOf(s string, now time.Time) (string, time.Time, error) {
	if s == "" {
		return s, time.Time{}, nil
	}
	t, ago, err := domain.Moment(s, now)
	if ago {
		t = t.Truncate(time.Second)
		s = t.Format(time.RFC3339)
	}
	return s, t, err
}

// values are the filters that are set, with some changed: name, value, name, value.
func (f filter) values(changes ...string) url.Values {
	v := url.Values{}
	for i, s := range []string{f.Q, f.Type, f.Outcome, f.Connection, f.Workload, f.Actor, f.RequestID, f.Since, f.Until} {
		if s != "" {
			v.Set(auditFilters[i], s)
		}
	}
	for i := 0; i+1 < len(changes); i += 2 {
		v.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			v.Del(changes[i])
		}
	}
	return v
}

// at is the address of a path with those filters.
func (p *page) at(path string, v url.Values) string {
	if len(v) == 0 {
		return p.url(path)
	}
	return p.url(path) + "?" + v.Encode()
}

// auditView is a page of the audit trail, or its live tail.
type auditView struct {
	Filter   filter
	More     bool // a filter of those that are folded away is set
	Outcomes []option
	Set      []chip // filters that are set; each leads to the page without it
	Rows     []eventRow
	Pager    pagerView
	Total    string // what the filters find, in words
	Facets   []facet
	Chart    *histogramView
	Live     bool
	Stream   string // query by which the live tail is read

	LiveURL, ListURL, ClearURL, ExportURL string
}

// chip is a filter that is set.
type chip struct{ Name, Value, URL string }

// eventRow is one event in a table.
type eventRow struct {
	Position                  string
	At                        time.Time
	Type, Sentence, Outcome   string
	URL, TypeURL, RequestsURL string
}

// facet is the most frequent values of a filter.
type facet struct {
	Name   string
	Values []facetValue
}

type facetValue struct {
	Label, Count, URL string
	Current           bool
}

func showAudit(p *page) error {
	f, err := filterOf(p)
	if err != nil {
		return p.refused("audit", p.auditFrame(f), err)
	}
	v := p.auditFrame(f)
	p.Org.Settle(p.Context())
	found, err := p.auditPage(f)
	if err != nil {
		return p.refused("audit", v, refusal(err))
	}
	v.Rows = p.eventRows(found.events)
	v.Pager = newPager(found.newer, found.older, "Newest first")
	if err := p.summarize(f, &v); err != nil {
		return err
	}
	return p.render("audit", v)
}

// refusal is an error of the trail as the form shows it.
func refusal(err error) error {
	var e *domain.Error
	if !errors.As(err, &e) {
		return err
	}
	status, told := api.Explain(err)
	r := &problem{Status: status, Code: told.Code, Detail: told.Message, Fields: map[string]string{}}
	for _, f := range told.Fields {
		r.add(f.Pointer, f.Detail)
	}
	return r
}

// auditFrame is what a page has around its events.
func (p *page) auditFrame(f filter) auditView {
	v := auditView{
		Filter: f, More: f.Workload+f.Actor+f.RequestID+f.Since+f.Until != "",
		Outcomes: []option{{"", "Any"}, {trail.Success, "Success"}, {trail.Denied, "Denied"}, {trail.Failed, "Failed"}},
		LiveURL:  p.at("/audit/live", f.values()), ListURL: p.at("/audit", f.values()), ClearURL: p.url("/audit"),
		ExportURL: p.at("/audit/export/events.ndjson", f.values()),
	}
	set := f.values()
	most := maxChips / (len(set.Encode()) + 1) // each leads to an address that is as long
	for _, name := range auditFilters {
		if set.Has(name) && len(v.Set) < most {
			v.Set = append(v.Set, chip{Name: strings.ReplaceAll(name, "_", " "), Value: visible(set.Get(name)), URL: p.at("/audit", f.values(name, ""))})
		}
	}
	return v
}

// auditFound is a page of events, newest first, and where its neighbours are.
type auditFound struct {
	events       []trail.Entry
	newer, older string
}

// auditPage is the page that the parameters before and after ask for: older, or
// newer, than an event; without them, the newest.
func (p *page) auditPage(f filter) (found auditFound, err error) {
	q := f.query
	q.Limit, q.Order, q.Bare = auditRows, trail.Descending, true
	before, after := p.query("before"), p.query("after")
	if after != "" {
		q.Order, before = trail.Ascending, after
	}
	if before != "" {
		at, err := domain.ParsePosition(before)
		if err != nil {
			return found, err
		}
		q.After = trail.EncodeCursor(q, at)
	}
	got, err := p.Org.Trail().Query(p.Context(), q)
	if err != nil {
		return found, err
	}
	if found.events = got.Events; len(got.Events) == 0 {
		return found, nil
	}
	hasOlder, hasNewer := got.HasMore, before != ""
	if after != "" {
		slices.Reverse(found.events)
		hasOlder, hasNewer = true, got.HasMore
	}
	if hasNewer {
		found.newer = p.at("/audit", f.values("after", found.events[0].Position.String()))
	}
	if hasOlder {
		found.older = p.at("/audit", f.values("before", found.events[len(found.events)-1].Position.String()))
	}
	return found, nil
}

func (p *page) eventRows(events []trail.Entry) (rows []eventRow) {
	for _, e := range events {
		rows = append(rows, p.eventRow(e))
	}
	return rows
}

func (p *page) eventRow(e trail.Entry) eventRow {
	return eventRow{
		Position: e.Position.String(), At: e.Time, Type: e.Type, Sentence: visible(e.Summary), Outcome: e.Outcome,
		URL: p.url("/audit/events/" + e.Position.String()), TypeURL: p.at("/audit", url.Values{"type": {e.Type}}),
	}
}

// summarize counts what the filters find: facets, bars, and how much it is.
func (p *page) summarize(f filter, v *auditView) error {
	s, err := p.Org.Trail().Summarize(p.Context(), f.query, maxCounted, maxFacet)
	if err != nil {
		return err
	}
	v.Total = counted(s.Counted, s.More, "event")
	if v.Chart, err = p.chart(f, s); err != nil || f.long() {
		return err
	}
	for _, of := range []struct {
		name, parameter, set string
		values               []trail.Count
	}{
		{"Type", "type", f.Type, s.Types}, {"Outcome", "outcome", f.Outcome, s.Outcomes},
		{"Connection", "connection", f.Connection, s.Connections}, {"Workload", "workload", f.Workload, s.Workloads}, {"Actor", "actor", f.Actor, s.Actors},
	} {
		list := facet{Name: of.name}
		for _, n := range of.values {
			if of.parameter == "workload" && len(n.Value) > maxFacetText {
				continue // no address has room for it eight times
			}
			value := facetValue{Label: visible(p.shortActor(n.Value)), Count: fmt.Sprint(n.Count), Current: of.set == n.Value, URL: p.at("/audit", f.values(of.parameter, n.Value))}
			if s.More {
				value.Count += "+"
			}
			if value.Current {
				value.URL = p.at("/audit", f.values(of.parameter, ""))
			}
			list.Values = append(list.Values, value)
		}
		if len(list.Values) > 0 {
			v.Facets = append(v.Facets, list)
		}
	}
	return nil
}

// long tells whether the address is so long that a page has no room for it a
// hundred times: then parts of it are not led to. So long a filter finds little.
func (f filter) long() bool { return len(f.values().Encode()) > 200 }

// shortActor is an actor without what all workloads here have in common; any
// other text as it is.
func (p *page) shortActor(s string) string {
	rest, ok := strings.CutPrefix(s, "workload://"+p.Org.Name().String()+"/")
	if short, err := url.PathUnescape(rest); ok && err == nil {
		return short
	}
	return s
}

// counted says how many there are, as far as it was looked.
func counted(n int, more bool, what string) string {
	if n != 1 {
		what += "s"
	}
	switch {
	case more:
		return fmt.Sprintf("More than %d %s", n, what)
	case n == 0:
		return "No " + what
	}
	return fmt.Sprintf("%d %s", n, what)
}

// step is a length that a bar may have, and how one is called and labelled.
type step struct {
	length     time.Duration
	name, form string
}

// steps are those of [trail.Histogram].
var steps = []step{
	{time.Minute, "minute", "2 Jan 15:04"}, {10 * time.Minute, "10 minutes", "2 Jan 15:04"},
	{time.Hour, "hour", "2 Jan 15:04"}, {6 * time.Hour, "6 hours", "2 Jan 15:04"},
	{24 * time.Hour, "day", "2 Jan 2006"}, {7 * 24 * time.Hour, "week", "2 Jan 2006"}, {28 * 24 * time.Hour, "4 weeks", "2 Jan 2006"},
}

// How many bars there are: fewer would be blocks.
const minBars, maxBars = 12, 60

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// chart draws all events that the filters find in the time that they name, or in
// the last day, where those are counted; of other filters, and of a quiet day, it
// draws the newest. Nil where one bar would be all.
func (p *page) chart(f filter, s trail.Summary) (*histogramView, error) {
	q, title := f.query, "All of these events"
	switch {
	case q.Since.IsZero() && q.Until.IsZero():
		q.Until, title = p.now().Truncate(time.Hour).Add(time.Hour), title+" in 24 hours"
		q.Since = q.Until.Add(-24 * time.Hour)
	case q.Until.IsZero():
		q.Until = p.now()
	case q.Since.IsZero():
		q.Since, title = q.Until.Add(-24*time.Hour), title+" in the 24 hours before"
	}
	counted, ok, err := p.Org.Trail().Histogram(p.Context(), q, maxBars)
	if err != nil || !ok {
		return p.bars(f, s), err
	}
	all := 0
	bars := make([]bar, len(counted.Good))
	i := slices.IndexFunc(steps, func(s step) bool { return s.length == counted.Step })
	for n := range bars {
		bars[n] = p.barOf(f, counted.First.Add(time.Duration(n)*counted.Step), steps[i])
		bars[n].Good, bars[n].Bad = counted.Good[n], counted.Bad[n]
		all += bars[n].Good + bars[n].Bad
	}
	if all == 0 {
		return p.bars(f, s), nil
	}
	h := newHistogram(title+" by "+steps[i].name+" (UTC)", "succeeded", "denied or failed", bars)
	return &h, nil
}

// barOf is the bar of a part of the time. It leads there, so that one can be
// looked into without any script.
func (p *page) barOf(f filter, from time.Time, s step) bar {
	b := bar{Label: from.Format(s.form)}
	if !f.long() {
		b.URL = p.at("/audit", f.values("since", from.Format(time.RFC3339), "until", from.Add(s.length).Format(time.RFC3339)))
	}
	return b
}

// bars draws when the events that were looked at happened; nil where one bar would be all.
func (p *page) bars(f filter, s trail.Summary) *histogramView {
	if s.Counted == 0 {
		return nil
	}
	oldest, newest := s.Moments[0].At, s.Moments[0].At
	for _, m := range s.Moments {
		oldest = earlier(oldest, m.At)
		if m.At.After(newest) {
			newest = m.At
		}
	}
	i := 0
	for i+1 < len(steps) && newest.Sub(oldest.Truncate(steps[i].length)) >= maxBars*steps[i].length {
		i++
	}
	step := steps[i]
	last := newest.Truncate(step.length)
	first := oldest.Truncate(step.length)
	if first.Equal(last) {
		return nil
	}
	first = earlier(first, last.Add(-(minBars-1)*step.length))
	if from := last.Add(-(maxBars - 1) * step.length); first.Before(from) {
		first = from // a clock that was far off
	}
	bars := make([]bar, last.Sub(first)/step.length+1)
	for i := range bars {
		bars[i] = p.barOf(f, first.Add(time.Duration(i)*step.length), step)
	}
	for _, m := range s.Moments {
		if m.At.Before(first) {
			continue
		}
		if b := &bars[m.At.Sub(first)/step.length]; m.Outcome == trail.Success {
			b.Good++
		} else {
			b.Bad++
		}
	}
	title := "These events by " + step.name
	if s.More {
		title = fmt.Sprintf("The newest %d of these events by %s", s.Counted, step.name)
	}
	h := newHistogram(title+" (UTC)", "succeeded", "denied or failed", bars)
	return &h
}

// exportAudit sends what the filters find as GET /v1/audit does, one CloudEvent a
// line, to who just proved who they are.
// exportFile is what the trail is exported as.
const exportFile = "events.ndjson"

func exportAudit(p *page) error {
	if p.param("file") != exportFile {
		return errNothing
	}
	var found trail.Page
	f, err := filterOf(p)
	if err == nil {
		q := f.query
		q.Limit = 1
		found, err = p.Org.Trail().Query(p.Context(), q) // a refusal is a page; later it would be the file
	}
	if err != nil {
		return p.refused("audit", p.auditFrame(f), refusal(err))
	}
	if ok, err := p.stepUp(); !ok {
		return err
	}
	v := f.values()
	for name, t := range map[string]time.Time{"since": f.query.Since, "until": f.query.Until} {
		if !t.IsZero() {
			v.Set(name, t.Format(time.RFC3339Nano))
		}
	}
	r, err := p.request(http.MethodGet, "/audit?"+v.Encode(), http.Header{"Accept": {"application/x-ndjson"}}, nil)
	if err != nil {
		return err
	}
	if err := p.recordExport(f, found.Last); err != nil {
		return err
	}
	w := p.Echo.Response()
	w.Header().Set("Content-Disposition", `attachment; filename="`+p.Org.Name().String()+`-events.ndjson"`)
	p.console.opt.API.ServeHTTP(w.Writer, r)
	w.Committed = true // by /v1, on the connection itself
	return nil
}

// recordExport has the trail itself say who took it away, before they have it.
func (p *page) recordExport(f filter, last domain.Position) error {
	exported := organisation.TrailWasExported{Format: exportFile, UpTo: last.String()}
	if set := f.values(); len(set) > 0 {
		exported.Filters = map[string]string{}
		for name := range set {
			exported.Filters[name] = set.Get(name)
		}
	}
	_, err := p.Org.Record(p.Context(), p.meta(), func(*control.State) ([]domain.Fact, string, error) {
		return []domain.Fact{{Subject: "organisation/" + p.Org.Name().String(), Event: exported}}, "", nil
	})
	return err
}
