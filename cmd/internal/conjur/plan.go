package conjur

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/role"
)

// maxConditions is how many a requirement of a role has at most.
const maxConditions = 20

// variableOf is the variable that a field of a connection comes from.
var variableOf = map[string]string{
	"jwks_url": "jwks-uri", "issuer_url": "provider-uri", "jwks": "public-keys", "ca_certificate": "ca-cert",
	"identity_claim": "token-app-property", "identity_path": "identity-path", "token_ttl": "token-ttl",
}

// drawConnection makes the connection of the variables.
func (p *Plan) drawConnection(s *settings, o Options, found *problems) {
	p.Connection = domain.Name(o.Connection)
	if o.Connection == "" {
		p.Connection = domain.Name(words(o.Service))
	}
	if _, err := domain.ParseName(p.Connection.String()); err != nil {
		found.add(s.file, 0, "", "the connection cannot be called %q: %v; give --connection", p.Connection, err)
	}
	spec := connection.Spec{
		Description: "What Conjur's authn-jwt/" + o.Service + " let in", Provider: "generic_jwt",
		JWKSURL: s.values["jwks-uri"], IssuerURL: s.values["provider-uri"], JWKS: s.keys, CACertificate: s.values["ca-cert"],
		IdentityClaim: claim.Path(s.property), IdentityPath: s.path, TokenTTL: lifetime(s.ttl),
		Algorithms: []string{"RS256", "RS384", "RS512"}, // which are all that Conjur takes
	}
	for _, c := range []struct{ claim, value string }{{"iss", s.issuer}, {"aud", s.values["audience"]}} {
		if c.value != "" {
			spec.Conditions = append(spec.Conditions, claim.Condition{Claim: claim.Path(c.claim), Operator: claim.Equals, Value: c.value})
		}
	}
	if len(*found) > 0 {
		return // what else is wrong with the connection comes of that
	}
	var err error
	if p.Spec, err = connection.Complete(spec, o.Issuer); err != nil {
		for _, f := range fieldsOf(err) {
			member, _, _ := strings.Cut(strings.TrimPrefix(f.Pointer, "/"), "/")
			name := variableOf[member]
			if member == "conditions" {
				name = conditionVariable(s, spec, f.Pointer)
			}
			if name == "" {
				name = member
			}
			s.refuse(found, name, "", "%s: %s", name, f.Detail)
		}
	}
}

// conditionVariable is the variable that a condition of the connection comes from.
func conditionVariable(s *settings, spec connection.Spec, pointer string) string {
	i, err := strconv.Atoi(strings.Split(pointer, "/")[min(2, strings.Count(pointer, "/"))])
	switch {
	case err != nil || i >= len(spec.Conditions):
		return "conditions"
	case spec.Conditions[i].Claim == "aud":
		return "audience"
	case s.has("issuer"):
		return "issuer"
	case s.has("provider-uri"):
		return "provider-uri"
	}
	return "jwks-uri"
}

// fieldsOf are the fields that an error of a document names.
func fieldsOf(err error) []domain.FieldError {
	var known *domain.Error
	if errors.As(err, &known) && len(known.Fields) > 0 {
		return known.Fields
	}
	return []domain.FieldError{{Detail: err.Error()}}
}

// drawRoles makes a role of each host that may authenticate.
func (p *Plan) drawRoles(files *policy, s *settings, o Options, found *problems) {
	webservice := prefix(o.Service)
	declared := files.records[ref{"webservice", webservice}] > 0
	if !declared && len(files.hosts) > 0 {
		found.add(files.hosts[0].file, 0, "CONJ00005E", "webservice %s is in none of the files, so who may authenticate is not known: give the authenticator's policy too", webservice)
	}
	allowed := files.mayAuthenticate(webservice)
	strangers := 0
	named := map[domain.Name]string{}
	for _, h := range files.hosts {
		refuse := func(line int, code, format string, args ...any) {
			*found = append(*found, Problem{File: h.file, Line: line, Host: h.id, Code: code, Text: fmt.Sprintf(format, args...)})
		}
		relevant := h.relevant(o.Service)
		may := allowed[ref{"host", h.id}]
		switch {
		case !may && len(relevant) == 0:
			strangers++
			continue
		case !may && declared:
			refuse(h.line, "CONJ00006E", "it does not have authenticate privilege on %s: grant it to a group that has, or take its annotations away", webservice)
			continue
		case len(relevant) == 0:
			refuse(h.line, "CONJ00099E", "it may authenticate and has no annotation authn-jwt/%s/...: at least one is needed", o.Service)
			continue
		}
		r, ok := draw(h, relevant, s, p.Connection, o, refuse)
		if !ok {
			continue
		}
		if other, taken := named[r.Name]; taken {
			refuse(h.line, "", "its role would be called %s, as that of host %s is: give --name %s=NAME", r.Name, other, h.id)
		}
		named[r.Name] = h.id
		p.Roles = append(p.Roles, r)
	}
	for id := range o.Names {
		if !slices.ContainsFunc(files.hosts, func(h *host) bool { return h.id == id }) {
			found.add("--name", 0, "", "%s names no host of these files", id)
		}
	}
	if strangers > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d hosts have nothing to do with authn-jwt/%s and were left out.", strangers, o.Service))
	}
	if len(p.Roles) == 0 && len(*found) == 0 {
		found.add(s.file, 0, "", "no host of these files may authenticate with authn-jwt/%s", o.Service)
	}
	p.Notes = append(p.Notes, "Conjur compares claims as text alone: a claim that is a number or a boolean never matched there, and does here if its text is that of the annotation.")
}

