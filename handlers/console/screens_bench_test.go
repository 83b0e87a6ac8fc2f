package console

import (
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/session"
)

// BenchmarkScreens asks for every screen as everybody whose it is, with its usual
// filters and its second page, each over and over, of an organisation with ten
// thousand connections and SALLYPORT_BENCH_EVENTS events of a day in its trail,
// 100,000 where that is unset. It prints a table for docs/performance.md: of each
// address the one who waited longest for it, and last the floor, a page of nothing
// but the menu. SALLYPORT_BENCH_SCREENS, a regular expression, chooses addresses.
func BenchmarkScreens(b *testing.B) {
	c := bigCrowd(b)
	chosen := regexp.MustCompile(os.Getenv("SALLYPORT_BENCH_SCREENS"))
	fmt.Printf("\n| screen | as | p50, ms | p95, ms | own CPU, p95 | CPU, ms | allocated, KB | KB |\n|---|---|---|---|---|---|---|---|\n")
	b.ResetTimer()
	over := 0
	tell := func(s screen, ask question) {
		if slowest := c.slowest(b, s, ask); slowest.status != 0 {
			fmt.Println(slowest.row(ask))
			if slowest.p95 > goal {
				over++
			}
		}
	}
	for _, s := range c.console.all {
		for _, path := range c.where(s.path) {
			if s.get == nil || !chosen.MatchString(path) {
				continue
			}
			tell(s, question{screen: s.path, path: path})
			if next := c.next(s, path); next != "" {
				tell(s, question{screen: s.path, path: next, note: " (next)"})
			}
		}
	}
	for _, ask := range c.answers() {
		if s := c.screenOf(ask.screen); chosen.MatchString(ask.screen) {
			tell(s, ask)
		}
	}
	fmt.Printf("\n%s, %d cores, GOMAXPROCS %d, %s, load %s, %s.\n", os.Getenv("SALLYPORT_BENCH_EVENTS"), runtime.NumCPU(), runtime.GOMAXPROCS(0), runtime.Version(), load(), time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	b.ReportMetric(float64(over), "screens-over-20ms")
}

// BenchmarkReaders is how much the heap grows, at most, while sixty-four people ask
// for one page again and again, and how much of it is left.
func BenchmarkReaders(b *testing.B) {
	c := bigCrowd(b)
	fmt.Printf("\n| screen | live before, MiB | most, MiB | live after, MiB |\n|---|---|---|---|\n")
	for _, path := range []string{"/", "/inbox", "/access", "/connections", "/audit", "/denials", "/people", "/groups/" + c.called("group", 0).String(), "/servers?q=1", "/policies", "/sessions"} {
		before, most := live(), uint64(0)
		var readers, watch sync.WaitGroup
		done := make(chan struct{})
		watch.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
					most = max(most, heap())
				}
			}
		})
		for range 64 {
			readers.Go(func() {
				for range 5 {
					c.get("security", c.path(path))
				}
			})
		}
		readers.Wait()
		close(done)
		watch.Wait()
		fmt.Printf("| `%s` | %d | %d | %d |\n", path, before>>20, most>>20, live()>>20)
	}
}

// heap is the bytes of the heap that are taken, with garbage that is not collected yet.
func heap() uint64 { return measured("/memory/classes/heap/objects:bytes") }

// live is what is left of the heap when all garbage is collected.
func live() uint64 {
	runtime.GC()
	runtime.GC() // what was pooled goes with the second
	return heap()
}

