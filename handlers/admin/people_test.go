package admin_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

// doc is a body.
type doc = map[string]any

func TestTheLifeOfAPerson(t *testing.T) {
	e := newEdge(t)
	const post, put, get, del = "POST", "PUT", "GET", "DELETE"
	const list, one = "/people", "/people/carol"
	carol := doc{"name": "carol", "roles": []string{"member"}, "email": "carol@example.com", "manager": "dana"}
	with := func(changes doc) doc {
		d := doc{}
		for _, m := range []doc{carol, changes} {
			for k, v := range m {
				d[k] = v
			}
		}
		return d
	}
	e.run(t, []step{
		{"a security admin adds nobody", "security", post, list, carol, "", 403, "role.missing", "owner", nil, nil},
		{"a member reads nobody", "alice", get, list, nil, "", 403, "role.missing", "", nil, nil},
		{"an owner adds a person", "owner", post, list, carol, "", 201, "", "", []string{"person.added"},
			doc{"name": "carol", "email": "carol@example.com", "manager": "dana", "version": 1.0, "created_by": "owner", "effective_roles": []any{"member"}, "groups": []any{}}},
		{"again is nothing", "owner", post, list, carol, "", 201, "", "", nil, nil},
		{"another of that name is refused", "owner", post, list, with(doc{"email": ""}), "", 409, "person.taken", "", nil, nil},
		{"an auditor reads them", "auditor", get, one, nil, "", 200, "", "", nil, doc{"email": "carol@example.com"}},
		{"an edit says what it saw", "owner", put, one, carol, "", 428, "version.required", "", nil, nil},
		{"a role and a manager at once", "owner", put, one, with(doc{"roles": []string{"auditor", "member"}, "manager": "security"}), `"1"`, 200, "", "",
			[]string{"person.role_granted", "person.edited"}, doc{"version": 3.0, "roles": []any{"auditor", "member"}, "manager": "security"}},
		{"an edit of an older version", "owner", put, one, carol, `"1"`, 412, "version.stale", "version 3", nil, nil},
		{"the same again is nothing", "owner", put, one, with(doc{"roles": []string{"member", "auditor"}, "manager": "security"}), `"3"`, 200, "", "", nil, doc{"version": 3.0}},
		{"a name never changes", "owner", put, one, with(doc{"name": "other"}), `"3"`, 422, "request.invalid", "", nil, nil},
		{"an owner gives themself no role", "owner", put, "/people/owner", doc{"roles": []string{"owner", "security_admin"}}, `"1"`, 403, "person.self", "", nil, nil},
		{"nor takes the last one", "owner", put, "/people/owner", doc{"roles": []string{"member"}}, `"1"`, 403, "person.self", "", nil, nil},
		{"the last owner is not removed", "owner", del, "/people/owner", nil, `"1"`, 409, "person.last_owner", "", nil, nil},
		{"a manager is removed", "owner", del, "/people/security2", nil, `"1"`, 204, "", "", []string{"person.removed"}, nil},
		{"and can be nobody's any more", "owner", put, one, with(doc{"manager": "security2"}), `"3"`, 422, "request.invalid", "", nil, nil},
		{"the person is removed", "owner", del, one, nil, `"3"`, 204, "", "", []string{"person.removed"}, nil},
		{"and is gone", "owner", get, one, nil, "", 404, "person.not_found", "", nil, nil},
		{"for writes too", "owner", put, one, carol, `"3"`, 404, "person.not_found", "", nil, nil},
		{"the name is never given again", "owner", post, list, carol, "", 409, "person.taken", "never given again", nil, nil},
	})
	e.t = t
	r := e.as("owner", post, list, doc{"name": "No", "roles": []string{"auditor", "root"}, "email": "x", "manager": "Y", "password": "x"})
	want := []string{"/email email.invalid", "/manager name.invalid", "/name name.invalid", "/password field.unknown", "/roles/1 role.unknown"}
	if r.Status != 422 || !slices.Equal(r.pointers(), want) {
		t.Errorf("got %d %v, want %v", r.Status, r.pointers(), want)
	}
}

