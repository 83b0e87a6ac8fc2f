package signin_test

import (
	"errors"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

const issuer = "https://login.example.com"

// house has people: carol and dana with an address each, two who share one, and
// one who was removed after signing in.
func house(t *testing.T) *orgtest.World {
	t.Helper()
	w := orgtest.New(t)
	do := func(f func(s *control.State, m domain.Meta) ([]domain.Fact, error)) {
		m := domain.Meta{Actor: signin.Actor(), Now: w.Now()}
		if _, err := w.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) { return f(s, m) }); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []person.Add{
		{Name: "carol", Email: "Carol@Example.com"}, {Name: "dana", Email: "dana@example.com"}, {Name: "erin"}, {Name: "gone", Email: "gone@example.com"},
		{Name: "twin-a", Email: "twins@example.com"}, {Name: "twin-b", Email: "twins@example.com"}, {Name: "kim", Email: "kim@example.com"},
	} {
		p.Roles = []domain.Role{domain.Member}
		do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) { return person.Decide(s.People(), p, m) })
	}
	for who, sub := range map[domain.Name]string{"dana": "d", "gone": "g"} {
		do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return identity.Decide(s.Identities(), identity.Link{Person: who, Account: identity.Account{Issuer: issuer, Subject: sub}}, m)
		})
	}
	do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return person.Decide(s.People(), person.Remove{Name: "gone", Version: 1}, m)
	})
	do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return group.Decide(s.Groups(), group.Create{Name: "staff"}, m)
	})
	return w
}

