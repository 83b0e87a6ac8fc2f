package jose

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
)

const (
	maxFetches  = 64 // at once, of all sources together
	maxDrafts   = 8  // and of those that nobody activated: one person's word
	queueFor    = 5 * time.Second
	maxSources  = 4096
	idleFor     = 2 * time.Hour // longer than keys can serve
	sweepEvery  = 10 * time.Minute
	maxTellings = 256 // observations that wait to be recorded

	// Callers who wait for a fetch: of one source, and of all. The exchange works
	// on 320 requests at once, and some of them must be for providers that answer.
	maxWaiting    = 192
	maxWaitingAll = 256
)

// SourcesOptions are the surroundings of Sources. Each has a default.
type SourcesOptions struct {
	// Observe is told of key sets, one at a time, in a goroutine of its own.
	// After an error the same is told again at the next fetch. It returns when
	// its context ends. Nil: nobody is told.
	Observe func(context.Context, Observation) error
	// Fetched is told of every fetch, and why it failed; it is waited for. Nil:
	// nobody is told.
	Fetched  func(error)
	Log      *slog.Logger     // nil: nothing is logged
	Now      func() time.Time // nil: [time.Now]
	Resolver Resolver         // nil: the system's
	// Replicas is how many processes fetch for the same connections, this one
	// included. Nil: this one alone.
	Replicas func() int
}

// Sources are the key sources of every connection of a process: at most 4096,
// those idle for two hours and then the longest unused go first. Safe for
// concurrent use.
type Sources struct {
	gate     Gate
	observe  func(context.Context, Observation) error
	fetched  func(error)
	log      *slog.Logger
	now      func() time.Time
	resolver Resolver
	replicas func() int

	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	slots     chan struct{}
	drafts    chan struct{} // slots of sources that nobody activated
	tellings  chan *Source
	waiting   atomic.Int64 // callers who wait for a fetch, of any source
	running   sync.WaitGroup
	mu        sync.Mutex // guards what follows
	closed    bool
	all       map[SourceID]*Source
	lastSweep time.Time
}

// NewSources makes an empty set of sources behind a gate. The caller closes it.
func NewSources(g Gate, o SourcesOptions) *Sources {
	s := &Sources{gate: g, observe: o.Observe, fetched: o.Fetched, log: o.Log, now: o.Now, resolver: o.Resolver, replicas: o.Replicas, all: map[SourceID]*Source{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.resolver == nil {
		s.resolver = net.DefaultResolver
	}
	if s.replicas == nil {
		s.replicas = func() int { return 1 }
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.slots, s.drafts = make(chan struct{}, maxFetches), make(chan struct{}, maxDrafts)
	s.tellings = make(chan *Source, maxTellings)
	if s.observe != nil {
		s.begin(s.tellAll)
	}
	return s
}

// Source is the source of that name, made at its first use. A name keeps its
// spec for good: a version of a connection never changes. lastGood is the key
// set that the log remembers for the connection by now; nil, or one of another
// version, is none.
func (s *Sources) Source(id SourceID, spec KeySpec, lastGood *connection.KeySet) *Source {
	src, made := s.source(id, spec, lastGood)
	src.draft.Store(spec.Draft)
	if !made {
		src.adopt(lastGood)
	}
	return src
}

func (s *Sources) source(id SourceID, spec KeySpec, lastGood *connection.KeySet) (src *Source, made bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src, there := s.all[id]; there {
		return src, false
	}
	now := s.now()
	s.sweep(now)
	src = newSource(s, id, spec, lastGood)
	src.offered.Store(lastGood)
	src.used.Store(now.UnixNano())
	s.all[id] = src
	return src, true
}

// sweep makes room for one more. s.mu is held.
func (s *Sources) sweep(now time.Time) {
	if len(s.all) < maxSources && now.Sub(s.lastSweep) < sweepEvery {
		return
	}
	s.lastSweep = now
	var oldest *Source
	for id, src := range s.all {
		if now.Sub(time.Unix(0, src.used.Load())) > idleFor {
			delete(s.all, id)
		} else if oldest == nil || src.used.Load() < oldest.used.Load() {
			oldest = src
		}
	}
	if len(s.all) >= maxSources {
		delete(s.all, oldest.id)
	}
}

// FetchedAt is when the keys that a source has were fetched; false where it has
// none yet, or needs none.
func (s *Sources) FetchedAt(id SourceID) (time.Time, bool) {
	s.mu.Lock()
	src := s.all[id]
	s.mu.Unlock()
	if src == nil {
		return time.Time{}, false
	}
	src.mu.Lock()
	defer src.mu.Unlock()
	if src.keys == nil {
		return time.Time{}, false
	}
	return src.keys.at, true
}

// Forget drops every source of a connection, such as a deleted one.
func (s *Sources) Forget(org, connection domain.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.all {
		if id.Org == org && id.Connection == connection {
			delete(s.all, id)
		}
	}
}

// Close ends what runs in the background and waits for it. Sources answer
// from what they have afterwards, and fetch no more.
func (s *Sources) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
}

// begin runs f in the background, unless Close was called.
func (s *Sources) begin(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Go(f)
	return true
}

// slot waits until fewer than 64 fetches run, or of drafts fewer than 8, which
// so take nothing from the others. A fetch that waited 5 s fails: then most
// providers stall, and those who wait for it want an answer.
func (s *Sources) slot(draft bool) (release func(), err error) {
	slots := s.slots
	if draft {
		slots = s.drafts
	}
	t := time.NewTimer(queueFor)
	defer t.Stop()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-t.C:
		return nil, errors.New("fetching keys: too many other fetches run")
	case <-s.ctx.Done():
		return nil, errors.New("fetching keys: the process is stopping")
	}
}
