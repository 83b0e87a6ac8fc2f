package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
)

const (
	maxDescription = 1000 // characters
	maxPrincipals  = 40
	maxRules       = 30
	maxLabels      = 20
	maxPrivileges  = 10
	maxAccounts    = 50
	maxPath        = 255 // bytes
	// maxSpecBytes leaves room for the rest of an event of 48 KiB.
	maxSpecBytes = 40 << 10
)

// References tells what there is to name. A nil function believes that each is there.
type References struct {
	Group, Role, RequestType, Server func(domain.Name) bool
}

// or knows besides what a specification names already.
func (r References) or(was Spec) References {
	also := func(known func(domain.Name) bool, names func() []domain.Name) func(domain.Name) bool {
		return func(n domain.Name) bool { return known == nil || known(n) || slices.Contains(names(), n) }
	}
	return References{
		Group: also(r.Group, func() []domain.Name { return was.Principals.Groups }),
		Role:  also(r.Role, func() []domain.Name { return was.Principals.Roles }),
		RequestType: also(r.RequestType, func() (names []domain.Name) {
			for _, rule := range was.Rules {
				for _, c := range rule.Conditions {
					names = append(names, c.RequestType)
				}
			}
			return names
		}),
		Server: also(r.Server, func() (names []domain.Name) {
			for _, rule := range was.Rules {
				names = append(names, rule.Resource.Server)
			}
			return names
		}),
	}
}

// Missing names every reference of the specification to what is not there: each
// lets nobody in. The pointer says where, the code what it should be.
func (s Spec) Missing(known References) []domain.FieldError {
	var errs fieldErrors
	look := func(at, what string, there func(domain.Name) bool, n domain.Name) {
		if _, err := domain.ParseName(n.String()); err == nil && there != nil && !there(n) {
			errs.refuse(at, what+".not_found", "there is no %s called %s", strings.ReplaceAll(what, "_", " "), n)
		}
	}
	for i, n := range s.Principals.Groups {
		look("/principals/groups/"+strconv.Itoa(i), "group", known.Group, n)
	}
	for i, n := range s.Principals.Roles {
		look("/principals/roles/"+strconv.Itoa(i), "role", known.Role, n)
	}
	for i, r := range s.Rules {
		at := "/rules/" + strconv.Itoa(i)
		look(at+"/resource/server", "server", known.Server, r.Resource.Server)
		for j, c := range r.Conditions {
			look(at+"/conditions/"+strconv.Itoa(j)+"/request_type", "request_type", known.RequestType, c.RequestType)
		}
	}
	return errs
}