func TestWhoSomebodyIsHere(t *testing.T) {
	w := house(t)
	account := func(sub string) identity.Account { return identity.Account{Issuer: issuer, Subject: sub} }
	create := func(s *signin.Settings) { s.Create = true }
	for _, tt := range []struct {
		name   string
		proof  signin.Proof
		change func(*signin.Settings)
		who    domain.Name
		events string
		err    error
	}{
		{name: "an account that is linked", proof: signin.Proof{Account: account("d")}, who: "dana"},
		{name: "whatever address it has now", proof: signin.Proof{Account: account("d"), Email: "carol@example.com"}, who: "dana"},
		{name: "somebody invited by their address", proof: signin.Proof{Account: account("c"), Email: "carol@example.com"}, who: "carol", events: "person.identity_linked"},
		{name: "an address that nobody has", proof: signin.Proof{Account: account("x"), Email: "x@example.com"}, err: signin.ErrUnknown},
		{name: "no address", proof: signin.Proof{Account: account("x")}, err: signin.ErrUnknown},
		{name: "no address, as erin has none", proof: signin.Proof{Account: account("x"), Username: "erin"}, err: signin.ErrUnknown},
		{name: "an address of who has an account already", proof: signin.Proof{Account: account("x"), Email: "dana@example.com"}, err: signin.ErrTaken},
		{name: "nor is a member made of that", proof: signin.Proof{Account: account("x"), Email: "dana@example.com", Name: "dana2"}, change: create, err: signin.ErrTaken},
		{name: "the same subject of another issuer", proof: signin.Proof{Account: identity.Account{Issuer: "https://other.example.com", Subject: "d"}}, err: signin.ErrUnknown},
		{name: "an address that two have", proof: signin.Proof{Account: account("x"), Email: "twins@example.com"}, err: signin.ErrTaken},
		{name: "a letter that only looks the same", proof: signin.Proof{Account: account("x"), Email: "\u212aim@example.com"}, err: signin.ErrUnknown},
		{name: "who was removed", proof: signin.Proof{Account: account("g"), Email: "gone@example.com"}, err: signin.ErrUnknown},
		{name: "who was removed is not made again", proof: signin.Proof{Account: account("g"), Email: "gone@example.com", Name: "gone"}, change: create, err: signin.ErrUnknown},
		{name: "their name is given to nobody", proof: signin.Proof{Account: account("x"), Name: "gone"}, change: create, err: signin.ErrTaken},
		{name: "a member is made", proof: signin.Proof{Account: account("x"), Name: "Frank.Meier@example.com", Email: "frank@example.com"}, change: create, who: "frank-meier", events: "person.added person.identity_linked"},
		{name: "a taken name is not merged", proof: signin.Proof{Account: account("x"), Name: "carol"}, change: create, err: signin.ErrTaken},
		{name: "nor one that becomes it", proof: signin.Proof{Account: account("x"), Name: "CAROL@evil.example.com"}, change: create, err: signin.ErrTaken},
		{name: "not even one with nothing but the name", proof: signin.Proof{Account: account("x"), Name: "erin"}, change: create, err: signin.ErrTaken},
		{name: "a name of ours", proof: signin.Proof{Account: account("x"), Name: "system"}, change: create, err: signin.ErrTaken},
		{name: "a name that is none", proof: signin.Proof{Account: account("x"), Name: "\u202e漢"}, change: create, err: signin.ErrUnknown},
		{name: "no name", proof: signin.Proof{Account: account("x")}, change: create, err: signin.ErrUnknown},
		{name: "a name is not who they are", proof: signin.Proof{Account: account("x"), Username: "carol", Name: "carol"}, err: signin.ErrUnknown},
		{name: "groups of theirs that are ours", proof: signin.Proof{Account: account("d"), Groups: []string{"Staff", "staff", "Nowhere", "Other"}},
			change: func(s *signin.Settings) {
				s.GroupsClaim, s.Groups = "groups", map[string]domain.Name{"Staff": "staff", "Nowhere": "nowhere"}
			}, who: "dana", events: "group.member_added"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := signin.Settings{Name: "okta", Issuer: issuer, ClientID: "console"}
			if tt.change != nil {
				tt.change(&s)
			}
			ps, err := signin.New(signin.Options{Providers: []signin.Settings{s}})
			if err != nil {
				t.Fatal(err)
			}
			var who domain.Name
			var facts []domain.Fact
			w.Read(func(s *control.State, _ domain.Head) {
				who, facts, err = ps.Find("acme", "okta").Decide(s, tt.proof, domain.Meta{Actor: signin.Actor(), Now: w.Now()})
			})
			var types []string
			for _, f := range facts {
				types = append(types, f.Event.EventType())
			}
			if who != tt.who || !errors.Is(err, tt.err) || strings.Join(types, " ") != tt.events {
				t.Errorf("got %q, %v, %v", who, types, err)
			}
		})
	}
}

