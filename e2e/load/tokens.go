package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"sallyport.dev/domain/connection"
)

// bench measures what a token costs.
type bench struct {
	bin, dir, json, profiles, unsynced string
	callers                            list
	duration                           time.Duration
	providers, proofs                  int
	profile                            bool

	idp     *providers
	auditor string
	one     []string // forms whose proofs are of one provider
	many    []string // of all, in turn
}

// measured is one run.
type measured struct {
	Name        string  `json:"name"`
	Callers     int     `json:"callers"`
	Connections int     `json:"connections"`
	Seen        driven  `json:"seen"`
	Tokens      float64 `json:"tokens_per_second"`
	CPU         float64 `json:"cpu_us"`       // of the server for each token, user and system
	Trail       float64 `json:"trail_cpu_us"` // of that, the fold of the audit trail
	PerCommit   float64 `json:"tokens_per_commit"`
}

// apart is the CPU without the fold of the trail.
func (m measured) apart() float64 { return m.CPU - m.Trail }

func (b *bench) run(ctx context.Context) error {
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "sallyport-load-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		b.dir = dir
	}
	var err error
	if b.idp, err = startProviders(); err != nil {
		return err
	}
	defer b.idp.stop()
	s, err := b.server(ctx, filepath.Join(b.dir, "data"))
	if err != nil {
		return err
	}
	defer func() { s.end(syscall.SIGKILL) }()
	if b.one, err = b.idp.bodies(ctx, b.proofs, 1, s.issuer()); err != nil {
		return err
	}
	if b.many, err = b.idp.bodies(ctx, max(b.proofs, b.providers), b.providers, s.issuer()); err != nil {
		return err
	}
	if d := drive(ctx, newClient(8), s.issuer()+"/token", b.many[:b.providers], 8, 0); d.Errors > 0 { // keys fetched
		return fmt.Errorf("%d of %d connections issue nothing: %s", d.Errors, b.providers, d.First)
	}
	r := report{Machine: machine()}
	if r.Floor, err = measureFloor(ctx, b.dir, b.one[0], 64); err != nil {
		return err
	}
	for _, n := range b.callers {
		if err := b.add(ctx, &r, s, "one connection", n, 1, b.one); err != nil {
			return err
		}
		if n == 64 {
			if err := b.add(ctx, &r, s, "all connections", n, b.providers, b.many); err != nil {
				return err
			}
		}
	}
	if err := b.killed(ctx, &r, s); err != nil {
		return err
	}
	s.end(syscall.SIGTERM)
	if err := b.inMemory(ctx, &r); err != nil {
		return err
	}
	return r.finish(b.json)
}

