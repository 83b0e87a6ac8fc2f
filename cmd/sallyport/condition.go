package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/provider"
)

// The API takes the conditions of a connection as a whole: those given replace
// those that a preset fills in. People think of one at a time, so the client
// fills the preset in itself and sends all of them.

// condition is one condition as it is sent; what a newer server knows of it
// beside its claim survives.
type condition struct {
	claim claim.Path
	raw   json.RawMessage
}

// on tells whether the condition is about that claim, in whichever form either
// path is written.
func (c condition) on(p claim.Path) bool { return c.claim.Is(p) || p.Is(c.claim) }

type conditions []condition

func (cs conditions) on(p claim.Path) conditions {
	var found conditions
	for _, c := range cs {
		if c.on(p) {
			found = append(found, c)
		}
	}
	return found
}

func (cs conditions) without(p claim.Path) conditions {
	return slices.DeleteFunc(slices.Clone(cs), func(c condition) bool { return c.on(p) })
}

// put adds conditions, in place of those that are on the same claims.
func (cs conditions) put(given conditions) conditions {
	out := slices.Clone(cs)
	for _, name := range given.claims() {
		p := claim.Path(name)
		at := slices.IndexFunc(out, func(c condition) bool { return c.on(p) })
		if out = out.without(p); at < 0 {
			at = len(out)
		}
		out = slices.Insert(out, at, given.on(p)...)
	}
	return out
}

func (cs conditions) text() json.RawMessage {
	list := []json.RawMessage{}
	for _, c := range cs {
		list = append(list, c.raw)
	}
	return text(list)
}

// claims lists the claims that the conditions are on, each once.
func (cs conditions) claims() []string {
	var names []string
	for _, c := range cs {
		if !slices.Contains(names, string(c.claim)) {
			names = append(names, string(c.claim))
		}
	}
	return names
}

// conditionsIn reads the conditions of a document; nil where it has none.
func conditionsIn(doc map[string]json.RawMessage) (conditions, error) {
	raw, ok := doc["conditions"]
	if !ok {
		return nil, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, cli.Fail("correct the file", "its conditions are no list")
	}
	var cs conditions
	for _, raw := range list {
		var c struct{ Claim claim.Path }
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, cli.Fail("correct the file", "a condition is no object with a claim")
		}
		cs = append(cs, condition{c.Claim, raw})
	}
	return cs, nil
}

// setConditions puts the conditions to send into doc: those that were there
// before, or that the preset fills in, with what other settings change, what
// --condition gives and without what --remove-condition names. Where nothing of
// this is asked for, the server fills the preset in.
func (f *specFlags) setConditions(c *cobra.Command, given func(string) bool, issuer func() (string, error), before, doc map[string]json.RawMessage) error {
	fresh, err := parseConditions(c, f.conditions)
	if err != nil {
		return err
	}
	if f.replace && (len(fresh) == 0 || given("remove-condition")) {
		return cli.Usage(c, "--replace-conditions takes the conditions of --condition, and no --remove-condition")
	}
	cs, err := conditionsIn(before)
	if err != nil {
		return err
	}
	reset := len(before) > 0 && (given("setting") || given("provider"))
	named := given("condition") || given("remove-condition")
	if !reset && !named {
		return nil
	}
	switch {
	case reset:
		cs, err = refill(cs, issuer, before, doc)
	case cs == nil && !f.replace:
		var p filled
		p, err = preset(doc, issuer)
		cs = p.conditions
	}
	switch {
	case err != nil:
		return err
	case f.replace:
		doc["conditions"] = fresh.text()
		return nil
	}
	for _, name := range f.without {
		if len(cs.on(claim.Path(name))) == 0 {
			return cli.Usage(c, "--remove-condition %q: the conditions are on %s", name, first(strings.Join(cs.claims(), ", "), "nothing"))
		}
		cs = cs.without(claim.Path(name))
	}
	doc["conditions"] = cs.put(fresh).text()
	return nil
}

// refill is the conditions that were there, cs, with what other settings make
// of them. It is a merge of three by claim: where the preset fills in the same as
// before, or nothing any more, what people made of it stays; where it fills in
// something else, that counts. The key source goes likewise: one that the settings move is dropped,
// and filled in by the server.
func refill(cs conditions, issuer func() (string, error), before, doc map[string]json.RawMessage) (conditions, error) {
	if _, err := issuer(); err != nil {
		return nil, err
	}
	after, err := preset(doc, issuer)
	if err != nil {
		return nil, err
	}
	old, err := preset(before, issuer)
	if err != nil {
		old = filled{} // settings that are not good any more filled in nothing
	}
	if after.keys != old.keys {
		for _, k := range keySources {
			delete(doc, k)
		}
	}
	if cs == nil {
		return after.conditions, nil
	}
	for _, name := range append(after.conditions.claims(), old.conditions.claims()...) {
		p := claim.Path(name)
		fresh, was := after.conditions.on(p), old.conditions.on(p)
		if same(fresh, was) || len(fresh) == 0 && !same(cs.on(p), was) {
			continue
		}
		if cs = cs.put(fresh); len(fresh) == 0 {
			cs = cs.without(p)
		}
	}
	return cs, nil
}

