package events

import (
	"fmt"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
)

// ofPolicies is the types of policies.
func ofPolicies() []definition {
	return []definition{
		control("policy.drafted", func(e policy.WasDrafted, v domain.Envelope) string {
			return fmt.Sprintf("%s drafted policy %s for %s (%s), which lets nobody in until it is published", v.Actor, policyOf(v), principals(e.Spec), ruleCount(e.Spec))
		}),
		control("policy.edited", func(e policy.WasEdited, v domain.Envelope) string {
			return fmt.Sprintf("%s edited policy %s for %s (version %d, %s), without effect until it is published", v.Actor, policyOf(v), principals(e.Spec), e.Version, ruleCount(e.Spec))
		}),
		control("policy.published", func(e policy.WasPublished, v domain.Envelope) string {
			return fmt.Sprintf("%s published policy %s (version %d)", v.Actor, policyOf(v), e.Version)
		}),
		control("policy.unpublished", func(e policy.WasUnpublished, v domain.Envelope) string {
			return fmt.Sprintf("%s unpublished policy %s (version %d), which lets nobody in any more", v.Actor, policyOf(v), e.Version)
		}),
		control("policy.deleted", func(_ policy.WasDeleted, v domain.Envelope) string {
			return fmt.Sprintf("%s deleted policy %s; its name is never given again", v.Actor, policyOf(v))
		}),
	}
}

// policyOf is the policy that the event is about.
func policyOf(v domain.Envelope) string { return strings.TrimPrefix(v.Subject, "policy/") }

// principals is whom a policy is for.
func principals(s policy.Spec) string {
	var all []string
	for _, g := range s.Principals.Groups {
		all = append(all, "group "+g.String())
	}
	for _, r := range s.Principals.Roles {
		all = append(all, "role "+r.String())
	}
	return listed(all, "nobody")
}

func ruleCount(s policy.Spec) string {
	if n := len(s.Rules); n != 1 {
		return fmt.Sprintf("%d rules", n)
	}
	return "1 rule"
}
