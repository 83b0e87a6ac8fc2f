package organisation

import (
	"context"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/key"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/projections/control"
)

// RotateWithin is how long a signing key should sign at most.
const RotateWithin = 90 * 24 * time.Hour

// Vitals are an organisation's figures for whoever watches over it.
type Vitals struct {
	Last     uint64                    // the end of the log; as far as it is known here, if the leader does not answer
	Folded   map[string]uint64         // by read model, the last commit it has
	Fetched  map[domain.Name]time.Time // of active connections: when the keys that serve were fetched
	Rotate   map[string]time.Time      // by key id, when a key that signs should be rotated
	Limited  map[string]uint64         // by limit, what was refused because of it
	Replicas int                       // processes that serve it
	Sealed   *Sealing                  // nil: it is not sealed by this process
	Halted   bool                      // nothing is written or issued, since the log failed a check
}

// Vitals reads the figures. It asks the leader for the end of the log, and waits
// no longer than ctx.
func (o *Organisation) Vitals(ctx context.Context) Vitals {
	v := Vitals{
		Folded:  map[string]uint64{"trail": o.trail.Applied()},
		Fetched: map[domain.Name]time.Time{}, Rotate: map[string]time.Time{},
		Limited: map[string]uint64{"tests": o.tests.Denied()}, Replicas: o.Replicas(),
		Halted: o.Halted() != nil,
	}
	if o.sealer.dir != "" {
		s := o.Sealed()
		v.Sealed = &s
	}
	var active []connection.State
	o.control.Read(func(s *control.State, at domain.Head) {
		v.Folded["control"] = at.Stream
		for _, c := range s.Connections() {
			if c.Status == connection.Active {
				active = append(active, c)
			}
		}
		for _, k := range s.Keys().All() {
			if k.Status == key.Active {
				v.Rotate[k.KeyID] = k.ActivatedAt.Add(RotateWithin)
			}
		}
	})
	for _, c := range active {
		if at, ok := o.sources.FetchedAt(jose.SourceID{Org: o.name, Connection: c.Name, Version: c.ActiveVersion}); ok {
			v.Fetched[c.Name] = at
		}
	}
	v.Last = max(v.Folded["trail"], v.Folded["control"])
	if last, err := o.journal.Last(ctx); err == nil {
		v.Last = max(v.Last, last)
	}
	return v
}

// Clock is the time by the clock of the log, and when its newest commit was stored.
func (o *Organisation) Clock(ctx context.Context) (now, newest time.Time, err error) {
	return o.journal.Clock(ctx)
}