// relevant is the annotations of that service, by the claims that they name.
func (h *host) relevant(service string) (out []annotation) {
	for _, a := range h.annotations {
		if name, ours := strings.CutPrefix(a.name, "authn-jwt/"+service+"/"); ours {
			a.name = name
			out = append(out, a)
		}
	}
	return out
}

// draw makes the role of one host: its own id, and every annotation.
func draw(h *host, relevant []annotation, s *settings, of domain.Name, o Options, refuse func(int, string, string, ...any)) (Role, bool) {
	good := true
	fail := func(line int, code, format string, args ...any) {
		good = false
		refuse(line, code, format, args...)
	}
	own, below := h.id, true
	if s.path != "" {
		own, below = strings.CutPrefix(h.id, s.path+"/")
	}
	if !below || own == "" {
		fail(h.line, "CONJ00007E", "it is not below the identity-path %s, so no token names it", s.path)
		return Role{}, false
	}
	for _, must := range s.enforced {
		if !slices.ContainsFunc(relevant, func(a annotation) bool { return a.name == must }) {
			fail(h.line, "CONJ00057E", "it does not have the required constraint %s: enforced-claims asks for annotation authn-jwt/%s/%s", must, o.Service, must)
		}
	}
	identity := claim.Condition{Claim: claim.Path(s.property), Operator: claim.Equals, Value: own}
	conditions := []claim.Condition{identity}
	for _, a := range relevant {
		c, ok := s.condition(a, identity, fail)
		if ok && !slices.ContainsFunc(conditions, c.Equal) {
			conditions = append(conditions, c)
		}
	}
	if len(conditions) > maxConditions {
		fail(h.line, "", "it has %d conditions with its own id, and a requirement of a role has at most 20", len(conditions))
	}
	r := Role{Name: nameOf(h.id, own, o), Host: h.id, Spec: role.Spec{
		Description:  "Host " + h.id + " of Conjur's authn-jwt/" + o.Service,
		Requirements: []role.Requirement{{Connection: of, Conditions: conditions}},
	}}
	if _, err := role.ParseName(r.Name.String()); err != nil {
		fail(h.line, "", "its role cannot be called %q: %v; give --name %s=NAME", r.Name, err, h.id)
	}
	if good && s.property != "" {
		for _, f := range r.Spec.Check(nil) {
			fail(h.line, "", "%s", f.Detail)
		}
	}
	return r, good
}

// condition is what an annotation asks for.
func (s *settings) condition(a annotation, identity claim.Condition, fail func(int, string, string, ...any)) (claim.Condition, bool) {
	name := strings.TrimSpace(a.name)
	c := claim.Condition{Claim: claim.Path(name), Operator: claim.Equals, Value: a.value}
	if of, alias := s.aliases[name]; alias {
		c.Claim = claim.Path(of)
	}
	switch {
	case a.unread:
	case a.value == "":
		fail(a.line, "CONJ00100E", "annotation %s is empty", name)
	case slices.Contains(denied, name):
		fail(a.line, "CONJ00069E", "it can't have an annotation on the registered claim %s: issuer and audience are variables of the authenticator", name)
	case s.aliased(name):
		fail(a.line, "CONJ00069E", "it can't have an annotation on %s, which claim-aliases call %s", name, s.annotationOf(name))
	case !claimName.MatchString(a.name): // blanks at its ends and all
		fail(a.line, "CONJ00119E", "annotation %q is no path of a claim", a.name)
	case c.Claim.Is(identity.Claim) && c.Value != identity.Value:
		fail(a.line, "CONJ00049E", "annotation %s asks for %s, and token-app-property has it be %s, the host's own id: no token is both", name, c.Value, identity.Value)
	case c.Claim.Is("sub") && !identity.Claim.Is("sub"):
		fail(a.line, "", "annotation %s asks for the claim sub, which tokens of Sallyport carry only where token-app-property is sub: make it sub, or say it by another claim", name)
	default:
		return c, true
	}
	return c, false
}

var others = regexp.MustCompile(`[^a-z0-9]+`)

// words is text as a name: lower case, and a hyphen for whatever is no letter or digit.
func words(s string) string {
	return strings.Trim(others.ReplaceAllString(strings.ToLower(s), "-"), "-")
}

// nameOf is the name of a host's role. It is the host's id below the identity
// path, as words. One of more than 29 characters is cut to its last words that
// fit into 20, and has 8 hex digits of the SHA-256 of the whole id behind it.
func nameOf(id, own string, o Options) domain.Name {
	if given, ok := o.Names[id]; ok {
		return domain.Name(given)
	}
	name := words(own)
	if len(name) <= 29 {
		return domain.Name(name)
	}
	tail := name[len(name)-20:]
	if name[len(name)-21] != '-' { // a word was cut: begin with the next, if there is one
		if _, whole, ok := strings.Cut(tail, "-"); ok {
			tail = whole
		}
	}
	sum := sha256.Sum256([]byte(id))
	return domain.Name(strings.Trim(tail, "-") + "-" + hex.EncodeToString(sum[:4]))
}
