package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// readyURL is where the server of a filled directory believes it is: part of
// every event in it.
const readyURL = "http://127.0.0.1:18420"

// readiness measures a start over a long log, and the fold of its trail.
type readiness struct {
	bin, dir, json      string
	events, connections int
}

// start is one start of the server.
type start struct {
	Name    string        `json:"name"`
	Ready   time.Duration `json:"ready_ns"`
	CPU     time.Duration `json:"cpu_ns"`
	RSS     int64         `json:"rss_bytes"` // when ready
	Highest int64         `json:"rss_highest_bytes"`
}

// readyReport is everything that was measured, and what of it misses a goal.
type readyReport struct {
	Machine     string        `json:"machine"`
	Events      int           `json:"events"`
	Connections int           `json:"connections"`
	OnDisk      float64       `json:"log_bytes_per_event"`
	Trail       float64       `json:"trail_bytes_per_event"`
	Fold        time.Duration `json:"fold_ns"`
	FoldCPU     float64       `json:"fold_cpu_us_per_event"`
	Starts      []start       `json:"starts"`
	Missed      []string      `json:"missed"`
}

func (r *readiness) run(ctx context.Context) error {
	if r.dir == "" {
		dir, err := os.MkdirTemp("", "sallyport-ready-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		r.dir = dir
		fmt.Fprintln(os.Stderr, "filling", dir)
		if err := (filling{dir: dir, baseURL: readyURL, connections: r.connections, events: r.events, log: quiet()}).run(ctx); err != nil {
			return err
		}
	}
	out := readyReport{Machine: machine(), Events: r.events, Connections: r.connections}
	var err error
	if out.OnDisk, err = r.onDisk(); err != nil {
		return err
	}
	pprof, err := freeAddress()
	if err != nil {
		return err
	}
	s := &server{bin: r.bin, dir: r.dir, url: readyURL, pprof: pprof}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	auditor, err := s.token(ctx, "audrey", "auditor")
	if err != nil {
		return err
	}
	if err := r.fold(ctx, s, auditor, &out); err != nil {
		return err
	}
	for _, end := range []struct {
		name string
		sig  syscall.Signal
	}{{"after a stop", syscall.SIGTERM}, {"after kill -9", syscall.SIGKILL}} {
		s.end(end.sig)
		if err := out.add(ctx, s, end.name); err != nil {
			return err
		}
	}
	s.end(syscall.SIGTERM)
	out.judge()
	out.print()
	return conclude(out, out.Missed, r.json)
}

// onDisk is what an event takes of the log's folder, all in all.
func (r *readiness) onDisk() (float64, error) {
	size, err := sizeOf(filepath.Join(r.dir, "nats"))
	return float64(size) / float64(r.events), err
}

func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

// fold starts the server without a trail and waits until it has one.
func (r *readiness) fold(ctx context.Context, s *server, auditor string, out *readyReport) error {
	trail := filepath.Join(r.dir, "trail", org.String()+".sqlite")
	for _, part := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(trail + part); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	begun := time.Now()
	if err := out.add(ctx, s, "without a trail"); err != nil {
		return err
	}
	before := out.Starts[0].CPU
	for last, still := uint64(0), 0; still < 3; {
		at, err := s.applied(ctx, auditor)
		if err != nil {
			return err
		}
		if still++; at != last {
			last, still, out.Fold = at, 0, time.Since(begun)
			after, err := s.cpu()
			if err != nil {
				return err
			}
			out.FoldCPU = micros(after-before) / float64(r.events)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	size, err := sizeOf(filepath.Dir(trail))
	out.Trail = float64(size) / float64(r.events)
	return err
}

func (out *readyReport) add(ctx context.Context, s *server, name string) (err error) {
	a := start{Name: name}
	if a.Ready, err = s.start(ctx); err != nil {
		return err
	}
	if a.CPU, err = s.cpu(); err != nil {
		return err
	}
	a.RSS, a.Highest, err = s.resident()
	out.Starts = append(out.Starts, a)
	return err
}

func (out *readyReport) judge() {
	miss := func(is bool, format string, args ...any) {
		if is {
			out.Missed = append(out.Missed, fmt.Sprintf(format, args...))
		}
	}
	for _, a := range out.Starts {
		miss(a.Ready > readyWithin, "ready %s after %.1f s, not %.0f s", a.Name, a.Ready.Seconds(), readyWithin.Seconds())
		miss(a.RSS > maxResident && !strings.HasPrefix(a.Name, "without"), "%s it takes %d MB, not %d MB", a.Name, a.RSS>>20, maxResident>>20)
	}
	within := foldWithin * time.Duration(out.Events) / millionOfEvents
	miss(out.Fold > within, "%d events are folded into the trail in %.0f s, not %.0f s", out.Events, out.Fold.Seconds(), within.Seconds())
	miss(out.OnDisk > maxBytesOnDisk, "an event takes %.0f bytes in the log, not %.0f", out.OnDisk, maxBytesOnDisk)
}

func (out *readyReport) print() {
	fmt.Printf("%s\n\n%d events in full commits, %d active connections\n", out.Machine, out.Events, out.Connections)
	fmt.Printf("the log takes %.0f bytes an event, everything in its folder counted; the trail %.0f\n", out.OnDisk, out.Trail)
	fmt.Printf("the trail is folded %.1f s after the start, with %.1f us of CPU an event\n\n", out.Fold.Seconds(), out.FoldCPU)
	for _, a := range out.Starts {
		fmt.Printf("%-16s ready in %.2f s, CPU %.2f s, %d MB (highest %d MB)\n", a.Name+":", a.Ready.Seconds(), a.CPU.Seconds(), a.RSS>>20, a.Highest>>20)
	}
	fmt.Println()
}
