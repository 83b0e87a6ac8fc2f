package events_test

import (
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/events"
	"sallyport.dev/domain/policy"
)

func examplesOfAccess() map[string]example {
	const web, secret = "server/web-1", "secret/payments/db/password"
	const ssh, reveal = "production/servers/ssh:deploy", "production/secrets/secret_reveal"
	const glass = "01KASE00000000000000000009"
	alice := access.Who{Subject: "alice", Source: "192.0.2.7"}
	ci := access.Who{Subject: workload, Connection: "gitlab-ci", Identity: identity, Source: "198.51.100.4"}
	left := []access.LeftOut{
		{Method: "production/servers/ssh:root", Needs: []policy.ConditionType{policy.MFA, policy.AccessRequest}},
		{Method: ssh, Needs: []policy.ConditionType{policy.Checkout}},
	}
	return map[string]example{
		"checkout.taken": {subject: web, actor: "alice", event: access.CheckoutWasTaken{
			Resource: web, Account: "deploy", Method: ssh, By: "alice", From: noon, Until: noon.Add(time.Hour)},
			summary: "alice checked out deploy on server/web-1 until 2026-11-22 13:00:00 UTC"},
		"checkout.released": {subject: web, actor: "resources", event: access.CheckoutWasReleased{Resource: web, Account: "deploy", Of: "alice"},
			summary: "resources released deploy on server/web-1, which alice had checked out"},
		"checkout.lapsed": {subject: secret, actor: "system:clock", event: access.CheckoutHasLapsed{Resource: secret, Of: "alice", Until: noon},
			summary: "the checkout of secret/payments/db/password by alice was over at 2026-11-22 12:00:00 UTC"},
		"break_glass.used": {subject: "break_glass/" + glass, actor: "alice", event: access.GlassWasBroken{
			Resource: web, Method: ssh, Policy: "production", Rule: "servers", Account: "deploy", Username: "deploy", RequestTypes: []domain.Name{"production-access"},
			By: "alice", Reason: "the shop is down and nobody answers", Until: noon.Add(time.Hour)},
			summary: "alice broke glass for deploy on server/web-1 until 2026-11-22 13:00:00 UTC, by rule production/servers: the shop is down and nobody answers"},
		"break_glass.reviewed": {subject: "break_glass/" + glass, actor: "bob", event: access.GlassWasReviewed{By: "alice", Comment: "seen, ticket 4711"},
			summary: "bob reviewed the glass that alice broke: seen, ticket 4711"},
		"access.granted": {subject: web, actor: "alice", event: access.WasGranted{
			Who: alice, Resource: web, Method: ssh, Kind: access.SSH, Policy: "production", Rule: "servers", Through: "group/developers",
			Account: "deploy", Username: "deploy", PublicKey: "SHA256:1jVCWocLtTUP1embt38m5nHHN+D2a6JoYsPGnDm/hEk",
			Requests: []string{"01KASE00000000000000000008"}, BreakGlass: glass, ValidFrom: noon.Add(-30 * time.Second), ValidUntil: noon.Add(5 * time.Minute)},
			summary: "alice got a certificate for deploy on web-1 until 2026-11-22 12:05:00 UTC by rule production/servers, by breaking glass"},
		"access.refused": {subject: web, actor: "alice", event: access.WasRefused{
			Who: alice, Resource: web, Method: ssh, Code: "access.unmet", Unmet: []policy.ConditionType{policy.AccessRequest, policy.Checkout}},
			summary: "alice was refused server/web-1: still to be met: an approved access request, a checkout", outcome: "denied"},
		"access.filtered": {subject: web, actor: workload, event: access.WasFiltered{Who: ci, Resource: web, Given: 1, LeftOut: left},
			summary:    identity + " of gitlab-ci was given 1 way to reach server/web-1; 2 others need a human",
			connection: "gitlab-ci", workload: identity},
		"access.cancelled": {subject: web, actor: workload, event: access.WasCancelled{Who: ci, Resource: web, LeftOut: left},
			summary: "the request of " + identity + " of gitlab-ci for server/web-1 was cancelled: every way to reach it needs a human " +
				"(an approved access request, a checkout, a second factor)", outcome: "denied", connection: "gitlab-ci", workload: identity},
		"secret.revealed": {subject: secret, actor: workload, event: access.SecretWasRevealed{Who: ci, Resource: secret, Version: 3, Method: reveal},
			summary: identity + " of gitlab-ci was shown secret/payments/db/password (version 3)", connection: "gitlab-ci", workload: identity},
	}
}

func TestARefusalSaysWhichRolesAWorkloadBore(t *testing.T) {
	ci := access.Who{Subject: "workload://default/gitlab-ci/acme", Connection: "gitlab-ci", Identity: "acme"}
	refused := access.WasRefused{Who: ci, Resource: "server/web-1", Code: "access.refused"}
	for _, tt := range []struct {
		event access.WasRefused
		want  string
	}{
		{refused, "no rule gives any way to reach it"}, // of before it was told
		{refused.Bore("", nil), "no rule gives any way to reach it; it bore no role"},
		{refused.Bore("nosuch", []domain.Name{"deployer", "reader"}), "no rule gives any way to reach it; it asked as nosuch and bore deployer, reader"},
		{access.WasRefused{Who: access.Who{Subject: "alice"}}.Bore("x", []domain.Name{"x"}), "no rule gives any way to reach it"},
	} {
		cat := events.New()
		data, err := cat.Encode(tt.event)
		if err != nil {
			t.Fatal(err)
		}
		validate(t, cat, "access.refused", data)
		again, err := cat.Decode("access.refused", data)
		if err != nil {
			t.Fatal(err)
		}
		def, _ := cat.Lookup("access.refused")
		if got := def.Summary(domain.Envelope{Event: again}); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s says %q, want %q", data, got, tt.want)
		}
	}
}
