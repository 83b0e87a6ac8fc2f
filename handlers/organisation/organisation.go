// Package organisation is one tenant, opened: its log, the read models folded
// from it, its signing keys and the keys of the providers it trusts.
//
// It offers what every handler needs and nothing else: decide and record on the
// control state ([Organisation.Execute]), record what was done
// ([Organisation.Record]), read, verify a proof, sign and read a token. It
// decides nothing itself: rules are in domain.
package organisation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/domain/organisation"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/session"
	"sallyport.dev/handlers/sshca"
	"sallyport.dev/handlers/vault"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
	"sallyport.dev/streams"
)

// Options say which organisation to open, on what.
type Options struct {
	Name      domain.Name
	BaseURL   string // where we are reached from outside, without a slash at the end
	Conn      *streams.Conn
	Replicas  int  // copies of the log, as in streams.Options
	FewCopies bool // allow fewer than three copies on a cluster
	TrailPath string
	SealDir   string // where the log is sealed, DATA/seal/<org>; empty: it is not
	Intervals Intervals
	Sealer    *jose.Sealer
	Gate      jose.Gate
	Resolver  jose.Resolver    // nil: the system's
	Log       *slog.Logger     // nil: slog.Default
	Now       func() time.Time // nil: time.Now
	// Stored is told of every commit, as in streams.Options, and Fetched of every
	// fetch of providers' keys, as in jose.SourcesOptions; nil: nobody is.
	Stored  func(facts []domain.Fact, took time.Duration)
	Fetched func(error)
	// Notices says that somebody tells people of what happens: the control state
	// then keeps of what.
	Notices bool
	// Room is asked before anything is recorded; its error is answered, and
	// nothing is. See [Writes]. Nil: there is room.
	Room func(Writes) error
}

// Organisation is one open tenant. It is safe for concurrent use; the caller must Close it.
type Organisation struct {
	name      domain.Name
	issuer    string
	log       *slog.Logger
	now       func() time.Time
	catalogue *events.Catalogue
	gate      jose.Gate
	resolver  jose.Resolver

	conn       *streams.Conn
	sealDir    string
	sealer     *sealer
	guard      guard
	every      Intervals
	halt       halt
	journal    *streams.Journal
	control    *control.Projection
	trail      *trail.Trail
	feeder     *feeder
	committer  *streams.Committer[*control.State]
	keyring    *jose.Keyring
	vault      *vault.Vault
	sessions   *session.Manager
	sessionsIn *streams.ExpiringBucket
	ssh        *sshca.Authority
	stopKeys   context.CancelFunc // ends looking for retired ones
	sources    *jose.Sources
	tests      *limit.Limiter
	fresh      freshness
	shared     bool       // the log is other processes', too
	replicas   func() int // how many there are
	writes     writes
	room       func(Writes) error
}

// Open opens an organisation, and makes it where there is none: it returns
// once everything that was recorded is folded and there are keys to sign with. A
// log of several processes that cannot be reached for a moment, as while it elects
// a leader, is waited for.
func Open(ctx context.Context, opt Options) (*Organisation, error) {
	if !opt.Conn.Shared() {
		return open(ctx, opt)
	}
	return reached(ctx, opt, open)
}

// reachedWithin bounds how long a start waits for the log of several processes.
const reachedWithin = time.Minute

// reached opens again and again while the log cannot be reached, and nothing is worse.
func reached(ctx context.Context, opt Options, open func(context.Context, Options) (*Organisation, error)) (*Organisation, error) {
	for begun := time.Now(); ; {
		o, err := open(ctx, opt)
		if err == nil || !unreachable(err) || time.Since(begun) > reachedWithin || ctx.Err() != nil {
			return o, err
		}
		cmp.Or(opt.Log, slog.Default()).Warn("the log cannot be reached yet; trying again", "org", opt.Name, "error", err)
		pause(ctx, firstWait)
	}
}

