package admin

import (
	"net/http"
	"time"

	"sallyport.dev/domain"
	ident "sallyport.dev/domain/identity"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

// What people prove with who they are. It is theirs: owners take it away, and give
// nobody any, but for a link by which who never had any makes their own.

func (h *Admin) proofRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodPost, Path: "/people/:name/sign-out", Roles: owners, Serve: api.Write(h.isThere, nil, h.signOut)},
		{Method: http.MethodPost, Path: "/people/:name/invite", Roles: owners, Proved: true, Serve: api.Write(h.isThere, nil, h.invite)},
		{Method: http.MethodPost, Path: "/people/:name/unlink", Roles: owners, Proved: true, Serve: api.Write(h.isThere, checkUnlink, h.unlink)},
		{Method: http.MethodDelete, Path: "/people/:name/passkeys/:id", Roles: owners, Proved: true, Serve: api.Write(h.isThere, nil, h.removePasskey)},
	}
}

// proofs is what somebody proves with who they are, as they and owners see it.
type proofs struct {
	Account  *ident.Account  `json:"account,omitempty"` // with which they are to sign in first
	Accounts []ident.Account `json:"accounts"`
	Unlinked []unlinked      `json:"unlinked"` // accounts that were taken from them
	Passkeys []shownPasskey  `json:"passkeys"`
}

type unlinked struct {
	ident.Account
	MayReturn bool `json:"may_return"`
}

type shownPasskey struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Synced       bool      `json:"synced"`
	RegisteredAt time.Time `json:"registered_at"`
	UsedAt       time.Time `json:"used_at,omitzero"` // absent where it never was
}

// showProofs is nil to who may not see them.
func showProofs(c *api.Call, s *control.State, n domain.Name) *proofs {
	if c.Meta.Actor.ID != n.String() && !c.Meta.Actor.Has(domain.Owner) {
		return nil
	}
	of := s.Identities()
	p := &proofs{Accounts: orEmpty(of.Accounts(n)), Unlinked: []unlinked{}, Passkeys: []shownPasskey{}}
	if invited, is := of.InvitedAccount(n); is {
		p.Account = &invited
	}
	for _, u := range of.Unlinked(n) {
		p.Unlinked = append(p.Unlinked, unlinked(u))
	}
	for _, k := range of.Passkeys(n) {
		p.Passkeys = append(p.Passkeys, shownPasskey{k.ID, k.Name, k.Synced, k.RegisteredAt, k.UsedAt})
	}
	return p
}

// invitation is a link by which somebody registers their first passkey, the only time
// it is seen.
type invitation struct {
	ID        string      `json:"id"`
	Person    domain.Name `json:"person"`
	Link      string      `json:"link"` // a secret
	ExpiresAt time.Time   `json:"expires_at"`
}

// errShownOnce is told to who repeats the making of something that is shown once.
var errShownOnce = &domain.Error{Kind: domain.KindConflict, Code: "invitation.shown",
	Message: "This was done before, and the link is shown once: invite them again, under another Idempotency-Key."}

func (h *Admin) invite(c *api.Call, _ struct{}) (api.Answer, error) {
	made := organisation.NewInvitation(domain.Name(c.Param("name")), c.Meta.Now)
	link, err := h.org.InvitationLink(made)
	if err != nil {
		return api.Answer{}, err
	}
	decided := false
	pos, err := execute(h.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		decided = true
		return made.Invite(s, m)
	})
	if err == nil && !decided {
		err = errShownOnce
	}
	return api.Answer{Status: http.StatusCreated, Body: invitation{made.ID, made.Person, link, made.ExpiresAt}, Position: &pos}, err
}

type unlinkRequest struct {
	Issuer    string `json:"issuer"`
	Subject   string `json:"subject"`
	MayReturn bool   `json:"may_return"`
}

func checkUnlink(in *unlinkRequest) (broken []domain.FieldError) {
	for pointer, text := range map[string]string{"/issuer": in.Issuer, "/subject": in.Subject} {
		if text == "" || len(text) > maxAccount {
			broken = append(broken, domain.FieldError{Pointer: pointer, Code: "field.required", Detail: "issuer and subject are those of an account, as the person is answered"})
		}
	}
	return broken
}

// maxAccount bounds issuer and subject, in bytes.
const maxAccount = 2048

func (h *Admin) unlink(c *api.Call, in unlinkRequest) (api.Answer, error) {
	account := ident.Account{Issuer: in.Issuer, Subject: in.Subject}
	return h.withdraw(c, session.Proof{Account: account}, ident.Unlink{Person: domain.Name(c.Param("name")), Account: account, MayReturn: in.MayReturn})
}

func (h *Admin) removePasskey(c *api.Call, _ struct{}) (api.Answer, error) {
	id := c.Param("id")
	return h.withdraw(c, session.Proof{Passkey: id}, ident.RemovePasskey{Person: domain.Name(c.Param("name")), ID: id})
}

// withdrawn is how much ended at once.
type withdrawn struct {
	Sessions int `json:"sessions"` // that were ended
	Tokens   int `json:"tokens"`   // of programs that they had let in
}

// withdraw takes a proof from a person, and ends what rests on it: that is recorded
// with it. What begins meanwhile opens nothing, since its proof is gone.
func (h *Admin) withdraw(c *api.Call, proof session.Proof, command ident.Command) (api.Answer, error) {
	who := domain.Name(c.Param("name"))
	all, err := h.org.Sessions().List(c.Context(), who)
	if err != nil {
		return api.Answer{}, err
	}
	var answer withdrawn
	ended := session.Begun(proof, all)
	pos, err := execute(h.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		facts, err := ident.Decide(s.Identities(), command, m)
		if err != nil || len(facts) == 0 {
			return facts, err
		}
		ends, err := session.Withdrawn(s, who, ended, m)
		answer = withdrawn{len(ended), len(s.LetIn(who, m.Now))}
		return append(facts, ends...), err
	})
	if err == nil && answer.Sessions > 0 {
		err = h.org.Sessions().Revoke(c.Context(), ended)
	}
	return api.Answer{Body: answer, Position: &pos}, err
}