// What is answered may be sent back as it came.
func TestAnAnsweredPersonAndGroupCanBeSentBack(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("owner", "POST", "/groups", doc{"name": "readers", "roles": []string{"auditor"}}))
	e.must(201, e.as("owner", "POST", "/groups/readers/members", doc{"person": "alice", "until": e.Now().Add(time.Hour)}))
	at := e.Last()
	for _, path := range []string{"/people/alice", "/groups/readers"} {
		r := e.must(200, e.as("owner", "GET", path, nil))
		e.must(200, e.as("owner", "PUT", path, r.Body, "If-Match", r.Header.Get("ETag")))
	}
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("that recorded %v", types)
	}
}

// A manager who was removed is shown as missing.
func TestARemovedManagerIsShownAsMissing(t *testing.T) {
	e := newEdge(t)
	e.must(200, e.as("owner", "PUT", "/people/alice", doc{"roles": []string{"member"}, "manager": "resource"}, "If-Match", `"1"`))
	e.must(204, e.as("owner", "DELETE", "/people/resource", nil, "If-Match", `"1"`))
	if r := e.must(200, e.as("auditor", "GET", "/people/alice", nil)); r.Body["manager_missing"] != true || r.text("manager") != "resource" {
		t.Errorf("got %s", r.Raw)
	}
	e.must(200, e.as("owner", "PUT", "/people/alice", doc{"roles": []string{"member"}, "manager": "resource", "email": "a@x.org"}, "If-Match", `"2"`))
}

func TestWhoLogsOutRevokesTheirTokenAndNoOther(t *testing.T) {
	e := newEdge(t)
	for _, who := range letters {
		at := e.Last()
		e.must(204, e.as(who, "POST", "/logout", nil))
		if types := e.Types(at); !slices.Equal(types, []string{"api_token.revoked"}) {
			t.Errorf("%s recorded %v", who, types)
		}
		if r := e.as(who, "GET", "/whoami", nil); r.Status != 401 || r.text("code") != "api_token.revoked" {
			t.Errorf("the token of %s got %d %s", who, r.Status, r.Raw)
		}
	}
	e.must(200, e.as("security2", "GET", "/whoami", nil))
}

func TestTheTokensOfWhoWasRemovedSpeakForNobody(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("owner", "POST", "/groups", doc{"name": "night"}))
	e.must(201, e.as("owner", "POST", "/groups/night/members", doc{"person": "security2"}))
	e.must(200, e.as("security2", "GET", "/whoami", nil))
	at := e.Last()
	e.must(204, e.as("owner", "DELETE", "/people/security2", nil, "If-Match", `"1"`))
	if types := e.Types(at); !slices.Equal(types, []string{"person.removed", "group.member_removed"}) {
		t.Errorf("it recorded %v", types)
	}
	if r := e.as("security2", "GET", "/whoami", nil); r.Status != 401 || r.text("code") != "api_token.revoked" {
		t.Errorf("their token got %d %s", r.Status, r.Raw)
	}
	if r := e.must(200, e.as("owner", "GET", "/groups/night/members", nil)); len(r.Body["members"].([]any)) != 0 {
		t.Errorf("they are still in %s", r.Raw)
	}
	if _, err := e.CreateToken(t.Context(), domain.Meta{Actor: domain.System("host"), Now: e.Now()}, "security2", domain.Owner, time.Hour); err == nil {
		t.Error("the host makes them anew")
	}
}

// Two owners remove each other, or make each other plain, at the same moment:
// one of them stays.
func TestTwoOwnersWhoRemoveEachOtherLeaveOne(t *testing.T) {
	for _, method := range []string{"DELETE", "PUT"} {
		e := newEdge(t)
		e.tokens["owner2"] = e.Token("owner2", domain.Owner)
		var wg sync.WaitGroup
		replies := make([]reply, 2)
		for i, who := range []string{"owner", "owner2"} {
			other := map[string]string{"owner": "owner2", "owner2": "owner"}[who]
			wg.Go(func() {
				replies[i] = e.as(who, method, "/people/"+other, doc{"roles": []string{"member"}}, "If-Match", `"1"`)
			})
		}
		wg.Wait()
		left := 0
		e.Read(func(s *control.State, _ domain.Head) {
			for _, p := range s.Everybody() {
				if slices.Contains(p.Roles, domain.Owner) {
					left++
				}
			}
		})
		if left != 1 {
			t.Errorf("%s: %d owners are left after %d %s and %d %s", method, left, replies[0].Status, replies[0].text("code"), replies[1].Status, replies[1].text("code"))
		}
	}
}

