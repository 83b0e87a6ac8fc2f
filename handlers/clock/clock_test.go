package clock_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/clock"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

// run starts a clock that looks often; the func ends it and waits until it has ended.
func run(t *testing.T, w *orgtest.World, opt clock.Options) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	opt.Look = 20 * time.Millisecond
	running.Go(func() { clock.Run(ctx, w.Organisation, opt) })
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

func do(t *testing.T, w *orgtest.World, decide func(*control.State, domain.Meta) ([]domain.Fact, error)) {
	t.Helper()
	m := w.Meta("owner", domain.Owner)
	if _, err := w.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) { return decide(s, m) }); err != nil {
		t.Fatal(err)
	}
}

// members puts n people in group staff, each until then.
func members(t *testing.T, w *orgtest.World, n int, until func(i int) time.Time) {
	t.Helper()
	do(t, w, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return group.Decide(s.Groups(), group.Create{Name: "staff"}, m)
	})
	for from := 0; from < n; from += 50 {
		do(t, w, func(s *control.State, m domain.Meta) (facts []domain.Fact, err error) {
			for i := from; i < min(n, from+50); i++ {
				name := domain.Name(fmt.Sprintf("p%03d", i))
				added, err := person.Decide(s.People(), person.Add{Name: name, Roles: []domain.Role{domain.Member}}, m)
				if err != nil {
					return nil, err
				}
				in, err := group.Decide(s.Groups(), group.AddMember{Group: "staff", Person: name, Until: until(i)}, m)
				if err != nil {
					return nil, err
				}
				facts = append(append(facts, added...), in...)
			}
			return facts, nil
		})
	}
}

// wait looks again and again until it is done: what it waits for happens in
// another goroutine, which tells nobody.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute: %s", what)
		}
	}
}

func left(w *orgtest.World) (n int) {
	w.Read(func(s *control.State, _ domain.Head) {
		g, _ := s.Groups().Group("staff")
		n = len(g.Members)
	})
	return n
}

// lapsed tells how often each membership was recorded as ended, and how many
// facts the largest commit of it has.
func lapsed(w *orgtest.World) (times map[domain.Name]int, largest int) {
	times = map[domain.Name]int{}
	size := map[string]int{}
	for _, e := range w.Events() {
		if r, ok := e.Event.(group.MemberWasRemoved); ok {
			times[r.Person]++
			size[e.CommitID]++
			largest = max(largest, size[e.CommitID])
		}
	}
	return times, largest
}

func TestWhatLapsesIsRecordedOnceByAnyNumberOfReplicas(t *testing.T) {
	t.Parallel()
	w := orgtest.New(t)
	other := orgtest.Join(t, w.Conn)
	const n = 250
	soon := w.Now().Add(time.Hour)
	members(t, w, n, func(i int) time.Time { return soon.Add(time.Duration(i%3) * time.Second) })
	var late atomic.Int64
	opt := clock.Options{Late: func(d time.Duration) { late.Add(1) }}
	run(t, w, opt)
	run(t, other, opt)
	if got := left(w); got != n {
		t.Fatalf("%d are in it before the time, want %d", got, n)
	}
	w.Advance(2 * time.Hour)
	other.Advance(2 * time.Hour)
	wait(t, "all memberships are recorded as ended", func() bool { return left(w) == 0 && left(other) == 0 })
	times, largest := lapsed(w)
	for name, got := range times {
		if got != 1 {
			t.Errorf("the end of %s was recorded %d times", name, got)
		}
	}
	if len(times) != n || largest > clock.MaxFacts {
		t.Errorf("%d ends are recorded, up to %d in a commit; want %d, up to %d", len(times), largest, n, clock.MaxFacts)
	}
	if late.Load() < n/clock.MaxFacts {
		t.Errorf("it told %d times how late it was", late.Load())
	}
	for _, e := range w.Events() {
		if _, ok := e.Event.(group.MemberWasRemoved); ok && e.Actor != "system:clock" {
			t.Fatalf("%s recorded it", e.Actor)
		}
	}
}

func TestAfterARestartTheClockRecordsWhatLapsedMeanwhile(t *testing.T) {
	t.Parallel()
	w := orgtest.New(t)
	members(t, w, 3, func(i int) time.Time { return w.Now().Add(time.Hour) })
	stop := run(t, w, clock.Options{})
	stop()
	w.Reopen(func() { w.Advance(24 * time.Hour) })
	w.Read(func(s *control.State, _ domain.Head) {
		if s.Groups().Has("staff", "p001", w.Now()) {
			t.Error("the membership is effective past its time")
		}
	})
	if left(w) != 3 {
		t.Fatal("it is recorded before anybody did")
	}
	run(t, w, clock.Options{})
	wait(t, "what lapsed meanwhile is recorded", func() bool { return left(w) == 0 })
}

