package admin_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/domain"
	ident "sallyport.dev/domain/identity"
	"sallyport.dev/handlers/admin"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

// withProviders is an edge whose people sign in at one provider, beside one that is
// another organisation's.
func withProviders(t *testing.T) *edge {
	t.Helper()
	ps, err := signin.New(signin.Options{Providers: []signin.Settings{
		{Name: "okta", Issuer: okta.Issuer, ClientID: "console"},
		{Name: "theirs", Issuer: "https://other.example.com", ClientID: "console", Organisations: []domain.Name{"another"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return newEdgeWith(t, admin.Options{SignIn: ps})
}

// comes has somebody sign in with an account.
func (e *edge) comes(t *testing.T, who domain.Name, a ident.Account) {
	t.Helper()
	m := domain.Meta{Actor: signin.Actor(), Now: e.Now()}
	if _, err := e.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) {
		return ident.Decide(s.Identities(), ident.Link{Person: who, Account: a}, m)
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAPersonIsAddedWithTheirAccount(t *testing.T) {
	e := withProviders(t)
	const post, put, get, del = "POST", "PUT", "GET", "DELETE"
	const list, one = "/people", "/people/carol"
	account := doc{"issuer": okta.Issuer, "subject": okta.Subject}
	other := doc{"issuer": okta.Issuer, "subject": "00u2"}
	of := func(name string, a doc) doc {
		d := doc{"name": name, "roles": []string{"member"}}
		if a != nil {
			d["account"] = a
		}
		return d
	}
	changed := func(a, with doc) doc {
		b := maps.Clone(a)
		maps.Copy(b, with)
		return b
	}
	e.run(t, []step{
		{"nobody but an owner", "security", post, list, of("carol", account), "", 403, "role.missing", "", nil, nil},
		{"an issuer that is no provider's", "owner", post, list, of("carol", changed(account, doc{"issuer": "https://login.example.com/"})), "", 422, "request.invalid", "", nil, nil},
		{"one of another organisation", "owner", post, list, of("carol", changed(account, doc{"issuer": "https://other.example.com"})), "", 422, "request.invalid", "", nil, nil},
		{"an owner says who it is", "owner", post, list, of("carol", account), "", 201, "", "", []string{"person.added", "person.identity_invited"}, doc{"account": account, "accounts": []any{}, "version": 2.0}},
		{"again is nothing", "owner", post, list, of("carol", account), "", 201, "", "", nil, doc{"version": 2.0}},
		{"somebody else says otherwise", "owner", post, list, of("carol", other), "", 409, "person.taken", "", nil, nil},
		{"or leaves it out", "owner", post, list, of("carol", nil), "", 409, "person.taken", "", nil, nil},
		{"an auditor is not told", "auditor", get, one, nil, "", 200, "", "", nil, doc{"account": nil, "version": 2.0}},
		{"one account is two people's", "owner", post, list, of("dave", account), "", 409, "identity.taken", "", nil, nil},
		{"another account in its place", "owner", put, one, of("carol", other), `"2"`, 200, "", "", []string{"person.identity_invited"}, doc{"account": other, "version": 3.0}},
		{"as who did not see that says", "owner", put, one, of("carol", account), `"2"`, 412, "version.stale", "version 3", nil, nil},
		{"none", "owner", put, one, of("carol", nil), `"3"`, 200, "", "", []string{"person.identity_uninvited"}, doc{"account": nil, "version": 4.0}},
		{"and one once more", "owner", put, one, of("carol", account), `"4"`, 200, "", "", []string{"person.identity_invited"}, doc{"account": account, "version": 5.0}},
	})
	e.t = t
	e.comes(t, "carol", okta)
	e.run(t, []step{
		{"who came has it among their accounts", "owner", get, one, nil, "", 200, "", "", nil, doc{"account": nil, "accounts": []any{account}, "version": 5.0}},
		{"the same document is nothing", "owner", put, one, of("carol", account), `"5"`, 200, "", "", nil, nil},
		{"nor is one without it", "owner", put, one, of("carol", nil), `"5"`, 200, "", "", nil, nil},
		{"nobody says that they are another", "owner", put, one, of("carol", other), `"5"`, 409, "invitation.proved", "", nil, nil},
		{"the account is nobody else's", "owner", post, list, of("dave", account), "", 409, "identity.taken", "", nil, nil},
		{"erin is to come", "owner", post, list, of("erin", other), "", 201, "", "", []string{"person.added", "person.identity_invited"}, nil},
		{"and is removed", "owner", del, "/people/erin", nil, `"2"`, 204, "", "", []string{"person.removed", "person.identity_uninvited"}, nil},
		{"so that the account is free", "owner", post, list, of("frank", other), "", 201, "", "", []string{"person.added", "person.identity_invited"}, nil},
	})
}

func TestWhatIsNoAccountIsRefusedByItsField(t *testing.T) {
	e := withProviders(t)
	for name, tt := range map[string]struct {
		account any
		want    string
	}{
		"an unknown member":        {doc{"issuer": okta.Issuer, "subject": "1", "email": "x"}, "/account/email field.unknown"},
		"no subject":               {doc{"issuer": okta.Issuer}, "/account/subject account.invalid"},
		"a subject with a newline": {doc{"issuer": okta.Issuer, "subject": "1\n"}, "/account/subject account.invalid"},
		"a number":                 {doc{"issuer": okta.Issuer, "subject": 1}, "/account/subject field.type"},
		"no issuer":                {doc{"subject": "1"}, "/account/issuer account.invalid"},
		"an issuer of nobody":      {doc{"issuer": "https://evil.example.com", "subject": "1"}, "/account/issuer account.provider"},
		"a text":                   {"okta", "/account field.type"},
	} {
		r := e.as("owner", "POST", "/people", doc{"name": "carol", "roles": []string{"member"}, "account": tt.account})
		if r.Status != 422 || !slices.Contains(r.pointers(), tt.want) {
			t.Errorf("%s: got %d %v, want %s", name, r.Status, r.pointers(), tt.want)
		}
	}
}

func TestTheAccountOfWhoWasRemovedStaysOut(t *testing.T) {
	e := withProviders(t)
	account := doc{"issuer": okta.Issuer, "subject": okta.Subject}
	e.comes(t, "alice", okta)
	again := doc{"name": "alice-2", "roles": []string{"member"}, "account": account}
	if r := e.as("owner", "POST", "/people", again); r.Status != 409 || strings.Contains(r.Raw, "removed") {
		t.Errorf("somebody's account: %d %s", r.Status, r.Raw)
	}
	r := e.must(200, e.as("owner", "GET", "/people/alice", nil))
	e.must(204, e.as("owner", "DELETE", "/people/alice", nil, "If-Match", r.Header.Get("ETag")))
	if r := e.as("owner", "POST", "/people", again); r.Status != 409 || !strings.Contains(r.Raw, "that of alice, who was removed") {
		t.Errorf("the account of who was removed: %d %s", r.Status, r.Raw)
	}
}

// A provider that was taken out of the configuration makes no document of a person
// unwritable; nothing new is said with it.
func TestAnAccountOfAProviderThatIsGoneStays(t *testing.T) {
	e := newEdge(t)
	m := e.Meta("owner", domain.Owner)
	if _, err := e.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) {
		return ident.Decide(s.Identities(), ident.InviteAccount{Person: "alice", Account: okta}, m)
	}); err != nil {
		t.Fatal(err)
	}
	r := e.must(200, e.as("owner", "GET", "/people/alice", nil))
	r.Body["email"] = "alice@example.com"
	r = e.must(200, e.as("owner", "PUT", "/people/alice", r.Body, "If-Match", r.Header.Get("ETag")))
	if r.Body["account"] == nil {
		t.Error("the account is not said any more")
	}
	r.Body["account"] = doc{"issuer": okta.Issuer, "subject": "another"}
	if r := e.as("owner", "PUT", "/people/alice", r.Body, "If-Match", r.Header.Get("ETag")); r.Status != 422 {
		t.Errorf("another account there: %d %s", r.Status, r.Raw)
	}
}
