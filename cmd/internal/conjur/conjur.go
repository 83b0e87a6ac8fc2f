// Package conjur reads what Conjur's JWT authenticator (authn-jwt) was told, and
// plans the connection and the workload roles that let the same workloads in.
//
// It reads policy files and the values of the authenticator's variables, and
// touches nothing else: what it makes is a [Plan], or every [Problem] at once.
// Conjur's own rules are errors here under Conjur's own codes. What Sallyport
// cannot say as Conjur does is an error too, since a restriction that is dropped
// would let more in; what merely is not needed is told as a note.
package conjur

import (
	"cmp"
	"fmt"
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/role"
)

// File is a policy file, or the file of variables.
type File struct {
	Name   string // as people know it, for what is told about it
	Branch string // the policy that it was loaded into, such as apps/web; "" is root
	Text   []byte
}

// Options of [Read].
type Options struct {
	Service    string            // the authenticator's service id, such as gitlab
	Connection string            // name of the connection; "" is made of Service
	Names      map[string]string // names of roles by the id of their host, where the rule's does not please
	Issuer     string            // the organisation's
}

// Plan is what to draft: one connection, and a workload role for each host.
type Plan struct {
	Connection domain.Name
	Spec       connection.Spec // complete
	Roles      []Role          // in the order of their hosts in the files
	Notes      []string        // what was left out or differs, each a sentence
}

// Role is the workload role of one host.
type Role struct {
	Name domain.Name
	Host string // its id in Conjur, without host/
	Spec role.Spec
}

// Problem is one thing that keeps the plan from being made.
type Problem struct {
	File string
	Line int    // 0 where it is about the whole file
	Host string // "" where it is about no host
	Code string // Conjur's, such as CONJ00057E; "" for what only Sallyport refuses
	Text string // a sentence
}

// String is the problem on one line: file, line, host, code and sentence.
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
	}
	if p.Host != "" {
		s += ": host " + p.Host
	}
	if p.Code != "" {
		return s + ": " + p.Code + " " + p.Text
	}
	return s + ": " + p.Text
}

// problems collects every problem there is.
type problems []Problem

func (ps *problems) add(file string, line int, code, format string, args ...any) {
	*ps = append(*ps, Problem{File: file, Line: line, Code: code, Text: fmt.Sprintf(format, args...)})
}

// Read makes the plan. With any problem the plan is empty; the problems are in
// the order of the files and their lines, policies first.
func Read(policies []File, variables File, o Options) (Plan, []Problem) {
	var found problems
	p := readPolicies(policies, &found)
	set := readSettings(variables, p, o.Service, &found)
	plan := Plan{Notes: p.notes}
	plan.drawConnection(set, o, &found)
	plan.drawRoles(p, set, o, &found)
	if len(found) > 0 {
		order := func(file string) int {
			at := slices.IndexFunc(policies, func(f File) bool { return f.Name == file })
			return (at + len(policies) + 1) % (len(policies) + 1) // the variables last
		}
		slices.SortStableFunc(found, func(a, b Problem) int {
			return cmp.Or(cmp.Compare(order(a.File), order(b.File)), cmp.Compare(a.Line, b.Line))
		})
		return Plan{}, found
	}
	plan.Notes = append(plan.Notes, set.notes...)
	return plan, nil
}
