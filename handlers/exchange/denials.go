package exchange

import (
	"sync"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/limit"
)

// How many denials of one connection are written to the log one by one; beyond
// that they are counted, so that a stranger cannot fill the disk.
const (
	denialsPerSecond       = 2 // of a connection
	denialsBurst           = 200
	denialsPerSourceSecond = 0.5 // of one source at a connection
	denialsPerSourceBurst  = 40
	denialsOfAllSecond     = 5 // of all connections together: names are easy to guess
	denialsOfAllBurst      = 1000
	sourcesRemembered      = 50_000
	// countFor is how long denials are counted before the count is written.
	countFor = 10 * time.Second
)

// denials decides which denials are written and counts the others. It is safe
// for concurrent use.
type denials struct {
	all         *limit.Limiter
	connections *limit.Limiter
	sources     *limit.Limiter

	mu      sync.Mutex
	counted map[domain.Name]*token.DenialsWereSuppressed
}

// newDenials starts with full allowances, of which each of so many replicas has its part.
func newDenials(replicas func() int) *denials {
	d := &denials{
		all:         limit.New(denialsOfAllSecond, denialsOfAllBurst, 1),
		connections: limit.New(denialsPerSecond, denialsBurst, sourcesRemembered),
		sources:     limit.New(denialsPerSourceSecond, denialsPerSourceBurst, sourcesRemembered),
		counted:     map[domain.Name]*token.DenialsWereSuppressed{},
	}
	for _, l := range []*limit.Limiter{d.all, d.connections, d.sources} {
		l.Share(replicas)
	}
	return d
}

// admit tells whether a denial is to be written; one that is not is counted.
func (d *denials) admit(conn domain.Name, source, code string, now time.Time) bool {
	// The narrower limit is asked first: one noisy source must not use up what
	// the connection has for all the others, nor one connection what all have.
	if d.sources.Allow(conn.String()+" "+source, now) && d.connections.Allow(conn.String(), now) && d.all.Allow("", now) {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.counted[conn]
	if c == nil {
		c = &token.DenialsWereSuppressed{Connection: conn, Source: source, From: now, Codes: map[string]uint64{}}
		d.counted[conn] = c
	}
	if c.Source != source {
		c.Source = "" // more than one
	}
	c.Count++
	c.Codes[code]++
	c.Until = now
	return false
}

// take hands over what was counted, and forgets it.
func (d *denials) take() []token.DenialsWereSuppressed {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []token.DenialsWereSuppressed
	for conn, c := range d.counted {
		all = append(all, *c)
		delete(d.counted, conn)
	}
	return all
}

// giveBack counts again what could not be written.
func (d *denials) giveBack(c token.DenialsWereSuppressed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.counted[c.Connection]
	if now == nil {
		d.counted[c.Connection] = &c
		return
	}
	now.From, now.Count = c.From, now.Count+c.Count
	if now.Source != c.Source {
		now.Source = ""
	}
	for code, n := range c.Codes {
		now.Codes[code] += n
	}
}
