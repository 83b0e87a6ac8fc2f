package control

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/role"
	"sallyport.dev/domain/token"
)

// PersonSubject is a person as access is decided for them: in the groups that
// they are in at now, or later if an event was later.
func (s *State) PersonSubject(a domain.Actor, now time.Time) access.Subject {
	person := domain.Name(a.ID)
	return access.Subject{ID: a.ID, Person: person, Groups: s.groups.Of(person, s.Later(now))}
}

// ProvedSubject is [State.PersonSubject] of somebody who last proved a second factor
// at that time; zero is never.
func (s *State) ProvedSubject(a domain.Actor, mfaAt, now time.Time) access.Subject {
	subject := s.PersonSubject(a, now)
	subject.MFAAt = mfaAt
	subject.MFASpent = s.Spent(access.ProofKey(a.ID, mfaAt), mfaAt.Add(access.EveryTime))
	return subject
}

// WorkloadSubject is a workload as access is decided for it. claims are those of
// a token of ours whose signature was verified and that holds ([token.Holds]);
// anything of them that is not as we write it bears no role. choice is the role
// that the workload asks for, "" is the one its token hints at; both choose
// among the roles that it bears and are no authority. Nothing that roles ask
// for changes with time alone.
func (s *State) WorkloadSubject(claims claim.Set, choice domain.Name, _ time.Time) access.Subject {
	var subject access.Subject
	subject.ID, _ = claims["sub"].(string)
	t, ok := s.bearer(claims)
	if !ok {
		return subject
	}
	if choice != "" {
		t.Hint = choice.String()
	}
	subject.Connection, subject.Identity, subject.Claims = t.Connection, t.Identity, t.Claims
	subject.Roles = s.roles.Matching(t)
	subject.Usernames = make(map[domain.Name]string, len(subject.Roles))
	for _, r := range subject.Roles {
		subject.Usernames[r] = role.Username(r)
	}
	return subject
}

// SupposedWorkload is a workload to whom that connection of the organisation had
// issued a token just now, with such claims: for asking what it could reach. It
// is nobody who asks.
func (s *State) SupposedWorkload(issuer string, org, of domain.Name, identity string, claims claim.Set, choice domain.Name, now time.Time) access.Subject {
	return s.WorkloadSubject(claim.Set{
		"iss": issuer, "aud": issuer, "iat": json.Number(strconv.FormatInt(now.Unix(), 10)),
		"sub": token.Workload(org, of, identity),
		"sallyport": map[string]any{
			"connection": of.String(), "identity": identity, "claims": map[string]any(claims),
		},
	}, choice, now)
}

// Borne is the roles that a workload's token bears at all, whichever it
// hints at: those among which a choice chooses. claims are as in [State.WorkloadSubject].
func (s *State) Borne(claims claim.Set) []domain.Name {
	t, ok := s.bearer(claims)
	if !ok {
		return nil
	}
	t.Hint = ""
	return s.roles.Matching(t)
}

// bearer is what roles are worked out from; ok is false for a token that is for
// somebody else, or whose connection issues nothing now.
func (s *State) bearer(claims claim.Set) (t role.Token, ok bool) {
	mark, _ := claims["sallyport"].(map[string]any)
	name, _ := mark["connection"].(string)
	issuer, _ := claims["iss"].(string)
	audience, _ := claims["aud"].(string)
	of := s.Connection(domain.Name(name))
	if issuer == "" || audience != issuer || of.Status != connection.Active {
		return role.Token{}, false
	}
	t.Connection = of.Name
	t.Identity, _ = mark["identity"].(string)
	t.Hint, _ = mark["role_hint"].(string)
	source, _ := mark["claims"].(map[string]any)
	alike := of.NamedAlikeSince(seconds(claims["iat"]).Add(-token.Skew))
	t.Claims = carried(source, t.Identity, of.Current, alike)
	return t, t.Identity != ""
}

// ExplainRoles tells for each role that asks for tokens of that connection why a
// workload with those claims would bear it or not, by what the connection and
// the roles say now. claims are the platform's, whole, or those that our token
// carries; identity is as our token has it, "" where it is not known.
func (s *State) ExplainRoles(of domain.Name, identity string, claims claim.Set) []role.Explained {
	spec := s.Connection(of).Current
	if sub, ok := claims["sub"].(string); ok && identity == "" && spec.IdentityClaim.Is("sub") {
		if identity = sub; spec.IdentityPath != "" {
			identity = spec.IdentityPath + "/" + sub
		}
	}
	return s.roles.Explain(role.Token{Connection: of, Identity: identity, Claims: carried(claims, identity, spec, true)})
}

// carried is the source's claims that a token of ours carries, and sub where the
// identity is it. Our tokens leave sub out, as all registered claims, since they
// have their own; whoever wants it back has to know that the identity was read
// from it, by every version that can have issued the token: that is alike.
func carried(source claim.Set, identity string, spec connection.Spec, alike bool) claim.Set {
	set := make(claim.Set, len(source)+1)
	maps.Copy(set, source)
	for _, own := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"} {
		delete(set, own)
	}
	below := true
	if spec.IdentityPath != "" {
		identity, below = strings.CutPrefix(identity, spec.IdentityPath+"/")
	}
	if alike && below && identity != "" && spec.IdentityClaim.Is("sub") {
		set["sub"] = identity
	}
	return set
}

// seconds reads a time of a token; one that is none is the beginning of time.
func seconds(v any) time.Time {
	n, _ := v.(json.Number)
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(i, 0)
}
