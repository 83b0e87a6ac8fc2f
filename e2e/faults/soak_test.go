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
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var soaked = []scenario{
	{"SOAK", "steady load with new connections, writes, denials, event streams, audit queries and key rotations; SOAK says for how long (1h)",
		"memory, goroutines and descriptors grow by no more than 5 %", false, soak},
}

// What the soak does in a second, beside one stream of events that is opened
// again and again, and a try to rotate the keys each minute.
const (
	soakTokens  = 30
	sampleEvery = 10 * time.Second
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
	profiles := freeAddress(t)
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
	samples := s.sample(ctx)
	working.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	growth := samples.judge(t)
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
}

type samples []*series

func (a samples) add(name string, v float64) {
	for _, s := range a {
		if s.name == name {
			s.points = append(s.points, v)
		}
	}
}

// sample looks at the process until ctx ends.
func (s *server) sample(ctx context.Context) samples {
	all := samples{{name: "resident MiB"}, {name: "descriptors"}, {name: "threads"}, {name: "goroutines"}, {name: "heap MiB"}}
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return all
		}
		if kib, threads, err := s.status(); err == nil {
			all.add("resident MiB", kib/1024)
			all.add("threads", threads)
		}
		if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid())); err == nil {
			all.add("descriptors", float64(len(fds)))
		}
		if n, err := profiled(s.profiles+"/debug/pprof/goroutine?debug=1", regexp.MustCompile(`goroutine profile: total (\d+)`)); err == nil {
			all.add("goroutines", n)
		}
		// after a collection: what is alive, not what waits to be collected
		if n, err := profiled(s.profiles+"/debug/pprof/heap?debug=1&gc=1", regexp.MustCompile(`# HeapAlloc = (\d+)`)); err == nil {
			all.add("heap MiB", n/(1<<20))
		}
	}
}

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
		return 0, errors.New("no such number")
	}
	return strconv.ParseFloat(string(m[1]), 64)
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

// judge fits a line through each series behind its first third, in which caches
// fill, and says by how much it grew from there to the end.
func (a samples) judge(t testing.TB) string {
	t.Helper()
	var said []string
	for _, s := range a {
		if len(s.points) == 0 {
			continue
		}
		p := s.points[len(s.points)/3:]
		if len(p) < 3 {
			t.Fatalf("only %d samples of %s: SOAK is too short", len(s.points), s.name)
		}
		first, last := fit(p)
		grown := (last - first) / first * 100
		said = append(said, fmt.Sprintf("%s %.0f to %.0f (%+.1f %%)", s.name, first, last, grown))
		if grew(first, last) {
			t.Errorf("%s grew from %.1f to %.1f, by %.1f %%", s.name, first, last, grown)
		}
	}
	return strings.Join(said, ", ")
}

// grew tells whether more than 5 % were added; of a few dozen descriptors or
// threads a few are chance.
func grew(first, last float64) bool { return last > first*1.05 && last-first > 4 }

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