// held is the roles that a token has now.
func held(w *orgtest.World, token string) (a domain.Actor, err error) {
	w.Read(func(s *control.State, _ domain.Head) { a, err = s.Authenticate(person.HashToken(token), w.Now()) })
	return a, err
}

// T127: the service is down when a membership ends. What it lent is gone before
// anything was recorded, in the API and for tokens that bear it.
func TestAMembershipThatEndedWhileTheServiceWasDownLendsNothing(t *testing.T) {
	w := orgtest.New(t)
	w.Token("alice", domain.Member)
	until := w.Now().Add(30 * time.Minute).Truncate(time.Millisecond)
	lend(t, w, "audit-team", domain.Auditor, "alice", until)
	token := w.Token("alice", domain.Auditor)
	if a, err := held(w, token); err != nil || !a.Has(domain.Auditor) {
		t.Fatalf("before, the token has %+v, %v", a, err)
	}
	w.Reopen(func() { w.Advance(until.Add(time.Millisecond).Sub(w.Now())) })
	head := w.Last()
	if a, err := held(w, token); err != nil || len(a.Roles) > 0 {
		t.Errorf("a moment after its end the token has %+v, %v", a, err)
	}
	w.Read(func(s *control.State, _ domain.Head) {
		if s.Groups().Has("audit-team", "alice", s.Later(w.Now())) || len(s.EffectiveRoles("alice", w.Now())) != 1 {
			t.Error("the person is still in")
		}
	})
	if w.Last() != head {
		t.Error("something was recorded, so this shows nothing")
	}
}

// lend makes a group that lends a role, with one person in it.
func lend(t *testing.T, w *orgtest.World, name domain.Name, role domain.Role, who domain.Name, until time.Time) {
	t.Helper()
	m := w.Meta("owner", domain.Owner)
	for _, c := range []group.Command{
		group.Create{Name: name, Spec: group.Spec{Roles: []domain.Role{role}}}, group.AddMember{Group: name, Person: who, Until: until},
	} {
		if _, err := w.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) { return group.Decide(s.Groups(), c, m) }); err != nil {
			t.Fatal(err)
		}
	}
}

// Roles through groups count at once and end on time.
func TestRolesThroughGroupsCountAtOnceAndEndOnTime(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("owner", "POST", "/groups", doc{"name": "devs", "roles": []string{"devops_admin"}}))
	draft := func(want int, name string) {
		t.Helper()
		if r := e.as("alice", "POST", "/connections", e.document(name, nil)); r.Status != want {
			t.Errorf("drafting %s got %d %s", name, r.Status, r.Raw)
		}
	}
	draft(403, "before")
	e.must(201, e.as("owner", "POST", "/groups/devs/members", doc{"person": "alice", "until": e.Now().Add(40 * time.Minute)}))
	draft(403, "without-a-token") // the token that alice has bears member alone
	e.tokens["alice"] = e.Token("alice", domain.DevOpsAdmin)
	r := e.must(200, e.as("owner", "GET", "/people/alice", nil))
	if fmt.Sprint(r.Body["roles"]) != "[member]" || fmt.Sprint(r.Body["effective_roles"]) != "[devops_admin member]" {
		t.Errorf("making the token gave alice the role: %s", r.Raw)
	}
	who := e.must(200, e.as("alice", "GET", "/whoami", nil))
	if fmt.Sprint(who.Body["roles"]) != "[devops_admin]" || fmt.Sprint(who.Body["effective_roles"]) != "[devops_admin member]" || len(who.Body["groups"].([]any)) != 1 {
		t.Errorf("whoami says %s", who.Raw)
	}
	draft(201, "while")
	e.must(204, e.as("owner", "DELETE", "/groups/devs/members/alice", nil))
	draft(403, "removed")
	e.must(201, e.as("owner", "POST", "/groups/devs/members", doc{"person": "alice", "until": e.Now().Add(40 * time.Minute)}))
	draft(201, "again")
	e.must(200, e.as("owner", "PUT", "/groups/devs", doc{"roles": []string{}}, "If-Match", `"1"`))
	draft(403, "lent-no-more")
	e.must(200, e.as("owner", "PUT", "/groups/devs", doc{"roles": []string{"devops_admin"}}, "If-Match", `"2"`))
	draft(201, "lent-again")
	e.Advance(41 * time.Minute)
	draft(403, "ended")
	if types := e.Types(domain.Position{}); slices.Contains(types, "group.member_removed") && count(types, "group.member_removed") != 1 {
		t.Errorf("the end was recorded: %v", types)
	}
}