// A deadline that comes nearer than anything known before wakes a clock that sleeps.
func TestANearerDeadlineWakesTheClock(t *testing.T) {
	t.Parallel()
	w := orgtest.New(t)
	w.RunClock()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { clock.Run(ctx, w.Organisation, clock.Options{Look: 24 * time.Hour}) })
	defer func() { cancel(); running.Wait() }()
	members(t, w, 1, func(int) time.Time { return w.Now().Add(300 * time.Millisecond) })
	wait(t, "it is recorded though the clock slept", func() bool { return left(w) == 0 })
}

func TestAClockThatIsPutBackRevivesNothingAndRecordsOnce(t *testing.T) {
	t.Parallel()
	w := orgtest.New(t)
	members(t, w, 4, func(i int) time.Time { return w.Now().Add(time.Duration(i/2+1) * time.Hour) })
	run(t, w, clock.Options{})
	w.Advance(90 * time.Minute)
	wait(t, "those of the first hour are recorded", func() bool { return left(w) == 2 })
	w.Advance(-80 * time.Minute)
	w.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(w.Now())
		if s.Groups().Has("staff", "p000", now) || !s.Groups().Has("staff", "p002", now) {
			t.Error("what is effective changed with the clock")
		}
	})
	w.Advance(3 * time.Hour)
	wait(t, "the rest is recorded", func() bool { return left(w) == 0 })
	if times, _ := lapsed(w); len(times) != 4 || times["p000"] != 1 {
		t.Errorf("recorded are %v", times)
	}
}

// A replica whose clock is ahead ends nothing early for all: the log's clock has
// to agree. Once both do, it is recorded, also if ours was right all the time.
func TestAClockThatIsAheadAloneRecordsNothingEarly(t *testing.T) {
	t.Parallel()
	w := orgtest.New(t)
	members(t, w, 1, func(int) time.Time { return w.Now().Add(time.Hour) })
	before := w.Last()
	var behind, asked atomic.Int64
	behind.Store(int64(2 * time.Hour))
	run(t, w, clock.Options{Log: func(ctx context.Context) (time.Time, time.Time, error) {
		asked.Add(1)
		return w.Now().Add(-time.Duration(behind.Load())), time.Time{}, nil
	}})
	w.Advance(2 * time.Hour)
	wait(t, "it asks the log what time it is, more than once", func() bool { return asked.Load() > 2 })
	if w.Last() != before {
		t.Fatalf("it wrote %v", w.Types(before))
	}
	behind.Store(0)
	wait(t, "it is recorded", func() bool { return left(w) == 0 })
}

// A clock of the log that cannot be asked is asked again.
func TestTheClockOfTheLogThatCannotBeAskedIsAskedAgain(t *testing.T) {
	t.Parallel()
	w := orgtest.New(t)
	members(t, w, 1, func(int) time.Time { return w.Now().Add(time.Hour) })
	var asked atomic.Int64
	run(t, w, clock.Options{Log: func(ctx context.Context) (time.Time, time.Time, error) {
		if asked.Add(1) == 1 {
			return time.Time{}, time.Time{}, errors.New("the log is out of reach")
		}
		return w.Now(), time.Time{}, nil
	}})
	w.Advance(2 * time.Hour)
	wait(t, "it is recorded", func() bool { return left(w) == 0 })
}

func TestTheClockSleepsWhileNothingIsDue(t *testing.T) {
	t.Parallel()
	w := orgtest.New(t)
	members(t, w, 1, func(int) time.Time { return w.Now().Add(time.Hour) })
	before := w.Last()
	run(t, w, clock.Options{})
	run(t, w, clock.Options{})
	swept := make(chan struct{}, 10)
	run(t, w, clock.Options{Sweep: func(context.Context) error { swept <- struct{}{}; return nil }})
	<-swept
	if w.Last() != before {
		t.Errorf("it wrote %v", w.Types(before))
	}
	if len(swept) > 0 {
		t.Error("it swept twice within an hour")
	}
}

func TestASweepThatFailsIsTriedAgainAndHoldsUpNoRecord(t *testing.T) {
	t.Parallel()
	w := orgtest.New(t)
	members(t, w, 1, func(int) time.Time { return w.Now().Add(time.Hour) })
	var sweeps atomic.Int64
	run(t, w, clock.Options{Sweep: func(context.Context) error {
		if sweeps.Add(1) == 1 {
			return errors.New("the vault is out of reach")
		}
		return nil
	}})
	w.Advance(2 * time.Hour)
	wait(t, "it sweeps again, and records", func() bool { return sweeps.Load() == 2 && left(w) == 0 })
}

func TestAHaltedOrganisationIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := orgtest.New(t)
	members(t, w, 1, func(int) time.Time { return w.Now().Add(time.Hour) })
	before := w.Last()
	w.Halt(errors.New("halted by a test"))
	w.Advance(2 * time.Hour)
	clock.Run(t.Context(), w.Organisation, clock.Options{}) // and so it returns
	if w.Last() != before {
		t.Errorf("it wrote %v", w.Types(before))
	}
}
