// Package access decides who may reach what, by which method, with what still
// to be met. [Resolve] is the one decision: every list, every grant, every
// request, checkout and break-glass asks it.
package access

import (
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
)

// Subject is who asks.
type Subject struct {
	ID string // a person's name, or a workload's URI
	// Of a person:
	Person domain.Name
	Groups []domain.Name // that they are in now
	MFAAt  time.Time     // when they last proved a second factor; zero: never
	// MFASpent is that something was granted for that very proof, or may have been.
	MFASpent bool
	// Of a workload; Person is "" then:
	Connection domain.Name
	Identity   string
	Roles      []domain.Name // that its token bears now, after the hint
	Claims     claim.Set
	// Usernames is who a workload is on servers, for each of its roles.
	Usernames map[domain.Name]string
}

// Workload tells whether the subject is a workload.
func (s Subject) Workload() bool { return s.Person == "" }

// Kind is what a method does.
type Kind string

const (
	// SSH logs in on a server.
	SSH Kind = "ssh"
	// RevealPassword reads the password of a server's vaulted account.
	RevealPassword Kind = "reveal_password"
	// SecretList sees all of a secret but its value.
	SecretList Kind = "secret_list"
	// SecretCreate puts the first version of a secret that is not there.
	SecretCreate Kind = "secret_create"
	// SecretUpdate puts a further version.
	SecretUpdate Kind = "secret_update"
	// SecretReveal reads the value.
	SecretReveal Kind = "secret_reveal"
	// SecretDelete destroys versions, and the secret itself.
	SecretDelete Kind = "secret_delete"
)

// Granted tells whether it is used by a grant, which a proof can be spent by; the
// others are used as they are, again and again.
func (k Kind) Granted() bool { return k == SSH || k == RevealPassword || k == SecretReveal }

// Requirement is one condition of a method, and whether it is met.
type Requirement struct {
	Type        policy.ConditionType
	Met         bool
	Until       time.Time   // when it stops being met; zero where that is not known
	RequestType domain.Name // of access_request
	Request     string      // id of the request under way, or of the one whose approval meets it
	BreakGlass  bool        // it is met because glass was broken
	Seconds     int         // of access_request how long an approval holds, of mfa how fresh, of checkout its maximum
	Description string      // a sentence: what it is and what to do next
}

// Method is one way to reach a resource.
type Method struct {
	ID       string // POLICY/RULE/KIND or POLICY/RULE/KIND:ACCOUNT; stable while policy, rule and account keep their names
	Kind     Kind
	Account  domain.Name // of a server; "" for the workload's own user and for secrets
	Username string      // who one is on the server
	Policy   domain.Name
	Rule     domain.Name
	Through  string // the principal that lets the subject in: "group/NAME" or "role/NAME"
	Requires []Requirement
	// CheckedOutBy has it now, until CheckedOutUntil; "" nobody.
	CheckedOutBy    string
	CheckedOutUntil time.Time
	MayWait         bool // a workload's request is raised for people
	BreakGlass      int  // seconds of access that breaking glass gives; 0: it may not be broken
}

// Open tells whether everything is met.
func (m Method) Open() bool {
	for _, r := range m.Requires {
		if !r.Met {
			return false
		}
	}
	return true
}

// Outcome of a decision.
type Outcome string

const (
	// Given is that there are methods.
	Given Outcome = "given"
	// Filtered is that there are, and others were left out since they need a human.
	Filtered Outcome = "filtered"
	// Cancelled is that all there were need a human, and a workload asks.
	Cancelled Outcome = "cancelled"
	// Refused is that no rule lets the subject in.
	Refused Outcome = "refused"
)

// Answer is every method for the subject.
type Answer struct {
	Outcome Outcome
	Methods []Method
	LeftOut []Method // from a workload's, since they need a human
}

// World is what is true of everything that a decision looks at, at one place in the log.
type World struct {
	Resources resource.State
	Policies  policy.State
	Requests  request.State
	Access    State
}
