package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/sshca"
	"sallyport.dev/handlers/vault"
	"sallyport.dev/projections/control"
)

type grantRequest struct {
	Resource  string `json:"resource"`
	Method    string `json:"method"`
	PublicKey string `json:"public_key"`
	PTY       bool   `json:"pty"`
	Version   int    `json:"version"`
	Role      string `json:"role"`

	ref         resource.Ref
	role        domain.Name
	fingerprint string // of PublicKey
}

func checkGrant(in *grantRequest) []domain.FieldError {
	broken := append(parseRef(in.Resource, &in.ref), checkMethod(in.Method)...)
	broken = append(broken, parseName("/role", in.Role, &in.role)...)
	if in.Version < 0 {
		broken = append(broken, domain.FieldError{Pointer: "/version", Code: "value.range", Detail: "version counts from 1; left out, it is the newest"})
	}
	if in.PublicKey == "" {
		return broken
	}
	var err error
	if in.PublicKey, in.fingerprint, err = sshca.ParsePublicKey(in.PublicKey); err != nil {
		broken = append(broken, domain.FieldError{Pointer: "/public_key", Code: sshca.ErrPublicKey.Code, Detail: err.Error()})
	}
	return broken
}

// certified is the answer to a grant of ssh.
type certified struct {
	ID          string       `json:"id"`
	Resource    resource.Ref `json:"resource"`
	Certificate string       `json:"certificate"`
	Username    string       `json:"username"`
	Address     string       `json:"address"`
	Port        int          `json:"port"`
	HostKeys    []string     `json:"host_keys"`
	ValidUntil  time.Time    `json:"valid_until"`
	KeyID       string       `json:"key_id"`
	Serial      uint64       `json:"serial"`
}

// revealed is the answer to a grant of a secret, or of a password.
type revealed struct {
	ID       string       `json:"id"`
	Resource resource.Ref `json:"resource"`
	Account  domain.Name  `json:"account,omitempty"`
	Value    string       `json:"value"`
	Version  int          `json:"version"`
}

// grant is one door on its way to being opened. What decide found is good only
// once it was recorded.
type grant struct {
	h  *Access
	c  *api.Call
	in grantRequest
	id string // of the event

	found       resolved
	method      access.Method
	facts       []domain.Fact
	proof       string               // that it spends, "" none
	server      *resource.ServerSpec // of ssh
	from, until time.Time            // of ssh
	value       resource.Version     // of what is revealed
}

var (
	// errAnswered keeps a certificate or a value from being answered twice.
	errAnswered = &domain.Error{Kind: domain.KindConflict, Code: "grant.answered",
		Message: "This was granted before under the same Idempotency-Key, and what was granted is told once: ask again with a new key."}
	// errUse is the answer to who wants granted what is not granted.
	errUse = domain.ErrFields([]domain.FieldError{{Pointer: "/method", Code: "method.not_granted",
		Detail: "this access method is used where secrets are listed and written, /v1/secrets, without a grant"}})
	errNeedsKey = domain.ErrFields([]domain.FieldError{{Pointer: "/public_key", Code: "field.required",
		Detail: "public_key is the SSH public key that gets the certificate, one line as ssh-keygen writes it"}})
	errNoKey = domain.ErrFields([]domain.FieldError{{Pointer: "/public_key", Code: "field.unknown",
		Detail: "public_key is of access methods of kind ssh"}})
	errUsername = &domain.Error{Kind: domain.KindConflict, Code: "ssh.username",
		Message: "The user's name is none that a certificate can name (a-z, 0-9, _ and -, up to 32, no digit first): have another account made."}

	// errTurned means that the state moved between looking and recording.
	errTurned = errors.New("what was granted is refused now, or the other way round")
)

// attempts is how often a grant is looked at again because of others' writes.
const attempts = 5

func (h *Access) grant(c *api.Call, in grantRequest) (api.Answer, error) {
	if _, workload := c.Workload(); in.role != "" && !workload {
		return api.Answer{}, errRole
	}
	if _, done := c.Done(); done {
		return api.Answer{}, errAnswered
	}
	if !h.asks.Allow(c.Meta.Actor.ID, h.org.Now()) {
		return api.Answer{}, api.ErrRate
	}
	g := &grant{h: h, c: c, in: in, id: ulid.Make().String()}
	for range attempts {
		var refused error
		h.org.Read(func(s *control.State, _ domain.Head) { refused = g.decide(s) })
		var pos domain.Position
		var err error
		if refused == nil {
			pos, err = g.record(c.Context())
		} else {
			pos, err = g.recordRefusal(c.Context(), &refused)
		}
		switch {
		case errors.Is(err, errTurned):
			continue
		case err != nil:
			return api.Answer{}, err
		case refused != nil:
			return api.Answer{}, refused
		}
		return g.open(c.Context(), pos)
	}
	return api.Answer{}, &domain.Error{Kind: domain.KindUnavailable, Code: "log.busy",
		Message: "What decides on this changed again and again meanwhile, and nothing was granted. Try again in a second."}
}