// server starts a server on a new data directory, with its connections.
func (b *bench) server(ctx context.Context, dir string) (*server, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	pprof, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &server{bin: b.bin, dir: dir, url: "http://" + addr, pprof: pprof, jwksPort: b.idp.port}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	tokens := map[string]string{}
	for person, role := range map[string]string{"dana": "devops_admin", "sam": "security_admin", "audrey": "auditor"} {
		if tokens[person], err = s.token(ctx, person, role); err != nil {
			return nil, err
		}
	}
	b.auditor = tokens["audrey"]
	if _, err := s.start(ctx); err != nil {
		return nil, err
	}
	client := newClient(1)
	for i := range b.providers {
		spec := providerSpec(b.idp.issuer(i), s.issuer())
		spec.CACertificate = b.idp.ca
		draft := struct {
			Name string `json:"name"`
			connection.Spec
		}{connectionName(i).String(), spec}
		if err := s.call(ctx, client, "POST", "/v1/connections", tokens["dana"], "", draft, nil); err != nil {
			return nil, err
		}
		if err := s.call(ctx, client, "POST", "/v1/connections/"+draft.Name+"/activate", tokens["sam"], `"1"`, struct{}{}, nil); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// add makes one run and adds it to the report.
func (b *bench) add(ctx context.Context, r *report, s *server, name string, callers, connections int, bodies []string) error {
	m, err := b.measure(ctx, s, name, callers, bodies)
	m.Connections = connections
	r.Runs = append(r.Runs, m)
	if err != nil {
		return err
	}
	return r.Floor.again() // a machine is not as fast at every moment
}

func (b *bench) measure(ctx context.Context, s *server, name string, callers int, bodies []string) (measured, error) {
	m := measured{Name: name, Callers: callers}
	client := newClient(callers)
	defer client.CloseIdleConnections()
	url := s.issuer() + "/token"
	drive(ctx, client, url, bodies, callers, time.Second) // connections open, heap as large as it gets
	firstCommit, err := b.settled(ctx, s)
	if err != nil {
		return m, err
	}
	profiled := make(chan error, 1)
	file := filepath.Join(b.dir, fmt.Sprintf("%d-callers-%s.pprof", callers, map[bool]string{true: "one", false: "all"}[name == "one connection"]))
	if b.profiles != "" {
		file = filepath.Join(b.profiles, filepath.Base(file))
	}
	if b.profile {
		go func() { profiled <- s.takeProfile(ctx, file, b.duration) }()
	}
	before, err := s.cpu()
	if err != nil {
		return m, err
	}
	m.Seen = drive(ctx, client, url, bodies, callers, b.duration)
	lastCommit, err := b.settled(ctx, s) // what was asked for is folded, and counted
	if err != nil {
		return m, err
	}
	after, err := s.cpu()
	if err != nil {
		return m, err
	}
	m.Tokens = m.Seen.perSecond()
	m.CPU = micros(after-before) / float64(max(m.Seen.Requests, 1))
	m.PerCommit = float64(m.Seen.Requests) / float64(max(lastCommit-firstCommit, 1))
	if b.profile {
		if err := <-profiled; err != nil {
			return m, err
		}
		share, err := shareOf(ctx, file, `projections/trail\.\(\*Trail\)\.Apply`)
		if err != nil {
			return m, err
		}
		m.Trail = m.CPU * share
	}
	return m, nil
}

// settled returns the last commit of the trail once it does not grow any more.
func (b *bench) settled(ctx context.Context, s *server) (uint64, error) {
	for last, begun := uint64(0), time.Now(); time.Since(begun) < patience; {
		at, err := s.applied(ctx, b.auditor)
		if err != nil || at == last {
			return at, err
		}
		last = at
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return 0, errors.New("the audit trail does not come to rest")
}

// takeProfile keeps the server's CPU profile of that long.
func (s *server) takeProfile(ctx context.Context, file string, long time.Duration) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.pprof, max(1, int(long.Seconds())))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("taking a profile: %s", answer.Status)
	}
	_, err = io.Copy(f, answer.Body)
	return err
}

var showing = regexp.MustCompile(`Showing nodes accounting for [^,]+, ([0-9.]+)% of`)

// shareOf is the share of a profile's CPU that was spent below functions.
func shareOf(ctx context.Context, file, functions string) (float64, error) {
	out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodefraction=0", "-nodecount=1000000", "-focus="+functions, file).Output()
	if err != nil {
		return 0, fmt.Errorf("reading the profile %s: %w", file, err)
	}
	m := showing.FindSubmatch(out)
	if m == nil {
		return 0, nil // no sample was there
	}
	percent, err := strconv.ParseFloat(string(m[1]), 64)
	return percent / 100, err
}

// killed kills the server in the midst of a run and sees that it goes on as if
// nothing had been.
func (b *bench) killed(ctx context.Context, r *report, s *server) error {
	client := newClient(64)
	defer client.CloseIdleConnections()
	during := make(chan driven, 1)
	go func() { during <- drive(ctx, client, s.issuer()+"/token", b.one, 64, 4*time.Second) }()
	select {
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
	}
	s.end(syscall.SIGKILL)
	<-during // callers of a server that is gone are refused
	ready, err := s.start(ctx)
	if err != nil {
		return err
	}
	r.AfterKill.Ready = ready
	for _, n := range []int{64, 256} {
		client := newClient(n)
		d := drive(ctx, client, s.issuer()+"/token", b.many, n, max(2*time.Second, b.duration/4))
		client.CloseIdleConnections()
		r.AfterKill.Requests += d.Requests
		r.AfterKill.Errors += d.Errors
		if d.First != "" {
			r.AfterKill.First = d.First
		}
	}
	return nil
}

// inMemory is the rate where a sync costs nothing.
func (b *bench) inMemory(ctx context.Context, r *report) error {
	if b.unsynced == "" {
		return nil
	}
	dir, err := os.MkdirTemp(b.unsynced, "sallyport-load-*")
	if err != nil {
		return fmt.Errorf("making a folder in memory: %w", err)
	}
	defer os.RemoveAll(dir)
	small := *b
	small.providers, small.profile = 1, false
	s, err := small.server(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { s.end(syscall.SIGKILL) }()
	bodies, err := small.idp.bodies(ctx, small.proofs, 1, s.issuer())
	if err != nil {
		return err
	}
	m, err := small.measure(ctx, s, "one connection, in memory", 64, bodies)
	m.Connections = 1
	r.InMemory = m
	return err
}
