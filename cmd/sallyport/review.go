package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sallyport.dev/cmd/internal/cli"
)

// connection is what the client understands of a connection; all is kept as
// it came, so that what a newer server adds survives an edit.
type connection struct {
	Name, Description, Provider, Status string
	Version                             uint64
	ActiveVersion                       uint64 `json:"active_version"`
	UpdatedAt                           string `json:"updated_at"`
	UpdatedBy                           string `json:"updated_by"`
	Pending                             map[string]json.RawMessage
	Warnings                            []struct {
		Code, Message string
		Blocks        bool
	}
	all map[string]json.RawMessage
}

func (c *connection) UnmarshalJSON(b []byte) error {
	type known connection
	if err := json.Unmarshal(b, (*known)(c)); err != nil {
		return err
	}
	return json.Unmarshal(b, &c.all)
}

// answered lists the members that only the server writes.
var answered = []string{
	"status", "version", "active_version", "generation", "pending", "created_at", "created_by", "updated_at", "updated_by",
	"activated_at", "activated_by", "warnings", "difference", "keys",
}

// newest is the document that an edit starts from: the pending version, or
// the connection as it stands.
func (c connection) newest() map[string]json.RawMessage {
	doc := maps.Clone(c.all)
	if c.Pending != nil {
		doc = maps.Clone(c.Pending)
	}
	for _, k := range answered {
		delete(doc, k)
	}
	return doc
}

func (c connection) statusLine() string {
	if c.Pending != nil {
		return c.Status + ", change pending"
	}
	return c.Status
}

func (c connection) codes() []string {
	var codes []string
	for _, w := range c.Warnings {
		codes = append(codes, w.Code)
	}
	return codes
}

func (c connection) heading() []string {
	return []string{c.Name, fmt.Sprintf("%s, version %d", c.Status, c.Version)}
}

// review shows a person all that the connection trusts, what would change, and
// what is dangerous about it.
func (c connection) review(w io.Writer) error {
	rows := cli.Rows{c.heading()}
	for _, k := range fieldOrder(c.all) {
		rows = append(rows, []string{"  " + k, fieldText(k, c.all[k])})
	}
	if err := rows.Write(w, nil); err != nil {
		return err
	}
	if err := writeConditions(w, "  conditions, all of which must hold", c.all["conditions"]); err != nil {
		return err
	}
	if err := c.writePending(w); err != nil {
		return err
	}
	return c.writeWarnings(w, nil)
}

// brief is what to read before activating: the difference that is pending, or
// else the conditions and where the keys are, and the warnings that nobody has
// acknowledged.
func (c connection) brief(w io.Writer, acknowledged []string) error {
	rows := cli.Rows{c.heading()}
	if c.Pending == nil {
		for _, k := range []string{"provider", "jwks_url", "issuer_url", "jwks", "token_ttl"} {
			if v := c.all[k]; v != nil && !empty(v) {
				rows = append(rows, []string{"  " + k, fieldText(k, v)})
			}
		}
	}
	if err := rows.Write(w, nil); err != nil {
		return err
	}
	show := c.writePending
	if c.Pending == nil {
		show = func(w io.Writer) error {
			return writeConditions(w, "  conditions, all of which must hold", c.all["conditions"])
		}
	}
	if err := show(w); err != nil {
		return err
	}
	return c.writeWarnings(w, acknowledged)
}

// writeWarnings shows the warnings but those acknowledged. Those of a version
// that is active were acknowledged when it was activated.
func (c connection) writeWarnings(w io.Writer, acknowledged []string) error {
	for _, x := range c.Warnings {
		mark := "warning"
		switch {
		case slices.Contains(acknowledged, x.Code):
			continue
		case x.Blocks && c.Status == "active" && c.Pending == nil:
			mark = "warning, acknowledged"
		case x.Blocks:
			mark = "warning, blocks activation until acknowledged"
		}
		if _, err := fmt.Fprintf(w, "  %s: %s: %s\n", mark, cli.Clean(x.Code), cli.Clean(x.Message)); err != nil {
			return err
		}
	}
	return nil
}