func open(ctx context.Context, opt Options) (_ *Organisation, err error) {
	o := &Organisation{
		name: opt.Name, issuer: opt.BaseURL + "/orgs/" + opt.Name.String(), log: opt.Log, now: opt.Now,
		catalogue: events.New(), gate: opt.Gate, resolver: opt.Resolver, conn: opt.Conn, sealDir: opt.SealDir, sealer: newSealer(opt.SealDir, opt.Name), every: opt.Intervals.withDefaults(), control: control.New(), tests: limit.New(testsPerSecond, testsBurst, 10_000),
	}
	if o.log == nil {
		o.log = slog.Default()
	}
	if o.room = opt.Room; o.room == nil {
		o.room = func(Writes) error { return nil }
	}
	o.log = o.log.With("org", o.name)
	if o.now == nil {
		o.now = time.Now
	}
	o.fresh.start, o.shared, o.replicas = time.Now(), opt.Conn.Shared(), opt.Conn.Replicas
	o.tests.Share(o.replicas)
	defer func() {
		if err != nil {
			o.Close()
			err = fmt.Errorf("opening organisation %s: %w", opt.Name, err)
		}
	}()
	if opt.Notices {
		o.control.KeepNotices()
	}
	if err := o.openLog(ctx, opt); err != nil {
		return nil, err
	}
	bucket, err := opt.Conn.Bucket(ctx, KeysBucket(o.name))
	if err != nil {
		return nil, err
	}
	o.keyring = jose.NewKeyring(bucket, opt.Sealer, o.name)
	o.ssh = sshca.New(bucket, opt.Sealer, o.name, o.activeSSHKey)
	o.sources = jose.NewSources(opt.Gate, jose.SourcesOptions{
		Observe: o.observe, Fetched: opt.Fetched, Log: o.log, Now: o.now, Resolver: opt.Resolver, Replicas: o.replicas,
	})
	if err := <-o.guard.held; err != nil { // before anything is written
		return nil, err
	}
	if err := o.create(ctx); err != nil {
		return nil, err
	}
	if err := o.ensureKeys(ctx); err != nil {
		return nil, err
	}
	if err := o.openVault(ctx, opt.Sealer); err != nil {
		return nil, err
	}
	if err := o.ensureSSH(ctx); err != nil {
		return nil, err
	}
	if err := o.openSessions(ctx); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.Background())
	o.stopKeys = stop
	go o.forgetRetired(run)
	if err := o.startGuard(ctx); err != nil {
		return nil, err
	}
	o.trail.Check()
	close(o.feeder.opened)
	return o, nil
}

// KeysBucket names the bucket in which an organisation's sealed keys are.
func KeysBucket(org domain.Name) string { return "KEYS_" + org.String() }

// openLog opens the log and folds it: first what is true, from the control
// subject alone, then what else the readers still miss.
func (o *Organisation) openLog(ctx context.Context, opt Options) (err error) {
	if o.sealer.newest, err = o.sealer.remembered(o.name); err != nil {
		return err
	}
	if o.journal, err = streams.Open(ctx, opt.Conn, streams.Options{
		Org: o.name, Source: o.issuer, Codec: o.catalogue, Replicas: opt.Replicas, AllowFewReplicas: opt.FewCopies, Log: o.log, Stored: opt.Stored, Reached: o.sealer.newest.Sequence,
	}); err != nil {
		return err
	}
	o.recheck(ctx)
	if o.trail, err = trail.Open(ctx, opt.TrailPath, o.catalogue, o.log); err != nil {
		return err
	}
	if err := o.seed(ctx); err != nil {
		return o.impossible(err)
	}
	if err := o.understand(ctx, opt.TrailPath); err != nil {
		return err
	}
	if err := o.feed(ctx); err != nil {
		return err
	}
	o.committer = streams.NewCommitter(o.journal, o.control, streams.CommitterOptions{})
	return nil
}

// clocksApart is how far the clocks of replicas, and that of the log, may be from
// each other with nothing forgotten that was spent.
const clocksApart = 2 * time.Hour

// seed folds what is true from the control subject alone, and of the activity
// what is remembered for a while: spent proofs for as long as they could be shown
// again and idempotency keys for a day, both a while longer, since the log's
// clock is another one. All other activity is passed over unread; without that, a
// million events would take twenty seconds.
func (o *Organisation) seed(ctx context.Context) error {
	head, err := o.journal.ReplayControl(ctx, o.control.Seed)
	if err != nil {
		return err
	}
	// A clock that is ahead at this moment must not make us pass over what was
	// spent: the newest commit tells, too, what time it was.
	at := o.now()
	_, newest, err := o.journal.Clock(ctx)
	if err != nil {
		return err
	}
	if !newest.IsZero() && newest.Before(at) {
		at = newest
	}
	longest := max(jose.MaxLifetime, control.RememberedFor)
	from, err := o.journal.SequenceAt(ctx, at.Add(-longest-clocksApart))
	if err != nil {
		return err
	}
	if err := o.journal.ReplayActivity(ctx, from, head.Stream, control.Concerns, o.control.SeedActivity); err != nil {
		return err
	}
	return o.control.StartAfter(head.Stream, at)
}

