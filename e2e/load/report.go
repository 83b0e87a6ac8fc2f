package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// The goals, of two cores with the audit durable.
const (
	maxTimesCrypto  = 3.5  // CPU of a token at 64 callers, without the trail's fold, as a multiple of verify and sign
	maxTail         = 10.0 // p99 at 16 callers as a multiple of p50
	minOfUnsynced   = 0.85 // of the rate where a sync costs nothing
	minPerSync      = 8.0  // tokens that share a sync at 64 callers
	maxTimesSync    = 3.5  // p50 of one caller as a multiple of an fdatasync
	maxManyOverOne  = 1.15 // CPU of a token of many connections as a multiple of one's
	readyWithin     = 5 * time.Second
	maxResident     = 300 << 20
	foldWithin      = 90 * time.Second // a million events
	maxBytesOnDisk  = 400.0            // of a token event in a full commit
	millionOfEvents = 1_000_000
)

// report is everything that was measured, and what of it misses a goal.
type report struct {
	Machine   string     `json:"machine"`
	Floor     floor      `json:"floor"`
	Runs      []measured `json:"runs"`
	InMemory  measured   `json:"in_memory"`
	AfterKill struct {
		Ready    time.Duration `json:"ready_ns"`
		Requests int           `json:"requests"`
		Errors   int           `json:"errors"`
		First    string        `json:"first_error,omitempty"`
	} `json:"after_kill"`
	Missed []string `json:"missed"`
}

// machine names what was measured on.
func machine() string {
	model := "unknown processor"
	b, _ := os.ReadFile("/proc/cpuinfo") // without it, the figures say it all the same
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%d cores, %s, %s", runtime.NumCPU(), model, runtime.Version())
}

func (r *report) finish(file string) error {
	r.judge()
	r.print()
	return conclude(r, r.Missed, file)
}

// conclude writes the figures as JSON, where that is asked for, and turns what
// is missed into an error.
func conclude(figures any, missed []string, file string) error {
	if file != "" {
		b, err := json.MarshalIndent(figures, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	if len(missed) > 0 {
		return fmt.Errorf("goals missed:\n  %s", strings.Join(missed, "\n  "))
	}
	fmt.Println("every goal is met")
	return nil
}

func (r *report) judge() {
	miss := func(is bool, format string, args ...any) {
		if is {
			r.Missed = append(r.Missed, fmt.Sprintf(format, args...))
		}
	}
	var one, all measured
	for _, m := range r.Runs {
		miss(m.Seen.Errors > 0, "%d errors at %d callers: %s", m.Seen.Errors, m.Callers, m.Seen.First)
		tail := float64(m.Seen.P99) / float64(max(m.Seen.P50, 1))
		miss(m.Callers == 16 && tail > maxTail, "p99 is %.1f times p50 at 16 callers, not %.0f", tail, maxTail)
		times := micros(m.Seen.P50) / r.Floor.Fdatasync
		miss(m.Callers == 1 && times > maxTimesSync, "p50 of one caller is %.1f times an fdatasync, not %.1f", times, maxTimesSync)
		switch {
		case m.Callers == 64 && m.Connections == 1:
			one = m
		case m.Callers == 64:
			all = m
		}
	}
	if one.Callers > 0 {
		times := one.apart() / r.Floor.crypto()
		miss(times > maxTimesCrypto, "a token at 64 callers takes %.2f times verify and sign, not %.1f", times, maxTimesCrypto)
		miss(one.PerCommit < minPerSync, "%.1f tokens share a sync at 64 callers, not %.0f", one.PerCommit, minPerSync)
		miss(r.InMemory.Callers > 0 && one.Tokens < minOfUnsynced*r.InMemory.Tokens,
			"the rate at 64 callers is %.0f %% of the rate without syncing, not %.0f %%", 100*one.Tokens/r.InMemory.Tokens, 100*minOfUnsynced)
	}
	if one.Callers > 0 && all.Callers > 0 {
		miss(all.apart() > maxManyOverOne*one.apart(), "a token of %d connections takes %.2f times the CPU of one's, not %.2f",
			all.Connections, all.apart()/one.apart(), maxManyOverOne)
	}
	miss(r.AfterKill.Errors > 0, "%d of %d requests failed after kill -9 and a new start: %s", r.AfterKill.Errors, r.AfterKill.Requests, r.AfterKill.First)
}

func (r *report) print() {
	f := r.Floor
	fmt.Printf("%s\n\n", r.Machine)
	fmt.Printf("floor, CPU in us: verify %.1f + sign %.1f = %.1f; bare HTTP %.1f; synced append, shared by 64, %.1f; together %.1f. fdatasync p50 %.0f us\n\n",
		f.Verify, f.Sign, f.crypto(), f.HTTP, f.Append, f.sum(), f.Fdatasync)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "callers\tconnections\ttokens/s\tp50 ms\tp99 ms\terrors\tCPU us/token\tthe trail's fold\twithout it\tx verify+sign\tx floor\ttokens/sync\t")
	for _, m := range append(r.Runs, r.InMemory) {
		if m.Callers == 0 {
			continue
		}
		name := fmt.Sprint(m.Connections)
		if strings.HasSuffix(m.Name, "in memory") {
			name += " (no sync)"
		}
		fmt.Fprintf(w, "%d\t%s\t%.0f\t%.2f\t%.2f\t%d\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.1f\t\n", m.Callers, name, m.Tokens,
			m.Seen.P50.Seconds()*1e3, m.Seen.P99.Seconds()*1e3, m.Seen.Errors, m.CPU, m.Trail, m.apart(), m.apart()/f.crypto(), m.apart()/f.sum(), m.PerCommit)
	}
	w.Flush()
	fmt.Printf("\nafter kill -9: ready in %.2f s, %d requests, %d errors\n\n", r.AfterKill.Ready.Seconds(), r.AfterKill.Requests, r.AfterKill.Errors)
}
