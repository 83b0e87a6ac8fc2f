package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/e2e/ports"
)

var soaked = []scenario{
	{"SOAK", "steady load with new connections, writes, denials, event streams, audit queries and key rotations; SOAK says for how long (1h)",
		"live and resident memory, goroutines and descriptors grow by no more than 5 %", false, soak},
}

// What the soak does in a second, beside one stream of events that is opened
// again and again, and a try to rotate the keys each minute.
const (
	soakTokens   = 30
	sampleEvery  = 10 * time.Second
	collectEvery = 3 // samples: more collections would leave the collector nothing to do by itself
)

// soak lets a server work for long and looks whether it grows.
func soak(t *testing.T, _ bool) string {
	d := time.Hour
	if s := os.Getenv("SOAK"); s != "" {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	profiles := ports.Address(t)
	s := newServer(t, options{config: "pprof: {listen: " + profiles + "}\n"})
	s.profiles = "http://" + profiles
	c := s.open(newLedger())
	c.proof = shared(c.proof)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var working sync.WaitGroup
	errs := make(chan error, 16)
	every := func(period time.Duration, f func() error) {
		working.Go(func() {
			tick := time.NewTicker(period)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
				if err := f(); err != nil && ctx.Err() == nil {
					select {
					case errs <- err:
					default:
					}
				}
			}
		})
	}
	churning := *c
	churning.http = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	every(time.Second/soakTokens*10/9, func() error { return c.accepted(ctx) })
	every(10*time.Second/soakTokens, func() error { return churning.accepted(ctx) })
	every(time.Second, func() error { return c.denied(ctx) })
	every(2*time.Second, func() error { return s.search() })
	every(10*time.Second, func() error {
		w, err := c.send(ctx, c.draft())
		if err == nil && w.Status == http.StatusCreated {
			_, err = c.send(ctx, c.edit(w))
		}
		return err
	})
	every(time.Minute, func() error {
		cmd := exec.Command(filepath.Join(s.bin, "sallyportd"), "keys", "rotate", "--config", s.path("config.yaml"))
		if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(out), "key.") {
			return fmt.Errorf("rotating: %w: %s", err, out)
		}
		return nil // refused while the next key is young
	})
	working.Go(func() { s.listen(ctx) })
	samples := s.sample(ctx, c.l)
	working.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	growth := samples.judge(t)
	t.Log(growth) // of one that fails, too
	return fmt.Sprintf("%s: %s; %s; %s", d, growth, c.l.statuses(), check(s, c.l))
}

// accepted asks for a token that must be issued.
func (c *caller) accepted(ctx context.Context) error {
	status, err := c.exchange(ctx)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("an exchange was answered %d", status)
	}
	return err
}

// denied asks for a token with a proof that is signed by nobody known.
func (c *caller) denied(ctx context.Context) error {
	proof := c.proof()
	form := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "connection": {c.name},
		"assertion": {proof[:len(proof)-8] + "AAAAAAAA"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.s.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Forwarded-For", from())
	status, body, _, err := c.do(req)
	if err == nil && status != http.StatusBadRequest {
		err = fmt.Errorf("a bad proof was answered %d: %s", status, body)
	}
	return err
}

// search asks the trail as people do.
func (s *server) search() error {
	for _, q := range []string{"q=job&limit=50", "type=token.denied&limit=50&order=desc", "connection=job&limit=100&order=desc"} {
		if b, ok := s.get("/v1/audit?"+q, ""); !ok {
			return fmt.Errorf("searching the trail for %s: %s", q, b)
		}
	}
	return nil
}

// listen keeps a stream of events open, half a minute each.
func (s *server) listen(ctx context.Context) {
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, 30*time.Second)
		req, err := http.NewRequestWithContext(one, http.MethodGet, s.issuer+"/v1/audit/stream", nil)
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+s.tokens["audrey"])
			req.Header.Set("X-Forwarded-For", from())
			if res, err := patient.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		}
		breathe(ctx, 100*time.Millisecond)
		cancel()
	}
}

// series is what was seen of one thing, in time.
type series struct {
	name   string
	points []float64
	// slack is how much more than at the first a thing may be at the last and has
	// not grown, whatever that is in percent: of a few dozen descriptors or threads
	// a few are chance, and NATS keeps one or two buffers of 8 MiB.
	slack float64
}

type samples []*series

func (a samples) add(name string, v float64) {
	for _, s := range a {
		if s.name == name {
			s.points = append(s.points, v)
		}
	}
}

// What the process keeps because it was told to, which is no leak: connections,
// which are for ever, and idempotency keys, which are for a day. A test of
// projections/control holds that they take at least so much.
const (
	connectionBytes = 700
	keyBytes        = 200
)

// kept is how many MiB the acknowledged writes have added to the heap at least.
func (l *ledger) kept() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var bytes float64
	for _, w := range l.written {
		bytes += keyBytes
		if w.Method == http.MethodPost {
			bytes += connectionBytes
		}
	}
	return bytes / (1 << 20)
}