// create records that the organisation exists; on an organisation that does, it does nothing.
func (o *Organisation) create(ctx context.Context) error {
	m := domain.Meta{Actor: domain.System("host"), Now: o.Now()}
	_, err := o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		return organisation.Decide(s.Organisation(), organisation.Create{Name: o.name, Issuer: o.issuer}, m)
	})
	return err
}

// Close stops everything that Open started; what was acknowledged is on disk already.
func (o *Organisation) Close() {
	if o.stopKeys != nil {
		o.stopKeys()
	}
	if o.sources != nil {
		o.sources.Close()
	}
	if o.committer != nil {
		o.committer.Close()
	}
	o.guard.close()
	if o.feeder != nil {
		o.feeder.close()
	}
	if o.trail != nil {
		if err := o.trail.Close(); err != nil {
			o.log.Warn("closing the trail", "error", err)
		}
	}
}

// Name is the organisation's name.
func (o *Organisation) Name() domain.Name { return o.name }

// Issuer is the iss of its tokens and the root of its URLs: {base_url}/orgs/{org}.
func (o *Organisation) Issuer() string { return o.issuer }

// Replicas is how many processes serve the organisation, this one included, as
// far as this one can hear: limits hold for all of them together.
func (o *Organisation) Replicas() int { return o.replicas() }

// Catalogue is every type of event there is.
func (o *Organisation) Catalogue() *events.Catalogue { return o.catalogue }

// NoSuchType says which of a filter's types and families no event has, or "": whoever
// asks for it has mistyped, and would take an empty page for an answer. What has
// another form the trail refuses.
func (o *Organisation) NoSuchType(list string) string {
	for item := range strings.SplitSeq(list, ",") {
		family, ok := strings.CutSuffix(item, ".*")
		known := slices.ContainsFunc(o.catalogue.Types(), func(typ string) bool {
			return typ == item || ok && strings.HasPrefix(typ, family+".")
		})
		if plain := strings.Trim(family, "abcdefghijklmnopqrstuvwxyz0123456789_.") == ""; plain && !known && strings.Contains(item, ".") {
			return "no event is of the type " + item + "; each there is has its schema at /schemas/TYPE"
		}
	}
	return ""
}

// Trail is the audit trail.
func (o *Organisation) Trail() *trail.Trail { return o.trail }

// Gate decides where keys may be fetched from.
func (o *Organisation) Gate() jose.Gate { return o.gate }

// Log is where the organisation's messages to its operator go.
func (o *Organisation) Log() *slog.Logger { return o.log }

// Now is the time by which everything is decided, in UTC, to the millisecond:
// what is decided on is what is recorded.
func (o *Organisation) Now() time.Time { return o.now().UTC().Truncate(time.Millisecond) }

// Read calls f with the control state as this process has folded it. f must not keep s.
func (o *Organisation) Read(f func(s *control.State, at domain.Head)) { o.control.Read(f) }

// Record has a decision about activity recorded, fenced on the control state it
// is made on; it returns once that is durable. What it was to record must not
// leave the process if it fails. d may be called several times.
func (o *Organisation) Record(ctx context.Context, m domain.Meta, d streams.Decision[*control.State]) (domain.Position, error) {
	if err := errors.Join(o.trusted(), o.room(Activity)); err != nil {
		return domain.Position{}, err
	}
	ctx, done := o.whileReachable(ctx)
	defer done()
	p, err := o.committer.Record(ctx, m, func(s *control.State) ([]domain.Fact, string, error) {
		if err := o.trusted(); err != nil { // it may have waited for its turn
			return nil, "", err
		}
		return d(s)
	})
	o.writes.note(err)
	return p, err
}

// Ready tells, check by check, whether the organisation can do its work; nil is
// ready. It does not depend on anybody else's service.
func (o *Organisation) Ready(ctx context.Context) map[string]error {
	return map[string]error{
		"log":    errors.Join(o.Halted(), o.Fresh(ctx), o.journal.Writable(), o.writes.failing()),
		"fold":   o.control.Err(),
		"trail":  o.feeder.failed(),
		"keys":   o.keysReady(),
		"sealer": o.sealed(),
	}
}

// Follow folds the whole log into a reader, up to its end as of the call: a
// read model can so be built apart from those that are served from.
func (o *Organisation) Follow(ctx context.Context, r streams.Reader) error {
	last, err := o.journal.Last(ctx)
	if err != nil {
		return unavailable(err)
	}
	f, err := o.journal.Follow(ctx, r)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Wait(ctx, last)
}
