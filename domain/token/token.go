// Package token answers the one question everything else exists for: does this
// proof, through this connection, at this moment, become a token?
//
// [Decide] is the only way to one. Every grant goes through it, and so does the
// test of a draft, which asks the same question of a connection that cannot
// say yes. It signs nothing and records nothing: the caller records the event
// first, and only then signs the claims and hands them out.
package token

import (
	"encoding/json"
	"net/url"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
)

const (
	// SkewSeconds is how far a provider's clock may be off ours, in seconds; the event says so.
	SkewSeconds = 30
	// Skew is SkewSeconds as a duration.
	Skew = SkewSeconds * time.Second
	// MaxClaimsBytes bounds the claims of a token as JSON, so that the token
	// stays under 8 KiB as text: 4/3 of this, its header, and the longest
	// signature we make (RS256 with 4096 bits).
	MaxClaimsBytes = 5500
)

// Request is what the caller of an exchange asks for, already read and checked.
type Request struct {
	Grant    string // token-exchange or jwt-bearer, for the record
	Audience string // whom the token is for; empty, or the issuer, is ourselves
	RoleHint string
	Source   string // prefix of the client's address, for the record
}

// Decision is what became of a request. The zero value allows nothing.
type Decision struct {
	Allowed      bool
	Code         string // the error_code, empty if allowed
	Connection   domain.Name
	Organisation domain.Name
	Identity     string        // whom the proof names, empty unless it was verified
	Checks       []proof.Check // everything that was looked at, in the order of a report

	Issued *WasIssued // to be recorded before Claims are signed; nil unless allowed
	Denied *WasDenied // to be recorded; nil if allowed, or if there is no such connection

	// Claims are to be signed with Algorithm once Issued is durable; nil unless allowed.
	Claims    *Claims
	Payload   json.RawMessage // Claims as JSON, the bytes to sign; nil unless allowed
	Algorithm string          // ES256 for ourselves, RS256 for other audiences
	ExpiresAt time.Time

	// SpendKey is set if the proof is good for one token only: the commit of
	// Issued must then be fenced against every other commit.
	SpendKey string

	// WouldIssue are the claims that a draft would issue if it were active; nil
	// unless nothing but that is missing. They are for people to read.
	WouldIssue *Claims
}

// Fact is the event to record, about the connection, in the name of the
// workload as far as it is known; false if there is none.
func (d Decision) Fact() (domain.Fact, bool) {
	f := domain.Fact{
		Subject: "connection/" + d.Connection.String(),
		Actor:   Workload(d.Organisation, d.Connection, d.Identity),
	}
	switch {
	case d.Issued != nil:
		f.Event = *d.Issued
	case d.Denied != nil:
		f.Event = *d.Denied
	default:
		return domain.Fact{}, false
	}
	return f, true
}

// Workload is the name of a workload as actor and as sub: the identity is one
// path segment, so no identity can look like another connection's. An unknown
// identity is empty.
func Workload(org, conn domain.Name, identity string) string {
	w := "workload://" + org.String() + "/" + conn.String()
	if identity == "" {
		return w
	}
	return w + "/" + url.PathEscape(identity)
}

// Test is the decision on a proof if the connection's newest version were a
// draft: it never allows anything, whatever the connection is. The draft is
// satisfied if Code is connection.draft, and WouldIssue tells what it would
// issue. No proof counts as spent, and every condition is explained, whoever
// signed the proof.
func Test(org domain.Name, issuer string, c connection.State, p proof.Proof, checks []proof.Check, r Request, m domain.Meta) Decision {
	if c.Status != connection.None && c.Status != connection.Deleted {
		c.Current, c.Status = c.Newest(), connection.Drafted
	}
	unspent := func(string) bool { return false }
	return decide(org, issuer, c, p, checks, r, unspent, "not-issued", m, true)
}
