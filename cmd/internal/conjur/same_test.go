package conjur_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport.dev/cmd/internal/conjur"
	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/role"
)

// deployment is an authenticator and its hosts, by their annotations.
type deployment struct {
	property, path, alias string // alias: an annotation that means claim ref
	hosts                 map[string]map[string]string
}

func (d deployment) files() (policy, variables string) {
	policy = authenticator
	for _, id := range slices.Sorted(maps.Keys(d.hosts)) {
		var lines []string
		for _, name := range slices.Sorted(maps.Keys(d.hosts[id])) {
			lines = append(lines, fmt.Sprintf("authn-jwt/raw/%s: %q", name, d.hosts[id][name]))
		}
		policy += hostIn(id, lines...)
	}
	variables = "jwks-uri: https://ci.example/jwks\nissuer: https://ci.example\ntoken-app-property: " + d.property + "\n"
	if d.path != "" {
		variables += "identity-path: " + d.path + "\n"
	}
	if d.alias != "" {
		variables += "claim-aliases: " + d.alias + ":ref\n"
	}
	return policy, variables
}

// tokenOf is a token that Conjur lets in as that host.
func (d deployment) tokenOf(id string) claim.Set {
	token := claim.Set{"iss": "https://ci.example", d.property: strings.TrimPrefix(strings.TrimPrefix(id, d.path), "/")}
	for name, want := range d.hosts[id] {
		if name == d.alias {
			name = "ref"
		}
		token[name] = want
	}
	return token
}

// letsIn is the host as which Conjur lets a token in, "" for none: the text of
// one claim below a path names it, and each annotation is the text of its claim.
func (d deployment) letsIn(token claim.Set) string {
	text := func(path string) (string, bool) {
		v, _ := claim.Path(path).Lookup(token)
		s, ok := v.(string)
		return s, ok && s != ""
	}
	value, ok := text(d.property)
	if issuer, _ := text("iss"); !ok || issuer != "https://ci.example" {
		return ""
	}
	id := strings.TrimPrefix(d.path+"/"+value, "/")
	annotations, there := d.hosts[id]
	if !there {
		return ""
	}
	for name, want := range annotations {
		if name == d.alias {
			name = "ref"
		}
		if got, ok := text(name); !ok || got != want {
			return ""
		}
	}
	return id
}

// Whoever Conjur lets in as a host bears that host's role and no other, and
// whoever it does not let in bears none: with claims that are texts, lists,
// objects or null, at least. Numbers and booleans are where the two differ.
func TestWhoeverConjurLetsInBearsThatHostsRole(t *testing.T) {
	word := rapid.SampledFrom([]string{"a", "b", "a/b", "b/a", "A", "main"})
	rapid.Check(t, func(t *rapid.T) {
		d := deployment{
			property: rapid.SampledFrom([]string{"sub", "app", "k8s/ns"}).Draw(t, "token-app-property"),
			path:     rapid.SampledFrom([]string{"", "a", "a/b"}).Draw(t, "identity-path"),
			alias:    rapid.SampledFrom([]string{"", "branch"}).Draw(t, "alias"),
			hosts:    map[string]map[string]string{},
		}
		names := []string{"env", "k8s/pod"}
		if names = append(names, "ref"); d.alias != "" {
			names[2] = d.alias
		}
		options := map[string]string{}
		for i, id := range rapid.SliceOfNDistinct(word, 1, 4, rapid.ID).Draw(t, "hosts") {
			id = strings.TrimPrefix(d.path+"/"+id, "/")
			d.hosts[id] = rapid.MapOfN(rapid.SampledFrom(names), word, 1, 3).Draw(t, "annotations")
			options[id] = fmt.Sprint("host-", i)
		}
		plan, found := planOf(d, options)
		if len(found) > 0 {
			t.Fatalf("%v", found)
		}
		token := d.tokenOf(rapid.SampledFrom(slices.Sorted(maps.Keys(d.hosts))).Draw(t, "whose"))
		value := rapid.OneOf(rapid.Map(word, func(s string) any { return s }), rapid.SampledFrom([]any{nil, "", []any{"a"}, map[string]any{"a": "a"}}))
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			switch name := rapid.SampledFrom([]string{"iss", "sub", "app", "env", "ref", "branch", "k8s/ns", "k8s/pod", "k8s"}).Draw(t, "claim"); {
			case rapid.Bool().Draw(t, "gone"):
				delete(token, name)
			case name == "k8s":
				token[name] = map[string]any{"ns": value.Draw(t, "ns"), "pod": value.Draw(t, "pod")}
			default:
				token[name] = value.Draw(t, name)
			}
		}
		want := options[d.letsIn(token)]
		if got := strings.Join(bears(t, plan, token), " "); got != want {
			t.Fatalf("it bears %q, and Conjur lets it in as %q", got, want)
		}
	})
}

func planOf(d deployment, names map[string]string) (conjur.Plan, []conjur.Problem) {
	policy, variables := d.files()
	return conjur.Read([]conjur.File{{Name: "policy.yml", Text: []byte(policy)}}, conjur.File{Name: "variables.yml", Text: []byte(variables)},
		conjur.Options{Service: "raw", Connection: "ci", Names: names, Issuer: ours})
}

// bears is the roles that the proof's workload bears, by the connection and the
// roles that were planned: none if the connection does not admit it.
func bears(t *rapid.T, plan conjur.Plan, token claim.Set) (names []string) {
	identity, checks := plan.Spec.Admit(proof.Proof{Claims: token})
	if !proof.Passed(checks) {
		return nil
	}
	var s role.State
	for _, r := range plan.Roles {
		var err error
		if s, err = role.Evolve(s, domain.Envelope{Subject: "role/" + r.Name.String(), Event: role.WasCreated{Spec: r.Spec}}); err != nil {
			t.Fatal(err)
		}
	}
	// What our token carries, and sub as it is worked out from the identity.
	carried := maps.Clone(token)
	delete(carried, "iss")
	delete(carried, "sub")
	if plan.Spec.IdentityClaim.Is("sub") {
		carried["sub"] = strings.TrimPrefix(identity, plan.Spec.IdentityPath+"/")
		if plan.Spec.IdentityPath == "" {
			carried["sub"] = identity
		}
	}
	for _, n := range s.Matching(role.Token{Connection: plan.Connection, Identity: identity, Claims: carried}) {
		names = append(names, n.String())
	}
	return names
}