// Equal tells whether two specifications say the same, in the same order.
func (s Spec) Equal(o Spec) bool {
	a, errA := json.Marshal(s)
	b, errB := json.Marshal(o)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// fieldErrors collects every field that breaks a rule.
type fieldErrors []domain.FieldError

func (f *fieldErrors) refuse(pointer, code, format string, args ...any) {
	*f = append(*f, domain.FieldError{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// Check names every field that breaks a rule. The entries of a list that is too
// long are not looked at.
func (s Spec) Check(known References) []domain.FieldError {
	var errs fieldErrors
	hidden := func(r rune) bool { return r != '\n' && r != '\t' && claim.Hidden(r) }
	switch {
	case utf8.RuneCountInString(s.Description) > maxDescription:
		errs.refuse("/description", "too_long", "a description is at most 1000 characters")
	case strings.ContainsFunc(s.Description, hidden):
		errs.refuse("/description", "invalid", "a description holds no control characters and no invisible ones")
	}
	s.Principals.check(&errs)
	switch {
	case len(s.Rules) == 0:
		errs.refuse("/rules", "required", "at least one rule is needed")
	case len(s.Rules) > maxRules:
		errs.refuse("/rules", "too_long", "at most 30 rules are allowed")
		return errs
	}
	for i, r := range s.Rules {
		at := "/rules/" + strconv.Itoa(i)
		r.check(&errs, at, s.Principals)
		if slices.ContainsFunc(s.Rules[:i], func(o Rule) bool { return o.Name == r.Name }) {
			errs.refuse(at+"/name", "duplicate", "another rule of this policy has the name already")
		}
	}
	if b, err := json.Marshal(s); err != nil || len(b) > maxSpecBytes {
		errs.refuse("", "too_long", "a policy is at most 40 KiB as JSON: make two")
	}
	return append(errs, s.Missing(known)...)
}

func (p Principals) check(errs *fieldErrors) {
	switch n := len(p.Groups) + len(p.Roles); {
	case n == 0:
		errs.refuse("/principals", "required", "a policy is for somebody: name a group or a workload role")
	case n > maxPrincipals:
		errs.refuse("/principals", "too_long", "at most 40 groups and roles together are allowed")
		return
	}
	checkNames(errs, "/principals/groups", p.Groups)
	checkNames(errs, "/principals/roles", p.Roles)
}

// checkNames holds a list of names: each well-formed, and there once.
func checkNames(errs *fieldErrors, at string, names []domain.Name) {
	for i, n := range names {
		pointer := at + "/" + strconv.Itoa(i)
		checkName(errs, pointer, n)
		if slices.Contains(names[:i], n) {
			errs.refuse(pointer, "duplicate", "it is there already")
		}
	}
}

func checkName(errs *fieldErrors, at string, n domain.Name) {
	if _, err := domain.ParseName(n.String()); err != nil {
		errs.refuse(at, "name.invalid", "%s", err)
	}
}

func (r Rule) check(errs *fieldErrors, at string, p Principals) {
	checkName(errs, at+"/name", r.Name)
	ofServers := r.Resource.check(errs, at+"/resource")
	r.checkPrivileges(errs, at+"/privileges", ofServers, p)
	r.checkConditions(errs, at+"/conditions")
	if err := CheckExpression(r.Expression); err != nil {
		errs.refuse(at+"/expression", "invalid", "%s", err)
	}
	asks := r.has(AccessRequest)
	if r.WorkloadsMayWait {
		switch pointer := at + "/workloads_may_wait"; {
		case !asks:
			errs.refuse(pointer, "not_allowed", "there is nothing to wait for: the rule has no access_request condition")
		case r.has(MFA) || r.has(Checkout):
			errs.refuse(pointer, "not_allowed", "no workload can meet mfa or checkout, however long it waits")
		case len(p.Roles) == 0:
			errs.refuse(pointer, "not_allowed", "the policy is for no workload role")
		}
	}
	if r.BreakGlass != nil {
		if !asks {
			errs.refuse(at+"/break_glass", "not_allowed", "it stands in for an approval, and the rule has no access_request condition")
		}
		checkRange(errs, at+"/break_glass/access_seconds", r.BreakGlass.AccessSeconds, 60, 86400)
	}
}

// has tells whether the rule has a condition of that type.
func (r Rule) has(t ConditionType) bool {
	return slices.ContainsFunc(r.Conditions, func(c Condition) bool { return c.Type == t })
}

// Forms of what domain/resource lets resources be called and labelled: what
// cannot be there is a mistake. This package does not see that one.
var (
	pathForm  = regexp.MustCompile(`\A[a-z0-9._-]+(/[a-z0-9._-]+)*\z`)
	labelForm = regexp.MustCompile(`\A[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?\z`)
	valueForm = regexp.MustCompile(`\A[A-Za-z0-9._/:@+ -]{0,128}\z`)
)

// check tells besides whether the selector is of servers; of one that is of
// neither it does not matter, since nothing is right for it.
func (s Selector) check(errs *fieldErrors, at string) (ofServers bool) {
	ways := 0
	for _, given := range []bool{s.Server != "", len(s.Labels) > 0, s.Secret != "", s.Folder != ""} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		errs.refuse(at, "required", "exactly one of server, labels, secret and folder says which resources the rule is about")
		return false
	}
	if s.Server != "" {
		checkName(errs, at+"/server", s.Server)
	}
	s.checkLabels(errs, at+"/labels")
	checkPath(errs, at+"/secret", s.Secret)
	checkPath(errs, at+"/folder", s.Folder)
	return s.Server != "" || len(s.Labels) > 0
}

func checkPath(errs *fieldErrors, at, path string) {
	steps := strings.Split(path, "/")
	if path != "" && (len(path) > maxPath || !pathForm.MatchString(path) || slices.Contains(steps, ".") || slices.Contains(steps, "..")) {
		errs.refuse(at, "invalid", "a path is names of a-z, 0-9, . - and _ joined by single slashes, without one at its ends, at most 255 bytes, no name being . or ..")
	}
}

func (s Selector) checkLabels(errs *fieldErrors, at string) {
	if len(s.Labels) > maxLabels {
		errs.refuse(at, "too_long", "at most 20 labels are allowed")
		return
	}
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		switch pointer := at + "/" + escape(k); {
		case !labelForm.MatchString(k):
			errs.refuse(pointer, "invalid", "a label's key is 1 to 63 characters of a-z, 0-9 and inner dots, hyphens, underscores and slashes")
		case !valueForm.MatchString(s.Labels[k]):
			errs.refuse(pointer, "invalid", "a label's value is up to 128 characters of letters, digits, spaces and . _ / : @ + -")
		}
	}
}

func (r Rule) checkPrivileges(errs *fieldErrors, at string, ofServers bool, p Principals) {
	switch {
	case len(r.Privileges) == 0:
		errs.refuse(at, "required", "at least one privilege is needed, such as ssh with an account")
	case len(r.Privileges) > maxPrivileges:
		errs.refuse(at, "too_long", "at most 10 privileges are allowed")
		return
	}
	for i, v := range r.Privileges {
		pointer := at + "/" + strconv.Itoa(i)
		v.check(errs, pointer, ofServers, p)
		if slices.ContainsFunc(r.Privileges[:i], func(o Privilege) bool { return o.Type == v.Type }) {
			errs.refuse(pointer+"/type", "duplicate", "the rule has a privilege of this type already: put all accounts or actions there")
		}
	}
}

func (v Privilege) check(errs *fieldErrors, at string, ofServers bool, p Principals) {
	switch v.Type {
	case SSH, RevealPassword:
		if n := len(v.Accounts); n == 0 || n > maxAccounts {
			errs.refuse(at+"/accounts", "required", "%s is with 1 to 50 accounts of the server", v.Type)
		} else {
			checkNames(errs, at+"/accounts", v.Accounts)
		}
	case SSHWorkload:
		if len(p.Roles) == 0 {
			errs.refuse(at+"/type", "not_allowed", "it lets workloads in, and the policy is for no workload role")
		}
	case Secret:
		v.checkActions(errs, at+"/actions")
	default:
		errs.refuse(at+"/type", "unknown", "types are ssh, ssh_workload, reveal_password and secret")
		return
	}
	if v.Type == Secret == ofServers {
		errs.refuse(at+"/type", "not_allowed", "secret goes with a selector of secrets (secret, folder), everything else with one of servers (server, labels)")
	}
	if len(v.Accounts) > 0 && v.Type != SSH && v.Type != RevealPassword {
		errs.refuse(at+"/accounts", "not_allowed", "accounts belong to ssh and reveal_password")
	}
	if len(v.Actions) > 0 && v.Type != Secret {
		errs.refuse(at+"/actions", "not_allowed", "actions belong to secret")
	}
}

func (v Privilege) checkActions(errs *fieldErrors, at string) {
	actions := []Action{List, Create, Update, Reveal, Delete}
	if n := len(v.Actions); n == 0 || n > len(actions) {
		errs.refuse(at, "required", "secret is with 1 to 5 of the actions list, create, update, reveal and delete")
		return
	}
	for i, a := range v.Actions {
		pointer := at + "/" + strconv.Itoa(i)
		switch {
		case !slices.Contains(actions, a):
			errs.refuse(pointer, "unknown", "actions are list, create, update, reveal and delete")
		case slices.Contains(v.Actions[:i], a):
			errs.refuse(pointer, "duplicate", "the action is there already")
		}
	}
}

func (r Rule) checkConditions(errs *fieldErrors, at string) {
	if len(r.Conditions) > 3 {
		errs.refuse(at, "too_long", "each of access_request, mfa and checkout may be there once")
		return
	}
	for i, c := range r.Conditions {
		pointer := at + "/" + strconv.Itoa(i)
		c.check(errs, pointer)
		if slices.ContainsFunc(r.Conditions[:i], func(o Condition) bool { return o.Type == c.Type }) {
			errs.refuse(pointer+"/type", "duplicate", "the rule has a condition of this type already")
		}
		if c.Type == Checkout && !r.exclusive() {
			errs.refuse(pointer+"/type", "not_allowed", "what is checked out is an account or the value of a secret: the rule gives neither ssh, reveal_password nor reveal")
		}
	}
}

// exclusive tells whether something that the rule gives can be checked out.
func (r Rule) exclusive() bool {
	return slices.ContainsFunc(r.Privileges, func(v Privilege) bool {
		return v.Type == SSH || v.Type == RevealPassword || v.Type == Secret && slices.Contains(v.Actions, Reveal)
	})
}

func (c Condition) check(errs *fieldErrors, at string) {
	switch c.Type {
	case AccessRequest:
		checkName(errs, at+"/request_type", c.RequestType)
		checkRange(errs, at+"/approval_seconds", c.ApprovalSeconds, 60, 31_536_000)
	case MFA:
		if c.FreshSeconds != nil && *c.FreshSeconds != 0 {
			checkRange(errs, at+"/fresh_seconds", *c.FreshSeconds, 300, 43_200)
		}
	case Checkout:
		if c.MaxSeconds != 0 {
			checkRange(errs, at+"/max_seconds", c.MaxSeconds, 900, 604_800)
		}
	default:
		errs.refuse(at+"/type", "unknown", "types are access_request, mfa and checkout")
		return
	}
	for _, f := range []struct {
		name  string
		given bool
		of    ConditionType
	}{
		{"request_type", c.RequestType != "", AccessRequest},
		{"approval_seconds", c.ApprovalSeconds != 0, AccessRequest},
		{"fresh_seconds", c.FreshSeconds != nil, MFA},
		{"max_seconds", c.MaxSeconds != 0, Checkout},
	} {
		if f.given && f.of != c.Type {
			errs.refuse(at+"/"+f.name, "not_allowed", "it belongs to a condition of type %s", f.of)
		}
	}
}

func checkRange(errs *fieldErrors, at string, n, low, high int) {
	if n < low || n > high {
		errs.refuse(at, "invalid", "it is %d to %d seconds", low, high)
	}
}

// escape makes a member's name, or its beginning, a step of an RFC 6901 pointer.
func escape(step string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(step[:min(len(step), 64)])
}
