package cluster

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/token"
)

// history is what clients did and were told. Its times are of one clock, the
// test process's, which does not jump.
type history struct {
	begin time.Time

	mu        sync.Mutex
	register  []porcupine.Operation // on the connection that is switched and edited
	decisions []porcupine.Operation // on connections that two people activate at once
	spends    []porcupine.Operation // of proofs that are good for one token
	asked     []asked
	looked    []asked // introspections
}

// asked is one token request.
type asked struct {
	at, told           time.Duration
	site               int
	connection         string
	status             int    // 0: no answer came
	refused            bool   // nobody listened, so nothing was asked
	code, request, jti string // error_code, X-Request-Id, and of the token
}

func newHistory() *history { return &history{begin: time.Now()} }

func (h *history) now() time.Duration { return time.Since(h.begin) }

// forever is when an answer came that never did: what was asked for may happen at any time after.
const forever = math.MaxInt64

// add notes what was asked at a time and answered now; if it is unknown, what came of it never was.
func (h *history) add(to *[]porcupine.Operation, client int, at time.Duration, in, out any, unknown bool) {
	end := int64(h.now())
	if unknown {
		end = forever
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	*to = append(*to, porcupine.Operation{ClientId: client, Input: in, Call: int64(at), Output: out, Return: end})
}

func (h *history) addAsked(a asked) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, a)
}

// What may be done to the connection, and what may come of it.
const (
	edit       = "edit"
	activate   = "activate"
	deactivate = "deactivate"
	issue      = "issue" // a token was issued: it is active
	read       = "read"
	introspect = "introspect" // a token of it holds, or not: it is active, or not
	done       = "done"
	stale      = "stale"   // refused: the version is another one
	unknown    = "unknown" // no answer, or that it is not known
)

type registerIn struct {
	what    string
	version uint64
}

type registerOut struct {
	what  string
	state registerState // of a read
}

// registerState is the connection: its status, its newest version and the one that decides.
type registerState struct {
	active            bool
	version, deciding uint64
}

// registerModel is the connection as a register: writes name the version they
// saw, and who is told anything was told the truth of some moment between asking and
// being told. The answer of a read may be one second old, so it counts as asked
// for a second earlier.
var registerModel = porcupine.Model{
	Init:  func() any { return registerState{active: true, version: 1, deciding: 1} },
	Equal: func(a, b any) bool { return a == b },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(registerState), input.(registerIn), output.(registerOut)
		switch in.what {
		case issue:
			return s.active, s
		case read:
			return s == out.state, s
		case introspect:
			return s.active == out.state.active, s
		}
		switch {
		case out.what == stale:
			return in.version != s.version, s
		case in.version != s.version:
			return out.what == unknown, s
		}
		switch in.what {
		case edit:
			s.version++
		case activate:
			s.active, s.deciding = true, s.version
		case deactivate:
			s.active = false
		}
		return true, s
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%v: %v", in, out) },
}

type decisionIn struct{ name, by string }

// decisionModel is an activation that is written once: whoever is told that it
// is active is told of the same person. The answer is who; "" is unknown.
var decisionModel = porcupine.Model{
	Partition: partition(func(in any) string { return in.(decisionIn).name }),
	Init:      func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(string), input.(decisionIn), output.(string)
		if s == "" {
			s = in.by
		}
		return out == "" || out == s, s
	},
	Equal: func(a, b any) bool { return a == b },
}

// spendModel is a proof that one token is issued for: in is the proof, out
// whether it was "issued", "replayed" or unknown.
var spendModel = porcupine.Model{
	Partition: partition(func(in any) string { return in.(string) }),
	Init:      func() any { return false },
	Step: func(state, _, output any) (bool, any) {
		spent := state.(bool)
		switch output {
		case "issued":
			return !spent, true
		case "replayed":
			return spent, true
		}
		return true, true
	},
	Equal: func(a, b any) bool { return a == b },
}

// partition cuts a history into those of each key, which have nothing to do with each other.
func partition(key func(in any) string) func([]porcupine.Operation) [][]porcupine.Operation {
	return func(all []porcupine.Operation) (parts [][]porcupine.Operation) {
		of := map[string]int{}
		for _, o := range all {
			k := key(o.Input)
			i, known := of[k]
			if !known {
				i, of[k] = len(parts), len(parts)
				parts = append(parts, nil)
			}
			parts[i] = append(parts[i], o)
		}
		return parts
	}
}

