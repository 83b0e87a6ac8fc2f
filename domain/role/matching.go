package role

import (
	"cmp"
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
)

// Token is what a token says of its workload, and what its connection says now.
type Token struct {
	Connection domain.Name
	Identity   string
	Hint       string    // role_hint in the token; chooses among the roles that match, and is no authority
	Claims     claim.Set // sallyport.claims of the token, and sub where it is known
}

// Matching is the roles whose requirements the token meets, by name. With a
// hint it is that role alone, if it matches, and otherwise none.
func (s State) Matching(t Token) []domain.Name {
	if t.Hint != "" {
		if r, there := s.roles[domain.Name(t.Hint)]; there && r.matches(t) {
			return []domain.Name{r.Name}
		}
		return nil
	}
	var out []domain.Name
	for n, r := range s.roles {
		if r.matches(t) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, cmp.Compare[domain.Name])
	return out
}

// matches tells whether one requirement is met.
func (s Spec) matches(t Token) bool {
	return slices.ContainsFunc(s.Requirements, func(r Requirement) bool { return r.met(t) })
}

// met tells whether the token is of the connection and every condition holds.
func (r Requirement) met(t Token) bool {
	if r.Connection == "" || r.Connection != t.Connection {
		return false
	}
	return !slices.ContainsFunc(r.Conditions, func(c claim.Condition) bool { return !c.Match(t.Claims) })
}

// Explained says to people why a token bears a role or does not.
type Explained struct {
	Role         domain.Name
	Matches      bool
	Requirements []ExplainedRequirement // those on the token's connection; nobody else's can be met
}

// ExplainedRequirement is one requirement, and each of its conditions.
type ExplainedRequirement struct {
	Index        int // in the role's list
	Met          bool
	Conditions   []claim.Condition
	Explanations []claim.Explanation // one for each condition
}

// Explain is [State.Matching] without the hint, with its reasons: every role
// that asks for tokens of this connection, by name.
func (s State) Explain(t Token) []Explained {
	var out []Explained
	for _, role := range s.Roles() {
		if t.Connection == "" || !role.names(t.Connection) {
			continue
		}
		e := Explained{Role: role.Name, Matches: role.matches(t)}
		for i, r := range role.Requirements {
			if r.Connection != t.Connection {
				continue
			}
			x := ExplainedRequirement{Index: i, Met: r.met(t), Conditions: r.Conditions}
			for _, c := range r.Conditions {
				x.Explanations = append(x.Explanations, c.Explain(t.Claims))
			}
			e.Requirements = append(e.Requirements, x)
		}
		out = append(out, e)
	}
	return out
}