// An owner takes accounts away, and writes addresses; who does both to somebody
// does not become them, and what was taken does not come back by itself.
func TestWhatWasTakenDoesNotComeBackByItself(t *testing.T) {
	const create, none = true, false
	theirs, another := identity.Account{Issuer: issuer, Subject: "d"}, identity.Account{Issuer: issuer, Subject: "mallory"}
	unlink := func(mayReturn bool) func(*control.State, domain.Meta) ([]domain.Fact, error) {
		return func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return identity.Decide(s.Identities(), identity.Unlink{Person: "dana", Account: theirs, MayReturn: mayReturn}, m)
		}
	}
	address := func(who domain.Name, email string) func(*control.State, domain.Meta) ([]domain.Fact, error) {
		return func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			p, _ := s.Person(who)
			return person.Decide(s.People(), person.Edit{Name: who, Version: p.Version, Roles: p.Roles, Email: email, Manager: p.Manager}, m)
		}
	}
	remove := func(who domain.Name) func(*control.State, domain.Meta) ([]domain.Fact, error) {
		return func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			p, _ := s.Person(who)
			return person.Decide(s.People(), person.Remove{Name: who, Version: p.Version}, m)
		}
	}
	passkey := func(who domain.Name) func(*control.State, domain.Meta) ([]domain.Fact, error) {
		return func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return identity.Decide(s.Identities(), identity.RegisterPasskey{Person: who, ID: "AQ", Name: "laptop", PublicKey: "AQ"}, m)
		}
	}
	invite := func(who domain.Name, a identity.Account) func(*control.State, domain.Meta) ([]domain.Fact, error) {
		return func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return identity.Decide(s.Identities(), identity.InviteAccount{Person: who, Account: a}, m)
		}
	}
	type act struct {
		by domain.Name
		do func(*control.State, domain.Meta) ([]domain.Fact, error)
	}
	for name, tt := range map[string]struct {
		done   []act
		proof  signin.Proof
		create bool
		who    domain.Name
		err    error
	}{
		"the account itself":                                      {[]act{{"olga", unlink(false)}}, signin.Proof{Account: theirs, Email: "dana@example.com"}, none, "", identity.ErrUnlinked},
		"nor as somebody new":                                     {[]act{{"olga", unlink(false)}}, signin.Proof{Account: theirs, Name: "dana-2"}, create, "", identity.ErrUnlinked},
		"it may be whom an owner invites":                         {[]act{{"olga", unlink(false)}}, signin.Proof{Account: theirs, Email: "kim@example.com"}, none, "kim", nil},
		"it may return where that was said":                       {[]act{{"olga", unlink(true)}}, signin.Proof{Account: theirs, Email: "dana@example.com"}, none, "dana", nil},
		"and also where it was said later":                        {[]act{{"olga", unlink(false)}, {"olga", unlink(true)}}, signin.Proof{Account: theirs, Email: "dana@example.com"}, none, "dana", nil},
		"by an address that it was given":                         {[]act{{"olga", unlink(true)}, {"olga", address("dana", "d@example.com")}}, signin.Proof{Account: theirs, Email: "d@example.com"}, none, "dana", nil},
		"a new account by the address":                            {[]act{{"olga", unlink(false)}}, signin.Proof{Account: another, Email: "dana@example.com"}, none, "dana", nil},
		"an owner's account by what they wrote":                   {[]act{{"olga", unlink(false)}, {"olga", address("dana", "m@example.com")}}, signin.Proof{Account: another, Email: "m@example.com"}, none, "", identity.ErrUnlinked},
		"nor if they wrote it before":                             {[]act{{"olga", address("dana", "m@example.com")}, {"olga", unlink(false)}}, signin.Proof{Account: another, Email: "m@example.com"}, none, "", identity.ErrUnlinked},
		"nor if it may return":                                    {[]act{{"olga", address("dana", "m@example.com")}, {"olga", unlink(true)}}, signin.Proof{Account: another, Email: "m@example.com"}, none, "", identity.ErrUnlinked},
		"nor once another unlinked it again":                      {[]act{{"olga", address("dana", "m@example.com")}, {"olga", unlink(false)}, {"otto", unlink(true)}}, signin.Proof{Account: another, Email: "m@example.com"}, none, "", identity.ErrUnlinked},
		"nor by another's change of their roles":                  {[]act{{"olga", address("dana", "m@example.com")}, {"otto", address("dana", "m@example.com")}, {"olga", unlink(false)}}, signin.Proof{Account: another, Email: "m@example.com"}, none, "", identity.ErrUnlinked},
		"an owner's account as who has a passkey alone":           {[]act{{"kim", passkey("kim")}, {"olga", address("kim", "m@example.com")}}, signin.Proof{Account: another, Email: "m@example.com"}, none, "", signin.ErrTaken},
		"nor by the address that they were added with":            {[]act{{"kim", passkey("kim")}}, signin.Proof{Account: another, Email: "kim@example.com"}, none, "", signin.ErrTaken},
		"nor as somebody new then":                                {[]act{{"kim", passkey("kim")}}, signin.Proof{Account: another, Email: "kim@example.com", Name: "kim-2"}, create, "", signin.ErrTaken},
		"an owner's account as who was added and not come":        {[]act{{"olga", address("kim", "m@example.com")}}, signin.Proof{Account: another, Email: "m@example.com"}, none, "", signin.ErrTaken},
		"nor as who was added without an address":                 {[]act{{"olga", address("erin", "m@example.com")}}, signin.Proof{Account: another, Email: "m@example.com"}, none, "", signin.ErrTaken},
		"who was added is invited again by the same":              {[]act{{"olga", address("kim", "m@example.com")}, {"otto", address("kim", "kim@example.com")}}, signin.Proof{Account: another, Email: "kim@example.com"}, none, "kim", nil},
		"nor by what another owner wrote, who has a passkey left": {[]act{{"dana", passkey("dana")}, {"olga", unlink(false)}, {"otto", address("dana", "new@example.com")}}, signin.Proof{Account: another, Email: "new@example.com"}, none, "", signin.ErrTaken},
		"nor once they took that away": {[]act{{"dana", passkey("dana")}, {"otto", unlink(false)}, {"olga", func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return identity.Decide(s.Identities(), identity.RemovePasskey{Person: "dana", ID: "AQ"}, m)
		}}, {"olga", address("dana", "m@example.com")}}, signin.Proof{Account: another, Email: "m@example.com"}, none, "", identity.ErrUnlinked},
		"whom an owner named the account of":              {[]act{{"olga", invite("erin", another)}}, signin.Proof{Account: another}, none, "erin", nil},
		"whatever address it has":                         {[]act{{"olga", invite("erin", another)}}, signin.Proof{Account: another, Email: "kim@example.com"}, none, "erin", nil},
		"and nobody new is made of it":                    {[]act{{"olga", invite("erin", another)}}, signin.Proof{Account: another, Name: "mallory"}, create, "erin", nil},
		"who is to come with it comes with no other":      {[]act{{"olga", invite("kim", another)}}, signin.Proof{Account: identity.Account{Issuer: issuer, Subject: "k"}, Email: "kim@example.com"}, none, "", signin.ErrTaken},
		"the same subject of another issuer":              {[]act{{"olga", invite("erin", identity.Account{Issuer: "https://other.example.com", Subject: "mallory"})}}, signin.Proof{Account: another}, none, "", signin.ErrUnknown},
		"an account that was named and taken back":        {[]act{{"olga", invite("erin", another)}, {"otto", invite("erin", identity.Account{})}}, signin.Proof{Account: another}, none, "", signin.ErrUnknown},
		"of who came otherwise meanwhile":                 {[]act{{"olga", invite("kim", another)}, {"kim", passkey("kim")}}, signin.Proof{Account: another}, none, "", signin.ErrUnknown},
		"of who was removed":                              {[]act{{"olga", invite("erin", another)}, {"olga", remove("erin")}}, signin.Proof{Account: another}, none, "", signin.ErrUnknown},
		"an account that another owner named":             {[]act{{"olga", unlink(false)}, {"otto", invite("dana", another)}}, signin.Proof{Account: another}, none, "dana", nil},
		"and not once they took something themself":       {[]act{{"olga", unlink(false)}, {"otto", invite("dana", another)}, {"otto", unlink(true)}}, signin.Proof{Account: another}, none, "", signin.ErrUnknown},
		"the account itself by name, where it may return": {[]act{{"olga", unlink(true)}, {"olga", invite("dana", theirs)}}, signin.Proof{Account: theirs}, none, "dana", nil},
		"what another owner wrote is as good":             {[]act{{"olga", unlink(false)}, {"otto", address("dana", "new@example.com")}}, signin.Proof{Account: another, Email: "new@example.com"}, none, "dana", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := house(t)
			for _, a := range tt.done {
				m := w.Meta(a.by.String(), domain.Owner)
				if _, err := w.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) { return a.do(s, m) }); err != nil {
					t.Fatal(err)
				}
			}
			ps, err := signin.New(signin.Options{Providers: []signin.Settings{{Name: "okta", Issuer: issuer, ClientID: "console", Create: tt.create}}})
			if err != nil {
				t.Fatal(err)
			}
			var who domain.Name
			w.Read(func(s *control.State, _ domain.Head) {
				who, _, err = ps.Find("acme", "okta").Decide(s, tt.proof, domain.Meta{Actor: signin.Actor(), Now: w.Now()})
			})
			if who != tt.who || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v, want %q, %v", who, err, tt.who, tt.err)
			}
		})
	}
}

