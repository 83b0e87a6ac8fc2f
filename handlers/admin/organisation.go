package admin

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/organisation"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

// identity is who the caller is, and what this token of theirs may do.
type identity struct {
	Person       string        `json:"person"`
	Organisation domain.Name   `json:"organisation"`
	Roles        []domain.Role `json:"roles"` // of the token, that the caller bears now
	bears
	ExpiresAt time.Time `json:"expires_at"` // of the token
}

// workload is who a workload is by its own token, and which roles it may ask as.
type workload struct {
	Subject      string        `json:"subject"` // workload://{org}/{connection}/{identity}
	Organisation domain.Name   `json:"organisation"`
	Connection   domain.Name   `json:"connection"`
	Identity     string        `json:"identity"`
	RoleHint     string        `json:"role_hint"`
	Roles        []domain.Name `json:"roles"` // whose requirements the token meets now, whatever it hints at
	ExpiresAt    time.Time     `json:"expires_at"`
}

func (h *Admin) whoamiWorkload(claims claim.Set) (api.Answer, error) {
	mark, _ := claims["sallyport"].(map[string]any)
	who := workload{Organisation: h.org.Name()}
	who.RoleHint, _ = mark["role_hint"].(string)
	if exp, ok := claims["exp"].(json.Number); ok {
		seconds, _ := exp.Int64()
		who.ExpiresAt = time.Unix(seconds, 0).UTC()
	}
	h.org.Read(func(s *control.State, _ domain.Head) {
		subject := s.WorkloadSubject(claims, "", s.Later(h.org.Now()))
		who.Subject, who.Connection, who.Identity, who.Roles = subject.ID, subject.Connection, subject.Identity, orEmpty(s.Borne(claims))
	})
	return api.Answer{Body: who}, nil
}

func (h *Admin) whoami(c *api.Call) (api.Answer, error) {
	if claims, ok := c.Workload(); ok {
		return h.whoamiWorkload(claims)
	}
	var tokens []person.Token
	var now bears
	h.org.Read(func(s *control.State, _ domain.Head) {
		tokens, now = s.People().Tokens(), bearsNow(s, domain.Name(c.Meta.Actor.ID), c.Meta.Now)
	})
	who := identity{Person: c.Meta.Actor.ID, Organisation: h.org.Name(), Roles: orEmpty(c.Meta.Actor.Roles), bears: now}
	if i := slices.IndexFunc(tokens, func(t person.Token) bool { return t.Hash == c.TokenHash() }); i >= 0 {
		who.ExpiresAt = tokens[i].ExpiresAt
	}
	return api.Answer{Body: who}, nil
}

// errNoToken is told to who is known by other means than an API token.
var errNoToken = domain.Invalid("api_token.none", "You are not here by an API token, so there is none to revoke.")

// logout revokes the caller's own API token.
func (h *Admin) logout(c *api.Call, _ struct{}) (api.Answer, error) {
	pos, err := execute(h.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		t, known := s.People().TokenOf(c.TokenHash())
		if !known {
			return nil, errNoToken
		}
		return person.Decide(s.People(), person.RevokeToken{ID: t.ID}, m)
	})
	if err != nil {
		return api.Answer{}, err
	}
	return api.Answer{Status: http.StatusNoContent, Position: &pos}, nil
}

// settings is the organisation as answered.
type settings struct {
	Name        domain.Name              `json:"name"`
	Issuer      string                   `json:"issuer"`
	DualControl organisation.DualControl `json:"dual_control"`
	Version     uint64                   `json:"version"`
	UpdatedAt   time.Time                `json:"updated_at"`
	UpdatedBy   string                   `json:"updated_by"`
}

func (h *Admin) showOrganisation(*api.Call) (api.Answer, error) {
	var o organisation.State
	h.org.Read(func(s *control.State, _ domain.Head) { o = s.Organisation() })
	return api.Answer{Version: o.Version, Body: settings{
		Name: o.Name, Issuer: o.Issuer, DualControl: o.DualControl, Version: o.Version, UpdatedAt: o.UpdatedAt, UpdatedBy: o.UpdatedBy,
	}}, nil
}

func (h *Admin) matchOrganisation(c *api.Call) error {
	return h.decide(c, func(s *control.State) error { return c.Match(s.Organisation().Version) })
}

type settingsRequest struct {
	DualControl organisation.DualControl `json:"dual_control"`
}

func checkSettings(in *settingsRequest) []domain.FieldError {
	if in.DualControl != organisation.Strict && in.DualControl != organisation.Roles {
		return []domain.FieldError{{Pointer: "/dual_control", Code: "value.unknown", Detail: "dual_control is strict or roles"}}
	}
	return nil
}

func (h *Admin) changeOrganisation(c *api.Call, in settingsRequest) (api.Answer, error) {
	pos, err := execute(h.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return organisation.Decide(s.Organisation(), organisation.SetDualControl{Version: c.Version(), DualControl: in.DualControl}, m)
	})
	if err != nil {
		return api.Answer{}, err
	}
	a, err := h.showOrganisation(c)
	a.Position = &pos
	return a, err
}
