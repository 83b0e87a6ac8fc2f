package role_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/role"
)

var (
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

	sven  = domain.Actor{ID: "sven", Roles: []domain.Role{domain.SecurityAdmin}}
	other = domain.Actor{ID: "other", Roles: []domain.Role{domain.Owner, domain.DevOpsAdmin, domain.ResourceAdmin, domain.Auditor, domain.Member}}
)

func equals(path, value string) claim.Condition {
	return claim.Condition{Claim: claim.Path(path), Operator: claim.Equals, Value: value}
}

func needs(connection domain.Name, cs ...claim.Condition) role.Requirement {
	return role.Requirement{Connection: connection, Conditions: cs}
}

func spec(rs ...role.Requirement) role.Spec { return role.Spec{Requirements: rs} }

// there tells that the connections ci and robots exist.
func there(n domain.Name) bool { return n == "ci" || n == "robots" }

// happened is an event of a role.
type happened struct {
	name  domain.Name
	event role.Event
}

func folded(t testing.TB, given ...happened) (s role.State) {
	t.Helper()
	for i, g := range given {
		var err error
		e := domain.Envelope{Subject: "role/" + g.name.String(), Type: g.event.EventType(), Actor: sven.ID, Time: noon.Add(time.Duration(i) * time.Hour), Event: g.event}
		if s, err = role.Evolve(s, e); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestCommands(t *testing.T) {
	one, two := spec(needs("ci")), spec(needs("ci", equals("ref", "main")), needs("robots"))
	created := happened{"deployers", role.WasCreated{Spec: one}}
	deleted := happened{"deployers", role.WasDeleted{}}
	gone := happened{"deployers", role.WasEdited{Version: 2, Spec: spec(needs("gone"))}}
	create := func(n domain.Name, s role.Spec) role.Create {
		return role.Create{Name: n, Spec: s, Connections: there}
	}
	edit := func(v uint64, s role.Spec) role.Edit {
		return role.Edit{Name: "deployers", Version: v, Spec: s, Connections: there}
	}
	invalid := domain.Invalid("request.invalid", "")
	for _, tt := range []struct {
		name  string
		given []happened
		by    domain.Actor
		when  role.Command
		then  role.Event // nil: nothing
		err   error
	}{
		{name: "a security admin creates a role", by: sven, when: create("deployers", one), then: role.WasCreated{Spec: one}},
		{name: "nobody else does, whatever their roles", by: other, when: create("deployers", one), err: role.ErrRole},
		{name: "who may not is told before what is wrong", by: other, when: create("-", spec()), err: role.ErrRole},
		{name: "a name that is taken is refused", given: []happened{created}, by: sven, when: create("deployers", two), err: role.ErrTaken},
		{name: "the same again is refused too", given: []happened{created}, by: sven, when: create("deployers", one), err: role.ErrTaken},
		{name: "a name is never given again", given: []happened{created, deleted}, by: sven, when: create("deployers", one), err: role.ErrTaken},
		{name: "a connection that is not there is refused", by: sven, when: create("deployers", spec(needs("gone"))), err: invalid},
		{name: "a name of 30 characters is refused", by: sven, when: create(domain.Name(strings.Repeat("a", 30)), one), err: invalid},
		{name: "a name of 29 characters is fine", by: sven, when: create(domain.Name(strings.Repeat("a", 29)), one), then: role.WasCreated{Spec: one}},

		{name: "the name of a question is refused", by: sven, when: create("match", one), err: invalid},

		{name: "a security admin edits a role", given: []happened{created}, by: sven, when: edit(1, two), then: role.WasEdited{Version: 2, Spec: two}},
		{name: "an edit that says the same changes nothing", given: []happened{created}, by: sven, when: edit(1, one)},
		{name: "an edit of another version is refused", given: []happened{created}, by: sven, when: edit(2, two), err: role.ErrStale},
		{name: "an edit of what is not there is refused", by: sven, when: edit(1, two), err: role.ErrNotFound},
		{name: "an edit of what was deleted is refused", given: []happened{created, deleted}, by: sven, when: edit(1, two), err: role.ErrNotFound},
		{name: "an edit to a connection that is not there is refused", given: []happened{created}, by: sven, when: edit(1, spec(needs("gone"))), err: invalid},
		{name: "a deleted connection that the role names may stay", given: []happened{created, gone}, by: sven,
			when: edit(2, spec(needs("gone"), needs("ci"))), then: role.WasEdited{Version: 3, Spec: spec(needs("gone"), needs("ci"))}},
		{name: "nobody else edits", given: []happened{created}, by: other, when: edit(1, two), err: role.ErrRole},

		{name: "a security admin deletes a role", given: []happened{created}, by: sven, when: role.Delete{Name: "deployers", Version: 1}, then: role.WasDeleted{}},
		{name: "a deletion of another version is refused", given: []happened{created}, by: sven, when: role.Delete{Name: "deployers", Version: 3}, err: role.ErrStale},
		{name: "a deletion twice is refused", given: []happened{created, deleted}, by: sven, when: role.Delete{Name: "deployers", Version: 1}, err: role.ErrNotFound},
		{name: "nobody else deletes", given: []happened{created}, by: other, when: role.Delete{Name: "deployers", Version: 1}, err: role.ErrRole},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts, err := role.Decide(folded(t, tt.given...), tt.when, domain.Meta{Actor: tt.by, Now: noon})
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			var got role.Event
			if len(facts) > 0 {
				got = facts[0].Event.(role.Event)
				if !strings.HasPrefix(facts[0].Subject, "role/") || len(facts) > 1 {
					t.Errorf("the facts are %+v", facts)
				}
			}
			if diff := cmp.Diff(tt.then, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestRules(t *testing.T) {
	many := func(n int) (cs []claim.Condition) {
		for i := range n {
			cs = append(cs, equals(fmt.Sprint("c", i), "x"))
		}
		return cs
	}
	requirements := func(n int) (rs []role.Requirement) {
		for i := range n {
			rs = append(rs, needs("ci", equals("ref", fmt.Sprint(i))))
		}
		return rs
	}
	var big []role.Requirement
	for i := range 20 {
		big = append(big, needs("ci", equals("a", strings.Repeat("x", 1000)+fmt.Sprint(i)), equals("b", strings.Repeat("y", 1024)), equals("c", strings.Repeat("z", 1024))))
	}
	for _, tt := range []struct {
		name string
		spec role.Spec
		want string // pointers of the errors
	}{
		{"a connection alone is fine", spec(needs("ci")), ""},
		{"twenty requirements are fine", spec(requirements(20)...), ""},
		{"twenty conditions are fine", spec(needs("ci", many(20)...)), ""},
		{"a condition on sub is fine", spec(needs("ci", equals("sub", "x"))), ""},
		{"a nested claim that is called as a registered one is fine", spec(needs("ci", equals("act/iss", "x"))), ""},
		{"no requirement", spec(), "/requirements"},
		{"21 requirements", spec(requirements(21)...), "/requirements"},
		{"21 conditions", spec(needs("ci", many(21)...)), "/requirements/0/conditions"},
		{"no connection", spec(needs("")), "/requirements/0/connection"},
		{"a connection that is no name", spec(needs("CI")), "/requirements/0/connection"},
		{"a connection that is not there", spec(needs("ci"), needs("gone")), "/requirements/1/connection"},
		{"the same requirement twice", spec(needs("ci", equals("a", "x")), needs("ci", equals("a", "x"))), "/requirements/1"},
		{"the same condition twice", spec(needs("ci", equals("a", "x"), equals("a", "x"))), "/requirements/0/conditions/1"},
		{"a condition that breaks a rule", spec(needs("ci", equals("a", ""))), "/requirements/0/conditions/0/value"},
		{"the platform's issuer", spec(needs("ci", equals("iss", "x"))), "/requirements/0/conditions/0/claim"},
		{"the platform's audience, as a pointer", spec(needs("ci", equals("/aud", "x"))), "/requirements/0/conditions/0/claim"},
		{"every other registered claim", spec(needs("ci", equals("exp", "1"), equals("nbf", "1"), equals("iat", "1"), equals("jti", "1"))),
			"/requirements/0/conditions/0/claim /requirements/0/conditions/1/claim /requirements/0/conditions/2/claim /requirements/0/conditions/3/claim"},
		{"a description of 1001 characters", role.Spec{Description: strings.Repeat("é", 1001), Requirements: requirements(1)}, "/description"},
		{"a description with a control character", role.Spec{Description: "a\x1b", Requirements: requirements(1)}, "/description"},
		{"more than fits into an event", spec(big...), "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, e := range tt.spec.Check(there) {
				if e.Code == "" || e.Detail == "" {
					t.Errorf("%s says nothing", e.Pointer)
				}
				got = append(got, strings.TrimSpace(e.Pointer))
			}
			want := tt.want
			if want == "-" { // the whole document
				if !slices.Equal(got, []string{""}) {
					t.Errorf("got %q, want one about the whole", got)
				}
				return
			}
			if strings.Join(got, " ") != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestWhatCanNotHaveBeenDecidedIsNotFolded(t *testing.T) {
	s := spec(needs("ci"))
	created := happened{"deployers", role.WasCreated{Spec: s}}
	for _, tt := range []struct {
		name    string
		given   []happened
		subject string
		event   domain.Event
	}{
		{"a second creation", []happened{created}, "role/deployers", role.WasCreated{Spec: s}},
		{"a creation after a deletion", []happened{created, {"deployers", role.WasDeleted{}}}, "role/deployers", role.WasCreated{Spec: s}},
		{"an edit of nothing", nil, "role/deployers", role.WasEdited{Version: 1, Spec: s}},
		{"an edit that skips a version", []happened{created}, "role/deployers", role.WasEdited{Version: 3, Spec: s}},
		{"an edit that repeats a version", []happened{created}, "role/deployers", role.WasEdited{Version: 1, Spec: s}},
		{"a deletion of nothing", nil, "role/deployers", role.WasDeleted{}},
		{"another noun's subject", nil, "connection/deployers", role.WasCreated{Spec: s}},
		{"no name", nil, "role/", role.WasCreated{Spec: s}},
		{"another noun's event", nil, "role/deployers", strange{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := role.Evolve(folded(t, tt.given...), domain.Envelope{Subject: tt.subject, Event: tt.event}); err == nil {
				t.Error("it was folded")
			}
		})
	}
}

type strange struct{}

func (strange) EventType() string { return "strange.happened" }

func TestARoleIsToldAsItIs(t *testing.T) {
	one, two := spec(needs("ci")), spec(needs("robots"))
	s := folded(t, happened{"b", role.WasCreated{Spec: one}}, happened{"a", role.WasCreated{Spec: one}}, happened{"b", role.WasEdited{Version: 2, Spec: two}})
	got, ok := s.Role("b")
	want := role.Role{Name: "b", Spec: two, Version: 2, CreatedAt: noon, UpdatedAt: noon.Add(2 * time.Hour), CreatedBy: "sven", UpdatedBy: "sven"}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("%v (-want +got)\n%s", ok, diff)
	}
	if all := s.Roles(); len(all) != 2 || all[0].Name != "a" || all[1].Name != "b" {
		t.Errorf("the roles are %+v", all)
	}
}

func TestUsername(t *testing.T) {
	for name, want := range map[domain.Name]string{"deployers": "wl_deployers", "web-shop-1": "wl_web_shop_1"} {
		if got := role.Username(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	name := rapid.Map(rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,27}[a-z0-9])?`), func(s string) domain.Name { return domain.Name(s) })
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		if _, err := role.ParseName(a.String()); err != nil && a != "match" {
			t.Fatal(err)
		}
		if len(role.Username(a)) > 32 || a != b && role.Username(a) == role.Username(b) {
			t.Fatalf("%s and %s are %s and %s", a, b, role.Username(a), role.Username(b))
		}
	})
}

func claims(t testing.TB, text string) claim.Set {
	t.Helper()
	var set claim.Set
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&set); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestMatching(t *testing.T) {
	s := folded(t,
		happened{"anything", role.WasCreated{Spec: spec(needs("ci"))}},
		happened{"main", role.WasCreated{Spec: spec(needs("ci", equals("project", "app"), equals("ref", "main")))}},
		happened{"either", role.WasCreated{Spec: spec(needs("ci", equals("ref", "main")), needs("ci", equals("ref", "dev")), needs("robots"))}},
		happened{"slash", role.WasCreated{Spec: spec(needs("ci", equals("acme/team", "x")))}},
		happened{"pointer", role.WasCreated{Spec: spec(needs("ci", equals("/acme/team", "x")))}},
		happened{"prefix", role.WasCreated{Spec: spec(needs("ci", claim.Condition{Claim: "ref", Operator: claim.StartsWith, Value: "release/"}))}},
		happened{"present", role.WasCreated{Spec: spec(needs("ci", claim.Condition{Claim: "env", Operator: claim.Exists}))}},
		happened{"gone", role.WasCreated{Spec: spec(needs("ci"))}}, happened{"gone", role.WasDeleted{}},
		happened{"was-open", role.WasCreated{Spec: spec(needs("ci"))}}, happened{"was-open", role.WasEdited{Version: 2, Spec: spec(needs("ci", equals("never", "x")))}},
	)
	for _, tt := range []struct {
		name, connection, hint, claims string
		want                           string
	}{
		{name: "a connection is enough where nothing more is asked", connection: "ci", claims: `{}`, want: "anything"},
		{name: "every condition has to hold", connection: "ci", claims: `{"project":"app","ref":"x"}`, want: "anything"},
		{name: "all hold", connection: "ci", claims: `{"project":"app","ref":"main"}`, want: "anything either main"},
		{name: "one requirement of several is enough", connection: "ci", claims: `{"ref":"dev"}`, want: "anything either"},
		{name: "another connection meets its own requirements", connection: "robots", claims: `{"project":"app","ref":"main"}`, want: "either"},
		{name: "a connection that no role names", connection: "else", claims: `{"ref":"main"}`},
		{name: "no connection", claims: `{"ref":"main"}`},
		{name: "requirements are not mixed", connection: "ci", claims: `{"project":"app"}`, want: "anything"},
		{name: "null is absent", connection: "ci", claims: `{"project":"app","ref":null,"env":null}`, want: "anything"},
		{name: "an empty list is absent", connection: "ci", claims: `{"env":[]}`, want: "anything"},
		{name: "a list with the value is not the value", connection: "ci", claims: `{"ref":["main"]}`, want: "anything"},
		{name: "a prefix ends where it ends", connection: "ci", claims: `{"ref":"release/1"}`, want: "anything prefix"},
		{name: "a prefix is no neighbour", connection: "ci", claims: `{"ref":"releases"}`, want: "anything"},
		{name: "a name with a slash is one name", connection: "ci", claims: `{"acme/team":"x"}`, want: "anything slash"},
		{name: "a walk finds what is inside", connection: "ci", claims: `{"acme":{"team":"x"}}`, want: "anything pointer slash"},
		{name: "a flat name hides what is inside, but not from a pointer", connection: "ci", claims: `{"acme/team":"y","acme":{"team":"x"}}`, want: "anything pointer"},
		{name: "a flat null hides too", connection: "ci", claims: `{"acme/team":null,"acme":{"team":"x"}}`, want: "anything pointer"},

		{name: "a hint chooses", connection: "ci", hint: "either", claims: `{"project":"app","ref":"main"}`, want: "either"},
		{name: "a hint that does not match is no role", connection: "ci", hint: "main", claims: `{"ref":"dev"}`},
		{name: "a hint of a deleted role is no role", connection: "ci", hint: "gone", claims: `{}`},
		{name: "a hint of nobody is no role", connection: "ci", hint: "root", claims: `{"role":"root"}`},
		{name: "a hint in other letters is no role", connection: "ci", hint: "Either", claims: `{"ref":"main"}`},
		{name: "a hint of several is none", connection: "ci", hint: "anything main", claims: `{"project":"app","ref":"main"}`},
		{name: "a hint of a role of another connection", connection: "robots", hint: "main", claims: `{"project":"app","ref":"main"}`},
		{name: "an edit closed what was open", connection: "ci", hint: "was-open", claims: `{}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.Matching(role.Token{Connection: domain.Name(tt.connection), Hint: tt.hint, Claims: claims(t, tt.claims)})
			var names []string
			for _, n := range got {
				names = append(names, n.String())
			}
			if strings.Join(names, " ") != tt.want {
				t.Errorf("got %q, want %q", names, tt.want)
			}
		})
	}
}

// A hint never widens: whatever it is, what it leaves is among what matches without it.
func TestAHintNeverWidens(t *testing.T) {
	s := folded(t,
		happened{"main", role.WasCreated{Spec: spec(needs("ci", equals("ref", "main")))}},
		happened{"any", role.WasCreated{Spec: spec(needs("ci"))}},
		happened{"robots", role.WasCreated{Spec: spec(needs("robots"))}},
	)
	rapid.Check(t, func(t *rapid.T) {
		token := role.Token{
			Connection: domain.Name(rapid.SampledFrom([]string{"ci", "robots", "", "x"}).Draw(t, "connection")),
			Claims:     claim.Set{"ref": rapid.SampledFrom([]any{"main", "dev", nil}).Draw(t, "ref")},
		}
		all := s.Matching(token)
		token.Hint = rapid.OneOf(rapid.SampledFrom([]string{"main", "any", "robots", "*", " any", "any\x00"}), rapid.String()).Draw(t, "hint")
		hinted := s.Matching(token)
		if token.Hint == "" {
			return
		}
		if len(hinted) > 1 || len(hinted) == 1 && (hinted[0].String() != token.Hint || !slices.Contains(all, hinted[0])) {
			t.Fatalf("hint %q leaves %v of %v", token.Hint, hinted, all)
		}
	})
}

func TestExplainAgreesWithMatching(t *testing.T) {
	s := folded(t,
		happened{"either", role.WasCreated{Spec: spec(needs("robots"), needs("ci", equals("ref", "main")), needs("ci", equals("ref", "dev"), equals("env", "x")))}},
		happened{"robots", role.WasCreated{Spec: spec(needs("robots"))}},
	)
	for _, ref := range []string{"main", "dev", "Main"} {
		token := role.Token{Connection: "ci", Claims: claim.Set{"ref": ref}}
		got := s.Explain(token)
		if len(got) != 1 || got[0].Role != "either" || len(got[0].Requirements) != 2 || got[0].Requirements[0].Index != 1 {
			t.Fatalf("%s: explained as %+v", ref, got)
		}
		if matches := len(s.Matching(token)) > 0; got[0].Matches != matches {
			t.Errorf("%s: explained as %t, and it is %t", ref, got[0].Matches, matches)
		}
		if x := got[0].Requirements[1]; len(x.Explanations) != 2 || x.Explanations[1].Match || x.Explanations[1].Message != "The claim is absent." {
			t.Errorf("%s: explained as %+v", ref, x)
		}
	}
	if len(s.Explain(role.Token{})) != 0 {
		t.Error("a token of no connection is explained")
	}
}
