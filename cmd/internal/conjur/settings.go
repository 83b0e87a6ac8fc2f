package conjur

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sallyport.dev/domain/connection"
)

// variableNames are the variables of an authenticator that are read.
var variableNames = []string{
	"jwks-uri", "provider-uri", "public-keys", "ca-cert", "issuer", "audience", "token-app-property",
	"identity-path", "enforced-claims", "claim-aliases", "token-ttl",
}

// claimName is what Conjur takes for the path of a claim; the | in its classes
// is its own, and taken as it stands.
var claimName = regexp.MustCompile(`\A[a-zA-Z|$_][a-zA-Z|$_\-0-9.]*(/[a-zA-Z|$_][a-zA-Z|$_\-0-9.]*)*\z`)

// denied are the claims that neither annotations nor variables may name.
var denied = []string{"iss", "exp", "nbf", "iat", "jti", "aud"}

// defaultTTL is how long Conjur's tokens live if nothing is said, and maxTTL the longest.
const (
	defaultTTL = 480 * time.Second
	maxTTL     = 5 * time.Hour
)

// settings is what the variables say, each rule of Conjur's kept.
type settings struct {
	file    string
	service string
	values  map[string]string // by name, those that have a value
	lines   map[string]int

	enforced []string          // as annotations have to be called
	aliases  map[string]string // claim by annotation
	property string            // token-app-property
	path     string            // identity-path, without slashes at its end
	issuer   string
	keys     json.RawMessage
	ttl      time.Duration
	notes    []string
}

// prefix is the policy that an authenticator's variables stand in.
func prefix(service string) string { return "conjur/authn-jwt/" + service }

func readSettings(f File, p *policy, service string, found *problems) *settings {
	s := &settings{file: f.Name, service: service, values: map[string]string{}, lines: map[string]int{}, aliases: map[string]string{}}
	s.readValues(f, found)
	for _, name := range variableNames {
		declared, there := p.variables[prefix(service)+"/"+name]
		if _, valued := s.lines[name]; there && !valued {
			found.add(declared.file, declared.line, "CONJ00037E", "variable %s is declared and has no value in %s", name, f.Name)
			s.lines[name] = 0 // so that it counts as there
		}
	}
	s.checkKeys(found)
	s.checkIdentity(found)
	s.checkAudience(found)
	s.checkIssuer(found)
	s.checkTTL(found)
	s.readAliases(found)
	s.readEnforced(found)
	return s
}

// readValues reads names and values, as `conjur variable get` prints them. A
// name may be whole; those of other authenticators are passed over.
func (s *settings) readValues(f File, found *problems) {
	var doc yaml.Node
	if err := yaml.Unmarshal(f.Text, &doc); err != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		found.add(f.Name, 0, "", "it holds no names and values, such as token-app-property: sub")
		return
	}
	for i := 0; i+1 < len(doc.Content[0].Content); i += 2 {
		key, value := doc.Content[0].Content[i], doc.Content[0].Content[i+1]
		name, ours := strings.CutPrefix(key.Value, prefix(s.service)+"/")
		_, twice := s.lines[name]
		switch {
		case !ours && strings.HasPrefix(key.Value, "conjur/"):
			continue
		case !slices.Contains(variableNames, name):
			found.add(f.Name, key.Line, "", "%s is no variable of authn-jwt that is known here", key.Value)
			continue
		case twice:
			found.add(f.Name, key.Line, "", "%s is there twice", name)
			continue
		}
		s.lines[name] = key.Line
		switch {
		case value.Kind != yaml.ScalarNode || ambiguous(value):
			found.add(f.Name, key.Line, "", "the value of %s is not text: put what `conjur variable get` prints in quotes", name)
		case value.ShortTag() == "!!null" || value.Value == "":
			found.add(f.Name, key.Line, "CONJ00037E", "variable %s has no value", name)
		default:
			s.values[name] = value.Value
		}
	}
}

// has tells whether the variable is there, with a value or without.
func (s *settings) has(name string) bool { _, ok := s.lines[name]; return ok }

func (s *settings) refuse(found *problems, name, code, format string, args ...any) {
	found.add(s.file, s.lines[name], code, format, args...)
}

