package cluster

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/token"
)

// op is one operation between two times, of one client.
func op(call, ret int64, in, out any) porcupine.Operation {
	return porcupine.Operation{Input: in, Call: call, Output: out, Return: ret}
}

var told = registerOut{what: done}

// good is a history as it may be, and the log of it.
func good() (*history, []domain.Commit) {
	h := &history{
		register: []porcupine.Operation{
			op(0, 1, registerIn{what: issue}, told),
			op(2, 5, registerIn{deactivate, 1}, told),
			op(3, 4, registerIn{what: issue}, told), // while it is asked for
			op(6, 9, registerIn{edit, 1}, told),
			op(7, forever, registerIn{edit, 1}, registerOut{what: unknown}),
			op(10, 11, registerIn{activate, 1}, registerOut{what: stale}),
			op(12, 13, registerIn{activate, 2}, told),
			op(14, 15, registerIn{what: read}, registerOut{what: done, state: registerState{true, 2, 2}}),
			op(16, 17, registerIn{what: introspect}, registerOut{what: done, state: registerState{active: true}}),
			op(18, 19, registerIn{what: issue}, told),
		},
		decisions: []porcupine.Operation{
			op(0, 5, decisionIn{"decision-1", "sam"}, "sue"),
			op(0, 4, decisionIn{"decision-1", "sue"}, "sue"),
			op(0, forever, decisionIn{"decision-2", "sam"}, ""),
			op(6, 7, decisionIn{"decision-2", "sue"}, "sam"), // his was done, and he was not told
		},
		spends: []porcupine.Operation{
			op(0, 5, "a", "issued"), op(1, 6, "a", "replayed"), op(7, 8, "a", "replayed"),
			op(0, forever, "b", "unknown"), op(9, 10, "b", "replayed"), // the first was issued, and did not arrive
			op(0, forever, "c", "unknown"), op(9, 10, "c", "issued"),
		},
		asked: []asked{
			{status: 200, jti: "1", request: "r1"}, {status: 503, request: "r2"}, {status: 0},
		},
	}
	issued := func(jti, request string) domain.Envelope {
		return domain.Envelope{Event: token.WasIssued{ID: jti}, RequestID: request}
	}
	activated := domain.Envelope{Event: connection.WasActivated{}, Subject: "connection/decision-1"}
	return h, []domain.Commit{{Events: []domain.Envelope{
		issued("1", "r1"), issued("2", "r2"), issued("3", "r3"), activated, // the second was told 503, the third nothing
	}}}
}

// Every check can fail: each of these changes makes a history that must not be.
func TestEveryCheckFindsWhatMustNotBe(t *testing.T) {
	if h, log := good(); len(h.violations(log)) > 0 {
		t.Fatalf("the history as it may be: %v", h.violations(log))
	}
	for _, c := range []struct {
		name string
		bad  func(h *history, log []domain.Commit)
		want string
	}{
		{"a token after an acknowledged deactivation", func(h *history, _ []domain.Commit) {
			h.register = append(h.register, op(10, 11, registerIn{what: issue}, told))
		}, "the connection was seen"},
		{"a deactivation that was acknowledged and lost", func(h *history, _ []domain.Commit) {
			h.register = append(h.register, op(20, 21, registerIn{deactivate, 2}, told),
				op(22, 23, registerIn{what: introspect}, registerOut{what: done, state: registerState{active: true}}))
		}, "the connection was seen"},
		{"two edits of one version", func(h *history, _ []domain.Commit) {
			h.register = append(h.register, op(10, 11, registerIn{edit, 1}, told))
		}, "the connection was seen"},
		{"a version that nobody wrote", func(h *history, _ []domain.Commit) {
			h.register = append(h.register, op(20, 21, registerIn{what: read}, registerOut{what: done, state: registerState{true, 4, 2}}))
		}, "the connection was seen"},
		{"stale, where it was not", func(h *history, _ []domain.Commit) {
			h.register = append(h.register, op(20, 21, registerIn{activate, 2}, registerOut{what: stale}))
		}, "the connection was seen"},
		{"a read that is too old", func(h *history, _ []domain.Commit) {
			h.register = append(h.register, op(20, 21, registerIn{what: read}, registerOut{what: done, state: registerState{true, 1, 1}}))
		}, "the connection was seen"},
		{"each of two told that the decision is theirs", func(h *history, _ []domain.Commit) {
			h.decisions[0].Output = "sam"
		}, "one activation was decided twice"},
		{"a decision by who never asked", func(h *history, _ []domain.Commit) {
			h.decisions[3].Output = "dana"
		}, "one activation was decided twice"},
		{"a proof for one token that got two", func(h *history, _ []domain.Commit) {
			h.spends[1].Output = "issued"
		}, "a proof for one token"},
		{"a proof refused as used before anybody showed it", func(h *history, _ []domain.Commit) {
			h.spends = append(h.spends, op(0, 1, "d", "replayed"))
		}, "a proof for one token"},
		{"a token that is not in the log", func(h *history, log []domain.Commit) {
			log[0].Events = log[0].Events[1:]
		}, "is not in the log"},
		{"a token that two got", func(h *history, _ []domain.Commit) {
			h.asked = append(h.asked, h.asked[0])
		}, "is not in the log"},
		{"a token twice in the log", func(_ *history, log []domain.Commit) {
			log[0].Events = append(log[0].Events, log[0].Events[0])
		}, "a token twice"},
		{"a token in the log that everybody was refused", func(h *history, _ []domain.Commit) {
			h.asked[2].status = 400
		}, "nobody got"},
		{"two activations in the log", func(_ *history, log []domain.Commit) {
			log[0].Events = append(log[0].Events, log[0].Events[3])
		}, "two activations"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, log := good()
			c.bad(h, log)
			if bad := h.violations(log); !slices.ContainsFunc(bad, func(b string) bool { return strings.Contains(b, c.want) }) {
				t.Errorf("found %v, want %q", bad, c.want)
			}
		})
	}
}

func TestTheLongestGapIsBetweenTokensAndOfASite(t *testing.T) {
	h := &history{}
	for i, at := range []time.Duration{9, 1, 2, 6} {
		h.asked = append(h.asked, asked{status: 200, told: at * time.Second, site: 1 + i%2})
	}
	h.asked = append(h.asked, asked{status: 503, told: 4 * time.Second, site: 1})
	if all, one := h.gap(0), h.gap(1); all != 4*time.Second || one != 7*time.Second {
		t.Errorf("the longest gaps are %s and %s", all, one)
	}
}
