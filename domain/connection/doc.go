// Package connection answers whom an organisation trusts: where a provider's
// keys are, which conditions its JWTs must meet, how long our tokens live, and
// which two people said so.
//
// It fetches, verifies and signs nothing; [Spec.Admit] judges claims that were
// verified before.
//
//	         edit                     edit (pending) → activate
//	        ┌────┐                       ┌────┐
//	        │    ▼      activate         │    ▼        deactivate
//	none → draft ─────────────────────→ active ──────────────────→ inactive
//	         │   (security admin, not     ▲                          │   │
//	         │    a writer of it)         └───────── activate ───────┘   │
//	         └───────────────────── delete ─────────────────────────────→ deleted
//
// Every edit makes a version. An activated version goes on deciding until a
// later one is activated by somebody who wrote none of those since. A deleted
// name is never given again.
package connection
