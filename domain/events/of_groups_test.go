package events_test

import (
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/person"
)

func examplesOfGroups() map[string]example {
	const subject, request = "group/on-call", "01KASE0000000000000000000R"
	spec := group.Spec{Description: "Who is called at night", Roles: []domain.Role{domain.ResourceAdmin, domain.Auditor}}
	return map[string]example{
		"person.edited": {subject: "person/carol", actor: "owner", event: person.WasEdited{Name: "carol", Email: "carol@example.com", Manager: "dana"},
			summary: "owner edited carol: email carol@example.com, manager dana"},
		"person.removed": {subject: "person/carol", actor: "owner", event: person.WasRemoved{Name: "carol"},
			summary: "owner removed carol; the name is never given again"},
		"group.created": {subject: subject, actor: "owner", event: group.WasCreated{Name: "on-call", Spec: spec},
			summary: "owner created group on-call, whose members are resource_admin, auditor"},
		"group.edited": {subject: subject, actor: "owner", event: group.WasEdited{Name: "on-call", Version: 2, Spec: spec},
			summary: "owner edited group on-call (version 2), whose members are resource_admin, auditor"},
		"group.deleted": {subject: subject, actor: "owner", event: group.WasDeleted{Name: "on-call"},
			summary: "owner deleted group on-call; its name is never given again"},
		"group.member_added": {subject: subject, actor: "security", event: group.MemberWasAdded{
			Group: "on-call", Person: "carol", Until: noon.Add(8 * time.Hour), Source: group.Local, Request: request},
			summary: "security put carol in group on-call, until 2026-11-22 20:00:00 UTC, as access request " + request + " allows"},
		"group.member_removed": {subject: subject, actor: "system:clock", event: group.MemberWasRemoved{
			Group: "on-call", Person: "carol", Reason: group.Lapsed, Until: noon.Add(8 * time.Hour)},
			summary: "carol was in group on-call until 2026-11-22 20:00:00 UTC"},
	}
}
