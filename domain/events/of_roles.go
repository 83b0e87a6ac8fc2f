package events

import (
	"fmt"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/domain/role"
)

// ofRoles is the types of workload roles.
func ofRoles() []definition {
	return []definition{
		control("role.created", func(e role.WasCreated, v domain.Envelope) string {
			return fmt.Sprintf("%s created workload role %s for tokens of %s", v.Actor, roleName(v), bearers(e.Spec))
		}),
		control("role.edited", func(e role.WasEdited, v domain.Envelope) string {
			return fmt.Sprintf("%s edited workload role %s (version %d), now for tokens of %s", v.Actor, roleName(v), e.Version, bearers(e.Spec))
		}),
		control("role.deleted", func(_ role.WasDeleted, v domain.Envelope) string {
			return fmt.Sprintf("%s deleted workload role %s; its name is never given again", v.Actor, roleName(v))
		}),
	}
}

// roleName is the workload role that the event is about.
func roleName(v domain.Envelope) string { return strings.TrimPrefix(v.Subject, "role/") }

// bearers is whose tokens may bear a role: each connection once, and on how
// many conditions.
func bearers(s role.Spec) string {
	var names []string
	conditions := map[domain.Name]int{}
	for _, r := range s.Requirements {
		if _, named := conditions[r.Connection]; !named {
			names = append(names, r.Connection.String())
		}
		conditions[r.Connection] += len(r.Conditions)
	}
	for i, n := range names {
		switch count := conditions[domain.Name(n)]; count {
		case 0:
		case 1:
			names[i] = n + " (1 condition)"
		default:
			names[i] = fmt.Sprintf("%s (%d conditions)", n, count)
		}
	}
	return listed(names, "nobody")
}
