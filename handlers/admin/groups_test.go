package admin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
)

func TestTheLifeOfAGroup(t *testing.T) {
	e := newEdge(t)
	const post, put, get, del = "POST", "PUT", "GET", "DELETE"
	const list, one, members = "/groups", "/groups/night", "/groups/night/members"
	night := doc{"name": "night", "description": "Who is called"}
	alice, nobody := doc{"person": "alice"}, doc{"person": "mallory"}
	e.run(t, []step{
		{"a resource admin makes none", "resource", post, list, night, "", 403, "role.missing", "", nil, nil},
		{"a security admin makes a plain one", "security", post, list, night, "", 201, "", "", []string{"group.created"},
			doc{"name": "night", "description": "Who is called", "roles": []any{}, "members": 0.0, "named": false, "version": 1.0, "created_by": "security"}},
		{"a name is given once", "owner", post, list, night, "", 409, "group.taken", "", nil, nil},
		{"a security admin lends no role", "security", put, one, doc{"roles": []string{"security_admin"}}, `"1"`, 403, "role.missing", "owner", nil, nil},
		{"an edit says what it saw", "security", put, one, night, "", 428, "version.required", "", nil, nil},
		{"an edit of another version", "security", put, one, night, `"4"`, 412, "version.stale", "", nil, nil},
		{"an edit", "security", put, one, doc{"description": "x"}, `"1"`, 200, "", "", []string{"group.edited"}, doc{"version": 2.0, "description": "x"}},
		{"somebody is put in", "security", post, members, alice, "", 201, "", "", []string{"group.member_added"}, doc{"person": "alice", "source": "local", "added_by": "security", "until": nil}},
		{"again is nothing", "security", post, members, alice, "", 201, "", "", nil, doc{"person": "alice"}},
		{"nobody is put in who is not there", "security", post, members, nobody, "", 422, "request.invalid", "", nil, nil},
		{"nobody puts themself in", "security", post, members, doc{"person": "security"}, "", 403, "group.self", "", nil, nil},
		{"nor does an owner", "owner", post, members, doc{"person": "owner"}, "", 403, "group.self", "", nil, nil},
		{"an auditor reads and changes nothing", "auditor", post, members, nobody, "", 403, "role.missing", "", nil, nil},
		{"a group that is not there has no members", "security", get, "/groups/none/members", nil, "", 404, "group.not_found", "", nil, nil},
		{"nor can anybody be put in", "security", post, "/groups/none/members", alice, "", 404, "group.not_found", "", nil, nil},
		{"who is not in is not taken out", "security", del, members + "/dana", nil, "", 404, "group.member_not_found", "", nil, nil},
		{"somebody is taken out", "security", del, members + "/alice", nil, "", 204, "", "", []string{"group.member_removed"}, nil},
		{"once", "security", del, members + "/alice", nil, "", 404, "group.member_not_found", "", nil, nil},
		{"an owner lends a role", "owner", put, one, doc{"roles": []string{"auditor", "devops_admin", "auditor"}}, `"2"`, 200, "", "", []string{"group.edited"},
			doc{"version": 3.0, "roles": []any{"devops_admin", "auditor"}}},
		{"from then on a security admin changes nothing of it", "security", put, one, doc{"roles": []string{"devops_admin", "auditor"}, "description": "y"}, `"3"`, 403, "role.missing", "", nil, nil},
		{"nor who is in it", "security", post, members, alice, "", 403, "role.missing", "", nil, nil},
		{"nor deletes it", "security", del, one, nil, `"3"`, 403, "role.missing", "", nil, nil},
		{"an owner deletes it", "owner", del, one, nil, `"3"`, 204, "", "", []string{"group.deleted"}, nil},
		{"it is gone", "owner", get, one, nil, "", 404, "group.not_found", "", nil, nil},
		{"and its name is never given again", "owner", post, list, night, "", 409, "group.taken", "never given again", nil, nil},
		{"nor is it listed", "auditor", get, list, nil, "", 200, "", "", nil, doc{"groups": []any{}}},
	})
}