// violations is everything about the history that must not be.
func (h *history) violations(log []domain.Commit) (bad []string) {
	for _, m := range []struct {
		name  string
		model porcupine.Model
		ops   []porcupine.Operation
	}{
		{"the connection was seen as it never was", registerModel, h.register},
		{"one activation was decided twice", decisionModel, h.decisions},
		{"a proof for one token was spent twice, or never", spendModel, h.spends},
	} {
		switch r := porcupine.CheckOperationsTimeout(m.model, m.ops, within); r {
		case porcupine.Illegal:
			bad = append(bad, m.name)
		case porcupine.Unknown:
			bad = append(bad, m.name+": not found out in time")
		}
	}
	bad = append(bad, h.unrecorded(log)...)
	return append(bad, activatedTwice(log)...)
}

// unrecorded holds tokens and their events against each other. An event whose
// token nobody got is of a request that was told 503, or told nothing.
func (h *history) unrecorded(log []domain.Commit) (bad []string) {
	events := map[string]string{} // request by jti
	for _, c := range log {
		for _, e := range c.Events {
			if issued, is := e.Event.(token.WasIssued); is {
				if _, twice := events[issued.ID]; twice {
					bad = append(bad, "the log has a token twice: "+issued.ID)
				}
				events[issued.ID] = e.RequestID
			}
		}
	}
	unanswered, refused := 0, map[string]bool{}
	for _, a := range h.asked {
		switch {
		case a.status == 200:
			if _, there := events[a.jti]; !there {
				bad = append(bad, fmt.Sprintf("the token %s of site %d is not in the log, or was got twice", a.jti, a.site))
			}
			delete(events, a.jti)
		case a.status == 503:
			refused[a.request] = true
		case a.status == 0:
			unanswered++
		}
	}
	for jti, request := range events {
		if refused[request] {
			continue
		}
		if unanswered--; unanswered < 0 {
			bad = append(bad, "the log has a token that nobody got, and nobody went without an answer: "+jti)
		}
	}
	return bad
}

// activatedTwice finds connections of the decisions with more than one activation in the log.
func activatedTwice(log []domain.Commit) (bad []string) {
	seen := map[string]bool{}
	for _, c := range log {
		for _, e := range c.Events {
			if _, is := e.Event.(connection.WasActivated); is && len(e.Subject) > len(onceDecided) && e.Subject[:len(onceDecided)] == onceDecided {
				if seen[e.Subject] {
					bad = append(bad, "the log has two activations of "+e.Subject)
				}
				seen[e.Subject] = true
			}
		}
	}
	return bad
}

// onceDecided begins the subjects of connections that are activated once.
const onceDecided = "connection/decision-"

// gap is the longest time without a token, from the first to the last, of one site, or of all for 0.
func (h *history) gap(site int) (longest time.Duration) {
	var told []time.Duration
	for _, a := range h.asked {
		if a.status == 200 && (site == 0 || a.site == site) {
			told = append(told, a.told)
		}
	}
	slices.Sort(told)
	for i := 1; i < len(told); i++ {
		longest = max(longest, told[i]-told[i-1])
	}
	return longest
}

// slowest is the longest that anybody who asked between two times waited for an
// answer with that status, and was told it by the second.
func slowest(all []asked, status int, from, to time.Duration, site int) (d time.Duration) {
	for _, a := range all {
		if a.status == status && a.at >= from && a.told <= to && (site == 0 || a.site == site) {
			d = max(d, a.told-a.at)
		}
	}
	return d
}

// latest is when a site last answered with that status, of what was asked before a time.
func latest(all []asked, status int, before time.Duration, site int) (at time.Duration) {
	for _, a := range all {
		if a.status == status && a.told <= before && a.site == site {
			at = max(at, a.told)
		}
	}
	return at
}

// counts is how many requests got each status.
func (h *history) counts() map[int]int {
	n := map[int]int{}
	for _, a := range h.asked {
		n[a.status]++
	}
	return n
}

// firstAfter is when the first token was told of that was asked for after a
// time, at a site or, for 0, anywhere; found is false if none was.
func (h *history) firstAfter(since time.Duration, site int) (at time.Duration, found bool) {
	all := slices.Clone(h.asked)
	slices.SortFunc(all, func(a, b asked) int { return cmp.Compare(a.told, b.told) })
	for _, a := range all {
		if a.status == 200 && a.at >= since && (site == 0 || a.site == site) {
			return a.told, true
		}
	}
	return 0, false
}
