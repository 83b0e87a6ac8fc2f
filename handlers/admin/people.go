package admin

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
	ident "sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/session"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

// people is the routes of people. Only owners change them; tokens are made on the host.
func (h *Admin) people() []api.Route {
	return append(collection[personRequest, shownPerson]{
		org: h.org, path: "/people", member: "people", readers: readers, writers: owners, notFound: person.ErrNotFound,
		document: func(in *personRequest) *document { return &in.document },
		check:    checkPerson,
		all: func(c *api.Call, s *control.State) (all []shownPerson) {
			for _, p := range s.Everybody() {
				all = append(all, showPerson(s, p, c.Meta.Now))
			}
			return all
		},
		find: func(c *api.Call, s *control.State, n domain.Name) (shownPerson, uint64, bool) {
			p, ok := s.Person(n)
			shown := showPerson(s, p, c.Meta.Now)
			shown.proofs = showProofs(c, s, n)
			return shown, shown.Version, ok
		},
		create: h.addPerson, replace: h.editPerson, remove: removePerson,
	}.routes(), h.proofRoutes()...)
}

// isThere judges a call on a person who has to be there.
func (h *Admin) isThere(c *api.Call) (err error) {
	h.org.Read(func(s *control.State, _ domain.Head) {
		if _, known := s.Person(domain.Name(c.Param("name"))); !known {
			err = person.ErrNotFound
		}
	})
	return err
}

// signOut ends whatever a person is signed in by: what the log says, every replica
// holds. How much it was is told as far as it was there when it was asked.
func (h *Admin) signOut(c *api.Call, _ struct{}) (api.Answer, error) {
	who := domain.Name(c.Param("name"))
	all, err := h.org.Sessions().List(c.Context(), who)
	if err != nil {
		return api.Answer{}, err
	}
	var answer withdrawn
	pos, err := execute(h.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		standing, _ := session.Standing(s, all, m.Now)
		answer = withdrawn{len(standing), len(s.LetIn(who, m.Now))}
		return person.Decide(s.People(), person.SignOutEverywhere{Person: who}, m)
	})
	if err != nil {
		return api.Answer{}, err
	}
	var over []session.Session // when this is asked twice, they may have signed in again since the first time
	h.org.Read(func(s *control.State, _ domain.Head) { _, over = session.Standing(s, all, c.Meta.Now) })
	return api.Answer{Body: answer, Position: &pos}, h.org.Sessions().Revoke(c.Context(), over)
}

func (h *Admin) addPerson(s *control.State, n domain.Name, in personRequest, m domain.Meta) ([]domain.Fact, error) {
	facts, err := person.Decide(s.People(), person.Add{Name: n, Roles: in.Roles, Email: in.Email, Manager: domain.Name(in.Manager)}, m)
	if err != nil {
		return nil, err
	}
	invited, err := h.inviteAccount(s, n, in.Account, m)
	if err == nil && len(facts) == 0 && len(invited) > 0 {
		err = person.ErrTaken // they are there, and somebody has said otherwise
	}
	return append(facts, invited...), err
}

func (h *Admin) editPerson(s *control.State, n domain.Name, version uint64, in personRequest, m domain.Meta) ([]domain.Fact, error) {
	facts, err := person.Decide(s.People(), person.Edit{Name: n, Version: version - s.Identities().Invitations(n), Roles: in.Roles, Email: in.Email, Manager: domain.Name(in.Manager)}, m)
	if err != nil {
		return nil, err
	}
	invited, err := h.inviteAccount(s, n, in.Account, m)
	return append(facts, invited...), err
}

// removePerson ends a person, their memberships and what invites them in one commit.
func removePerson(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
	facts, err := person.Decide(s.People(), person.Remove{Name: n, Version: version - s.Identities().Invitations(n)}, m)
	if err != nil {
		return nil, err
	}
	uninvited, err := ident.Decide(s.Identities(), ident.InviteAccount{Person: n}, m)
	if err != nil {
		return nil, err
	}
	memberships, err := group.Decide(s.Groups(), group.RemovePerson{Person: n}, m)
	return slices.Concat(facts, uninvited, memberships), err
}

