package organisation

import (
	"context"
	"sync"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/projections/control"
)

// TrySources fetches the keys of every active connection now and tells, by
// connection, why that failed; nil where it worked, or where keys were uploaded.
// What serves is left alone. It asks third parties, so it is for an operator who
// wants to know, and for nothing that happens by itself.
func (o *Organisation) TrySources(ctx context.Context) map[domain.Name]error {
	var active []connection.State
	o.control.Read(func(s *control.State, _ domain.Head) {
		for _, c := range s.Connections() {
			if c.Status == connection.Active {
				active = append(active, c)
			}
		}
	})
	apart := jose.NewSources(o.gate, jose.SourcesOptions{Now: o.now, Resolver: o.resolver})
	defer apart.Close()
	var mu sync.Mutex
	var running sync.WaitGroup
	errs := map[domain.Name]error{}
	slots := make(chan struct{}, 32)
	for _, c := range active {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			id, keys := o.sourceOf(c, c.Current, c.ActiveVersion)
			_, err := apart.Source(id, keys, nil).Find(ctx, "")
			mu.Lock()
			defer mu.Unlock()
			errs[c.Name] = err
		})
	}
	running.Wait()
	return errs
}