// fieldOrder lists the members that are worth a line, the important first.
func fieldOrder(doc map[string]json.RawMessage) []string {
	var names []string
	for _, k := range []string{"description", "provider", "settings", "jwks_url", "issuer_url", "jwks", "identity_claim", "identity_path",
		"audiences", "audience_claims", "token_ttl", "algorithms", "single_use", "proof_max_age", "ttl_within_proof", "ca_certificate",
		"active_version", "created_by", "created_at", "updated_by", "updated_at", "activated_by", "activated_at"} {
		if v, ok := doc[k]; ok && !empty(v) {
			names = append(names, k)
		}
	}
	return names
}

// fieldText is a member's value for people; what does not look as it should is
// shown as it is.
func fieldText(name string, raw json.RawMessage) string {
	switch name {
	case "settings":
		var settings map[string]string
		if json.Unmarshal(raw, &settings) == nil {
			return strings.Join(pairs(settings), ", ")
		}
	case "jwks":
		var set struct{ Keys []struct{ Kid string } }
		if json.Unmarshal(raw, &set) == nil && len(set.Keys) > 0 {
			var kids []string
			for _, k := range set.Keys {
				kids = append(kids, first(k.Kid, "(no kid)"))
			}
			return "keys " + strings.Join(kids, ", ")
		}
	case "token_ttl", "proof_max_age":
		var d struct {
			Amount int64
			Unit   string
		}
		if json.Unmarshal(raw, &d) == nil && slices.Contains([]string{"seconds", "minutes", "hours"}, d.Unit) {
			return strconv.FormatInt(d.Amount, 10) + d.Unit[:1]
		}
	case "audiences", "audience_claims", "algorithms":
		var list []string
		if json.Unmarshal(raw, &list) == nil {
			return strings.Join(list, ", ")
		}
	case "created_at", "updated_at", "activated_at":
		return clock(short(raw))
	}
	return short(raw)
}

func pairs(m map[string]string) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+"="+m[k])
	}
	return list
}

func empty(v json.RawMessage) bool {
	switch string(v) {
	case "null", `""`, "[]", "{}", "false", "0":
		return true
	}
	return false
}

func writeConditions(w io.Writer, heading string, raw json.RawMessage) error {
	rows := cli.Rows{}
	for _, line := range conditionLines(raw) {
		rows = append(rows, append([]string{"   "}, line...))
	}
	if len(rows) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w, heading); err != nil {
		return err
	}
	return rows.Write(w, nil)
}

func conditionLines(raw json.RawMessage) [][]string {
	var conditions []struct {
		Claim, Operator, Value string
		Values                 []string
	}
	if json.Unmarshal(raw, &conditions) != nil {
		return nil
	}
	var lines [][]string
	for _, c := range conditions {
		value := c.Value
		if len(c.Values) > 0 {
			value = strings.Join(c.Values, ", ")
		}
		lines = append(lines, []string{c.Claim, c.Operator, value})
	}
	return lines
}

// writePending shows what the pending version changes, as the server tells it.
func (c connection) writePending(w io.Writer) error {
	if c.Pending == nil {
		return nil
	}
	var difference []struct{ Pointer, From, To string }
	if err := json.Unmarshal(c.Pending["difference"], &difference); err != nil {
		return fmt.Errorf("reading the difference: %w", err)
	}
	var b strings.Builder
	b.WriteString("  pending change (- as activated, + as it would be)\n")
	for _, d := range difference {
		if d.From != "" {
			fmt.Fprintf(&b, "    - %s: %s\n", cli.Clean(label(d.Pointer)), cli.Clean(d.From))
		}
		if d.To != "" {
			fmt.Fprintf(&b, "    + %s: %s\n", cli.Clean(label(d.Pointer)), cli.Clean(d.To))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// label is a pointer of the difference for people: which element of a list it
// was helps nobody.
func label(pointer string) string {
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	if last := len(steps) - 1; last > 0 {
		if _, err := strconv.Atoi(steps[last]); err == nil {
			steps = steps[:last]
		}
	}
	return strings.Join(steps, " ")
}