// inviteAccount says with which account at one of the organisation's providers a
// person signs in first; nil takes it back. One at a provider that is configured no
// more stays, and is not said anew.
func (h *Admin) inviteAccount(s *control.State, n domain.Name, a *ident.Account, m domain.Meta) ([]domain.Fact, error) {
	if a == nil {
		a = &ident.Account{}
	}
	facts, err := ident.Decide(s.Identities(), ident.InviteAccount{Person: n, Account: *a}, m)
	if of, linked := s.Identities().Person(*a); linked && errors.Is(err, ident.ErrLinked) {
		if _, there := s.Person(of); !there {
			return nil, ident.ErrLinked.With("This account was that of %s, who was removed, and whoever was removed stays out with it: name no account, and invite them by a link under their new name.", of)
		}
	}
	if err != nil || len(facts) == 0 || *a == (ident.Account{}) {
		return facts, err
	}
	if !slices.ContainsFunc(h.signIn.Of(h.org.Name()), func(p *signin.Provider) bool { return p.Issuer == a.Issuer }) {
		return nil, domain.ErrFields([]domain.FieldError{{Pointer: "/account/issuer", Code: "account.provider", Detail: "nobody signs in at this issuer here: take that of a configured provider, exactly as its discovery document says"}})
	}
	return facts, nil
}

// personRequest is a person as written.
type personRequest struct {
	document
	Roles   []domain.Role  `json:"roles"`
	Email   string         `json:"email"`
	Manager string         `json:"manager"`
	Account *ident.Account `json:"account"` // with which they sign in first

	ManagerMissing json.RawMessage `json:"manager_missing"`
	Groups         json.RawMessage `json:"groups"`
	EffectiveRoles json.RawMessage `json:"effective_roles"`
	Accounts       json.RawMessage `json:"accounts"`
	Unlinked       json.RawMessage `json:"unlinked"`
	Passkeys       json.RawMessage `json:"passkeys"`
}

func checkPerson(in *personRequest) (broken []domain.FieldError) {
	if len(in.Roles) == 0 {
		broken = append(broken, domain.FieldError{Pointer: "/roles", Code: person.ErrNoRole.Code, Detail: "a person bears at least one role; member is the least"})
	}
	for i, r := range in.Roles {
		if !slices.Contains(domain.Roles(), r) {
			broken = append(broken, domain.FieldError{Pointer: "/roles/" + strconv.Itoa(i), Code: person.ErrUnknownRole.Code, Detail: "a role is one of owner, devops_admin, security_admin, resource_admin, auditor and member"})
		}
	}
	if err := person.CheckEmail(in.Email); err != nil {
		broken = append(broken, domain.FieldError{Pointer: "/email", Code: "email.invalid", Detail: err.Error()})
	}
	if in.Account != nil {
		for _, e := range ident.CheckAccount(*in.Account) {
			e.Pointer = "/account" + e.Pointer
			broken = append(broken, e)
		}
	}
	if _, err := domain.ParseName(in.Manager); err != nil && in.Manager != "" {
		broken = append(broken, domain.FieldError{Pointer: "/manager", Code: "name.invalid", Detail: err.Error()})
	}
	return broken
}

// shownPerson is a person as answered.
type shownPerson struct {
	Name    domain.Name   `json:"name"`
	Roles   []domain.Role `json:"roles"`
	Email   string        `json:"email,omitempty"`
	Manager domain.Name   `json:"manager,omitempty"`
	// ManagerMissing is true where that person was removed: nobody decides as manager then.
	ManagerMissing bool `json:"manager_missing,omitempty"`
	bears
	*proofs // of one person, to them and to owners
	// Version counts what happened to the person, and with which account they were invited.
	Version   uint64    `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy string    `json:"updated_by"`
}

// bears is what a person is in and may, at one moment.
type bears struct {
	Groups         []shownMembership `json:"groups"`
	EffectiveRoles []domain.Role     `json:"effective_roles"` // their own, and those that groups lend them
}

// shownMembership is a group as seen from one of its members.
type shownMembership struct {
	Group domain.Name `json:"group"`
	Until time.Time   `json:"until,omitzero"` // absent of a standing membership
}

func showPerson(s *control.State, p person.Person, now time.Time) shownPerson {
	_, managed := s.Person(p.Manager)
	return shownPerson{
		Name: p.Name, Roles: orEmpty(p.Roles), Email: p.Email, Manager: p.Manager, ManagerMissing: p.Manager != "" && !managed,
		bears: bearsNow(s, p.Name, now), Version: p.Version + s.Identities().Invitations(p.Name),
		CreatedAt: p.AddedAt, CreatedBy: p.AddedBy, UpdatedAt: p.UpdatedAt, UpdatedBy: p.UpdatedBy,
	}
}

func bearsNow(s *control.State, n domain.Name, now time.Time) bears {
	b := bears{Groups: []shownMembership{}, EffectiveRoles: orEmpty(s.EffectiveRoles(n, now))}
	now = s.Later(now)
	for _, g := range s.Groups().Of(n, now) {
		m, _ := s.Groups().Member(g, n, now)
		b.Groups = append(b.Groups, shownMembership{g, m.Until})
	}
	return b
}
