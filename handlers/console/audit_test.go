package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/organisation"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/token"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
)

// hostile is what a workload may claim to be.
const hostile = `<img src=x>"'{{.}}</textarea>`

// happens records activity of a workload, and gives the position of its first event.
func (s *site) happens(facts ...domain.Fact) domain.Position {
	s.t.Helper()
	m := domain.Meta{Actor: domain.System("exchange"), Now: s.world.Now(), RequestID: "01REQUEST"}
	at, err := s.world.Record(s.t.Context(), m, func(*control.State) ([]domain.Fact, string, error) { return facts, "", nil })
	if err != nil {
		s.t.Fatal(err)
	}
	s.world.Await(at)
	return domain.Position{Sequence: at.Sequence, Index: at.Index - len(facts) + 1}
}

func (s *site) refusedToken(connection, identity string) domain.Fact {
	return domain.Fact{
		Subject: "connection/" + connection, Actor: "workload://" + s.world.Name().String() + "/" + connection + "/" + url.PathEscape(identity),
		Event: token.WasDenied{Connection: domain.Name(connection), Version: 1, Identity: identity, Code: "proof.conditions",
			Checks: []proof.Check{{Check: "condition", Claim: "sub", Operator: "equals", Expected: "main", Actual: identity, Result: proof.Fail, Message: "not equal"}}},
	}
}

// readable is a page as a person reads it.
func readable(page string) string { return html.UnescapeString(tagForm.ReplaceAllString(page, " ")) }

func (s *site) shown(who domain.Name, path string) string {
	s.t.Helper()
	w := s.get(who, path)
	if w.Code != http.StatusOK {
		s.t.Fatalf("%s: status %d: %s", path, w.Code, readable(w.Body.String()))
	}
	checkAnswer(s.t.(*testing.T), path, w)
	return w.Body.String()
}

var eventLink = regexp.MustCompile(`/audit/events/([0-9]+\.[0-9]+)"`)

func positionsIn(page string) (out []string) {
	for _, m := range eventLink.FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	return out
}

