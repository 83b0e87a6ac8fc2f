package events

import (
	"fmt"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
)

// ofGroups is the types of groups and memberships.
func ofGroups() []definition {
	return []definition{
		control("group.created", func(e group.WasCreated, v domain.Envelope) string {
			return fmt.Sprintf("%s created group %s%s", v.Actor, e.Name, lends(e.Spec))
		}),
		control("group.edited", func(e group.WasEdited, v domain.Envelope) string {
			return fmt.Sprintf("%s edited group %s (version %d)%s", v.Actor, e.Name, e.Version, lends(e.Spec))
		}),
		control("group.deleted", func(e group.WasDeleted, v domain.Envelope) string {
			return fmt.Sprintf("%s deleted group %s; its name is never given again", v.Actor, e.Name)
		}),
		control("group.member_added", func(e group.MemberWasAdded, v domain.Envelope) string {
			s := fmt.Sprintf("%s put %s in group %s", v.Actor, e.Person, e.Group)
			if !e.Until.IsZero() {
				s += ", until " + clock(e.Until)
			}
			if e.Request != "" {
				s += ", as access request " + e.Request + " allows"
			}
			return s
		}),
		control("group.member_removed", func(e group.MemberWasRemoved, v domain.Envelope) string {
			if e.Reason == group.Lapsed {
				return fmt.Sprintf("%s was in group %s until %s", e.Person, e.Group, clock(e.Until))
			}
			return fmt.Sprintf("%s removed %s from group %s", v.Actor, e.Person, e.Group)
		}),
	}
}

// lends is the end of a sentence about a group that lends admin roles.
func lends(s group.Spec) string {
	if len(s.Roles) == 0 {
		return ""
	}
	return ", whose members are " + roles(s.Roles)
}
