package events_test

import (
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
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
		"person.signed_out_everywhere": {subject: "person/carol", actor: "owner", event: person.WasSignedOutEverywhere{Person: "carol"},
			summary: "owner signed carol out everywhere, of sessions in the console and of programs that were let in"},
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

func TestSentencesAboutGroups(t *testing.T) {
	for _, tt := range []struct {
		event domain.Event
		want  string
	}{
		{group.WasCreated{Name: "on-call"}, "owner created group on-call"},
		{group.WasEdited{Name: "on-call", Version: 3}, "owner edited group on-call (version 3)"},
		{group.MemberWasAdded{Group: "on-call", Person: "carol", Source: group.Local}, "owner put carol in group on-call"},
		{group.MemberWasRemoved{Group: "on-call", Person: "carol", Reason: group.Removed}, "owner removed carol from group on-call"},
		{person.WasEdited{Name: "carol"}, "owner edited carol: email none, manager none"},
		{person.WasAdded{Name: "carol", Roles: []domain.Role{domain.Member}, Email: "c@example.com", Manager: "dana"}, "owner added carol as member"},
	} {
		def, ok := events.New().Lookup(tt.event.EventType())
		if got := def.Summary(domain.Envelope{Actor: "owner", Event: tt.event}); !ok || got != tt.want {
			t.Errorf("%T says %q, want %q", tt.event, got, tt.want)
		}
	}
}

// A person may be added with an address and a manager; the schema knows both.
func TestAPersonAddedWithAllThereIsFitsTheSchema(t *testing.T) {
	cat := events.New()
	data, err := cat.Encode(person.WasAdded{Name: "carol", Roles: []domain.Role{domain.Member}, Email: "c@example.com", Manager: "dana"})
	if err != nil {
		t.Fatal(err)
	}
	validate(t, cat, "person.added", data)
	if e, err := cat.Decode("person.added", data); err != nil || e.(person.WasAdded).Manager != "dana" {
		t.Errorf("it reads as %+v, %v", e, err)
	}
}