// pagerLink is where the pager of a page leads.
func pagerLink(page, rel string) string {
	m := regexp.MustCompile(`rel="` + rel + `" href="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

func TestFiltersInTheAddressFindWhatV1Finds(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	for i := range 60 {
		s.happens(s.refusedToken("ci", fmt.Sprintf("repo:acme/app-%d", i)), s.refusedToken("other", "b"))
	}
	all := s.world.Events()
	since := all[len(all)-1].Time.Add(-time.Hour).Format(time.RFC3339Nano)
	for _, filters := range []string{
		"", "type=token.denied", "type=person.*", "outcome=denied", "connection=ci", "actor=system:host", "request_id=01REQUEST", "workload=repo:acme/app-7",
		"workload=" + url.QueryEscape("workload://"+s.world.Name().String()+"/ci/repo%3Aacme%2Fapp-7"), "q=app-1", "q=nothing+at+all", "connection=ci&outcome=denied&since=" + url.QueryEscape(since),
		"until=" + url.QueryEscape(since),
	} {
		q, err := url.ParseQuery(filters)
		if err != nil {
			t.Fatal(err)
		}
		tq := trail.Query{Type: q.Get("type"), Outcome: q.Get("outcome"), Connection: q.Get("connection"), Actor: q.Get("actor"), RequestID: q.Get("request_id"), Workload: q.Get("workload"), Q: q.Get("q"), Order: trail.Descending}
		tq.Since, _ = time.Parse(time.RFC3339Nano, q.Get("since"))
		tq.Until, _ = time.Parse(time.RFC3339Nano, q.Get("until"))
		var want []string
		for e, err := range s.world.Trail().All(t.Context(), tq) {
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, e.Position.String())
		}
		var got []string
		page := s.shown("audrey", s.path("/audit?"+filters))
		var first string
		for n := 0; ; n++ {
			got = append(got, positionsIn(page)...)
			older := pagerLink(page, "next")
			if first == "" {
				first = page
			}
			if older == "" {
				break
			}
			page = s.shown("audrey", older)
			if newer := pagerLink(page, "prev"); n == 0 && !slices.Equal(positionsIn(s.shown("audrey", newer)), positionsIn(first)) {
				t.Errorf("%q: newer than the second page is not the first", filters)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q shows %v, want %v", filters, got, want)
		}
	}
}

func TestFacetsAreAPlainCount(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	for i := range 12 {
		s.happens(s.refusedToken(fmt.Sprintf("ci-%02d", i), "a"), s.refusedToken("ci-00", "b"))
	}
	counts := map[string]int{}
	for _, e := range s.world.Events() {
		counts[e.Type]++
	}
	page := readable(s.shown("audrey", s.path("/audit")))
	for typ, n := range counts {
		if !regexp.MustCompile(regexp.QuoteMeta(typ) + `\s+` + fmt.Sprint(n) + `\s`).MatchString(page) {
			t.Errorf("%s is not counted as %d: %s", typ, n, page)
		}
	}
	if page := s.shown("audrey", s.path("/audit?connection=ci-00")); !strings.Contains(page, "<h2>Workload</h2>") || !strings.Contains(page, "connection=ci-00&amp;workload=b") {
		t.Error("workloads are not counted")
	}
	if n := strings.Count(s.shown("audrey", s.path("/audit?type=token.denied")), "connection=ci-"); n != maxFacet {
		t.Errorf("the facet of connections has %d values, want %d", n, maxFacet)
	}
}

func TestAFilterThatCannotBeReadIsNamedAtItsField(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	for filters, pointer := range map[string]string{"since=yesterday": "since", "until=x": "until", "type=A": "type", "type=tokn.denied": "type", "type=token.*,tokn.*": "type", "since=0h": "since", "until=1y": "until", "since=99999999d": "since", "outcome=good": "outcome", "q=-": "q", "before=x": ""} {
		w := s.get("audrey", s.path("/audit?"+filters))
		if w.Code < 400 || w.Code > 422 || pointer != "" && !strings.Contains(w.Body.String(), `id="f-`+pointer+`-error"`) {
			t.Errorf("%s: status %d: %s", filters, w.Code, readable(w.Body.String()))
		}
	}
}

func TestATimeIsAlsoWrittenAsHowLongAgoItIs(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	s.happens(s.refusedToken("ci", "early"))
	s.world.Advance(90 * time.Minute)
	s.happens(s.refusedToken("ci", "late"))
	s.signIn("olga", domain.Auditor) // the session that reads
	const denied = "/audit?type=token.denied"
	anHourAgo := func() string { return s.world.Now().Add(-time.Hour).UTC().Format(time.RFC3339) }
	for filters, want := range map[string][2]bool{
		"&since=1h": {false, true}, "&since=100m": {true, true}, "&since=7d": {true, true}, "&until=1h": {true, false}, "&since=2h&until=1h": {true, false},
	} {
		before := anHourAgo()
		page := s.shown("olga", s.path(denied+filters))
		after := anHourAgo()
		if got := [2]bool{strings.Contains(page, "early"), strings.Contains(page, "late")}; got != want {
			t.Errorf("%s: shows the early and the late one: %v, want %v", filters, got, want)
		}
		name, anHour := strings.CutSuffix(filters[strings.LastIndex(filters, "&")+1:], "=1h")
		if !anHour {
			continue
		}
		said := regexp.MustCompile(`name="` + name + `" type="text" value="([^"]*)"`).FindStringSubmatch(page)
		if said == nil || said[1] < before || said[1] > after {
			t.Errorf("%s: the page says that this time is %q, want from %s to %s", filters, said, before, after)
		}
	}
}

func TestABarLeadsToItsPartOfTheTime(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	s.world.Advance(3 * time.Hour)
	s.signIn("olga", domain.Owner) // the session that reads
	s.happens(s.refusedToken("ci", "late"))
	page := s.shown("olga", s.path("/audit?type=token.denied,person.added"))
	bars := regexp.MustCompile(`<a href="([^"]*since=[^"]*)" aria-label`).FindAllStringSubmatch(page, -1)
	if len(bars) < 2 {
		t.Fatalf("%d bars", len(bars))
	}
	found := 0
	for _, b := range bars {
		part := s.get("olga", html.UnescapeString(b[1])).Body.String()
		found += len(positionsIn(part))
	}
	if want := len(positionsIn(page)); found != want {
		t.Errorf("the bars lead to %d events, want %d", found, want)
	}
}

