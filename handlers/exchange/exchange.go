// Package exchange is the token endpoint: a workload's JWT in, our token out
// (RFC 8693 token exchange, and the RFC 7523 JWT bearer grant as another way to
// ask the same question).
//
// Both grants end in one decision, [token.Decide], made on the control state
// and recorded, fenced on that state, before the token leaves the process. What
// could not be recorded is not issued. A denial for a connection that exists is
// an event too, up to a rate; noise about connections that do not exist is not.
//
//	form -> request -> connection -> verify (jose) -> decide (domain) -> sign -> record -> answer
package exchange

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/oauth"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
	"sallyport.dev/streams"
)

const (
	// maxCandidates bounds the connections that are tried for a request that names none.
	maxCandidates = 8
	// verifyWithin bounds the wait for a provider's keys, and recordWithin the
	// wait for the log: who is slow must not be told as the other.
	verifyWithin = 5 * time.Second
	recordWithin = 5 * time.Second
	// patience bounds how long a request is decided anew while its connection keeps changing.
	patience = 5 * time.Second
)

// Exchange answers the token requests of one organisation. It is safe for concurrent use.
type Exchange struct {
	org       *organisation.Organisation
	opt       Options
	denials   *denials
	admission admission
	stop      context.CancelFunc
	stopped   chan struct{}
}

// Options of [New]; each may be left out.
type Options struct {
	// Sources limits how often one network may ask, and Connections how often one
	// connection is asked for; nil does not.
	Sources, Connections *limit.Limiter
	// Meter is told of every request; nil: nobody is.
	Meter Meter
	// Tracer is told of every step; nil: nobody is.
	Tracer Tracer
	// Grants answer, by their grant type, what is no exchange of a workload's
	// proof.
	Grants map[string]Grant
}

// Grant answers a request at the token endpoint, its form as it was read.
type Grant func(echo.Context, oauth.Form) error

// Meter counts what became of requests. It is called from many goroutines at
// once, and every request waits for it.
type Meter interface {
	// Exchanged tells what became of a request: connection is the name of one that
	// exists, or empty; reason is an error_code, and empty for a token.
	Exchanged(connection domain.Name, reason string, took time.Duration)
}

// Tracer follows the steps of a request: verify, decide, sign, record. It learns
// nothing but their names and whether they failed.
type Tracer interface {
	// Step begins a step; the func returned ends it.
	Step(ctx context.Context, name string) (context.Context, func(failed bool))
}

// New starts the exchange of an organisation; the caller must Close it.
func New(o *organisation.Organisation, opt Options) *Exchange {
	ctx, stop := context.WithCancel(context.Background())
	x := &Exchange{org: o, opt: opt, denials: newDenials(o.Replicas), stop: stop, stopped: make(chan struct{})}
	go x.writeCounts(ctx)
	return x
}

// step begins a step of a request.
func (x *Exchange) step(ctx context.Context, name string) (context.Context, func(failed bool)) {
	if x.opt.Tracer == nil {
		return ctx, func(bool) {}
	}
	return x.opt.Tracer.Step(ctx, name)
}

// Close writes the denials that were only counted, and stops; closing twice is once.
func (x *Exchange) Close() {
	x.stop()
	<-x.stopped
}

// answer is a token that is in the log.
type answer struct {
	token     domain.Secret
	expiresIn int64 // seconds
	at        domain.Position
}

// errMoved is a decision that its connection outran: decide again from the start.
var errMoved = errors.New("the connection changed since the decision")

// exchange answers a request that was understood. decider is the connection that
// was found for it, and empty if none was.
func (x *Exchange) exchange(ctx context.Context, m domain.Meta, r request) (a answer, decider domain.Name, refusal *oauth.Error) {
	for begun := time.Now(); time.Since(begun) < patience; {
		conn, refusal := x.choose(ctx, r, m.Now)
		if refusal != nil {
			return answer{}, conn.conn.Name, refusal
		}
		a, code, err := x.attempt(ctx, m, r, conn)
		switch {
		case errors.Is(err, errMoved):
			continue
		case err != nil:
			return answer{}, conn.conn.Name, r.tellError(err)
		case code != "":
			return answer{at: a.at}, conn.conn.Name, r.tell(code)
		}
		return a, conn.conn.Name, nil
	}
	return answer{}, "", r.tell("log.unavailable")
}