// record has the grant recorded, decided on the state that the log then is at.
func (g *grant) record(ctx context.Context) (domain.Position, error) {
	m := g.c.Meta
	m.Now = g.h.org.Now()
	return g.h.org.Record(ctx, m, func(s *control.State) ([]domain.Fact, string, error) {
		spend := ""
		if m.Idempotency != nil {
			if _, done := s.Idempotent(m.Idempotency.Key, m.Now); done {
				return nil, "", errAnswered
			}
			spend = "grant " + m.Idempotency.Key // one of two at once is decided after the other
		}
		if g.decide(s) != nil {
			return nil, "", errTurned
		}
		return g.facts, cmp.Or(g.proof, spend), nil
	})
}

// recordRefusal has recorded that what was asked for is refused, if it is one
// that is worth it, and refused is why. Nobody is refused on old state.
func (g *grant) recordRefusal(ctx context.Context, refused *error) (domain.Position, error) {
	m := g.c.Meta
	m.Now, m.Idempotency = g.h.org.Now(), nil // a refusal uses up no key
	if g.refusal(*refused) == nil {
		return g.h.org.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
			if *refused = g.decide(s); *refused == nil {
				return nil, errTurned
			}
			return nil, nil
		})
	}
	return g.h.org.Record(ctx, m, func(s *control.State) ([]domain.Fact, string, error) {
		if *refused = g.decide(s); *refused == nil {
			return nil, "", errTurned
		}
		return g.refusal(*refused), "", nil
	})
}

// refusal is the event of a refusal: of what no rule gives, of what is still to
// be met, and of what was cancelled. A request that says something wrong has none.
func (g *grant) refusal(why error) []domain.Fact {
	var known *domain.Error
	if !errors.As(why, &known) || known.Kind != domain.KindForbidden {
		return nil
	}
	switch known.Code {
	case access.ErrRefused.Code, access.ErrUnmet.Code:
		e := access.WasRefused{Who: g.found.who, Resource: g.in.ref, Method: g.in.Method, Code: known.Code}.Bore(g.found.role, g.found.roles)
		if known.Code == access.ErrUnmet.Code {
			for _, r := range g.method.Requires {
				if !r.Met {
					e.Unmet = append(e.Unmet, r.Type)
				}
			}
		}
		return []domain.Fact{{Subject: string(g.in.ref), Event: e}}
	case access.ErrCancelled.Code:
		return g.found.fact(g.in.ref)
	}
	return nil
}

// decide finds out whether the door opens by the state, and makes the facts that
// say so, or tells why it does not.
func (g *grant) decide(s *control.State) error {
	v, err := g.h.still(g.c, s, g.in.role)
	if err != nil {
		return err
	}
	var r resource.Resource
	r, g.found.answer, g.found.there = v.resolve(g.in.ref)
	g.found.who = access.WhoIs(v.subject, source(g.c))
	var given bool
	g.method, given = access.Find(g.found.answer, g.in.Method)
	if !given || !g.method.Open() {
		g.found.role, g.found.roles = bears(g.c, s, g.in.role)
	}
	if !given {
		if err := g.found.refusal(g.c); err != nil {
			return err
		}
		return access.ErrMethod
	}
	if err := access.Unmet(g.method); err != nil {
		return err
	}
	e := access.WasGranted{
		Who: g.found.who, Resource: r.Ref, Method: g.method.ID, Kind: g.method.Kind, Policy: g.method.Policy, Rule: g.method.Rule,
		Through: g.method.Through, Account: g.method.Account,
	}
	for _, req := range g.method.Requires {
		switch {
		case req.Type == policy.MFA && req.Seconds == 0: // for each use
			e.Spent, e.SpentUntil = access.ProofKey(v.subject.ID, v.subject.MFAAt), req.Until.UTC()
		case req.BreakGlass:
			e.BreakGlass, _, _ = v.world.Access.Broken(v.subject.ID, r.Ref, g.method.ID, g.method.Username, v.now)
		case req.Type != policy.AccessRequest || req.Request == "":
		case !slices.Contains(e.Requests, req.Request):
			e.Requests = append(e.Requests, req.Request)
		}
	}
	g.proof = e.Spent
	switch g.method.Kind {
	case access.SSH:
		return g.decideSSH(v, s, r, e)
	case access.RevealPassword, access.SecretReveal:
		return g.decideReveal(r, e)
	}
	return errUse
}