func TestAnEventIsShownWithAllThatItIs(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	at := s.happens(s.refusedToken("ci", hostile), s.refusedToken("ci", "neighbour"))
	page := s.shown("audrey", s.path("/audit/events/"+at.String()))
	for _, want := range []string{hostile, "proof.conditions", "checks.0.actual", "neighbour", "01REQUEST", `"specversion": "1.0"`} {
		if !strings.Contains(readable(page), want) {
			t.Errorf("%q is not shown", want)
		}
	}
	for _, link := range []string{"/audit?request_id=01REQUEST", "/audit?connection=ci", "/workloads?connection=ci", "/audit?actor=workload"} {
		if !strings.Contains(page, s.path(link)) {
			t.Errorf("there is no link to %s", link)
		}
	}
	for _, none := range []string{"0.0", "999999.0", "1.9", "x", "1", "01.0"} {
		if w := s.get("audrey", s.path("/audit/events/"+none)); w.Code != http.StatusNotFound {
			t.Errorf("event %s: status %d", none, w.Code)
		}
	}
}

func TestWhatAWorkloadClaimsIsTextOnEveryPageOfTheTrail(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	at := s.happens(s.refusedToken("ci", hostile))
	for _, path := range []string{
		"/audit", "/audit?q=img", "/audit?workload=" + url.QueryEscape(hostile), "/audit/live", "/audit/events/" + at.String(),
		"/workloads?connection=ci&identity=" + url.QueryEscape(hostile), "/workloads?identity=never" + url.QueryEscape(hostile), "/",
	} {
		page := s.shown("audrey", s.path(path))
		if strings.Contains(page, "<img") || strings.Contains(page, `"javascript:`) || strings.Contains(page, "{{") && !strings.Contains(page, "{{.}}") {
			t.Errorf("%s lets what a workload says be more than text", path)
		}
	}
}

// Text that turns the direction round, or has no width, is shown as what it is.
func TestNothingHidesInWhatAWorkloadClaims(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	sly := "repo:acme/\u202eppa\u200b"
	at := s.happens(s.refusedToken("ci", sly))
	for _, path := range []string{
		"/audit", "/audit?q=acme", "/audit?workload=" + url.QueryEscape(sly), "/audit/live", "/audit/events/" + at.String(),
		"/denials", "/denials/" + at.String(), "/workloads?connection=ci&identity=" + url.QueryEscape(sly), "/",
	} {
		page := s.shown("audrey", s.path(path))
		said := regexp.MustCompile(`(?s)<textarea.*?</textarea>`).ReplaceAllString(page, "")
		if text := tagForm.ReplaceAllString(said, " "); strings.ContainsAny(text, "\u202e\u200b") {
			i := strings.IndexAny(text, "\u202e\u200b")
			t.Errorf("%s: it hides in %q", path, text[max(0, i-80):min(len(text), i+40)])
		}
	}
}

func TestAReasonFindsTheDenialsThatHaveItAndNoOther(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	s.happens(s.refusedToken("ci", "proof.expired"), s.refusedToken("ci", "other"))
	if page := s.shown("audrey", s.path("/denials?code=proof.expired")); !strings.Contains(page, "No denial is like that") {
		t.Errorf("an identity that is called like a reason is found: %s", mainOf(page))
	}
	if n := strings.Count(s.shown("audrey", s.path("/denials?code=proof.conditions")), `<th scope="row">`); n != 2 {
		t.Errorf("%d denials have the reason, want 2", n)
	}
	for i := range denialsPage + 10 {
		s.happens(s.refusedToken("ci", fmt.Sprintf("proof.expired/%d", i)))
	}
	s.happens(s.refusedToken("ci", "last"))
	page := s.shown("audrey", s.path("/denials?code=proof.conditions"))
	if n := strings.Count(page, `<th scope="row">`); n != denialsPage || !strings.Contains(page, ">Older<") {
		t.Errorf("a page has %d denials, want %d, and older ones", n, denialsPage)
	}
}