func (s *settings) checkKeys(found *problems) {
	var given []string
	for _, name := range []string{"jwks-uri", "public-keys", "provider-uri"} {
		if s.has(name) {
			given = append(given, name)
		}
	}
	switch {
	case len(given) == 0:
		found.add(s.file, 0, "CONJ00122E", "one of jwks-uri, public-keys and provider-uri has to be defined")
	case len(given) > 1:
		s.refuse(found, given[1], "CONJ00122E", "%s cannot be defined simultaneously", strings.Join(given, " and "))
	case s.has("ca-cert") && given[0] == "public-keys":
		s.refuse(found, "ca-cert", "CONJ00122E", "ca-cert can be defined only with jwks-uri or provider-uri")
	case given[0] == "public-keys" && !s.has("issuer"):
		s.refuse(found, "public-keys", "CONJ00122E", "issuer is mandatory when public-keys is set")
	}
	text, ok := s.values["public-keys"]
	if !ok {
		return
	}
	var set struct {
		Type  string
		Value json.RawMessage
	}
	var keys struct{ Keys []json.RawMessage }
	switch {
	case json.Unmarshal([]byte(text), &set) != nil:
		s.refuse(found, "public-keys", "CONJ00120E", "public-keys is not in valid JSON format")
	case set.Type != "jwks":
		s.refuse(found, "public-keys", "CONJ00120E", "%.40q is not a valid type of public-keys; it is jwks", set.Type)
	case json.Unmarshal(set.Value, &keys) != nil || len(keys.Keys) == 0:
		s.refuse(found, "public-keys", "CONJ00120E", "the value of public-keys is not a JWKS (RFC 7517)")
	}
	s.keys = set.Value
}

func (s *settings) checkIdentity(found *problems) {
	var ok bool
	switch s.property, ok = s.values["token-app-property"]; {
	case !s.has("token-app-property"):
		found.add(s.file, 0, "CONJ00098E", "token-app-property is not set: Conjur then takes the identity from the URL, which Sallyport never does")
	case ok && !claimName.MatchString(s.property):
		s.refuse(found, "token-app-property", "CONJ00117E", "token-app-property %q is no path of a claim", s.property)
	}
	path, given := s.values["identity-path"]
	if s.path = strings.TrimRight(path, "/"); given && strings.TrimSpace(s.path) == "" {
		s.refuse(found, "identity-path", "CONJ00102E", "identity-path is empty")
	}
}

func (s *settings) checkAudience(found *problems) {
	audience, given := s.values["audience"]
	switch {
	case given && strings.TrimSpace(audience) == "":
		s.refuse(found, "audience", "CONJ00115E", "audience is empty")
	case !s.has("audience"):
		s.notes = append(s.notes, "audience is not set, so tokens that were made for somebody else are taken too; activating the connection asks about that.")
	}
}

// checkIssuer finds what iss has to be: the issuer, else the provider-uri, else
// the host of the jwks-uri, as Conjur has it.
func (s *settings) checkIssuer(found *problems) {
	provider, jwks := s.values["provider-uri"], s.values["jwks-uri"]
	switch {
	case s.has("issuer"):
		s.issuer = s.values["issuer"]
		if provider != "" && s.issuer != "" && s.issuer != provider {
			s.refuse(found, "issuer", "", "issuer %s is not the provider-uri %s: OpenID Connect Discovery has them the same, and Sallyport insists", s.issuer, provider)
		}
	case provider != "":
		s.issuer = provider
	case jwks != "":
		u, err := url.Parse(jwks)
		if err != nil || u.Hostname() == "" {
			s.refuse(found, "jwks-uri", "", "jwks-uri is no address with a host")
			return
		}
		s.issuer = u.Hostname()
		s.notes = append(s.notes, fmt.Sprintf("issuer is not set, so iss has to be %s, the host of jwks-uri, as Conjur has it.", s.issuer))
	}
}

var isoDuration = regexp.MustCompile(`\AP(?:(\d{1,3})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?\z`)