func (g *grant) decideSSH(v view, s *control.State, r resource.Resource, e access.WasGranted) error {
	switch {
	case g.in.PublicKey == "":
		return errNeedsKey
	case r.ServerSpec == nil:
		return access.ErrRefused
	case !sshca.Principal(g.method.Username):
		return errUsername
	}
	g.server = r.ServerSpec
	g.from, g.until = sshca.Window(v.now, v.ends(s, g.method))
	e.Username, e.PublicKey, e.ValidFrom, e.ValidUntil = g.method.Username, g.in.fingerprint, g.from, g.until
	g.facts = []domain.Fact{{ID: g.id, Subject: string(r.Ref), Event: e}}
	return nil
}

// knownAddress tells whether a certificate can be bound to the address; one of a
// link alone, for example, means something else elsewhere.
func knownAddress(address string) bool {
	_, err := sshca.SourceAddress(address)
	return err == nil
}

// groupOf is the group among a policy's principals that lets a person in.
func groupOf(through string) (domain.Name, bool) {
	name, is := strings.CutPrefix(through, "group/")
	return domain.Name(name), is
}

// ends is when what the method rests on ends, of all that is known to: approval,
// checkout, membership of the group that lets the person in. Zero if nothing is.
func (v view) ends(s *control.State, m access.Method) (end time.Time) {
	earlier := func(t time.Time) {
		if !t.IsZero() && (end.IsZero() || t.Before(end)) {
			end = t
		}
	}
	for _, r := range m.Requires {
		earlier(r.Until)
	}
	if name, is := groupOf(m.Through); is {
		if member, in := s.Groups().Member(name, v.subject.Person, s.Later(v.now)); in {
			earlier(member.Until)
		}
	}
	return end
}

func (g *grant) decideReveal(r resource.Resource, e access.WasGranted) (err error) {
	if g.in.PublicKey != "" {
		return errNoKey
	}
	if g.value, err = r.Find(g.method.Account, g.in.Version); err != nil {
		return err
	}
	g.facts = []domain.Fact{{ID: g.id, Subject: string(r.Ref), Event: e}, {Subject: string(r.Ref), Event: access.SecretWasRevealed{
		Who: e.Who, Resource: r.Ref, Account: e.Account, Version: g.value.Number, Method: e.Method,
	}}}
	return nil
}

// open opens what was recorded.
func (g *grant) open(ctx context.Context, at domain.Position) (api.Answer, error) {
	answer := api.Answer{Position: &at}
	if g.method.Kind != access.SSH {
		value, err := g.h.org.Reveal(ctx, g.value.ID, vault.Owner{Ref: g.in.ref, Account: g.method.Account, Version: g.value.Number})
		if err != nil {
			return api.Answer{}, err
		}
		defer clear(value)
		answer.Body = revealed{ID: g.id, Resource: g.in.ref, Account: g.method.Account, Value: string(value), Version: g.value.Number}
		return answer, nil
	}
	cert := sshca.Certificate{
		PublicKey: g.in.PublicKey, Username: g.method.Username, KeyID: sshca.KeyID(g.id, g.found.who.Subject), Serial: sshca.Serial(at),
		From: g.from, Until: g.until, PTY: g.in.PTY,
	}
	if address := g.c.Echo.RealIP(); !g.server.AnySource && knownAddress(address) {
		cert.SourceAddress = address
	}
	if g.server.OwnPrincipals {
		cert.Server = strings.TrimPrefix(string(g.in.ref), "server/")
	}
	signed, err := g.h.org.SSH().Sign(ctx, cert)
	if err != nil {
		return api.Answer{}, fmt.Errorf("granting %s: %w", g.id, err)
	}
	answer.Body = certified{
		ID: g.id, Resource: g.in.ref, Certificate: signed, Username: g.method.Username, Address: g.server.Address, Port: port(g.server),
		HostKeys: append([]string{}, g.server.HostKeys...), ValidUntil: g.until, KeyID: cert.KeyID, Serial: cert.Serial,
	}
	return answer, nil
}