func TestAWorkloadsPageIsAFilteredTrail(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	s.happens(s.refusedToken("ci", "repo:a"), s.refusedToken("other", "repo:a"))
	s.happens(s.refusedToken("ci", "repo:a"))
	for path, want := range map[string]string{"connection=ci&identity=repo:a": "2 denials", "identity=repo:a": "3 denials", "connection=ci&identity=repo:b": "Never seen"} {
		page := readable(s.shown("audrey", s.path("/workloads?"+path)))
		if !strings.Contains(page, want) || !strings.Contains(page, "There is no list of workloads") {
			t.Errorf("%s: %q is not said: %s", path, want, page)
		}
	}
}

func TestAnExportIsTheFilteredTrailForWhoJustProvedWhoTheyAre(t *testing.T) {
	s := newSite(t)
	s.signIn("audrey", domain.Auditor)
	s.happens(s.refusedToken("ci", "=cmd()"), s.refusedToken("other", "b"))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.serve().URL+s.path("/audit/export/events.ndjson?connection=ci&since=2020-01-01"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(s.cookies["audrey"])
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if h := res.Header; err != nil || res.StatusCode != http.StatusOK || !strings.Contains(h.Get("Content-Disposition"), "attachment") ||
		h.Get("Content-Type") != "application/x-ndjson" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("status %d, %v, %v", res.StatusCode, h, err)
	}
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	var e struct {
		Type string
		Data struct{ Identity string }
	}
	if err := json.Unmarshal(lines[0], &e); err != nil || len(lines) != 1 || e.Data.Identity != "=cmd()" {
		t.Errorf("%d lines, %+v, %v", len(lines), e, err)
	}
	all := s.world.Events()
	told, _ := all[len(all)-1].Event.(organisation.TrailWasExported)
	if want := map[string]string{"connection": "ci", "since": "2020-01-01"}; all[len(all)-1].Actor != "audrey" || !maps.Equal(told.Filters, want) || told.UpTo != all[len(all)-2].Position.String() {
		t.Errorf("the trail says of it %+v by %s", told, all[len(all)-1].Actor)
	}
	if w := s.get("audrey", s.path("/audit/export/events.ndjson?outcome=good")); w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "<title>Export · Audit · ") {
		t.Errorf("a filter that is none: status %d", w.Code)
	}
	s.world.Advance(6 * time.Minute)
	defer func() {
		if after := s.world.Events(); len(after) != len(all) {
			t.Errorf("an export that was refused is an event: %s", after[len(after)-1].Type)
		}
	}()
	w := s.get("audrey", s.path("/audit/export/events.ndjson?connection=ci"))
	if back := url.QueryEscape(s.path("/audit/export/events.ndjson?connection=ci")); w.Code != http.StatusSeeOther || w.Header().Get("Location") != s.path("/step-up?return="+back) {
		t.Errorf("after six minutes: %d to %s", w.Code, w.Header().Get("Location"))
	}
}

func TestWhoMayNotReadTheTrailSeesNeitherMenuNorPage(t *testing.T) {
	s := newSite(t)
	s.signIn("alice", domain.Member)
	at := s.happens(s.refusedToken("ci", "secret-identity"))
	for _, path := range []string{"/audit", "/audit/live", "/audit/events/" + at.String(), "/audit/export/events.ndjson", "/workloads", "/workloads?identity=secret-identity"} {
		if w := s.get("alice", s.path(path)); w.Code != http.StatusForbidden {
			t.Errorf("alice at %s: status %d", path, w.Code)
		}
		if w := s.get("", s.path(path)); w.Code != http.StatusSeeOther {
			t.Errorf("a stranger at %s: status %d", path, w.Code)
		}
	}
	if page := s.shown("alice", s.path("/")); strings.Contains(page, s.path("/audit")) || strings.Contains(page, "secret-identity") {
		t.Error("a member's overview leads to the trail")
	}
}