func (s *settings) checkTTL(found *problems) {
	s.ttl = defaultTTL
	text, given := s.values["token-ttl"]
	if !given {
		return
	}
	m := isoDuration.FindStringSubmatch(text)
	s.ttl = 0
	if m != nil {
		for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
			n, _ := strconv.Atoi(m[i+1]) // "" is none
			s.ttl += time.Duration(n) * unit
		}
	}
	if s.ttl <= 0 || s.ttl > maxTTL {
		s.refuse(found, "token-ttl", "CONJ00134E", "token-ttl %q is no ISO 8601 duration of up to 5 hours, such as PT8M", text)
	}
}

// badName is why a claim may not be named by a variable, with Conjur's code, or "".
func badName(name string) string {
	switch {
	case strings.TrimSpace(name) == "":
		return "CONJ00103E claim name is empty"
	case !claimName.MatchString(name):
		return fmt.Sprintf("CONJ00104E claim name %q is no path of a claim", name)
	case slices.Contains(denied, name):
		return fmt.Sprintf("CONJ00105E claim name %s is in denylist %s", name, strings.Join(denied, ", "))
	}
	return ""
}

func (s *settings) readAliases(found *problems) {
	text, given := s.values["claim-aliases"]
	if !given {
		return
	}
	refuse := func(code, format string, args ...any) { s.refuse(found, "claim-aliases", code, format, args...) }
	if strings.TrimSpace(text) == "" {
		refuse("CONJ00109E", "claim-aliases is empty")
		return
	}
	claims := map[string]bool{}
	for tuple := range strings.SplitSeq(text, ",") {
		name, claim, colon := strings.Cut(strings.TrimSpace(tuple), ":")
		name, claim = strings.TrimSpace(name), strings.TrimSpace(claim)
		why := badName(name)
		if why == "" {
			why = badName(claim)
		}
		_, taken := s.aliases[name]
		switch {
		case strings.TrimSpace(tuple) == "":
			refuse("CONJ00110E", "one or more of claim-aliases are empty")
		case !colon || name == "" || claim == "" || strings.Contains(claim, ":"):
			refuse("CONJ00111E", "the claim alias %q is in invalid format: it is annotation:claim", tuple)
		case strings.Contains(name, "/"):
			refuse("CONJ00114E", "the claim alias name %q contains /", name)
		case why != "":
			refuse("CONJ00112E", "one of the claims in the claim alias %q is in an invalid format: %s", strings.TrimSpace(tuple), why)
		case taken:
			refuse("CONJ00113E", "annotation name value %q appears more than once in claim-aliases", name)
		case claims[claim]:
			refuse("CONJ00113E", "claim name value %q appears more than once in claim-aliases", claim)
		default:
			s.aliases[name], claims[claim] = claim, true
		}
	}
}

func (s *settings) readEnforced(found *problems) {
	text, given := s.values["enforced-claims"]
	if !given {
		return
	}
	refuse := func(code, format string, args ...any) { s.refuse(found, "enforced-claims", code, format, args...) }
	if strings.TrimSpace(text) == "" {
		refuse("CONJ00106E", "enforced-claims is empty")
		return
	}
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		why := badName(name)
		code, sentence, _ := strings.Cut(why, " ")
		switch {
		case name == "":
			refuse("CONJ00107E", "the list of enforced claims is in invalid format: separate claim names with single commas")
		case slices.Contains(names, name):
			refuse("CONJ00108E", "the list of enforced claims must not contain duplications: %s", name)
		case why != "":
			refuse(code, "%s", sentence)
		default:
			names = append(names, name)
			s.enforced = append(s.enforced, s.annotationOf(name))
		}
	}
}

// annotationOf is how the annotation of a claim has to be called: by its alias, if it has one.
func (s *settings) annotationOf(claim string) string {
	for name, of := range s.aliases {
		if of == claim {
			return name
		}
	}
	return claim
}

// aliased tells whether the name is that of a claim that has an alias, under
// which alone annotations may name it.
func (s *settings) aliased(claim string) bool { return s.annotationOf(claim) != claim }

// lifetime is the duration in the largest unit that holds it whole.
func lifetime(d time.Duration) connection.Duration {
	switch {
	case d%time.Hour == 0:
		return connection.Duration{Amount: int(d / time.Hour), Unit: "hours"}
	case d%time.Minute == 0:
		return connection.Duration{Amount: int(d / time.Minute), Unit: "minutes"}
	}
	return connection.Duration{Amount: int(d / time.Second), Unit: "seconds"}
}
