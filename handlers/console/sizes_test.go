package console

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

// Everything is as long and as full as may be, and there is a page more of it.
func TestEveryScreenIsSmallHoweverMuchThereIs(t *testing.T) {
	c := &crowd{site: newSite(t), long: true, connections: 101, servers: 51, secrets: 51, policies: 60, people: 101, groups: 101, pending: 51, decided: 21, glasses: 51, checkouts: 51, sessions: 60, hers: 40}
	c.gather()
	c.happen(1000, 24*time.Hour)
	for _, s := range c.console.all {
		if s.get == nil {
			continue
		}
		for _, path := range c.where(s.path) {
			for who, role := range devPeople {
				if !s.admits(domain.Actor{Roles: []domain.Role{role}}) {
					continue
				}
				w := c.get(who, c.path(path))
				if w.Code == http.StatusForbidden && strings.HasPrefix(path, "/connections/") {
					continue // which somebody else edits, as it is active
				}
				if w.Code != http.StatusOK && w.Code != http.StatusSeeOther {
					t.Errorf("%s at %s: status %d", who, path, w.Code)
				}
				most := maxPage
				if strings.HasSuffix(path, "/activate") {
					most += 40 << 10 // who decides sees a change whole, and so long may what is changed be
				}
				if n := w.Body.Len(); n > most {
					t.Errorf("%s at %.60s: %d bytes", who, path, n)
				}
			}
		}
	}
	for _, filters := range []url.Values{
		{"q": {strings.Repeat("a", 256)}, "actor": {strings.Repeat("\"", 2048)}, "workload": {strings.Repeat("<", 2048)}, "type": {strings.Repeat("token.issued,", 30) + "token.denied"}},
		{"type": {"token.issued,token.denied"}, "since": {c.world.Now().Add(-time.Hour).Format(time.RFC3339)}, "until": {c.world.Now().Format(time.RFC3339)}},
		{"actor": {"workload://default/" + c.called("ci", 1).String() + "/" + url.PathEscape("repo:acme/app-7:ref:refs/heads/branch-13")}},
	} {
		if w := c.get("auditor", c.path("/audit?"+filters.Encode())); w.Code != http.StatusOK || w.Body.Len() > maxPage {
			t.Errorf("%.80s: status %d, %d bytes", filters.Encode(), w.Code, w.Body.Len())
		}
	}
	said := 0
	for n := 1; ; n++ { // the timeline of ten steps of four people's long comments, part by part
		body := c.get("auditor", c.path(fmt.Sprintf("/requests/%s?part=%d", c.waits, n))).Body.String()
		if said += strings.Count(body, "said yes"); !strings.Contains(body, `rel="next"`) {
			break
		}
	}
	if newest := c.get("auditor", c.path("/requests/"+c.waits)).Body.String(); said != 36 || !strings.Contains(newest, `rel="prev"`) || strings.Contains(newest, `rel="next"`) {
		t.Errorf("the parts of a timeline have %d decisions of 36, or the newest is not shown first", said)
	}
	server := string(resource.ServerRef(c.called("server", 0)))
	for _, asks := range []url.Values{{"resource": {server}, "subject.person": {"alice"}}, {"subject.person": {"alice"}}, {"resource": {server}}} {
		if w := c.post("auditor", c.path("/policies/-/reach/ask"), asks.Encode()); w.Code != http.StatusOK || w.Body.Len() > maxPage {
			t.Errorf("who can reach what, by %v: status %d, %d bytes", asks, w.Code, w.Body.Len())
		}
	}
}

var numbers = regexp.MustCompile(`<td class="number">(\d+)</td>`)

// What the chart of the audit trail counts is everything, and not the newest of it.
func TestTheChartOfADayCountsEveryEvent(t *testing.T) {
	c := &crowd{site: newSite(t), connections: 1, servers: 1, secrets: 1, policies: 1, people: 1, groups: 1}
	c.gather()
	c.happen(3*maxCounted, 20*time.Hour)
	counted := func(path, title string) (bars int, body string) {
		t.Helper()
		body = shows(t, c.get("auditor", c.path(path)), title)
		for _, m := range numbers.FindAllStringSubmatch(body, -1) {
			if m[1] != "0" {
				bars++
			}
		}
		return bars, body
	}
	bars, body := counted("/audit?type=token.*", "All of these events in 24 hours by hour")
	if bars < 20 {
		t.Errorf("%d bars of 20 hours", bars)
	}
	hour := regexp.MustCompile(`<a href="([^"]+)" aria-label="[^"]+">`).FindAllStringSubmatch(body, -1)
	_, query, _ := strings.Cut(hour[len(hour)-5][1], "?")
	if bars, _ := counted("/audit?"+strings.ReplaceAll(query, "&amp;", "&"), "All of these events by minute"); bars < 30 {
		t.Errorf("%d bars of an hour's minutes", bars)
	}
	if _, body := counted("/audit?connection="+c.called("ci", 0).String(), "The newest 500 of these events"); !strings.Contains(body, "More than 500 events") {
		t.Error("what is not counted does not say so")
	}
}