// sample looks at the process until ctx ends. What is in the heap between two
// collections is garbage for the most part, and how much of it there may be is
// up to the collector; a leak shows in what is alive after one. Resident memory is
// told as it is, and apart from it what is resident beside Go's heap: SQLite's
// pages for the most part, and the program itself.
func (s *server) sample(ctx context.Context, l *ledger) samples {
	all := samples{
		{name: "live heap MiB", slack: 4}, {name: "resident beside the heap MiB", slack: 4}, {name: resident},
		{name: "descriptors", slack: 4}, {name: "threads", slack: 4}, {name: "goroutines", slack: 4},
	}
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return all
		}
		if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid())); err == nil {
			all.add("descriptors", float64(len(fds)))
		}
		if n, err := profiled(s.profiles+"/debug/pprof/goroutine?debug=1", goroutines); err == nil {
			all.add("goroutines", n)
		}
		kib, threads, err := s.status()
		if err != nil {
			continue
		}
		all.add(resident, kib/1024)
		all.add("threads", threads)
		if f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", s.pid())); err == nil {
			if kib, err := beside(f); err == nil {
				all.add("resident beside the heap MiB", kib/1024)
			}
			f.Close()
		}
		if n%collectEvery == 0 {
			if live, err := s.live(); err == nil {
				all.add("live heap MiB", live-l.kept())
			}
		}
	}
}

// live is how many MiB of the heap are alive. What is in a pool goes with the
// second collection.
func (s *server) live() (float64, error) {
	const collected = "/debug/pprof/heap?debug=1&gc=1"
	if _, err := profiled(s.profiles+collected, heapAlloc); err != nil {
		return 0, err
	}
	n, err := profiled(s.profiles+collected, heapAlloc)
	if err != nil {
		return 0, err
	}
	return n / (1 << 20), nil
}

const resident = "resident MiB"

var (
	goroutines = regexp.MustCompile(`goroutine profile: total (\d+)`)
	heapAlloc  = regexp.MustCompile(`# HeapAlloc = (\d+)`)
)

// profiled is the number that a page tells.
func profiled(url string, number *regexp.Regexp) (float64, error) {
	res, err := patient.Get(url)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	m := number.FindSubmatch(b)
	if m == nil {
		return 0, fmt.Errorf("%s has no %s", url, number)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

// beside is how many KiB of a /proc/PID/smaps are resident and not of Go's heap.
// Go asks for its heap's addresses far below those that the kernel gives to who
// asks for none; below both is the program.
func beside(smaps io.Reader) (kib float64, err error) {
	const program, kernel = 1 << 32, 0x7e << 40
	heap := false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		field := strings.Fields(lines.Text())
		switch {
		case len(field) == 0:
		case field[0] == "Rss:" && !heap:
			n, err := strconv.ParseFloat(field[1], 64)
			if err != nil {
				return 0, err
			}
			kib += n
		case !strings.HasSuffix(field[0], ":"): // the first line of a mapping; without a name, it is nobody's file
			from, _, _ := strings.Cut(field[0], "-")
			at, err := strconv.ParseUint(from, 16, 64)
			if err != nil {
				return 0, err
			}
			heap = at >= program && at < kernel && (len(field) < 6 || field[5] == "[anon:")
		}
	}
	return kib, lines.Err()
}

// status reads the resident memory, in KiB, and the threads of the process.
func (s *server) status() (kib, threads float64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", s.pid()))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if field := strings.Fields(lines.Text()); len(field) > 1 && field[0] == "VmRSS:" {
			kib, err = strconv.ParseFloat(field[1], 64)
		} else if len(field) > 1 && field[0] == "Threads:" {
			threads, err = strconv.ParseFloat(field[1], 64)
		}
	}
	return kib, threads, errors.Join(err, lines.Err())
}

// judge says of each series by how much it grew, and fails for what did.
func (a samples) judge(t testing.TB) string {
	t.Helper()
	var said []string
	for _, s := range a {
		if len(s.points) < 9 {
			t.Fatalf("only %d samples of %s: SOAK is too short", len(s.points), s.name)
		}
		first, last, grew := s.grew()
		change := fmt.Sprintf("%s %.1f to %.1f (%+.1f %%)", s.name, first, last, (last-first)/first*100)
		said = append(said, change)
		if grew {
			t.Errorf("it grows: %s", change)
		}
	}
	return strings.Join(said, ", ")
}

// grew fits a line through the points behind the first third, in which caches
// fill, and tells whether it rises by more than 5 % and the slack. Resident memory
// may rise as the collector lets it, which is up to [collectorsLimit].
func (s *series) grew() (first, last float64, grew bool) {
	p := s.points[len(s.points)/3:]
	first, last = fit(p)
	grew = last > first*1.05 && last-first > s.slack
	if s.name == resident && slices.Max(p) < collectorsLimit {
		grew = false
	}
	return first, last, grew
}

// collectorsLimit is how many MiB may be resident where less than half is alive
// of the 160 MiB that cmd/sallyportd lets the heap grow to: these, a tenth that
// Go keeps beyond its goal, 96 for SQLite's pages, and 48 for the program and its
// stacks.
const collectorsLimit = 160*1.1 + 96 + 48

// fit is the straight line of least squares, at its first and its last point.
func fit(p []float64) (first, last float64) {
	n := float64(len(p))
	var sx, sy, sxx, sxy float64
	for i, y := range p {
		x := float64(i)
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	slope := (n*sxy - sx*sy) / (n*sxx - sx*sx)
	at := (sy - slope*sx) / n
	return at, at + slope*(n-1)
}