// candidate is a connection and what the proof is under its keys.
type candidate struct {
	conn   connection.State
	proof  proof.Proof
	checks []proof.Check
}

// choose finds the connection that decides and verifies the proof with its keys.
func (x *Exchange) choose(ctx context.Context, r request, now time.Time) (candidate, *oauth.Error) {
	if r.connection == "" {
		return x.byIssuer(ctx, r, now)
	}
	conn := x.connection(r.connection)
	if conn.Status == connection.None {
		// It may have been made on another replica just now.
		if err := x.org.Current(ctx); err != nil {
			return candidate{}, r.tell("log.unavailable")
		}
		conn = x.connection(r.connection)
	}
	if conn.Status == connection.None || conn.Status == connection.Deleted {
		return candidate{}, r.tell("connection.unknown")
	}
	c := x.verify(ctx, conn, r.proof, now)
	if !x.admits(c, now) {
		return candidate{conn: conn}, r.tell("rate.limited")
	}
	return c, nil
}

// admits tells whether a connection may be asked for once more now. Whoever has
// no proof of its provider uses up what others without one have, and not what
// its workloads have: its name is no secret.
func (x *Exchange) admits(c candidate, now time.Time) bool {
	key := c.conn.Name.String()
	if !proof.Passed(c.checks) {
		key += " unproven" // which no name is
	}
	return x.opt.Connections == nil || x.opt.Connections.Allow(key, now)
}

// byIssuer tries the active connections that pin exactly the proof's issuer.
// The issuer is unverified here, so it only selects among trusts that exist:
// it never forms a URL. Exactly one must fit.
func (x *Exchange) byIssuer(ctx context.Context, r request, now time.Time) (candidate, *oauth.Error) {
	compact, err := jose.ParseCompact(r.proof.Reveal())
	if err != nil {
		return candidate{}, r.tell("proof.malformed")
	}
	issuer, _ := compact.Claims["iss"].(string)
	var conns []connection.State
	x.org.Read(func(s *control.State, _ domain.Head) { conns = s.ConnectionsByIssuer(issuer) })
	switch {
	case len(conns) == 0:
		return candidate{}, r.tell("connection.unknown")
	case len(conns) > maxCandidates:
		return candidate{}, r.tell("connection.ambiguous")
	}
	var fitting, closest candidate // closest is what a denial explains
	fit, furthest := 0, -1
	for _, conn := range conns {
		c := x.verify(ctx, conn, r.proof, now)
		if !x.admits(c, now) {
			// Leaving it out could make another one fit that is not alone.
			return candidate{conn: conn}, r.tell("rate.limited")
		}
		checks := c.checks
		if proof.Passed(checks) { // conditions are for who is who they say
			_, conditions := conn.Current.Admit(c.proof)
			if checks = slices.Concat(checks, conditions); proof.Passed(checks) {
				fitting, fit = c, fit+1
			}
		}
		if n := passed(checks); n > furthest {
			closest, furthest = c, n
		}
	}
	switch fit {
	case 0:
		return closest, nil
	case 1:
		return fitting, nil
	}
	return candidate{}, r.tell("connection.ambiguous")
}

func passed(checks []proof.Check) (n int) {
	for _, c := range checks {
		if c.Result == proof.Pass {
			n++
		}
	}
	return n
}

func (x *Exchange) connection(name domain.Name) (c connection.State) {
	x.org.Read(func(s *control.State, _ domain.Head) { c = s.Connection(name) })
	return c
}

// verify checks the proof with the connection's keys. An inactive connection
// issues nothing whatever the proof says, so nobody's keys are fetched for it.
func (x *Exchange) verify(ctx context.Context, conn connection.State, jwt domain.Secret, now time.Time) candidate {
	if conn.Status == connection.Inactive {
		return candidate{conn: conn}
	}
	ctx, cancel := context.WithTimeout(ctx, verifyWithin)
	defer cancel()
	ctx, end := x.step(ctx, "verify")
	p, checks := x.org.Verify(ctx, conn, conn.Current, conn.CurrentVersion(), jwt.Reveal(), now)
	end(!proof.Passed(checks))
	return candidate{conn, p, checks}
}

