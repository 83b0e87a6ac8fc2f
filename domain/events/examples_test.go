package events_test

import (
	"encoding/json"
	"maps"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/key"
	"sallyport.dev/domain/organisation"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/token"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// example is an event, what it is about, by whom, and what it says.
type example struct {
	subject, actor string
	event          domain.Event
	summary        string
	outcome        string // success unless stated
	workload       string
	connection     string // of the workload, where the subject is no connection
}

const (
	digest   = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	identity = "project_path:my-group/app:ref_type:branch:ref:main"
	workload = "workload://default/gitlab-ci/project_path:my-group%2Fapp:ref_type:branch:ref:main"
)

func spec() connection.Spec {
	return connection.Spec{
		Description: "Deployments of my-group",
		Provider:    "gitlab",
		Settings:    map[string]string{"domain": "gitlab.com", "group": "my-group"},
		IssuerURL:   "https://gitlab.com",
		Conditions: []claim.Condition{
			{Claim: "iss", Operator: claim.Equals, Value: "https://gitlab.com"},
			{Claim: "ref", Operator: claim.OneOf, Values: []string{"main", "release"}},
		},
		IdentityClaim: "sub", IdentityPath: "gitlab",
		Audiences: []string{"https://vault.example"}, AudienceClaims: []string{"project_path"},
		TokenTTL: connection.Duration{Amount: 15, Unit: "minutes"}, Algorithms: []string{"RS256", "ES256"},
		SingleUse: true, ProofMaxAge: &connection.Duration{Amount: 5, Unit: "minutes"}, TTLWithinProof: true,
	}
}

func checks() []proof.Check {
	return []proof.Check{
		{Check: proof.Format, Result: proof.Pass, Message: "a signed JWT in compact form"},
		{Check: proof.Condition, Claim: "ref", Operator: "equals", Expected: "main", Actual: "refs/heads/dev", Result: proof.Fail, Message: "ref is refs/heads/dev, not main", Code: "proof.conditions"},
		{Check: proof.Identity, Claim: "sub", Result: proof.Skipped, Message: "not looked at"},
	}
}

func proven() token.Proof {
	return token.Proof{
		Digest: digest, ID: "0a1b2c", Issuer: "https://gitlab.com", KeyID: "k1", Algorithm: "RS256",
		ExpiresAt: noon.Add(5 * time.Minute), SkewSeconds: 30, KeysStale: true,
	}
}

// examples has one event of every type, with every field that it can have.
func examples() map[string]example {
	all := examplesOfTrust()
	for _, of := range []func() map[string]example{
		examplesOfGroups, examplesOfRoles, examplesOfResources, examplesOfPolicies, examplesOfRequests, examplesOfAccess, examplesOfSSH, examplesOfIdentity, examplesOfNotifications,
	} {
		maps.Copy(all, of())
	}
	return all
}

func examplesOfTrust() map[string]example {
	keySet := json.RawMessage(`{"keys":[{"kty":"EC","kid":"k2","crv":"P-256","x":"AQ","y":"AQ"}]}`)
	jwk := json.RawMessage(`{"kty":"EC","kid":"e1","use":"sig","alg":"ES256","crv":"P-256","x":"AQ","y":"AQ"}`)
	const conn, tokenID = "connection/gitlab-ci", "01KASE0000000000000000000A"
	return map[string]example{
		"connection.drafted": {subject: conn, actor: "devops", event: connection.WasDrafted{Spec: spec()},
			summary: "devops drafted connection gitlab-ci for gitlab"},
		"connection.edited": {subject: conn, actor: "security2", event: connection.WasEdited{Version: 3, Spec: spec(), Pending: true},
			summary: "security2 edited connection gitlab-ci (version 3, pending until somebody else activates it)"},
		"connection.activated": {subject: conn, actor: "security", event: connection.WasActivated{Version: 2, Acknowledged: []string{"prefix.open"}},
			summary: "security activated connection gitlab-ci (version 2) and acknowledged prefix.open"},
		"connection.deactivated": {subject: conn, actor: "security", event: connection.WasDeactivated{RevokedTokens: true, Generation: 1},
			summary: "security deactivated connection gitlab-ci and revoked every token it had issued"},
		"connection.deleted": {subject: conn, actor: "security", event: connection.WasDeleted{},
			summary: "security deleted connection gitlab-ci; its name is never given again"},
		"connection.tested": {subject: conn, actor: "devops", outcome: "failed", workload: identity,
			event:   connection.WasTested{Version: 1, Verdict: "fail", Checks: checks(), Identity: identity},
			summary: "devops tested connection gitlab-ci (version 1), which refused the proof: condition ref equals main was refs/heads/dev"},
		"keys.changed": {subject: conn, actor: "system:keys",
			event:   connection.KeysChanged{Version: 2, Keys: keySet, KeyIDs: []string{"k2"}, Added: []string{"k2"}, Removed: []string{"k1"}, At: noon, SourceURL: "https://gitlab.com/oauth/discovery/keys"},
			summary: "the keys of connection gitlab-ci are now k2"},
		"token.issued": {subject: conn, actor: workload, workload: identity,
			event: token.WasIssued{
				Connection: "gitlab-ci", Version: 2, Generation: 1, Identity: identity, Grant: "token-exchange",
				ID: "jti-1", Audience: "https://vault.example", Algorithm: "RS256",
				IssuedAt: noon, ExpiresAt: noon.Add(15 * time.Minute), RoleHint: "deployers", Source: "192.0.2.7", Proof: proven(),
				Spent: digest, SpentUntil: noon.Add(6 * time.Minute),
			},
			summary: "gitlab-ci issued a token for https://vault.example to " + identity + ", until 2026-11-22 12:15:00 UTC"},
		"token.denied": {subject: conn, actor: workload, outcome: "denied", workload: identity,
			event: token.WasDenied{
				Connection: "gitlab-ci", Version: 2, Code: "proof.conditions", Identity: identity, Grant: "jwt-bearer",
				Audience: "https://vault.example", Checks: checks(), Source: "2001:db8::/64", Proof: proven(),
			},
			summary: "gitlab-ci refused a token to " + identity + ": condition ref equals main was refs/heads/dev"},
		"token.denials_suppressed": {subject: conn, actor: "system:denials", outcome: "denied",
			event:   token.DenialsWereSuppressed{Connection: "gitlab-ci", Source: "192.0.2.7", Count: 120, From: noon, Until: noon.Add(time.Minute), Codes: map[string]uint64{"proof.signature": 100, "proof.expired": 20}},
			summary: "gitlab-ci refused 120 more tokens to 192.0.2.7 between 2026-11-22 12:00:00 UTC and 2026-11-22 12:01:00 UTC: proof.expired, proof.signature"},
		"signing_key.created": {subject: "signing_key/e1", actor: "system:keys", event: key.WasCreated{KeyID: "e1", Algorithm: key.ES256, PublicJWK: jwk, Status: key.Next},
			summary: "system:keys created the next ES256 signing key e1"},
		"checkpoint_key.created": {subject: "checkpoint_key/c1", actor: "system:keys",
			event:   key.CheckpointWasCreated{KeyID: "c1", Verifier: "sallyport.example/orgs/default+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"},
			summary: "system:keys created the key c1, which signs the checkpoints of the log"},
		"signing_key.activated": {subject: "signing_key/e1", actor: "security", event: key.WasActivated{KeyID: "e1"},
			summary: "security rotated to signing key e1"},
		"signing_key.retired": {subject: "signing_key/e0", actor: "security", event: key.WasRetired{KeyID: "e0", PublishedUntil: noon.Add(key.Overlap)},
			summary: "security retired signing key e0, which stays published until 2026-11-23 12:05:30 UTC"},
		"organisation.created": {subject: "organisation/default", actor: "system:host", event: organisation.WasCreated{Name: "default", Issuer: "https://sallyport.example/orgs/default", DualControl: organisation.Strict},
			summary: "system:host created organisation default with issuer https://sallyport.example/orgs/default"},
		"organisation.dual_control_changed": {subject: "organisation/default", actor: "owner", event: organisation.DualControlWasChanged{From: organisation.Strict, To: organisation.Roles},
			summary: "owner changed dual control from strict to roles"},
		"audit.exported": {subject: "organisation/default", actor: "auditor",
			event:   organisation.TrailWasExported{Format: "events.ndjson", Filters: map[string]string{"type": "token.*", "outcome": "denied"}, UpTo: "42.1"},
			summary: "auditor exported the audit trail up to 42.1: outcome denied, type token.*"},
		"person.added": {subject: "person/carol", actor: "owner", event: person.WasAdded{Name: "carol", Roles: []domain.Role{domain.SecurityAdmin, domain.Auditor}},
			summary: "owner added carol as security_admin, auditor"},
		"person.role_granted": {subject: "person/carol", actor: "owner", event: person.RoleWasGranted{Name: "carol", Role: domain.DevOpsAdmin},
			summary: "owner made carol devops_admin"},
		"person.role_revoked": {subject: "person/carol", actor: "owner", event: person.RoleWasRevoked{Name: "carol", Role: domain.DevOpsAdmin},
			summary: "owner took role devops_admin from carol"},
		"api_token.created": {subject: "api_token/" + tokenID, actor: "system:host", event: person.TokenWasCreated{ID: tokenID, Person: "carol", Roles: []domain.Role{domain.Auditor}, Hash: person.HashToken("a token"), ExpiresAt: noon.Add(8 * time.Hour)},
			summary: "system:host created an API token for carol as auditor, until 2026-11-22 20:00:00 UTC"},
		"api_token.revoked": {subject: "api_token/" + tokenID, actor: "carol", event: person.TokenWasRevoked{ID: tokenID, Person: "carol"},
			summary: "carol revoked an API token of carol"},
	}
}