func count(types []string, typ string) (n int) {
	for _, t := range types {
		if t == typ {
			n++
		}
	}
	return n
}

// A stranger's name in a path is a 404 and nothing else.
func TestOddNamesOfPeopleAreNotThere(t *testing.T) {
	e := newEdge(t)
	for _, name := range []string{"system:host", "A", "a_b", strings.Repeat("a", 64), "owner.", "-", "nobody"} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			for _, path := range []string{"/people/", "/groups/"} {
				if r := e.as("owner", method, path+name, doc{}); r.Status != 404 {
					t.Errorf("%s %s%s got %d", method, path, name, r.Status)
				}
			}
		}
	}
}

// Two of three owners remove each other at the same moment: whoever was removed
// first has removed nobody.
func TestWhoWasRemovedRemovesNobodyAnyMore(t *testing.T) {
	e := newEdge(t)
	for i := range 6 {
		a, b := fmt.Sprint("a", i), fmt.Sprint("b", i)
		for _, n := range []string{a, b} {
			e.tokens[n] = e.Token(domain.Name(n), domain.Owner)
		}
		var wg sync.WaitGroup
		replies := make([]reply, 2)
		for i, pair := range [][2]string{{a, b}, {b, a}} {
			wg.Go(func() { replies[i] = e.as(pair[0], "DELETE", "/people/"+pair[1], nil, "If-Match", `"1"`) })
		}
		wg.Wait()
		left := 0
		for _, n := range []string{a, b} {
			if e.as("owner", "GET", "/people/"+n, nil).Status == 200 {
				left++
			}
		}
		if left != 1 {
			t.Errorf("%d of two are left after %d %s and %d %s", left, replies[0].Status, replies[0].text("code"), replies[1].Status, replies[1].text("code"))
		}
	}
}

// Whoever is in as many groups as one may be in is removed from all of them in
// one commit.
func TestWhoIsInManyGroupsIsRemovedAtOnce(t *testing.T) {
	e := newEdge(t)
	m := e.Meta("owner", domain.Owner)
	for from := 0; from < group.MaxGroups; from += 50 {
		if _, err := e.Execute(t.Context(), m, func(*control.State) (facts []domain.Fact, err error) {
			for i := from; i < from+50; i++ {
				n := domain.Name(fmt.Sprintf("%s-%03d", strings.Repeat("g", 59), i))
				facts = append(facts, domain.Fact{Subject: "group/" + n.String(), Event: group.WasCreated{Name: n}},
					domain.Fact{Subject: "group/" + n.String(), Event: group.MemberWasAdded{Group: n, Person: "alice", Source: group.Local}})
			}
			return facts, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	e.must(201, e.as("owner", "POST", "/groups", doc{"name": "one-more"}))
	if r := e.as("owner", "POST", "/groups/one-more/members", doc{"person": "alice"}); r.Status != 409 || r.text("code") != "group.full" {
		t.Errorf("a group too many got %d %s", r.Status, r.Raw)
	}
	at := e.Last()
	e.must(204, e.as("owner", "DELETE", "/people/alice", nil, "If-Match", `"1"`))
	if types := e.Types(at); len(types) != 1+group.MaxGroups {
		t.Errorf("%d events", len(types))
	}
}
