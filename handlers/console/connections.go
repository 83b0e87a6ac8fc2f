package console

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/provider"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
)

func (c *Console) connections() []screen {
	return []screen{
		{path: "/connections", menu: "Connections", icon: "link", group: "Trust", roles: readers, get: listConnections},
		{path: draftPath, roles: drafters, get: startDraft, post: map[string]func(*page) error{
			"preview": newForm(previewDraft), "condition": newForm(rowsOfDraft), "save": newForm(saveDraft)}},
		{path: "/connections/:name", roles: readers, get: showConnection},
		{path: "/connections/:name/edit", roles: drafters, get: startEdit, post: map[string]func(*page) error{
			"preview": editForm(previewEdit), "condition": editForm(rowsOfEdit), "save": editForm(saveEdit)}},
		{path: "/connections/:name/test", roles: drafters, get: startTest, post: map[string]func(*page) error{"run": runTest}},
		{path: "/connections/:name/activate", roles: readers, get: showReview, post: map[string]func(*page) error{"confirm": activate}},
		{path: "/connections/:name/deactivate", roles: reviewers, get: showEnd("connection_deactivate"), post: map[string]func(*page) error{"confirm": deactivate}},
		{path: "/connections/:name/delete", roles: drafters, get: showEnd("connection_delete"), post: map[string]func(*page) error{"confirm": deleteConnection}},
	}
}

// connectionsPage is how many connections a page of the list has.
const connectionsPage = 50

// connectionsView is the list of connections.
type connectionsView struct {
	Q, Status, Provider string // filters
	Statuses, Providers []option
	Rows                []connectionRow
	Any                 bool // whether there are any, whatever the filters
	MayDraft            bool
	Pages               pagerView
}

// connectionRow is one connection of the list.
type connectionRow struct {
	Name                   domain.Name
	Description, Provider  string
	Status                 connection.Status
	Pending                bool // a newer version waits for its activation
	LastIssued, LastDenied time.Time
	Day                    dayView
	Quiet                  bool // it issued on most days, and then no more
}

func listConnections(p *page) error {
	v := connectionsView{
		Q: strings.TrimSpace(p.query("q")), Status: p.query("status"), Provider: p.query("provider"),
		Statuses:  []option{{"", "Any state"}, {"draft", "Draft"}, {"active", "Active"}, {"inactive", "Inactive"}, {"pending", "Pending change"}},
		Providers: append([]option{{"", "Any provider"}}, providerOptions()...), MayDraft: connection.MayDraft(p.Person) == nil,
	}
	number, err := strconv.Atoi(p.query("page"))
	if err != nil || number < 1 {
		number = 1
	}
	var shown []connection.State // of that page, and as long as it is not reached, of the last
	found := 0
	p.Org.Read(func(s *control.State, _ domain.Head) {
		for c := range s.EachConnection() {
			v.Any = true
			if !v.holds(c) {
				continue
			}
			if found/connectionsPage < number {
				if found%connectionsPage == 0 {
					shown = shown[:0]
				}
				shown = append(shown, *c)
			}
			found++
		}
	})
	number = min(number, max(1, (found+connectionsPage-1)/connectionsPage))
	v.Pages = v.pages(p, number, found, (number-1)*connectionsPage, len(shown))
	if v.Rows, err = rowsOf(p, shown); err != nil {
		return err
	}
	return p.render("connections", v)
}

// holds tells whether a connection meets the filters.
func (v connectionsView) holds(c *connection.State) bool {
	newest := &c.Current
	if c.Pending != nil {
		newest = c.Pending
	}
	if v.Provider != "" && v.Provider != string(newest.Provider) {
		return false
	}
	if v.Status == "pending" && c.Pending == nil || v.Status != "" && v.Status != "pending" && v.Status != string(c.Status) {
		return false
	}
	q := strings.ToLower(v.Q)
	return q == "" || strings.Contains(c.Name.String(), q) || strings.Contains(strings.ToLower(newest.Description), q)
}

func (v connectionsView) pages(p *page, number, all, first, shown int) pagerView {
	at := func(n int) string {
		if n < 1 || (n-1)*connectionsPage >= all {
			return ""
		}
		q := url.Values{}
		for name, value := range map[string]string{"q": v.Q, "status": v.Status, "provider": v.Provider} {
			if value != "" {
				q.Set(name, value)
			}
		}
		q.Set("page", strconv.Itoa(n))
		return p.url("/connections") + "?" + q.Encode()
	}
	return newPager(at(number-1), at(number+1), fmt.Sprintf("%d to %d of %d", min(first+1, all), first+shown, all))
}

// dayHours is how long the charts of the list look back.
const dayHours = 24

