// Package notify tells people of what waits for them and what became of it: by
// a webhook (Standard Webhooks, or as Slack and Teams want it) and by mail. What
// is to be told is in the control state, and so is who of several replicas tells
// it: only the one whose notification.begun was committed sends, and then records
// the outcome. Nothing waits for it, and nothing depends on it.
package notify

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/notification"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
)

const (
	// maxUnderWay is how many notices of a channel one replica has begun and not
	// finished, and maxAtOnce how many of them it sends at a time.
	maxUnderWay, maxAtOnce = 128, 8
	// giveUpAfter is how long a notice is tried.
	giveUpAfter = 10 * time.Minute
	// lookEvery is how often notices are looked for that may be begun again.
	lookEvery = time.Minute
	// maxPeople is how many people are told of one notice; those who come first by name.
	maxPeople = 100
	// leaveTimeout bounds recording what was sent when the process ends.
	leaveTimeout = 2 * time.Second
	// After an error of the log it waits, twice as long each time.
	leastPause, mostPause = time.Second, time.Minute
)

// pauses are between tries, of which there is one more than pauses.
var pauses = []time.Duration{2 * time.Second, 10 * time.Second, 45 * time.Second, 3 * time.Minute}

// Options say how people are told. Without a channel nobody is.
type Options struct {
	Webhook  *Webhook      // nil: none
	Mail     *Mail         // nil: none
	BaseURL  string        // where people reach us
	Gate     jose.Gate     // where webhooks may be posted to
	Resolver jose.Resolver // nil: the system's
	Log      *slog.Logger  // nil: the organisation's
	// Pauses are between tries; nil: 2 seconds, 10, 45, and 3 minutes.
	Pauses []time.Duration
}

// channel is a way to reach people.
type channel interface {
	name() notification.Channel
	// reaches is whom of the people it can tell, and whether it is to be used at all.
	reaches([]Person) (to []Person, somebody bool)
	// send tries once, and says who was told also where others were not. Its error
	// is a problem.
	send(context.Context, Message) (told []domain.Name, err error)
}

// Notifier tells people of the notices of any number of organisations.
type Notifier struct {
	opt      Options
	channels []channel
}

// New makes a notifier, or tells what is wrong with what it was given.
func New(opt Options, now func() time.Time) (*Notifier, error) {
	n := &Notifier{opt: opt}
	if opt.Pauses == nil {
		n.opt.Pauses = pauses
	}
	if opt.Webhook != nil {
		w, err := newWebhook(*opt.Webhook, opt.Gate, opt.Resolver, now)
		if err != nil {
			return nil, err
		}
		n.channels = append(n.channels, w)
	}
	if opt.Mail != nil {
		m, err := newMailer(*opt.Mail)
		if err != nil {
			return nil, err
		}
		n.channels = append(n.channels, m)
	}
	return n, nil
}

// Run tells people of the organisation's notices until ctx ends or the
// organisation is halted. What is being sent then is left, to be begun again.
func (n *Notifier) Run(ctx context.Context, o *organisation.Organisation) {
	var running sync.WaitGroup
	defer running.Wait()
	for _, c := range n.channels {
		d := n.desk(o, c)
		running.Go(func() { d.watch(ctx) })
		running.Go(func() { d.run(ctx) })
	}
}

func (n *Notifier) desk(o *organisation.Organisation, c channel) *desk {
	return &desk{
		Options: n.opt, org: o, channel: c, log: cmp.Or(n.opt.Log, o.Log()).With("channel", c.name()),
		underWay: map[string]bool{}, moot: map[string]bool{},
		outcomes: make(chan notification.Finish, maxUnderWay), turn: make(chan struct{}, maxAtOnce), woken: make(chan struct{}, 1),
	}
}

// desk is one channel of one organisation. But for what is said to be shared,
// only run touches it.
type desk struct {
	Options
	org      *organisation.Organisation
	channel  channel
	log      *slog.Logger
	underWay map[string]bool          // begun here and not finished
	moot     map[string]bool          // looked at, and nobody is to be told
	finished []notification.Finish    // and not recorded yet
	outcomes chan notification.Finish // shared: of what was under way
	turn     chan struct{}            // shared: a place for each that sends
	woken    chan struct{}            // shared: the control state has changed
}