func measured(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// bigCrowd is as much of everything as the limits let there be, or more.
func bigCrowd(b *testing.B) *crowd {
	b.Helper()
	events, err := strconv.Atoi(os.Getenv("SALLYPORT_BENCH_EVENTS"))
	if err != nil {
		events = 100_000
	}
	floor := screen{path: "/floor", get: func(p *page) error { return p.render("confirm", confirmView{Heading: "Nothing"}) }}
	c := &crowd{site: newSite(b, floor), connections: 10_000, servers: 5_000, secrets: 5_000, policies: 2_000, people: 5_000, groups: 2_000,
		pending: 1_000, decided: 4_000, glasses: 1_000, checkouts: 1_000, sessions: 5_000, hers: 50}
	c.gather()
	c.happen(events, 24*time.Hour)
	return c
}

// goal is how long a screen may take at the 95th percentile.
const goal = 20 * time.Millisecond

// question is what is asked for: an address, or a form that changes nothing.
type question struct {
	screen, path, note string
	form               string      // that is posted; "" of a page
	who                domain.Name // who asks; "" is everybody whose it is
}

// answers is forms that are answered with a page.
func (c *crowd) answers() []question {
	server, alice, ci := string(resource.ServerRef(c.called("server", 0))), "alice", c.called("ci", 1).String()
	ask := func(path, note string, values url.Values) question {
		return question{screen: path, path: path, note: note, form: values.Encode()}
	}
	return []question{
		ask("/policies/-/reach/ask", " (person, resource)", url.Values{"resource": {server}, "subject.person": {alice}}),
		ask("/policies/-/reach/ask", " (person)", url.Values{"subject.person": {alice}}),
		ask("/policies/-/reach/ask", " (resource)", url.Values{"resource": {server}}),
		ask("/roles/-/match/ask", "", url.Values{"connection": {ci}, "claims": {`{"iss": "https://token.example", "sub": "x"}`}}),
		ask("/servers/-/new/preview", "", url.Values{"document": {"name: one-more\nproject: " + c.called("project", 0).String() + "\naddress: 192.0.2.7\naccounts:\n  - { name: me, kind: personal }\n"}}),
		ask("/policies/-/new/preview", "", url.Values{"document": {"name: one-more\nprincipals: { groups: [" + c.called("group", 0).String() + "] }\nrules:\n  - name: one\n    resource: { server: " + c.called("server", 0).String() + " }\n    privileges: [{ type: ssh, accounts: [own] }]\n"}}),
		{screen: "/connections/:name/test/run", path: "/connections/" + ci + "/test/run", form: url.Values{"token": {"eyJhbGciOiJSUzI1NiJ9.e30.x"}}.Encode(), who: "security"}, // tests of one connection are few
	}
}

// screenOf is the screen that has an action.
func (c *crowd) screenOf(path string) screen {
	for _, s := range c.console.all {
		if cut := strings.LastIndex(path, "/"); s.path == path[:cut] && s.post[path[cut+1:]] != nil {
			return s
		}
	}
	c.t.Fatalf("no screen has %s", path)
	return screen{}
}

// whoSee is the people whose a screen is, by name.
func (c *crowd) whoSee(s screen) (who []domain.Name) {
	for _, n := range slices.Sorted(maps.Keys(devPeople)) {
		if s.admits(domain.Actor{Roles: []domain.Role{devPeople[n]}}) {
			who = append(who, n)
		}
	}
	return who
}

// prove has everybody just proved who they are: measuring takes longer than that lasts.
func (c *crowd) prove() {
	c.t.Helper()
	for _, cookie := range c.cookies {
		err := c.world.Sessions().Change(c.t.Context(), cookie.Value, func(s *session.Session) { s.FreshAt, s.MFAAt = c.world.Now(), c.world.Now() })
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

var nextPage = regexp.MustCompile(`rel="next" href="[^"]*/console/orgs/[^/"]+([^"]+)"`)

// next is the address of the page that comes next, "" if none does.
func (c *crowd) next(s screen, path string) string {
	found := nextPage.FindStringSubmatch(c.get(c.whoSee(s)[0], c.path(path)).Body.String())
	if found == nil {
		return ""
	}
	return html.UnescapeString(found[1])
}

// asked is how long a page took, and how large it is.
type asked struct {
	who                domain.Name
	status             int
	p50, p95, own, cpu time.Duration
	allocated          uint64
	bytes              int
}

// slowest asks as everybody whose the screen is.
func (c *crowd) slowest(b *testing.B, s screen, ask question) (slowest asked) {
	b.Helper()
	c.prove()
	for _, who := range c.whoSee(s) {
		if ask.who != "" && who != ask.who {
			continue
		}
		if a := c.ask(b, who, ask); a.own > slowest.own {
			slowest = a
		}
	}
	return slowest
}

// row is a line of the table. A page that leads elsewhere is told with its status.
func (a asked) row(ask question) string {
	name := ask.screen
	if path, query, found := strings.Cut(ask.path, "?"); found && path == ask.screen {
		var by []string
		for _, pair := range strings.Split(query, "&") {
			if key, _, _ := strings.Cut(pair, "="); !slices.Contains([]string{"from", "page", "after", "before"}, key) {
				by = append(by, key+"=")
			}
		}
		name += strings.TrimSuffix("?"+strings.Join(by, "&"), "?")
	}
	if a.status != http.StatusOK {
		name += fmt.Sprintf(" (%d)", a.status)
	}
	ms := func(d time.Duration) string { return strconv.FormatFloat(float64(d)/1e6, 'f', 1, 64) }
	return fmt.Sprintf("| `%s`%s | %s | %s | %s | %s | %s | %d | %d |", name, ask.note, a.who, ms(a.p50), ms(a.p95), ms(a.own), ms(a.cpu), a.allocated/1000, (a.bytes+999)/1000)
}

// ask asks for a page again and again. Garbage of the page before is not collected
// in its time. Own CPU is that of the one thread that answers, which nothing beside
// takes any of: what a page takes longer by the clock it waited, for the processor or
// for others. The CPU is the whole process's, with what collects garbage.
func (c *crowd) ask(b *testing.B, who domain.Name, ask question) (a asked) {
	b.Helper()
	const times = 40
	a.who = who
	var took, own []time.Duration
	answer := func() (int, int) {
		if ask.form != "" {
			w := c.post(who, c.path(ask.path), ask.form)
			return w.Code, w.Body.Len()
		}
		w := c.get(who, c.path(ask.path))
		return w.Code, w.Body.Len()
	}
	answer()
	runtime.GC()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, allocated := processorTime(b, syscall.RUSAGE_SELF), measured("/gc/heap/allocs:bytes")
	for range times {
		begun, used := time.Now(), processorTime(b, rusageThread)
		a.status, a.bytes = answer()
		own = append(own, processorTime(b, rusageThread)-used)
		took = append(took, time.Since(begun))
	}
	a.cpu, a.allocated = (processorTime(b, syscall.RUSAGE_SELF)-before)/times, (measured("/gc/heap/allocs:bytes")-allocated)/times
	switch a.status {
	case http.StatusForbidden: // this one is not theirs, as a connection that somebody else must edit
		return asked{}
	case http.StatusOK, http.StatusSeeOther:
	default:
		b.Fatalf("%s at %s: %d", who, ask.path, a.status)
	}
	slices.Sort(took)
	slices.Sort(own)
	a.p50, a.p95, a.own = took[times/2], took[times*95/100], own[times*95/100]
	return a
}

// rusageThread is Linux's RUSAGE_THREAD.
const rusageThread = 1

// processorTime is what this process, or thread, has used of the processor.
func processorTime(b *testing.B, of int) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(of, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// load is how busy the machine is.
func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(text))[:min(3, len(strings.Fields(string(text))))], " ")
}
