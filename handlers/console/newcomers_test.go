package console

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/handlers/organisation/orgtest"
)

func TestADelegateIsChosenAmongThePeopleByWhoMayKnowThem(t *testing.T) {
	h := newHouse(t)
	for who, names := range map[domain.Name]map[string]bool{
		"sec":   {"bob": true, "mallory": true, "sec": false},
		"carol": {"bob": false, "mallory": false, "carol": false}, // a member: /people is closed to her
	} {
		html := h.get(who, h.path("/delegation")).Body.String()
		for name, want := range names {
			if got := strings.Contains(html, `<option value="`+name+`"`); got != want {
				t.Errorf("%s is offered %s: %v, want %v", who, name, got, want)
			}
		}
		has(t, html, `name="to"`)
	}
}

func TestAPolicyTellsOfARequestTypeThatNobodyCanAskBy(t *testing.T) {
	h := newHouse(t)
	const told = "The request type %s is not published, so nobody can ask for what the rule %s opens. Publish it, too."
	says := func(typ, rule string) string {
		return strings.NewReplacer("%s", typ).Replace(strings.Replace(told, "rule %s", "rule "+rule, 1))
	}
	hasNot(t, h.show("sec", "/policies/production"), "is not published")
	h.do("sec", 201, "POST", "/request-types", doc{"name": "later", "kind": "access", "steps": []doc{{"name": "lead", "approvers": doc{"group": "leads"}}}})
	h.do("sec", 201, "POST", "/policies", doc{"name": "soon", "principals": doc{"groups": []string{"developers"}}, "rules": []doc{
		{"name": "web", "resource": doc{"server": "web-1"}, "privileges": []doc{{"type": "ssh", "accounts": []string{"own"}}},
			"conditions": []doc{{"type": "access_request", "request_type": "later", "approval_seconds": 900}}},
	}})
	has(t, h.show("sec", "/policies/soon"), says("later", "web"), "Publish")
	_, text := h.send("sec", "/policies/soon/edit/preview", url.Values{"etag": {`"1"`}, "document": {
		`{"name":"soon","principals":{"groups":["developers"]},"rules":[{"name":"mail","resource":{"server":"web-1"},"privileges":[{"type":"ssh","accounts":["own"]}],"conditions":[{"type":"access_request","request_type":"later","approval_seconds":900}]}]}`}})
	has(t, text, says("later", "mail"))
	h.do("sec", 200, "POST", "/request-types/later/publish", nil)
	hasNot(t, h.show("sec", "/policies/soon"), "is not published")
}

func TestWhoCanReachWhatBeginsWithWhereOneComesFrom(t *testing.T) {
	h := newHouse(t)
	h.drafted("ci", gitLab("acme"))
	html := h.get("sec", h.path("/policies/-/reach?connection=ci&identity=repo:acme/app")).Body.String()
	for _, want := range []string{`<option value="ci" selected`, `value="repo:acme/app"`, "What they can reach"} {
		if !strings.Contains(html, want) {
			t.Errorf("%s is missing in: %s", want, html)
		}
	}
	html = h.get("sec", h.path("/policies/-/reach?connection=ci")).Body.String()
	if !strings.Contains(html, `<option value="ci" selected`) || strings.Contains(html, `class="problem"`) {
		t.Errorf("of a connection alone it is not asked which workload: %s", html)
	}
	if html := h.get("sec", h.path("/people/alice")).Body.String(); !strings.Contains(html, `/policies/-/reach?person=alice"`) {
		t.Error("the page of a person does not lead there")
	}
	if html := h.get("olga", h.path("/people/alice")).Body.String(); strings.Contains(html, "/policies/-/reach") {
		t.Error("who may not ask is led there")
	}
}

