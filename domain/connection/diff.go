package connection

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sallyport.dev/domain/claim"
)

// Change is one difference between two versions, as text for people.
type Change struct {
	Pointer string `json:"pointer"` // RFC 6901, into the version that has it: the old one where To is ""
	From    string `json:"from"`    // "" if it was not there
	To      string `json:"to"`      // "" if it is no more there
}

// Diff lists how the pending version differs from the current one: fields in
// the order of a connection's document, a list by what came and what went. It
// is nil where nothing is pending.
func (s State) Diff() []Change {
	if s.Pending == nil {
		return nil
	}
	return diff(s.Current, *s.Pending)
}

func diff(from, to Spec) []Change {
	var out []Change
	field := func(pointer, a, b string) {
		if a != b {
			out = append(out, Change{pointer, a, b})
		}
	}
	list := func(pointer string, a, b []string) { out = append(out, diffList(pointer, a, b)...) }

	field("/description", from.Description, to.Description)
	field("/provider", string(from.Provider), string(to.Provider))
	for _, name := range unionOfKeys(from.Settings, to.Settings) {
		field("/settings/"+name, from.Settings[name], to.Settings[name])
	}
	field("/jwks_url", from.JWKSURL, to.JWKSURL)
	field("/issuer_url", from.IssuerURL, to.IssuerURL)
	list("/jwks/keys", keyTexts(from.JWKS), keyTexts(to.JWKS))
	field("/ca_certificate", from.CACertificate, to.CACertificate)
	list("/conditions", texts(from.Conditions, claim.Condition.String), texts(to.Conditions, claim.Condition.String))
	field("/identity_claim", string(from.IdentityClaim), string(to.IdentityClaim))
	field("/identity_path", from.IdentityPath, to.IdentityPath)
	list("/audiences", from.Audiences, to.Audiences)
	list("/audience_claims", from.AudienceClaims, to.AudienceClaims)
	field("/token_ttl", from.TokenTTL.String(), to.TokenTTL.String())
	list("/algorithms", from.Algorithms, to.Algorithms)
	field("/single_use", strconv.FormatBool(from.SingleUse), strconv.FormatBool(to.SingleUse))
	field("/proof_max_age", optional(from.ProofMaxAge), optional(to.ProofMaxAge))
	field("/ttl_within_proof", strconv.FormatBool(from.TTLWithinProof), strconv.FormatBool(to.TTLWithinProof))
	return out
}

// diffList tells what left a list and what came, and where the same elements
// stand in another order, that.
func diffList(pointer string, from, to []string) []Change {
	var out []Change
	for i, e := range from {
		if !slices.Contains(to, e) {
			out = append(out, Change{pointer + "/" + strconv.Itoa(i), e, ""})
		}
	}
	for i, e := range to {
		if !slices.Contains(from, e) {
			out = append(out, Change{pointer + "/" + strconv.Itoa(i), "", e})
		}
	}
	if len(out) == 0 && !slices.Equal(from, to) {
		out = append(out, Change{pointer, strings.Join(from, ", "), strings.Join(to, ", ")})
	}
	return out
}

func unionOfKeys(a, b map[string]string) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func texts[T any](in []T, text func(T) string) []string {
	var out []string
	for _, e := range in {
		out = append(out, text(e))
	}
	return out
}

// keyTexts is each uploaded key as its JSON.
func keyTexts(jwks json.RawMessage) []string {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if jwks == nil || json.Unmarshal(jwks, &set) != nil {
		return nil
	}
	return texts(set.Keys, func(k json.RawMessage) string { return string(k) })
}

func optional(d *Duration) string {
	if d == nil {
		return ""
	}
	return d.String()
}
