package access

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
)

// defaultFresh is how fresh a second factor is where the rule does not say.
const defaultFresh = 1800 // seconds

// needed is the conditions of the rule that the method is under, and its project's.
// Who has something alone has it alone: while somebody else does, a checkout is
// needed by every rule.
func (a *asking) needed(rule *policy.Rule, m *Method, exclusive bool, project resource.Project) (needed []policy.Condition) {
	taken := m.CheckedOutBy != "" && m.CheckedOutBy != a.ID
	required := exclusive && (project.Checkout.Required || taken)
	for _, c := range rule.Conditions {
		if c.Type == policy.Checkout && !exclusive && !a.Workload() {
			continue // there is nothing of it to check out
		}
		required = required && c.Type != policy.Checkout
		needed = append(needed, c)
	}
	if required {
		needed = append(needed, policy.Condition{Type: policy.Checkout})
	}
	return needed
}

// requirement is a condition as it stands at now. What [Requirement.Until] tells
// of one that is met is the first moment at which it is not.
func (a *asking) requirement(c policy.Condition, m *Method, r resource.Resource, project resource.Project) Requirement {
	if a.Workload() && !m.MayWait { // nothing that happened meets it
		return Requirement{Type: c.Type, RequestType: c.RequestType, Description: "This needs a human, and a workload asks."}
	}
	switch c.Type {
	case policy.AccessRequest:
		return a.approval(c, m, r)
	case policy.MFA:
		return a.factor(c, m)
	case policy.Checkout:
		return a.checkedOut(c, m, project)
	}
	return Requirement{Type: c.Type, Description: "This version of Sallyport does not know this condition: ask whoever runs it to upgrade."}
}

// approval is met by an approved request for exactly this, of the type that the
// rule asks for now, or by glass that was broken for it.
func (a *asking) approval(c policy.Condition, m *Method, r resource.Resource) Requirement {
	q := Requirement{Type: c.Type, RequestType: c.RequestType, Seconds: c.ApprovalSeconds}
	key := request.Key{Subject: a.ID, Resource: r.Ref, Method: m.ID, Username: m.Username, Type: c.RequestType}
	// What was approved holds until its time, and what is pending takes its course,
	// also once the type is disabled or deleted; only nothing new is raised then.
	q.Request, q.Until, q.Met = a.Requests.Approved(key, a.now)
	if m.BreakGlass > 0 {
		_, until, broken := a.Access.Broken(a.ID, r.Ref, m.ID, m.Username, a.now)
		if broken && until.After(q.Until) {
			q.Met, q.Until, q.BreakGlass, q.Request = true, until, true, ""
		}
	}
	pending := false
	if !q.Met {
		q.Request, pending = a.Requests.Pending(key, a.now)
	}
	switch {
	case q.BreakGlass:
		q.Description = fmt.Sprintf("Open until %s since you broke glass, which somebody else has to review.", clock(q.Until))
	case q.Met:
		q.Description = fmt.Sprintf("Approved until %s by request %s.", clock(q.Until), q.Request)
	case pending:
		q.Description = fmt.Sprintf("Wait until request %s is approved.", q.Request)
	case !a.Requests.Usable(c.RequestType):
		q.Description = fmt.Sprintf("Its request type, %s, is not published or not there, so nobody can approve: tell a security_admin.", c.RequestType)
	default:
		q.Description = fmt.Sprintf("Raise an access request; once approved as %s says, it holds for %s.", c.RequestType, period(c.ApprovalSeconds))
	}
	return q
}

// EveryTime is how old a proof of a second factor may be that is for one use.
const EveryTime = 5 * time.Minute

// aheadBy is by how much the clock of who vouches for a proof may be ahead of ours.
const aheadBy = 30 * time.Second

// ProofKey names the proof of a second factor that a person gave at that time. Whoever
// copies it, into another session or a token, copies its name: it is spent once.
func ProofKey(subject string, at time.Time) string {
	h := sha256.Sum256(fmt.Appendf(nil, "sallyport mfa v1\x00%s\x00%d", subject, at.UnixNano()))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// factor is met while the last proof of a second factor is fresh. Where a rule wants
// one every time, it is met by a proof that nothing was granted for, and the grant
// that follows spends it.
func (a *asking) factor(c policy.Condition, m *Method) Requirement {
	q := Requirement{Type: c.Type, Seconds: defaultFresh}
	if c.FreshSeconds != nil {
		q.Seconds = *c.FreshSeconds
	}
	proved := !a.MFAAt.IsZero() && !a.MFAAt.After(a.now.Add(aheadBy))
	until := a.MFAAt.Add(time.Duration(q.Seconds) * time.Second)
	if q.Seconds == 0 {
		until = a.MFAAt.Add(EveryTime)
	}
	switch {
	case q.Seconds == 0 && !m.Kind.Granted():
		q.Description = "Nobody can: a proof for each use is of logins and of what is revealed. Ask who writes policies for fresh_seconds from 300."
	case q.Seconds == 0 && proved && !a.MFASpent && a.now.Before(until):
		q.Met, q.Until = true, until
		q.Description = fmt.Sprintf("You proved your passkey, which opens one thing, until %s.", clock(until))
	case q.Seconds == 0 && m.Kind == SSH:
		q.Description = fmt.Sprintf("Prove your passkey for this use: on its page in the console, and then run sallyport login. A proof opens one thing, within %s.", period(int(EveryTime.Seconds())))
	case q.Seconds == 0:
		q.Description = fmt.Sprintf("Prove your passkey for this use, on its page in the console. A proof opens one thing, within %s.", period(int(EveryTime.Seconds())))
	case proved && a.now.Before(until):
		q.Met, q.Until = true, until
		q.Description = fmt.Sprintf("You proved your passkey, which counts until %s.", clock(until))
	default:
		q.Description = fmt.Sprintf("Sign in to the console with a passkey; that counts for %s.", period(q.Seconds))
	}
	return q
}

// checkedOut is met while the subject has it to itself.
func (a *asking) checkedOut(c policy.Condition, m *Method, project resource.Project) Requirement {
	q := Requirement{Type: c.Type, Seconds: cmp.Or(c.MaxSeconds, project.Checkout.MaxSeconds, resource.DefaultCheckout)}
	switch m.CheckedOutBy {
	case "":
		q.Description = fmt.Sprintf("Check it out first, for up to %s.", period(q.Seconds))
	case a.ID:
		q.Met, q.Until = true, m.CheckedOutUntil
		q.Description = fmt.Sprintf("You have it checked out until %s.", clock(q.Until))
	default:
		q.Description = fmt.Sprintf("%s has it checked out until %s: wait, or ask them to release it.", m.CheckedOutBy, clock(m.CheckedOutUntil))
	}
	return q
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// period tells seconds as people do: 1h, 1h30m, 45s.
func period(seconds int) string {
	s := (time.Duration(seconds) * time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