func TestAChangedConditionIsOneRow(t *testing.T) {
	is := func(c claim.Path, v string) claim.Condition {
		return claim.Condition{Claim: c, Operator: claim.Equals, Value: v}
	}
	for _, test := range []struct {
		name     string
		from, to []claim.Condition
		want     []changeWords
	}{
		{"another value", []claim.Condition{is("sub", "a"), is("ref", "main")}, []claim.Condition{is("sub", "a"), is("ref", "next")}, []changeWords{{"Condition", "ref is main", "ref is next"}}},
		{"another claim is another condition", []claim.Condition{is("ref", "main")}, []claim.Condition{is("sub", "a")}, []changeWords{{"Condition", "ref is main", ""}, {"Condition", "", "sub is a"}}},
		{"of several it is not known which became which", []claim.Condition{is("ref", "a"), is("ref", "b")}, []claim.Condition{is("ref", "c")},
			[]changeWords{{"Condition", "ref is a", ""}, {"Condition", "ref is b", ""}, {"Condition", "", "ref is c"}}},
		{"another order", []claim.Condition{is("sub", "a"), is("ref", "b")}, []claim.Condition{is("ref", "b"), is("sub", "a")}, []changeWords{{"Condition", "sub is a, ref is b", "ref is b, sub is a"}}},
	} {
		got := between(connection.Spec{Conditions: test.from}, connection.Spec{Conditions: test.to})
		if len(got) != len(test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s: %q, want %q", test.name, got, test.want)
			}
		}
	}
}

func TestAPageOfAConnectionSaysWhatItTrustsNow(t *testing.T) {
	s := newSite(t)
	s.signIn("kim", domain.SecurityAdmin)
	s.drafted("ci", gitLab("acme"))
	s.world.Do(s.world.Meta("kim", domain.SecurityAdmin), "ci", connection.Activate{Version: 1, Issuer: s.world.Issuer()})
	s.world.Do(s.world.Meta("lee", domain.SecurityAdmin), "ci", connection.Edit{Version: 1, Spec: gitLab("other"), Issuer: s.world.Issuer()})
	body := shows(t, s.get("kim", s.path("/connections/ci")), "Pending change", "Whom it trusts now", "<ins>namespace_path is other</ins>")
	_, now, _ := strings.Cut(body, "Whom it trusts now")
	if !strings.Contains(now, "<code>acme</code>") || strings.Contains(now, "<code>other</code>") {
		t.Errorf("what is not in force is said to be trusted: %s", now)
	}
}

func TestAConnectionIsQuietIfItIssuedRegularlyAndDoesNoMore(t *testing.T) {
	week := func(hours ...int) []int { // ago
		out := make([]int, weekHours)
		for _, h := range hours {
			out[len(out)-1-h] = 1
		}
		return out
	}
	for _, test := range []struct {
		name  string
		hours []int
		want  bool
	}{
		{"each night, and then three nights no more", week(72, 96, 120, 144), true},
		{"each hour, and then three days no more", week(73, 74, 75, 98, 99, 123, 124), true},
		{"on working days, and then no more on a weekend", week(62, 63, 64, 86, 87, 110, 111, 134), false},
		{"each night, and last night", week(20, 44, 68, 92), false},
		{"it was as silent before", week(73, 148, 149, 167), false},
		{"on two days alone", week(80, 81, 82, 100), false},
		{"never", week(), false},
	} {
		if got := fellSilent(test.hours); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestTheListTellsOfAConnectionThatFellSilent(t *testing.T) {
	s := newSite(t)
	p := orgtest.NewProvider(t, "ES256")
	s.world.Activated("ci", p.Spec(s.world.Issuer(), "good"))
	for range 4 {
		s.exchange(p, "ci", "good")
		s.world.Advance(24 * time.Hour)
	}
	s.world.Settle(t.Context())
	s.signIn("audra", domain.Auditor)
	if body := shows(t, s.get("audra", s.path("/connections"))); strings.Contains(body, "quiet since") {
		t.Error("it is called quiet before it was silent for longer than between")
	}
	s.world.Advance(2 * 24 * time.Hour)
	s.signIn("aurora", domain.Auditor)
	shows(t, s.get("aurora", s.path("/connections")), "quiet since")
	shows(t, s.get("aurora", s.path("/connections/ci")), "Do its workloads still run?")
}

func TestTimesInSentencesAreSaidAsPeopleSayThem(t *testing.T) {
	for text, want := range map[string]string{
		"It was issued 1s ago and expires 59m59s from now (clocks may be 30s apart).": "It was issued 1 second ago and expires 59 minutes 59 seconds from now (clocks may be 30 seconds apart).",
		"The provider's keys of 2026-11-23T01:23:59Z are used.":                       "The provider's keys of 23 Nov 2026, 01:23 UTC are used.",
		"Once approved, it holds for 1h30m.":                                          "Once approved, it holds for 1 hour 30 minutes.",
		"It expired 0s ago, of key v2s, web-1s and 5m.":                               "It expired 0s ago, of key v2s, web-1s and 5m.",
	} {
		if got := readableTimes(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
