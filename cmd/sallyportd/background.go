package main

import (
	"context"
	"sync"

	deadlines "sallyport.dev/handlers/clock"
)

// background does, until ctx ends, what no request asks for: it records what
// deadlines have brought, has what is destroyed destroyed in the vault, and tells
// people of what waits for them.
func (p *process) background(ctx context.Context, running *sync.WaitGroup, t *tenants) {
	for _, o := range t.orgs {
		opt := deadlines.Options{Log: o.Clock, Sweep: o.SweepVault}
		if p.metrics != nil {
			opt.Late = p.metrics.Org(o.Name()).Lapsed
		}
		running.Go(func() { deadlines.Run(ctx, o, opt) })
		if p.m.Notify != nil {
			running.Go(func() { p.m.Notify.Run(ctx, o) })
		}
	}
}
