package organisation

import (
	"context"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/token"
	"sallyport.dev/projections/control"
)

// Report is what the test of a connection tells: every check, in order, with
// every failure. Nothing was issued.
type Report struct {
	Verdict    string               `json:"verdict"` // pass or fail
	Checks     []proof.Check        `json:"checks"`
	Identity   string               `json:"identity"`
	WouldIssue *token.Claims        `json:"would_issue"` // were the version active; null where it would be refused
	Warnings   []connection.Warning `json:"warnings"`
	Position   domain.Position      `json:"-"`
}

// Test tells whether a JWT meets a connection's newest version, whatever its
// status: by the same verification and the same decision as the token
// endpoint's. The test is an event; the JWT is not, and no
// token is made. It is for whoever may edit the connection.
func (o *Organisation) Test(ctx context.Context, m domain.Meta, name domain.Name, jwt string) (Report, error) {
	var c connection.State
	o.control.Read(func(s *control.State, _ domain.Head) { c = s.Connection(name) })
	if err := connection.MayWrite(c, m.Actor); err != nil {
		return Report{}, err
	}
	if !o.tests.Allow(name.String(), m.Now) {
		return Report{}, errTests
	}
	spec := c.Newest()
	p, checks := o.Verify(ctx, c, spec, c.Version, jwt, m.Now)
	d := token.Test(o.name, o.issuer, c, p, checks, token.Request{}, m)
	tested := connection.Tested(c.Version, d.Code == token.CodeDraft, d.Checks, d.Identity)
	r := Report{
		Verdict: tested.Verdict, Checks: d.Checks, Identity: d.Identity, WouldIssue: d.WouldIssue,
		Warnings: connection.Warnings(spec, o.issuer),
	}
	fact := domain.Fact{Subject: "connection/" + name.String(), Event: tested}
	var err error
	r.Position, err = o.Record(ctx, m, func(*control.State) ([]domain.Fact, string, error) {
		return []domain.Fact{fact}, "", nil
	})
	return r, unavailable(err)
}

// A test makes Sallyport verify, and at times fetch, for whoever asks.
const (
	testsPerSecond = 1
	testsBurst     = 60
)

var errTests = &domain.Error{Kind: domain.KindTooMany, Code: "rate.limited",
	Message: "Too many tests of this connection: try again in a second."}
