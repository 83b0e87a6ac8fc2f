package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
)

// specView is a specification in words.
type specView struct {
	Facts      []fact
	Conditions []conditionWords
}

// fact is one line of what is so.
type fact struct {
	Label, Text string
	Code        bool // the text is a value, not a sentence
}

// conditionWords is a condition as people say it.
type conditionWords struct {
	Claim, Operator string
	Values          []string
}

// operatorWords are the operators as people say them.
var operatorWords = map[claim.Operator]string{
	claim.Equals: "is", claim.StartsWith: "begins with", claim.Exists: "is there, whatever it says",
	claim.OneOf: "is one of", claim.Includes: "is a list with",
}

func sayConditions(all []claim.Condition) (words []conditionWords) {
	for _, c := range all {
		words = append(words, sayCondition(c))
	}
	return words
}

func sayCondition(c claim.Condition) conditionWords {
	w := conditionWords{Claim: string(c.Claim), Operator: operatorWords[c.Operator], Values: c.Values}
	if c.Value != "" {
		w.Values = []string{c.Value}
	}
	return w
}

// String is the condition in a line.
func (w conditionWords) String() string {
	return strings.TrimSpace(w.Claim + " " + w.Operator + " " + claim.List(w.Values))
}

// saySpec tells everything that a specification says.
func saySpec(s connection.Spec) specView {
	v := specView{Conditions: sayConditions(s.Conditions)}
	say := func(label, text string, code bool) {
		if text != "" {
			v.Facts = append(v.Facts, fact{label, text, code})
		}
	}
	say("Description", s.Description, false)
	say("Provider", providerTitle(s.Provider), false)
	for _, ask := range s.Provider.Asks() {
		say(settingLabel(ask.Name), s.Settings[ask.Name], true)
	}
	say("Keys at", s.JWKSURL, true)
	say("Keys found by the issuer", s.IssuerURL, true)
	say("Keys", keyWords(s.JWKS), false)
	if s.CACertificate != "" {
		say("Certificates", fmt.Sprintf("%d of the connection's own, to know the server of the keys by", strings.Count(s.CACertificate, "-----BEGIN CERTIFICATE")), false)
	}
	say("Workload is named by", string(s.IdentityClaim), true)
	say("after the path", s.IdentityPath, true)
	life := s.TokenTTL.String()
	if s.TTLWithinProof {
		life += ", and never longer than the proof"
	}
	say("Tokens live", life, false)
	say("Proofs are signed with", strings.Join(s.Algorithms, ", "), false)
	if s.SingleUse {
		say("A proof", "makes one token only", false)
	}
	if s.ProofMaxAge != nil {
		say("Proofs are taken until", s.ProofMaxAge.String()+" after they were made", false)
	}
	say("Tokens for others", strings.Join(s.Audiences, ", "), true)
	say("Claims given to them", strings.Join(s.AudienceClaims, ", "), true)
	return v
}

// warningTitles are what is weak, in a few words.
var warningTitles = map[string]string{
	connection.AudienceNotPinned: "Tokens made for others are taken", connection.TenantNotPinned: "Other customers of the provider are let in",
	connection.PrefixOpen: "A beginning is compared that others can have too", connection.ExistsAlone: "A claim only has to be there",
	connection.TTLLong: "Tokens live long", connection.KeysHTTP: "Keys come by plain HTTP", connection.SubjectNameOnly: "Somebody else can get this name later",
}

// warningTitle heads a warning; the code itself where it has no words.
func warningTitle(code string) string {
	if title := warningTitles[code]; title != "" {
		return title
	}
	return code
}

// keyWords tells of uploaded keys by their ids.
func keyWords(jwks json.RawMessage) string {
	if jwks == nil {
		return ""
	}
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if json.Unmarshal(jwks, &set) != nil {
		return "uploaded"
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k.ID)
	}
	return "uploaded: " + strings.Join(ids, ", ")
}

// settingLabel is the name of a provider's setting as a form says it.
func settingLabel(name string) string {
	words := strings.ReplaceAll(name, "_", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}

// changeWords is a difference between two versions as people read it.
type changeWords struct{ Label, From, To string }

// changeLabels are the fields of a specification as the table names them.
var changeLabels = map[string]string{
	"jwks_url": "Keys at", "issuer_url": "Keys found by the issuer", "jwks": "Uploaded keys", "ca_certificate": "Certificates",
	"conditions": "Condition", "identity_claim": "Workload is named by", "identity_path": "after the path", "audiences": "Tokens for others",
	"audience_claims": "Claims given to them", "token_ttl": "Tokens live", "algorithms": "Proofs are signed with", "single_use": "A proof makes one token only",
	"proof_max_age": "Proofs are taken for", "ttl_within_proof": "Tokens end with their proof", "description": "Description", "provider": "Provider",
}

// switchWords say what a field is that is on or off.
var switchWords = map[string]string{"false": "no", "true": "yes"}

// sayChanges is how the version that waits differs from the current one.
// Conditions are said as the form and the list say them.
func sayChanges(s connection.State) (words []changeWords) {
	said := map[string]string{}
	for _, list := range [][]claim.Condition{s.Current.Conditions, s.Newest().Conditions} {
		var texts, words []string
		for _, c := range list {
			texts, words = append(texts, c.String()), append(words, sayCondition(c).String())
			said[c.String()] = sayCondition(c).String()
		}
		said[strings.Join(texts, ", ")] = strings.Join(words, ", ") // of another order
	}
	for _, c := range s.Diff() {
		step, rest, _ := strings.Cut(strings.TrimPrefix(c.Pointer, "/"), "/")
		label := changeLabels[step]
		if step == "settings" {
			label = settingLabel(rest)
		}
		if step == "conditions" {
			c.From, c.To = cmp.Or(said[c.From], c.From), cmp.Or(said[c.To], c.To)
		}
		if step == "single_use" || step == "ttl_within_proof" {
			c.From, c.To = switchWords[c.From], switchWords[c.To]
		}
		words = append(words, changeWords{label, c.From, c.To})
	}
	return together(words, s)
}

// together says of a condition that was changed what it was and will be, in one
// row: of a claim that one condition left and one came.
func together(words []changeWords, s connection.State) (out []changeWords) {
	left, came := byClaim(s.Current, words), byClaim(s.Newest(), words)
	for _, w := range words {
		c := came[claimOf(s.Current, w.From)]
		switch {
		case w.Label != "Condition":
		case w.To == "" && len(left[claimOf(s.Current, w.From)]) == 1 && len(c) == 1:
			w.To = c[0]
		case w.From == "" && len(came[claimOf(s.Newest(), w.To)]) == 1 && len(left[claimOf(s.Newest(), w.To)]) == 1:
			continue
		}
		out = append(out, w)
	}
	return out
}

// byClaim is which conditions of a specification left or came, by their claim.
func byClaim(s connection.Spec, changes []changeWords) map[claim.Path][]string {
	found := map[claim.Path][]string{}
	for _, c := range s.Conditions {
		says := sayCondition(c).String()
		if slices.ContainsFunc(changes, func(w changeWords) bool { return w.Label == "Condition" && (w.From == says || w.To == says) }) {
			found[c.Claim] = append(found[c.Claim], says)
		}
	}
	return found
}

// claimOf is the claim of the condition that says so.
func claimOf(s connection.Spec, says string) claim.Path {
	for _, c := range s.Conditions {
		if sayCondition(c).String() == says {
			return c.Claim
		}
	}
	return ""
}

// between is what changed from one specification to another.
func between(from, to connection.Spec) []changeWords {
	return sayChanges(connection.State{Current: from, Pending: &to})
}
