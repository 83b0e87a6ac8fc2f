package events_test

import (
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	signin "sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
)

func examplesOfIdentity() map[string]example {
	const subject, session, enrolment = "person/carol", "0123456789abcdef", "01KASE0000000000000000000A"
	account := signin.Account{Issuer: "https://login.example.com", Subject: "00u1a2b3"}
	return map[string]example{
		"person.identity_linked": {subject: subject, actor: "system:sign_in", event: signin.WasLinked{Person: "carol", Account: account},
			summary: "carol signs in with account 00u1a2b3 of https://login.example.com from now on"},
		"person.identity_unlinked": {subject: subject, actor: "owner", event: signin.WasUnlinked{Person: "carol", Account: account},
			summary: "owner took account 00u1a2b3 of https://login.example.com from carol"},
		"person.signed_in": {subject: subject, actor: "carol", event: signin.WasSignedIn{
			Person: "carol", Method: "oidc", Provider: "okta", Session: session, MFA: true, Source: "192.0.2.7", Again: true},
			summary: "carol proved anew who they are with okta and a second factor from 192.0.2.7"},
		"person.signed_out": {subject: subject, actor: "owner", event: signin.WasSignedOut{Person: "carol", Session: session, Began: noon},
			summary: "owner ended a session of carol that began at 2026-11-22 12:00:00 UTC"},
		"person.sessions_ended": {subject: subject, actor: "owner", event: signin.SessionsWereEnded{Person: "carol", Sessions: 20},
			summary: "owner ended 20 more sessions of carol"},
		"person.sign_in_refused": {subject: "sign_in", actor: "system:sign_in", outcome: "denied", event: signin.WasRefused{
			Code: "sign_in.unknown", Provider: "okta", Account: account, Source: "192.0.2.7"},
			summary: "a sign-in with okta from 192.0.2.7 was refused (sign_in.unknown): 00u1a2b3"},
		"passkey.registered": {subject: subject, actor: "carol", event: signin.PasskeyWasRegistered{
			Person: "carol", ID: "AQIDBA", Name: "my laptop", PublicKey: "pQECAyYgASFYIA", AAGUID: "00000000-0000-0000-0000-000000000000", Synced: true, Counter: 1},
			summary: "carol registered passkey my laptop"},
		"passkey.removed": {subject: subject, actor: "carol", event: signin.PasskeyWasRemoved{Person: "carol", ID: "AQIDBA", Name: "my laptop"},
			summary: "carol removed passkey my laptop"},
		"passkey.used": {subject: subject, actor: "carol", event: signin.PasskeyWasUsed{Person: "carol", ID: "AQIDBA", Name: "my laptop", Counter: 7, Back: true},
			summary: "carol proved with passkey my laptop who they are; its counter went back, so there may be a copy of it"},
		"person.invited": {subject: subject, actor: "owner", event: signin.WasInvited{
			ID: enrolment, Person: "carol", Hash: person.HashToken("a secret"), ExpiresAt: noon.Add(signin.InvitationLife)},
			summary: "owner invited carol by a one-time link to register a passkey, until 2026-11-23 12:00:00 UTC"},
		"person.identity_invited": {subject: subject, actor: "owner", event: signin.AccountWasInvited{Person: "carol", Account: account},
			summary: "owner said that whoever first signs in with account 00u1a2b3 of https://login.example.com is carol"},
		"person.identity_uninvited": {subject: subject, actor: "owner", event: signin.AccountWasUninvited{Person: "carol", Account: account},
			summary: "owner said that account 00u1a2b3 of https://login.example.com is not to be carol"},
		"enrolment.created": {subject: "enrolment/" + enrolment, actor: "system:host", event: signin.EnrolmentWasCreated{
			ID: enrolment, Person: "carol", Hash: person.HashToken("a secret"), ExpiresAt: noon.Add(signin.EnrolmentLife)},
			summary: "system:host made a one-time link by which carol becomes an owner with a passkey, until 2026-11-22 12:15:00 UTC"},
		"enrolment.used": {subject: "enrolment/" + enrolment, actor: "carol", event: signin.EnrolmentWasUsed{ID: enrolment, Person: "carol"},
			summary: "carol used a one-time link that was made on the server's host"},
	}
}

func TestSentencesAboutSignIns(t *testing.T) {
	for _, tt := range []struct {
		actor string
		event domain.Event
		want  string
	}{
		{"carol", signin.WasSignedIn{Person: "carol", Method: "passkey", Source: "192.0.2.7"}, "carol signed in with a passkey from 192.0.2.7"},
		{"carol", signin.WasSignedOut{Person: "carol", Began: noon}, "carol signed out of a session that began at 2026-11-22 12:00:00 UTC"},
		{"carol", person.WasSignedOutEverywhere{Person: "carol"}, "carol signed out everywhere, of sessions in the console and of programs that were let in"},
		{"carol", person.WasSignedOutEverywhere{Person: "carol", Kept: "0123456789abcdef"},
			"carol signed out everywhere but in one session, of sessions in the console and of programs that were let in"},
		{"system:first_start", signin.EnrolmentWasCreated{ExpiresAt: noon},
			"system:first_start made a one-time link by which whoever opens it first becomes an owner with a passkey, until 2026-11-22 12:00:00 UTC"},
		{"system:sign_in", signin.WasRefused{Code: "sign_in.passkey", Source: "192.0.2.7"}, "a sign-in from 192.0.2.7 was refused (sign_in.passkey): an unknown account"},
	} {
		def, ok := events.New().Lookup(tt.event.EventType())
		if got := def.Summary(domain.Envelope{Actor: tt.actor, Event: tt.event}); !ok || got != tt.want {
			t.Errorf("%T says %q, want %q", tt.event, got, tt.want)
		}
	}
}
