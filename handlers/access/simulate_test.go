package access_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// simulated is a question about what somebody could do with a resource.
func simulated(subject doc, resource string) doc {
	return doc{"subject": subject, "resource": resource}
}

// What is answered about somebody is what they are answered themself, and asking
// leaves no trace.
func TestASimulationIsWhatTheSubjectWouldBeTold(t *testing.T) {
	h := build(t)
	ci := doc{"connection": "ci", "identity": "job/1", "claims": doc{}}
	h.approve("alice", deploy)
	for _, tt := range []struct {
		name, asks, resource string
		subject              doc
		outcome              string
		left                 int
	}{
		{"a person with an approval", "alice", web, doc{"person": "alice"}, "given", 0},
		{"one without", "bob", web, doc{"person": "bob"}, "given", 0},
		{"a workload", h.workload(), web, ci, "filtered", 2},
		{"a workload and a secret", h.workload(), password, ci, "given", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			at := h.Last()
			got := h.as("sec", 200, "POST", "/policies/simulate", simulated(tt.subject, tt.resource))
			if types := h.Types(at); len(types) > 0 {
				t.Errorf("it recorded %v", types)
			}
			own := h.as(tt.asks, 200, "POST", "/access/resolve", doc{"resource": tt.resource})
			if diff := cmp.Diff(own["methods"], got["methods"]); diff != "" || got["outcome"] != tt.outcome || len(got["left_out"].([]any)) != tt.left {
				t.Errorf("%v with %d left out; methods (-told themself +simulated):\n%s", got["outcome"], len(got["left_out"].([]any)), diff)
			}
		})
	}
}

func TestASimulationForThoseWhoReachNothing(t *testing.T) {
	h := build(t)
	ci := func(more doc) doc {
		s := doc{"connection": "ci", "identity": "job/1"}
		for k, v := range more {
			s[k] = v
		}
		return s
	}
	for _, tt := range []struct {
		name     string
		subject  doc
		resource string
		outcome  string
	}{
		{"somebody in no group", doc{"person": "mallory"}, web, "refused"},
		{"an admin, by their roles", doc{"person": "own"}, web, "refused"},
		{"a workload that asks as another role", ci(doc{"role": "admins"}), web, "refused"},
		{"a workload where all needs a human", ci(nil), "server/web-2", "cancelled"},
		{"a workload that says who it is in its claims", ci(doc{"claims": doc{"groups": []string{"developers"}, "person": "alice"}}), "secret/elsewhere/key", "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			got := h.as("aud", 200, "POST", "/policies/simulate", simulated(tt.subject, tt.resource))
			if got["outcome"] != tt.outcome || len(got["methods"].([]any)) != 0 {
				t.Errorf("it is %v", got)
			}
		})
	}
}

func TestWhoAsksForASimulationAndHow(t *testing.T) {
	h := build(t)
	alice := doc{"person": "alice"}
	for _, who := range []string{"own", "res", "alice"} {
		h.refused(who, 403, "role.missing", "POST", "/policies/simulate", simulated(alice, web))
	}
	h.refused(h.workload(), 403, "workload.not_allowed", "POST", "/policies/simulate", simulated(alice, web))
	for _, tt := range []struct {
		name    string
		body    doc
		pointer string
	}{
		{"nobody", simulated(doc{}, web), "/subject"},
		{"a person who is a workload", simulated(doc{"person": "alice", "connection": "ci"}, web), "/subject"},
		{"a person with claims", simulated(doc{"person": "alice", "claims": doc{}}, web), "/subject/person"},
		{"a person who is not there", simulated(doc{"person": "nobody"}, web), "/subject/person"},
		{"what is no name", simulated(doc{"person": "../alice"}, web), "/subject/person"},
		{"a workload without an identity", simulated(doc{"connection": "ci"}, web), "/subject/identity"},
		{"a connection that is not there", simulated(doc{"connection": "cd", "identity": "x"}, web), "/subject/connection"},
		{"claims that are a token", simulated(doc{"connection": "ci", "identity": "x", "claims": "ey"}, web), "/subject/claims"},
		{"a resource that is not there", simulated(alice, "server/web-9"), "/resource"},
		{"what is no resource", simulated(alice, "web-1"), "/resource"},
		{"a time of one's own", doc{"subject": alice, "resource": web, "now": "2030-01-01T00:00:00Z"}, "/now"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			answer := h.as("sec", 422, "POST", "/policies/simulate", tt.body)
			errors, _ := answer["errors"].([]any)
			if len(errors) != 1 || errors[0].(doc)["pointer"] != tt.pointer {
				t.Errorf("it names %v", errors)
			}
		})
	}
}
