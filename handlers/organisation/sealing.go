package organisation

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/key"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/projections/control"
	"sallyport.dev/streams/seal"
)

// A sealer is late when that many events, or one for that long, are in no checkpoint.
const (
	lateEvents = 5000
	lateAfter  = time.Minute
)

// Sealing is how far the log is sealed.
type Sealing struct {
	Checkpoint seal.Checkpoint // the newest; its Size is 0 before the first
	Lag        uint64          // events that are in no checkpoint yet, counting one for each commit not read yet
	Since      time.Time       // since when the first of them waits; zero if none does
	Err        error           // why sealing does not go on; nil while it does. It is tried again by itself
	Spoilt     error           // what is wrong with the folder; nil if nothing is
}

// sealer is the sealing of the log in this process. It reads the log by itself:
// however slow its disk is, nobody waits for it.
type sealer struct {
	dir  string // DATA/seal/<org>; empty: the log is not sealed here
	mark string // DATA/sealed/<org>, outside of it

	mu      sync.Mutex
	log     *seal.Log // nil while it is not open
	newest  seal.Checkpoint
	err     error
	failing time.Time // since when err; zero: not
	spoilt  error     // what the last reading of the folder found
	next    uint64    // the first commit that it has not read, when there was one last,
	unread  time.Time // and since when it was seen to wait; zero: none does
}

func newSealer(dir string, org domain.Name) *sealer {
	if dir == "" {
		return &sealer{}
	}
	return &sealer{dir: dir, mark: filepath.Join(filepath.Dir(filepath.Dir(dir)), "sealed", org.String())}
}

// remembered is the newest checkpoint of this folder, which the log has to bear
// out. The mark, which lies elsewhere, says that there was one: a folder that was
// deleted is not taken for one that never was.
func (s *sealer) remembered(org domain.Name) (seal.Checkpoint, error) {
	if s.dir == "" {
		return seal.Checkpoint{}, nil
	}
	cp, found, err := seal.Newest(s.dir)
	if err != nil {
		return cp, seal.Damage(s.dir, err, "the newest checkpoint cannot be read")
	}
	_, err = os.Stat(s.mark)
	switch {
	case found:
		_ = s.setMark() // it is set again, and told of, when there is something to seal
		return cp, nil
	case errors.Is(err, os.ErrNotExist):
		return cp, nil
	case err != nil:
		return cp, fmt.Errorf("looking whether the log of %s was sealed: %w", org, err)
	}
	return cp, seal.Damage(s.dir, nil, "the log was sealed, and the checkpoint is gone")
}

// setMark remembers outside the folder that there is a checkpoint.
func (s *sealer) setMark() error {
	if _, err := os.Stat(s.mark); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.mark), 0o700); err != nil {
		return fmt.Errorf("remembering that the log is sealed: %w", err)
	}
	f, err := os.OpenFile(s.mark, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("remembering that the log is sealed: %w", err)
	}
	_, err = fmt.Fprintf(f, "this log was sealed: a checkpoint belongs into %s\n", s.dir)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("remembering that the log is sealed: %w", err)
	}
	return nil
}

// set makes l what seals now.
func (s *sealer) set(l *seal.Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l == nil && s.log != nil {
		s.newest = s.log.Newest()
	}
	s.log = l
}

// fail remembers why sealing does not go on; nil: it does.
func (s *sealer) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; err == nil {
		s.failing = time.Time{}
	} else if s.failing.IsZero() {
		s.failing = time.Now()
	}
}

// spoil remembers what is wrong with the folder; nil: nothing.
func (s *sealer) spoil(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoilt = err
}

// Sealed tells how far the log is sealed in this process.
func (o *Organisation) Sealed() Sealing {
	var folded uint64
	o.control.Read(func(_ *control.State, h domain.Head) { folded = h.Stream })
	return o.sealer.standing(folded, time.Now())
}

// standing is how far the log is sealed, of which that much is folded.
func (s *sealer) standing(folded uint64, now time.Time) Sealing {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Sealing{Checkpoint: s.newest, Err: s.err, Since: s.failing, Spoilt: s.spoilt}
	read := s.newest.Sequence
	if s.log != nil {
		out.Checkpoint, read = s.log.Newest(), s.log.Applied()
		var since time.Time
		if out.Lag, since = s.log.Lag(); out.Since.IsZero() {
			out.Since = since
		}
	}
	if folded <= read {
		s.unread = time.Time{}
		return out
	}
	out.Lag += folded - read
	if s.next != read+1 || s.unread.IsZero() {
		s.next, s.unread = read+1, now
	}
	if out.Since.IsZero() { // it reads nothing, and tells no error either
		out.Since = s.unread
	}
	return out
}

// Late is why the log is not sealed as it must be; nil while it is: no more than
// 5,000 events are in no checkpoint, none for longer than a minute, and the
// folder is whole.
func (s Sealing) Late(now time.Time) error {
	waiting := !s.Since.IsZero() && now.Sub(s.Since) > lateAfter
	if s.Lag <= lateEvents && !waiting {
		return s.Spoilt
	}
	err := fmt.Errorf("%d events are not sealed, since %s; the newest checkpoint covers commit %d",
		s.Lag, s.Since.UTC().Format(time.RFC3339), s.Checkpoint.Sequence)
	return errors.Join(err, s.Err, s.Spoilt)
}

// sealed is the readiness of the sealer.
func (o *Organisation) sealed() error {
	if o.sealer.dir == "" {
		return nil
	}
	return o.Sealed().Late(time.Now())
}

// ensureCheckpointKey gives a log its key for checkpoints, once for all
// replicas, and opens it. A replica that loses the race destroys its own.
func (o *Organisation) ensureCheckpointKey(ctx context.Context) (k key.CheckpointKey, signer *jose.CheckpointSigner, err error) {
	if k = o.checkpointKey(); k.KeyID == "" {
		if err := o.firstCheckpointKey(ctx); err != nil {
			return k, nil, err
		}
		k = o.checkpointKey()
	}
	signer, err = o.keyring.LoadCheckpoint(ctx, k.KeyID)
	return k, signer, err
}

func (o *Organisation) checkpointKey() (k key.CheckpointKey) {
	o.control.Read(func(s *control.State, _ domain.Head) { k = s.Keys().Checkpoint() })
	return k
}

func (o *Organisation) firstCheckpointKey(ctx context.Context) error {
	made, err := o.keyring.GenerateCheckpoint(ctx)
	if err != nil {
		return err
	}
	base, err := url.Parse(o.issuer)
	if err != nil {
		return fmt.Errorf("naming the log: %w", err)
	}
	verifier, err := seal.Verifier(base.Host+"/orgs/"+o.name.String(), made.Public())
	if err != nil {
		return err
	}
	m := domain.Meta{Actor: domain.System("keys"), Now: o.Now()}
	_, err = o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		if s.Keys().Checkpoint().KeyID != "" {
			return nil, nil // by another replica
		}
		return key.Decide(s.Keys(), key.CreateCheckpoint{KeyID: made.KeyID, Verifier: verifier}, m)
	})
	if err != nil {
		return err
	}
	if o.checkpointKey().KeyID != made.KeyID {
		return o.keyring.Destroy(ctx, made.KeyID)
	}
	return nil
}