// T128: every end is exact in UTC, or refused.
func TestTheEndOfAMembershipIsExactOrRefused(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("owner", "POST", "/groups", doc{"name": "night"}))
	year := e.Now().Year() + 1
	early := fmt.Sprintf("%d-01-15T", year) // within the next 365 days, since it is not January 16 to 31... or it is refused as too far
	if d := time.Date(year, 1, 15, 0, 0, 0, 0, time.UTC).Sub(e.Now()); d > 364*24*time.Hour || d < 24*time.Hour {
		early = e.Now().AddDate(0, 3, 0).Format("2006-01-02T")
	}
	for _, tt := range []struct{ until, want, pointer string }{
		{early + "02:30:00+01:00", early + "01:30:00Z", ""},
		{early + "02:30:00.123456-11:30", early + "14:00:00.123456Z", ""},
		{early + "02:30:00Z", early + "02:30:00Z", ""},
		{"2020-01-01T00:00:00Z", "", "/until until.past"},
		{"0001-01-01T00:00:00Z", "", "/until time.invalid"},
		{"9999-12-31T23:59:59Z", "", "/until until.far"},
		{"9999-12-31T23:59:59-23:59", "", "/until until.far"},
		{e.Now().Add(366 * 24 * time.Hour).Format(time.RFC3339), "", "/until until.far"},
		{e.Now().Add(-time.Second).In(time.FixedZone("", 14*3600)).Format(time.RFC3339), "", "/until until.past"},
		{early + "02:30:00", "", "/until time.invalid"},
		{early + "24:00:00Z", "", "/until time.invalid"},
		{early + "23:59:60Z", "", "/until time.invalid"},
		{early + "02:30:00+25:00", "", "/until time.invalid"},
		{early[:10], "", "/until time.invalid"},
		{"tomorrow", "", "/until time.invalid"},
		{"10000-01-01T00:00:00Z", "", "/until time.invalid"},
	} {
		r := e.as("owner", "POST", "/groups/night/members", doc{"person": "alice", "until": tt.until})
		switch {
		case tt.want != "" && (r.Status != 201 || r.text("until") != tt.want):
			t.Errorf("%s: got %d %s, want %s", tt.until, r.Status, r.Raw, tt.want)
		case tt.want == "" && (r.Status != 422 || !slices.Equal(r.pointers(), []string{tt.pointer})):
			t.Errorf("%s: got %d %v, want %s", tt.until, r.Status, r.pointers(), tt.pointer)
		}
	}
	if r := e.as("owner", "POST", "/groups/night/members", doc{"person": "alice", "until": 1}); r.Status != 422 {
		t.Errorf("a number got %d", r.Status)
	}
}

// Who names a group in a policy takes it out of the security admins' hands.
func TestTheMembersOfANamedGroupAreAnOwnersToSay(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("security", "POST", "/groups", doc{"name": "night"}))
	e.must(201, e.as("security", "POST", "/groups/night/members", doc{"person": "alice"}))
	e.names("night")
	if r := e.must(200, e.as("auditor", "GET", "/groups/night", nil)); r.Body["named"] != true {
		t.Errorf("it is shown as %s", r.Raw)
	}
	at := e.Last()
	for _, tt := range []struct {
		name, person, method, path string
		body                       any
		status                     int
		code                       string
	}{
		{"a security admin adds nobody", "security", "POST", "/groups/night/members", doc{"person": "dana"}, 403, "role.missing"},
		{"nor prolongs", "security2", "POST", "/groups/night/members", doc{"person": "alice", "until": e.Now().Add(time.Hour)}, 403, "role.missing"},
		{"nor removes", "security", "DELETE", "/groups/night/members/alice", nil, 403, "role.missing"},
		{"nor deletes it", "security", "DELETE", "/groups/night", nil, 403, "role.missing"},
		{"an owner does not add themself", "owner", "POST", "/groups/night/members", doc{"person": "owner"}, 403, "group.self"},
	} {
		if r := e.as(tt.person, tt.method, tt.path, tt.body, "If-Match", `"1"`); r.Status != tt.status || r.text("code") != tt.code {
			t.Errorf("%s: got %d %s", tt.name, r.Status, r.Raw)
		}
	}
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("that recorded %v", types)
	}
	e.must(201, e.as("owner", "POST", "/groups/night/members", doc{"person": "dana"}))
	e.must(200, e.as("security", "PUT", "/groups/night", doc{"description": "Who is called"}, "If-Match", `"1"`))
	e.must(204, e.as("owner", "DELETE", "/groups/night", nil, "If-Match", `"2"`))
	r := e.must(200, e.as("auditor", "GET", "/policies/tier", nil))
	if fmt.Sprint(r.Body["missing"]) != "[/principals/groups/0]" {
		t.Errorf("the policy that named it is %s", r.Raw)
	}
}