// rowsOf is the connections as the list shows them, with what the trail says of
// all of them at once.
func rowsOf(p *page, shown []connection.State) (rows []connectionRow, err error) {
	var names []string
	for _, c := range shown {
		names = append(names, c.Name.String())
	}
	days, err := p.Org.Trail().Activity(p.Context(), names, p.now(), dayHours)
	if err != nil {
		return nil, err
	}
	quiet, err := p.quiet(shown, days)
	if err != nil {
		return nil, err
	}
	for _, c := range shown {
		newest, day := c.Newest(), days[c.Name.String()]
		rows = append(rows, connectionRow{
			Name: c.Name, Description: firstLine(newest.Description, 80), Provider: providerTitle(newest.Provider), Status: c.Status, Pending: c.Pending != nil,
			LastIssued: day.LastIssued, LastDenied: day.LastDenied, Day: newDay(day), Quiet: quiet[c.Name.String()],
		})
	}
	return rows, nil
}

// weekHours is how long the trail keeps counts by the hour.
const weekHours = 7 * 24

// quiet names the active connections that issued tokens regularly and fell silent.
// Only of those that issued nothing for so long, and something in the week, more is asked.
func (p *page) quiet(shown []connection.State, days map[string]trail.Activity) (map[string]bool, error) {
	var names []string
	for _, c := range shown {
		since := p.now().Sub(days[c.Name.String()].LastIssued)
		if c.Status == connection.Active && since > silentHours*time.Hour && since < weekHours*time.Hour {
			names = append(names, c.Name.String())
		}
	}
	if names == nil {
		return nil, nil
	}
	weeks, err := p.Org.Trail().Activity(p.Context(), names, p.now(), weekHours)
	if err != nil {
		return nil, err
	}
	quiet := map[string]bool{}
	for name, week := range weeks {
		quiet[name] = fellSilent(week.Issued)
	}
	return quiet, nil
}

// regularly is on how many days of a week something happens that is regular.
const regularly = 3

// silentHours is how long nothing happens before that is worth a word: longer than a
// weekend, which a week does not show twice.
const silentHours = 72

// fellSilent tells whether what was counted by the hour came on several days, and
// then for [silentHours] at least, and for longer than ever between, no more.
func fellSilent(hours []int) bool {
	days, last, longest := map[int]bool{}, -1, 0
	for i, n := range hours {
		if n == 0 {
			continue
		}
		if last >= 0 {
			longest = max(longest, i-last)
		}
		days[i/24], last = true, i
	}
	silent := len(hours) - 1 - last
	return len(days) >= regularly && silent >= silentHours && silent > longest
}

// firstLine is the beginning of a text, at most so many characters.
func firstLine(text string, most int) string {
	line, _, more := strings.Cut(text, "\n")
	if more {
		line += "…"
	}
	return cut(line, most)
}

// cut is the beginning of a text that has more than so many characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	r := []rune(text)
	if len(r) <= most {
		return text
	}
	return strings.TrimRight(string(r[:most-1]), "…") + "…"
}

// dayView is a day's exchanges as bars of two hours, denials above; a list has
// fifty of them, so it is as small as can be.
type dayView struct {
	Says                string
	Issued, Denied      int
	IssuedBars, BadBars string // the data of an SVG path
}

// dayStep is how wide a bar is with its gap, dayHeight how high the highest is,
// in units of the view box, and hoursABar what is in it.
const (
	dayStep, dayHeight = 8, 22
	hoursABar          = 2
)

func newDay(a trail.Activity) (v dayView) {
	issued, denied := halved(a.Issued), halved(a.Denied)
	most := 1
	for i := range issued {
		v.Issued, v.Denied = v.Issued+issued[i], v.Denied+denied[i]
		most = max(most, issued[i]+denied[i])
	}
	v.Says = plural(v.Issued, "token", "tokens") + " and " + plural(v.Denied, "denial", "denials") + " in 24 hours"
	height := func(n int) int {
		if n == 0 {
			return 0
		}
		return max(2, n*dayHeight/most) // few are not none
	}
	for i := range issued {
		x, good, bad := i*dayStep+dayStep/2, height(issued[i]), height(denied[i])
		if good > 0 {
			v.IssuedBars += fmt.Sprintf("M%d 24v-%d", x, good)
		}
		if bad > 0 {
			v.BadBars += fmt.Sprintf("M%d %dv-%d", x, 24-good, bad)
		}
	}
	return v
}

// halved is counts by two hours.
func halved(hours []int) []int {
	out := make([]int, (len(hours)+hoursABar-1)/hoursABar)
	for i, n := range hours {
		out[i/hoursABar] += n
	}
	return out
}

// providerTitles are the providers as people call them.
var providerTitles = map[provider.Kind]string{
	provider.GenericJWT: "Any JWT issuer", provider.CircleCI: "CircleCI", provider.GitLab: "GitLab", provider.GoogleCloud: "Google Cloud",
	provider.GitHub: "GitHub Actions", provider.Kubernetes: "Kubernetes",
}

func providerTitle(k provider.Kind) string {
	if title := providerTitles[k]; title != "" {
		return title
	}
	return string(k)
}

func providerOptions() (all []option) {
	for _, k := range provider.Kinds() {
		all = append(all, option{string(k), providerTitle(k)})
	}
	return all
}