// watch wakes run whenever the control state changes.
func (d *desk) watch(ctx context.Context) {
	for at := uint64(0); ; {
		if d.org.WaitControl(ctx, at) != nil {
			return // the end, or nothing is folded any more
		}
		at = d.head() // before run looks, so that nothing comes between
		select {
		case d.woken <- struct{}{}:
		default:
		}
	}
}

func (d *desk) head() (seq uint64) {
	d.org.Read(func(_ *control.State, h domain.Head) { seq = h.Control })
	return seq
}

// run begins what may be begun and records what became of it, until ctx ends.
func (d *desk) run(ctx context.Context) {
	var sending sync.WaitGroup
	defer func() {
		sending.Wait()
		d.leave(ctx)
	}()
	pause := leastPause
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil && d.org.Halted() == nil {
		if err := errors.Join(d.record(ctx), d.begin(ctx, &sending)); err != nil && ctx.Err() == nil {
			d.log.Warn("people are told later: the log cannot be written", "error", err, "again_in", pause)
			sleep(ctx, pause/2+rand.N(pause/2))
			pause = min(2*pause, mostPause)
			continue
		}
		pause = leastPause
		select {
		case f := <-d.outcomes:
			d.collect(f)
		case <-d.woken:
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// leave records what was sent and is not recorded yet, so that nobody tells it
// again. It does not hold up the end for long.
func (d *desk) leave(ctx context.Context) {
	d.collect()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := d.record(ctx); err != nil {
		d.log.Warn("what was told could not be recorded, and may be told again", "error", err)
	}
}

// collect takes outcomes in.
func (d *desk) collect(some ...notification.Finish) {
	d.finished = append(d.finished, some...)
	for len(d.outcomes) > 0 {
		d.finished = append(d.finished, <-d.outcomes)
	}
}

// record writes what became of notices, all in one commit.
func (d *desk) record(ctx context.Context) error {
	if len(d.finished) == 0 {
		return nil
	}
	m := d.meta()
	_, err := d.org.Execute(ctx, m, func(s *control.State) (facts []domain.Fact, err error) {
		for _, f := range d.finished {
			more, err := notification.Decide(s.Notices(), f, m)
			if err != nil {
				return nil, err
			}
			facts = append(facts, more...)
		}
		return facts, nil
	})
	if err != nil {
		return err
	}
	for _, f := range d.finished {
		delete(d.underWay, f.Notice.ID)
	}
	d.finished = nil
	return nil
}

// begin commits to telling as many notices as there is room for, and tells
// those that the commit made ours.
func (d *desk) begin(ctx context.Context, sending *sync.WaitGroup) error {
	begins := d.next(maxUnderWay - len(d.underWay))
	if len(begins) == 0 {
		return nil
	}
	m := d.meta()
	var ours []notification.Notice
	_, err := d.org.Execute(ctx, m, func(s *control.State) (facts []domain.Fact, err error) {
		ours = nil
		for _, b := range begins {
			more, err := notification.Decide(s.Notices(), b, m)
			if err != nil {
				return nil, err
			}
			if len(more) > 0 {
				ours = append(ours, b.Notice)
			}
			facts = append(facts, more...)
		}
		return facts, nil
	})
	if err != nil {
		return err // also where it is unclear: who is not sure that it is theirs tells nobody
	}
	for _, n := range ours {
		d.underWay[n.ID] = true
		sending.Go(func() { d.deliver(ctx, n) })
	}
	return nil
}

// next is up to limit notices that may be begun and of which somebody is to be
// told. Those of which nobody is are not looked at again.
func (d *desk) next(limit int) (begins []notification.Begin) {
	d.org.Read(func(s *control.State, _ domain.Head) {
		for id := range d.moot {
			if !s.Notices().Has(id) {
				delete(d.moot, id)
			}
		}
		for {
			before := len(d.moot)
			if begins = d.worth(s, limit); len(d.moot) == before {
				return
			}
		}
	})
	return begins
}

// worth is the begins of up to limit pending notices, but for those that turn
// out to be for nobody.
func (d *desk) worth(s *control.State, limit int) (begins []notification.Begin) {
	now := d.org.Now()
	skip := func(id string) bool { return d.underWay[id] || d.moot[id] }
	for _, n := range s.Notices().Pending(d.channel.name(), now, limit, skip) {
		msg, ok := compose(s, n, d.org.Name(), d.BaseURL, now)
		to, somebody := d.channel.reaches(msg.To)
		if !ok || !somebody {
			d.moot[n.ID] = true
			continue
		}
		begins = append(begins, notification.Begin{Notice: n, Channel: d.channel.name(), Recipients: len(to)})
	}
	return begins
}

func (d *desk) meta() domain.Meta {
	return domain.Meta{Actor: domain.System("notify"), Now: d.org.Now()}
}

// deliver tries until the notice was taken or is given up. If ctx ends before,
// it has no outcome, and is begun again later.
func (d *desk) deliver(ctx context.Context, n notification.Notice) {
	within, cancel := context.WithTimeout(ctx, giveUpAfter)
	defer cancel()
	f := notification.Finish{Notice: n, Channel: d.channel.name()}
	told := map[domain.Name]bool{}
	for {
		f.Tries++
		p, done := d.try(within, n, told)
		if ctx.Err() != nil && (!done || p.reason != "") {
			return
		}
		if f.Reason = p.reason; done || f.Tries > len(d.Pauses) {
			break
		}
		if f.Tries == 1 { // the rest may take minutes; the cause names no address
			d.log.Warn("people could not be told at once, which is tried again", "notice", n.ID, "of", n.Type, "about", n.Subject, "reason", p.reason, "error", p.cause)
		}
		wait := d.Pauses[f.Tries-1]
		sleep(within, max(wait/2+rand.N(wait/2+1), p.after))
		if within.Err() != nil {
			break
		}
	}
	if f.Reason != "" {
		d.log.Warn("people were not told", "notice", n.ID, "of", n.Type, "about", n.Subject, "tries", f.Tries, "reason", f.Reason)
	}
	d.outcomes <- f // there is room for all that are under way
}

// overtaken is the reason that a notice begun was not sent: it was not true any
// more, or nobody was left to be told.
const overtaken = "overtaken"

// try tells once, of the state as it is now, whoever was not told before. It is
// done when all have been, or nobody is to be.
func (d *desk) try(ctx context.Context, n notification.Notice, told map[domain.Name]bool) (p problem, done bool) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return problem{reason: "timeout"}, true
	}
	var msg Message
	var ok bool
	d.org.Read(func(s *control.State, _ domain.Head) { msg, ok = compose(s, n, d.org.Name(), d.BaseURL, d.org.Now()) })
	to, somebody := d.channel.reaches(msg.To)
	if !ok || !somebody {
		return problem{reason: overtaken}, true
	}
	msg.To = nil
	for _, person := range to {
		if !told[person.Name] {
			msg.To = append(msg.To, person)
		}
	}
	if len(to) > 0 && len(msg.To) == 0 {
		return problem{}, true
	}
	just, err := d.send(ctx, msg)
	for _, name := range just {
		told[name] = true
	}
	if err == nil {
		return problem{}, true
	}
	if !errors.As(err, &p) {
		p = problem{reason: "failed", cause: err}
	}
	d.log.Debug("a try to tell people failed", "notice", n.ID, "reason", p.reason, "error", p.cause)
	return p, false
}

// send waits for the channel no longer than ctx lasts: one that does not look at
// its context holds up nobody.
func (d *desk) send(ctx context.Context, msg Message) ([]domain.Name, error) {
	type answer struct {
		told []domain.Name
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		told, err := d.channel.send(ctx, msg)
		answers <- answer{told, err}
	}()
	select {
	case a := <-answers:
		return a.told, a.err
	case <-ctx.Done():
		return nil, problem{reason: "timeout"}
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