// Who makes themself known by a provider's word takes no name that others gave power to.
func TestNobodyTakesANameThatIsTrustedAlready(t *testing.T) {
	w := house(t)
	do := func(f func(s *control.State, m domain.Meta) ([]domain.Fact, error)) {
		t.Helper()
		m := domain.Meta{Actor: signin.Actor(), Now: w.Now()}
		if _, err := w.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) { return f(s, m) }); err != nil {
			t.Fatal(err)
		}
	}
	rita := domain.Actor{ID: "rita", Roles: []domain.Role{domain.ResourceAdmin}}
	step := func(to request.Approvers, then *request.Escalation) func(*control.State, domain.Meta) ([]domain.Fact, error) {
		return func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			spec := request.Spec{Kind: request.ForAccess, Steps: []request.Step{{Name: "lead", Approvers: to, Escalate: then}}}
			return request.Decide(s.Requests(), request.DraftType{Name: domain.Name("of-" + to.People[0].String()), Spec: spec}, m)
		}
	}
	do(step(request.Approvers{People: []domain.Name{"approver"}}, nil))
	do(step(request.Approvers{People: []domain.Name{"dana"}}, &request.Escalation{AfterSeconds: 60, To: request.Approvers{People: []domain.Name{"later"}}}))
	do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		m.Actor = rita
		return resource.Decide(s.Resources(), resource.CreateProject{Name: "shop"}, m)
	})
	do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		m.Actor = rita
		return resource.Decide(s.Resources(), resource.CreateSecret{Path: "shop/key", Spec: resource.SecretSpec{Project: "shop", Owner: resource.Owner{Person: "answers"}}}, m)
	})
	ps, err := signin.New(signin.Options{Providers: []signin.Settings{{Name: "okta", Issuer: issuer, ClientID: "console", Create: true}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"approver@evil.example.com": signin.ErrTaken, "later": signin.ErrTaken, "Answers": signin.ErrTaken, "nobody-yet": nil} {
		w.Read(func(s *control.State, _ domain.Head) {
			who, _, err := ps.Find("acme", "okta").Decide(s, signin.Proof{Account: identity.Account{Issuer: issuer, Subject: "x"}, Name: name}, domain.Meta{Actor: signin.Actor(), Now: w.Now()})
			if !errors.Is(err, want) || (who == "") != (want != nil) {
				t.Errorf("%s: got %q, %v", name, who, err)
			}
		})
	}
}

// A name is trusted of the demo provider alone, which believes everybody.
func TestTheDemoProvidersPeopleAreOursByName(t *testing.T) {
	w := house(t)
	ps, err := signin.New(signin.Options{
		Providers: []signin.Settings{{Name: "demo", Issuer: "http://127.0.0.1:8421", ClientID: "sallyport", TrustNames: true}}, Gate: jose.Gate{LoopbackHTTP: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	for username, want := range map[string]domain.Name{"erin": "erin", "nobody": "", "Erin": "", "": ""} {
		w.Read(func(s *control.State, _ domain.Head) {
			who, _, _ := ps.Find("acme", "demo").Decide(s, signin.Proof{Account: identity.Account{Issuer: "http://127.0.0.1:8421", Subject: "demo-" + username}, Username: username}, domain.Meta{Actor: signin.Actor(), Now: w.Now()})
			if who != want {
				t.Errorf("%q is %q, want %q", username, who, want)
			}
		})
	}
}