// same tells whether two lists of conditions say the same.
func same(a, b conditions) bool {
	return slices.EqualFunc(a, b, func(a, b condition) bool {
		var x, y claim.Condition
		return json.Unmarshal(a.raw, &x) == nil && json.Unmarshal(b.raw, &y) == nil && x.Equal(y)
	})
}

var keySources = []string{"jwks_url", "issuer_url", "jwks"}

// filled is what a provider's preset makes of settings.
type filled struct {
	conditions conditions
	keys       [2]string // URLs of the key set and of the issuer
}

// preset is what the provider of a document fills in; without settings nothing.
func preset(doc map[string]json.RawMessage, issuer func() (string, error)) (filled, error) {
	settings := settingsOf(doc)
	if len(settings) == 0 {
		return filled{}, nil
	}
	ours, err := issuer()
	if err != nil {
		return filled{}, err
	}
	kind := short(doc["provider"])
	p, errs := provider.Fill(provider.Kind(kind), settings, ours)
	if len(errs) > 0 {
		e := cli.Fail("correct what is named and repeat", "the conditions of provider %q cannot be filled in", kind)
		for _, x := range errs {
			e.Details = append(e.Details, inFlags(x.Pointer)+": "+x.Detail)
		}
		return filled{}, e
	}
	var cs conditions
	for _, c := range p.Conditions {
		cs = append(cs, condition{c.Claim, text(c)})
	}
	return filled{cs, [2]string{p.JWKSURL, p.IssuerURL}}, nil
}

// withConditions adds to an error that counts conditions those that were sent:
// a person gave some of them only.
func withConditions(err error, doc map[string]json.RawMessage) error {
	var e *cli.Error
	if !errors.As(err, &e) || !slices.ContainsFunc(e.Details, func(d string) bool { return strings.HasPrefix(d, "--condition, the ") }) {
		return err
	}
	for i, line := range conditionLines(doc["conditions"]) {
		e.Details = append(e.Details, fmt.Sprintf("the %s sent: %s", ordinal(i+1), strings.Join(line, " ")))
	}
	return e
}

func settingsOf(doc map[string]json.RawMessage) provider.Settings {
	settings := provider.Settings{}
	if json.Unmarshal(doc["settings"], &settings) != nil || settings == nil {
		return provider.Settings{} // the server says what is wrong with them
	}
	return settings
}

func parseConditions(c *cobra.Command, given []string) (conditions, error) {
	var cs conditions
	for _, s := range given {
		one, err := parseCondition(s)
		if err != nil {
			return nil, cli.Usage(c, "--condition %q: %v", s, err)
		}
		cs = append(cs, condition{one.Claim, text(one)})
	}
	return cs, nil
}

var operators = []claim.Operator{claim.Equals, claim.StartsWith, claim.Exists, claim.OneOf, claim.Includes}

// parseCondition reads "claim operator value". The value is all that follows
// the blank after the operator; one_of takes values with commas between them, or
// a JSON list where a value has a comma, or blanks or quotes at its ends.
func parseCondition(s string) (claim.Condition, error) {
	path, rest, _ := strings.Cut(s, " ")
	operator, value, _ := strings.Cut(rest, " ")
	c := claim.Condition{Claim: claim.Path(path), Operator: claim.Operator(operator)}
	switch {
	case path == "":
		return c, fmt.Errorf("it starts with the name of a claim")
	case !slices.Contains(operators, c.Operator):
		return c, fmt.Errorf("after the claim comes one of equals, starts_with, exists, one_of, includes")
	case c.Operator == claim.Exists && value != "":
		return c, fmt.Errorf("exists takes no value")
	case c.Operator == claim.Exists:
		return c, nil
	case value == "":
		return c, fmt.Errorf("%s needs a value", operator)
	case c.Operator != claim.OneOf:
		c.Value = value
		return c, checkValue(value)
	case json.Unmarshal([]byte(value), &c.Values) == nil:
		return c, nil
	}
	c.Values = nil // of a list that was read in part
	for v := range strings.SplitSeq(value, ",") {
		v = strings.TrimSpace(v)
		if err := checkValue(v); err != nil {
			return c, err
		}
		c.Values = append(c.Values, v)
	}
	return c, nil
}

// checkValue refuses what was hardly meant: it is compared byte for byte, so a
// blank or a quote too many never matches, and nobody sees why.
func checkValue(v string) error {
	switch {
	case v == "":
		return fmt.Errorf("a value is empty")
	case strings.TrimSpace(v) != v:
		return fmt.Errorf("the value %q begins or ends with a blank; if that is meant, give it in a file with --from-file", v)
	case len(v) > 1 && v[0] == v[len(v)-1] && (v[0] == '"' || v[0] == '\''):
		return fmt.Errorf("the value %s has quotes around it, which would be compared too: leave them out", v)
	}
	return nil
}
