package console

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/domain"
)

// BenchmarkScreens asks for every screen as everybody whose it is, each over and
// over, of an organisation with ten thousand connections and
// SALLYPORT_BENCH_EVENTS events of a day in its trail, 100,000 where that is
// unset. It prints a table for docs/performance.md: of each screen the one who
// waited longest for it, and last the floor, a page of nothing but the menu.
func BenchmarkScreens(b *testing.B) {
	events, err := strconv.Atoi(os.Getenv("SALLYPORT_BENCH_EVENTS"))
	if err != nil {
		events = 100_000
	}
	floor := screen{path: "/floor", get: func(p *page) error { return p.render("confirm", confirmView{Heading: "Nothing"}) }}
	c := &crowd{site: newSite(b, floor), connections: 10_000, servers: 3_000, secrets: 3_000, policies: 1_000, people: 500, groups: 200, pending: 1_000, decided: 4_000, glasses: 100, sessions: 200}
	c.gather()
	c.happen(events, 24*time.Hour)
	b.ResetTimer()
	fmt.Printf("\n| screen | as | p50, ms | p95, ms | CPU, ms | KB |\n|---|---|---|---|---|---|\n")
	over := 0
	for _, s := range c.console.all {
		if s.get == nil {
			continue
		}
		for _, path := range c.where(s.path) {
			slowest := asked{}
			for _, who := range []domain.Name{"owner", "devops", "security", "resource", "auditor", "alice"} {
				if s.admits(domain.Actor{Roles: []domain.Role{devPeople[who]}}) {
					slowest = slowest.or(c.ask(b, who, path))
				}
			}
			fmt.Println(slowest.row(s.path, path))
			if slowest.p95 > goal {
				over++
			}
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("\n%d events, %d cores, %s, load %s, %s.\n", events, runtime.NumCPU(), runtime.Version(), strings.Join(strings.Fields(string(load))[:min(3, len(strings.Fields(string(load))))], " "), time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	b.ReportMetric(float64(over), "screens-over-20ms")
}

// goal is how long a screen may take at the 95th percentile.
const goal = 20 * time.Millisecond

// asked is how long a page took, and how large it is.
type asked struct {
	who           domain.Name
	status        int
	p50, p95, cpu time.Duration
	bytes         int
}

func (a asked) or(other asked) asked {
	if other.p95 > a.p95 {
		return other
	}
	return a
}

// row is a line of the table. A page that leads elsewhere is told with its status.
func (a asked) row(screen, path string) string {
	if _, query, found := strings.Cut(path, "?"); found && !strings.Contains(screen, ":") {
		if name, _, _ := strings.Cut(query, "="); slices.Contains([]string{"since", "q", "view"}, name) {
			screen += "?" + name + "="
		}
	}
	if a.status != http.StatusOK {
		screen += fmt.Sprintf(" (%d)", a.status)
	}
	ms := func(d time.Duration) string { return strconv.FormatFloat(float64(d)/1e6, 'f', 1, 64) }
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | %d |", screen, a.who, ms(a.p50), ms(a.p95), ms(a.cpu), (a.bytes+999)/1000)
}

// ask asks for a page again and again. Garbage of the page before is not collected in its time.
func (c *crowd) ask(b *testing.B, who domain.Name, path string) (a asked) {
	b.Helper()
	const times = 40
	a.who = who
	var took []time.Duration
	c.get(who, c.path(path))
	runtime.GC()
	before := processorTime(b)
	for range times {
		begun := time.Now()
		w := c.get(who, c.path(path))
		took = append(took, time.Since(begun))
		a.status, a.bytes = w.Code, w.Body.Len()
	}
	a.cpu = (processorTime(b) - before) / times
	if a.status != http.StatusOK && a.status != http.StatusSeeOther {
		b.Fatalf("%s at %s: %d", who, path, a.status)
	}
	slices.Sort(took)
	a.p50, a.p95 = took[times/2], took[times*95/100]
	return a
}

// processorTime is what this process has used of the processor.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