// names has a policy that names the group.
func (e *edge) names(group string) {
	e.t.Helper()
	e.must(201, e.as("resource", "POST", "/projects", doc{"name": "shop"}))
	e.must(201, e.as("security", "POST", "/policies", doc{
		"name": "tier", "principals": doc{"groups": []string{group}},
		"rules": []doc{{"name": "read", "resource": doc{"folder": "shop"}, "privileges": []doc{{"type": "secret", "actions": []string{"reveal"}}}}},
	}))
}

// So does who makes it the owner of a resource, whom request types may ask.
func TestTheMembersOfAnOwningGroupAreAnOwnersToSay(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("security", "POST", "/groups", doc{"name": "dba"}))
	e.must(201, e.as("resource", "POST", "/projects", doc{"name": "shop"}))
	server := doc{"name": "db1", "project": "shop", "address": "db1.example.com", "owner": doc{"group": "dba"}, "accounts": []doc{{"name": "admin", "username": "admin", "kind": "vaulted"}}}
	e.must(201, e.as("resource", "POST", "/servers", server))
	if r := e.as("security", "POST", "/groups/dba/members", doc{"person": "alice"}); r.Status != 403 || r.text("code") != "role.missing" {
		t.Errorf("while it owns a server: got %d %s", r.Status, r.Raw)
	}
	e.must(201, e.as("owner", "POST", "/groups/dba/members", doc{"person": "dana"}))
	e.must(204, e.as("resource", "DELETE", "/servers/db1", nil, "If-Match", `"1"`))
	e.must(201, e.as("security", "POST", "/groups/dba/members", doc{"person": "alice"}))
}