// attempt decides once, signs what is to be issued, records the decision and
// hands out the token. code is the refusal. errMoved means that what was decided
// is void, since the connection is no longer what it was decided on.
func (x *Exchange) attempt(ctx context.Context, m domain.Meta, r request, c candidate) (a answer, code string, err error) {
	ctx, cancel := context.WithTimeout(ctx, recordWithin)
	defer cancel()
	_, end := x.step(ctx, "decide")
	d, err := x.decide(m, r, c)
	end(err != nil || !d.Allowed)
	if err != nil {
		return answer{}, "", err
	}
	if !d.Allowed {
		at, err := x.deny(ctx, m, c, d)
		return answer{at: at}, d.Code, err
	}
	// Signed first, so that a token that cannot be signed is never recorded as
	// issued; it stays here until the log has it.
	signing, end := x.step(ctx, "sign")
	compact, err := x.org.Sign(signing, d.Algorithm, "at+jwt", d.Payload)
	end(err != nil)
	if err != nil {
		return answer{}, "", err
	}
	fact, _ := d.Fact()
	at, err := x.record(ctx, m, func(s *control.State) ([]domain.Fact, string, error) {
		if moved(s.Connection(c.conn.Name), c.conn) || d.SpendKey != "" && s.Spent(d.SpendKey, d.Issued.SpentUntil) {
			return nil, "", errMoved // decided again, and explained, from the start
		}
		return []domain.Fact{fact}, d.SpendKey, nil
	})
	if err != nil {
		return answer{}, "", err
	}
	return answer{domain.NewSecret(compact), int64(d.Issued.ExpiresAt.Sub(d.Issued.IssuedAt) / time.Second), at}, "", nil
}

// record has what was decided recorded, as a step of the request.
func (x *Exchange) record(ctx context.Context, m domain.Meta, d streams.Decision[*control.State]) (domain.Position, error) {
	ctx, end := x.step(ctx, "record")
	at, err := x.org.Record(ctx, m, d)
	end(err != nil)
	return at, err
}

// decide asks the one decision function. It is asked outside the state's lock:
// its work is a stranger's to choose, and Record holds what it found against the
// state again.
func (x *Exchange) decide(m domain.Meta, r request, c candidate) (token.Decision, error) {
	jti := make([]byte, 16)
	if _, err := rand.Read(jti); err != nil {
		return token.Decision{}, err
	}
	spent := func(key string) (was bool) {
		x.org.Read(func(s *control.State, _ domain.Head) { was = s.Spent(key, token.SpentUntil(c.proof)) })
		return was
	}
	return token.Decide(x.org.Name(), x.org.Issuer(), c.conn, c.proof, c.checks, r.ask, spent,
		base64.RawURLEncoding.EncodeToString(jti), m), nil
}

// deny records a denial, or counts it where there are too many of them.
func (x *Exchange) deny(ctx context.Context, m domain.Meta, c candidate, d token.Decision) (domain.Position, error) {
	fact, ok := d.Fact()
	if !ok || !x.denials.admit(c.conn.Name, d.Denied.Source, d.Code, m.Now) {
		return domain.Position{}, nil
	}
	return x.record(ctx, m, func(s *control.State) ([]domain.Fact, string, error) {
		if moved(s.Connection(c.conn.Name), c.conn) {
			return nil, "", errMoved
		}
		return []domain.Fact{fact}, "", nil
	})
}

// moved tells whether a connection decides differently from when it was looked at.
func moved(now, then connection.State) bool {
	return now.Status != then.Status || now.CurrentVersion() != then.CurrentVersion() || now.Generation != then.Generation
}

// writeCounts writes what was only counted, every countFor and at the end.
func (x *Exchange) writeCounts(ctx context.Context) {
	defer close(x.stopped)
	tick := time.NewTicker(countFor)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			x.flush()
			return
		}
		x.flush()
	}
}

func (x *Exchange) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, c := range x.denials.take() {
		m := domain.Meta{Actor: domain.System("exchange"), Now: x.org.Now()}
		fact := domain.Fact{Subject: "connection/" + c.Connection.String(), Event: c}
		_, err := x.org.Record(ctx, m, func(*control.State) ([]domain.Fact, string, error) {
			return []domain.Fact{fact}, "", nil
		})
		if err != nil {
			x.denials.giveBack(c)
			x.org.Log().Warn("denials are counted and not written yet", "connection", c.Connection, "count", c.Count, "error", err)
		}
	}
}