// Ways to get a role or a membership that one should not get.
func TestNobodyGetsMoreByATrick(t *testing.T) {
	e := newEdge(t)
	e.tokens["owner2"] = e.Token("owner2", domain.Owner)
	e.must(201, e.as("security", "POST", "/groups", doc{"name": "plain"}))
	e.must(201, e.as("owner", "POST", "/groups", doc{"name": "admins", "roles": []string{"security_admin"}}))
	e.must(201, e.as("owner2", "POST", "/groups/plain/members", doc{"person": "owner"}))
	e.must(201, e.as("owner", "POST", "/groups/admins/members", doc{"person": "owner2", "until": e.Now().Add(time.Hour)}))
	e.must(201, e.as("owner", "POST", "/groups", doc{"name": "gone", "roles": []string{"owner"}}))
	e.must(204, e.as("owner", "DELETE", "/groups/gone", nil, "If-Match", `"1"`))
	at := e.Last()
	for _, tt := range []struct {
		name, person, method, path string
		body                       doc
		headers                    []string
		status                     int
	}{
		{"a security admin joins a plain group, to name it in a policy later", "security", "POST", "/groups/plain/members", doc{"person": "security"}, nil, 403},
		{"an owner joins a group that lends roles", "owner", "POST", "/groups/admins/members", doc{"person": "owner"}, nil, 403},
		{"an owner joins by another spelling", "owner", "POST", "/groups/admins/members", doc{"person": "Owner"}, nil, 422},
		{"an owner joins with a member twice", "owner", "POST", "/groups/admins/members", nil, nil, 422},
		{"an owner prolongs their own membership", "owner2", "POST", "/groups/admins/members", doc{"person": "owner2"}, nil, 403},
		{"an owner ends it, to be added for good by nobody", "owner2", "DELETE", "/groups/admins/members/owner2", nil, nil, 403},
		{"an owner lends a role to a group that they are in", "owner", "PUT", "/groups/plain", doc{"roles": []string{"security_admin"}}, []string{"If-Match", `"1"`}, 403},
		{"an owner lends another role to a group that they are in", "owner2", "PUT", "/groups/admins", doc{"roles": []string{"security_admin", "devops_admin"}}, []string{"If-Match", `"1"`}, 403},
		{"a deleted group that lent owner comes back", "owner", "POST", "/groups", doc{"name": "gone"}, nil, 409},
		{"a security admin makes a group that lends roles", "security", "POST", "/groups", doc{"name": "mine", "roles": []string{"auditor"}}, nil, 403},
		{"a security admin adds to a group that lends roles", "security2", "POST", "/groups/admins/members", doc{"person": "security"}, nil, 403},
		{"a security admin changes people", "security", "PUT", "/people/alice", doc{"roles": []string{"security_admin"}}, []string{"If-Match", `"1"`}, 403},
		{"somebody says they come from the identity provider", "owner", "POST", "/groups/admins/members", doc{"person": "alice", "source": "identity_provider"}, nil, 422},
		{"somebody says a request approved it", "security", "POST", "/groups/admins/members", doc{"person": "alice", "approved": "01KASE0000000000000000000R"}, nil, 403},
		{"a role is sent as what the server says", "owner", "PUT", "/people/owner", doc{"roles": []string{"owner"}, "effective_roles": []string{"owner", "security_admin"}}, []string{"If-Match", `"1"`}, 200},
		{"a member is sent as what the server says", "owner", "PUT", "/groups/admins", doc{"roles": []string{"security_admin"}, "members": []string{"owner"}}, []string{"If-Match", `"1"`}, 200},
		{"a version that is any", "owner2", "PUT", "/groups/plain", doc{"roles": []string{"security_admin"}}, []string{"If-Match", "*"}, 422},
	} {
		var body any = tt.body
		if tt.body == nil && tt.method == "POST" {
			body = `{"person":"alice","person":"owner"}`
		}
		if r := e.as(tt.person, tt.method, tt.path, body, tt.headers...); r.Status != tt.status {
			t.Errorf("%s: got %d %s", tt.name, r.Status, r.Raw)
		}
	}
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("that recorded %v", types)
	}
}

// A write that was done is not done again under its key, whatever happened since.
func TestAMemberWhoWasTakenOutDoesNotComeBackByARepetition(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("owner", "POST", "/groups", doc{"name": "night"}))
	add := func() reply {
		return e.as("owner", "POST", "/groups/night/members", doc{"person": "alice"}, "Idempotency-Key", "once")
	}
	e.must(201, add())
	e.must(204, e.as("owner", "DELETE", "/groups/night/members/alice", nil))
	at := e.Last()
	if r := add(); r.Status != 404 || r.text("code") != "group.member_not_found" {
		t.Errorf("got %d %s", r.Status, r.Raw)
	}
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("that recorded %v", types)
	}
}

func TestALongDescriptionIsRefused(t *testing.T) {
	e := newEdge(t)
	r := e.as("owner", "POST", "/groups", doc{"name": "night", "description": strings.Repeat("a", 1001), "roles": []string{"member"}})
	if r.Status != 422 || !slices.Equal(r.pointers(), []string{"/description too_long", "/roles/0 role.unknown"}) {
		t.Errorf("got %d %v", r.Status, r.pointers())
	}
}
