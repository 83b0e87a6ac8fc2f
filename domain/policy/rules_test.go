package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
)

func names(n int) (out []domain.Name) {
	for i := range n {
		out = append(out, domain.Name(fmt.Sprintf("n%d", i)))
	}
	return out
}

func labels(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprintf("k%d", i)] = "v"
	}
	return out
}

func request(seconds int) policy.Condition {
	return policy.Condition{Type: policy.AccessRequest, RequestType: "prod", ApprovalSeconds: seconds}
}

func mfa(fresh int) policy.Condition { return policy.Condition{Type: policy.MFA, FreshSeconds: &fresh} }

func TestEveryMistakeIsNamed(t *testing.T) {
	ssh := policy.Privilege{Type: policy.SSH, Accounts: []domain.Name{"root"}}
	reveal := policy.Privilege{Type: policy.Secret, Actions: []policy.Action{policy.Reveal}}
	secrets := func(r *policy.Rule) {
		r.Resource, r.Privileges = policy.Selector{Folder: "payments"}, []policy.Privilege{reveal}
	}
	for _, tt := range []struct {
		name   string
		change func(s *policy.Spec, r *policy.Rule)
		want   []string // pointer and code
	}{
		{"nothing is wrong", func(*policy.Spec, *policy.Rule) {}, nil},
		{"a description too long", func(s *policy.Spec, _ *policy.Rule) { s.Description = strings.Repeat("é", 1001) }, []string{"/description too_long"}},
		{"a description that hides", func(s *policy.Spec, _ *policy.Rule) { s.Description = "a\u202eb" }, []string{"/description invalid"}},
		{"lines in a description", func(s *policy.Spec, _ *policy.Rule) { s.Description = "a\n\tb" }, nil},
		{"for nobody", func(s *policy.Spec, _ *policy.Rule) { s.Principals = policy.Principals{} }, []string{"/principals required"}},
		{"40 principals", func(s *policy.Spec, _ *policy.Rule) {
			s.Principals = policy.Principals{Groups: names(20), Roles: names(20)}
		}, nil},
		{"41 principals", func(s *policy.Spec, _ *policy.Rule) {
			s.Principals = policy.Principals{Groups: names(20), Roles: names(21)}
		}, []string{"/principals too_long"}},
		{"a group twice", func(s *policy.Spec, _ *policy.Rule) { s.Principals.Groups = []domain.Name{"a", "a"} }, []string{"/principals/groups/1 duplicate"}},
		{"a group and a role of one name are two", func(s *policy.Spec, _ *policy.Rule) {
			s.Principals = policy.Principals{Groups: names(1), Roles: names(1)}
		}, nil},
		{"a role that is no name", func(s *policy.Spec, _ *policy.Rule) { s.Principals.Roles = []domain.Name{"*"} }, []string{"/principals/roles/0 name.invalid"}},
		{"no rules", func(s *policy.Spec, _ *policy.Rule) { s.Rules = nil }, []string{"/rules required"}},
		{"31 rules", func(s *policy.Spec, r *policy.Rule) { s.Rules = make([]policy.Rule, 31) }, []string{"/rules too_long"}},
		{"two rules of one name", func(s *policy.Spec, r *policy.Rule) { s.Rules = append(s.Rules, s.Rules[0]) }, []string{"/rules/1/name duplicate"}},
		{"a rule's name with a slash", func(_ *policy.Spec, r *policy.Rule) { r.Name = "a/b" }, []string{"/rules/0/name name.invalid"}},
		{"a rule about nothing", func(_ *policy.Spec, r *policy.Rule) { r.Resource = policy.Selector{} }, []string{"/rules/0/resource required", "/rules/0/privileges/0/type not_allowed"}},
		{"a rule about everything by no label", func(_ *policy.Spec, r *policy.Rule) { r.Resource = policy.Selector{Labels: map[string]string{}} },
			[]string{"/rules/0/resource required", "/rules/0/privileges/0/type not_allowed"}},
		{"two ways to select", func(_ *policy.Spec, r *policy.Rule) { r.Resource.Folder = "payments" }, []string{"/rules/0/resource required", "/rules/0/privileges/0/type not_allowed"}},
		{"20 labels", func(_ *policy.Spec, r *policy.Rule) { r.Resource = policy.Selector{Labels: labels(20)} }, nil},
		{"21 labels", func(_ *policy.Spec, r *policy.Rule) { r.Resource = policy.Selector{Labels: labels(21)} }, []string{"/rules/0/resource/labels too_long"}},
		{"labels that no server has", func(_ *policy.Spec, r *policy.Rule) {
			r.Resource = policy.Selector{Labels: map[string]string{"Env": "prod", "a/b~c": "x", "env": "a*"}}
		}, []string{"/rules/0/resource/labels/Env invalid", "/rules/0/resource/labels/a~1b~0c invalid", "/rules/0/resource/labels/env invalid"}},
		{"a folder with a slash at its end", func(_ *policy.Spec, r *policy.Rule) { secrets(r); r.Resource.Folder = "payments/" }, []string{"/rules/0/resource/folder invalid"}},
		{"a folder above", func(_ *policy.Spec, r *policy.Rule) { secrets(r); r.Resource.Folder = "a/../b" }, []string{"/rules/0/resource/folder invalid"}},
		{"a folder in capitals", func(_ *policy.Spec, r *policy.Rule) { secrets(r); r.Resource.Folder = "Payments" }, []string{"/rules/0/resource/folder invalid"}},
		{"a pattern for a secret", func(_ *policy.Spec, r *policy.Rule) { secrets(r); r.Resource = policy.Selector{Secret: "payments/*"} }, []string{"/rules/0/resource/secret invalid"}},
		{"no privileges", func(_ *policy.Spec, r *policy.Rule) { r.Privileges = nil }, []string{"/rules/0/privileges required"}},
		{"11 privileges", func(_ *policy.Spec, r *policy.Rule) { r.Privileges = make([]policy.Privilege, 11) }, []string{"/rules/0/privileges too_long"}},
		{"a type twice", func(_ *policy.Spec, r *policy.Rule) { r.Privileges = []policy.Privilege{ssh, ssh} }, []string{"/rules/0/privileges/1/type duplicate"}},
		{"a type of nobody", func(_ *policy.Spec, r *policy.Rule) { r.Privileges[0].Type = "rdp" }, []string{"/rules/0/privileges/0/type unknown"}},
		{"ssh with no account", func(_ *policy.Spec, r *policy.Rule) { r.Privileges[0].Accounts = nil }, []string{"/rules/0/privileges/0/accounts required"}},
		{"51 accounts", func(_ *policy.Spec, r *policy.Rule) { r.Privileges[0].Accounts = names(51) }, []string{"/rules/0/privileges/0/accounts required"}},
		{"an account named like a method", func(_ *policy.Spec, r *policy.Rule) {
			r.Privileges[0].Accounts = []domain.Name{"a:b", "web/root", "root", "root"}
		}, []string{"/rules/0/privileges/0/accounts/0 name.invalid", "/rules/0/privileges/0/accounts/1 name.invalid", "/rules/0/privileges/0/accounts/3 duplicate"}},
		{"actions of ssh", func(_ *policy.Spec, r *policy.Rule) { r.Privileges[0].Actions = []policy.Action{policy.List} }, []string{"/rules/0/privileges/0/actions not_allowed"}},
		{"a secret's privilege on a server", func(_ *policy.Spec, r *policy.Rule) { r.Privileges = []policy.Privilege{reveal} }, []string{"/rules/0/privileges/0/type not_allowed"}},
		{"ssh on a folder", func(_ *policy.Spec, r *policy.Rule) { secrets(r); r.Privileges = []policy.Privilege{ssh} }, []string{"/rules/0/privileges/0/type not_allowed"}},
		{"no actions", func(_ *policy.Spec, r *policy.Rule) {
			secrets(r)
			r.Privileges = []policy.Privilege{{Type: policy.Secret}}
		}, []string{"/rules/0/privileges/0/actions required"}},
		{"actions twice, and of nobody", func(_ *policy.Spec, r *policy.Rule) {
			secrets(r)
			r.Privileges = []policy.Privilege{{Type: policy.Secret, Actions: []policy.Action{"list", "list", "rotate"}}}
		}, []string{"/rules/0/privileges/0/actions/1 duplicate", "/rules/0/privileges/0/actions/2 unknown"}},
		{"accounts of a secret", func(_ *policy.Spec, r *policy.Rule) { secrets(r); r.Privileges[0].Accounts = names(1) }, []string{"/rules/0/privileges/0/accounts not_allowed"}},
		{"a workload's own user, for people alone", func(s *policy.Spec, r *policy.Rule) {
			s.Principals.Roles, r.Privileges = nil, []policy.Privilege{{Type: policy.SSHWorkload}}
		}, []string{"/rules/0/privileges/0/type not_allowed"}},
		{"conditions at their bounds", func(_ *policy.Spec, r *policy.Rule) {
			r.Conditions = []policy.Condition{request(31536000), mfa(43200), {Type: policy.Checkout, MaxSeconds: 604800}}
		}, nil},
		{"and at their others", func(_ *policy.Spec, r *policy.Rule) {
			r.Conditions = []policy.Condition{request(60), mfa(300), {Type: policy.Checkout, MaxSeconds: 900}}
		}, nil},
		{"every time, and what is left to others", func(_ *policy.Spec, r *policy.Rule) {
			r.Conditions = []policy.Condition{mfa(0), {Type: policy.Checkout}}
		}, nil},
		{"conditions below their bounds", func(_ *policy.Spec, r *policy.Rule) {
			r.Conditions = []policy.Condition{request(59), mfa(299), {Type: policy.Checkout, MaxSeconds: 899}}
		}, []string{"/rules/0/conditions/0/approval_seconds invalid", "/rules/0/conditions/1/fresh_seconds invalid", "/rules/0/conditions/2/max_seconds invalid"}},
		{"conditions above them", func(_ *policy.Spec, r *policy.Rule) {
			r.Conditions = []policy.Condition{request(31536001), mfa(43201), {Type: policy.Checkout, MaxSeconds: 604801}}
		}, []string{"/rules/0/conditions/0/approval_seconds invalid", "/rules/0/conditions/1/fresh_seconds invalid", "/rules/0/conditions/2/max_seconds invalid"}},
		{"a freshness before it was", func(_ *policy.Spec, r *policy.Rule) { r.Conditions = []policy.Condition{mfa(-1)} }, []string{"/rules/0/conditions/0/fresh_seconds invalid"}},
		{"a condition of nobody", func(_ *policy.Spec, r *policy.Rule) { r.Conditions = []policy.Condition{{Type: "gateway"}} }, []string{"/rules/0/conditions/0/type unknown"}},
		{"a condition twice", func(_ *policy.Spec, r *policy.Rule) { r.Conditions = []policy.Condition{request(60), request(70)} }, []string{"/rules/0/conditions/1/type duplicate"}},
		{"four conditions", func(_ *policy.Spec, r *policy.Rule) { r.Conditions = make([]policy.Condition, 4) }, []string{"/rules/0/conditions too_long"}},
		{"a request of no type", func(_ *policy.Spec, r *policy.Rule) { r.Conditions = []policy.Condition{{Type: policy.AccessRequest}} },
			[]string{"/rules/0/conditions/0/request_type name.invalid", "/rules/0/conditions/0/approval_seconds invalid"}},
		{"fields of others", func(_ *policy.Spec, r *policy.Rule) {
			c := request(60)
			c.MaxSeconds, c.FreshSeconds = 900, new(int)
			r.Conditions = []policy.Condition{c, {Type: policy.MFA, RequestType: "prod", ApprovalSeconds: 60}}
		}, []string{"/rules/0/conditions/0/fresh_seconds not_allowed", "/rules/0/conditions/0/max_seconds not_allowed",
			"/rules/0/conditions/1/request_type not_allowed", "/rules/0/conditions/1/approval_seconds not_allowed"}},
		{"a checkout of nothing", func(_ *policy.Spec, r *policy.Rule) {
			secrets(r)
			r.Privileges[0].Actions, r.Conditions = []policy.Action{policy.List}, []policy.Condition{{Type: policy.Checkout}}
		}, []string{"/rules/0/conditions/0/type not_allowed"}},
		{"an expression that is none", func(_ *policy.Spec, r *policy.Rule) { r.Expression = "claims.ref ==" }, []string{"/rules/0/expression invalid"}},
		{"waiting for nothing", func(_ *policy.Spec, r *policy.Rule) { r.WorkloadsMayWait = true }, []string{"/rules/0/workloads_may_wait not_allowed"}},
		{"waiting for a passkey", func(_ *policy.Spec, r *policy.Rule) {
			r.WorkloadsMayWait, r.Conditions = true, []policy.Condition{request(60), mfa(0)}
		}, []string{"/rules/0/workloads_may_wait not_allowed"}},
		{"waiting for a checkout", func(_ *policy.Spec, r *policy.Rule) {
			r.WorkloadsMayWait, r.Conditions = true, []policy.Condition{request(60), {Type: policy.Checkout}}
		}, []string{"/rules/0/workloads_may_wait not_allowed"}},
		{"nobody waits", func(s *policy.Spec, r *policy.Rule) {
			s.Principals.Roles, r.WorkloadsMayWait, r.Conditions = nil, true, []policy.Condition{request(60)}
		}, []string{"/rules/0/workloads_may_wait not_allowed"}},
		{"a workload may wait", func(_ *policy.Spec, r *policy.Rule) {
			r.WorkloadsMayWait, r.Conditions = true, []policy.Condition{request(60)}
		}, nil},
		{"glass before no door", func(_ *policy.Spec, r *policy.Rule) { r.BreakGlass = &policy.BreakGlass{AccessSeconds: 60} }, []string{"/rules/0/break_glass not_allowed"}},
		{"glass broken for too long", func(_ *policy.Spec, r *policy.Rule) {
			r.BreakGlass, r.Conditions = &policy.BreakGlass{AccessSeconds: 86401}, []policy.Condition{request(60)}
		}, []string{"/rules/0/break_glass/access_seconds invalid"}},
		{"glass before a secret", func(_ *policy.Spec, r *policy.Rule) {
			secrets(r)
			r.BreakGlass, r.Conditions = &policy.BreakGlass{AccessSeconds: 86400}, []policy.Condition{request(60)}
		}, nil},
		{"more than an event holds", func(s *policy.Spec, r *policy.Rule) {
			r.Expression = `"` + strings.Repeat("x", 2000) + `" != ""`
			for i := range 21 {
				more := *r
				more.Name = domain.Name(fmt.Sprintf("r%d", i))
				s.Rules = append(s.Rules, more)
			}
		}, []string{" too_long"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := spec()
			tt.change(&s, &s.Rules[0])
			var got []string
			for _, f := range s.Check(policy.References{}) {
				got = append(got, f.Pointer+" "+f.Code)
				if f.Detail == "" {
					t.Errorf("%s says nothing", f.Pointer)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNamedHasToBeThere(t *testing.T) {
	only := func(there ...domain.Name) func(domain.Name) bool {
		return func(n domain.Name) bool {
			for _, x := range there {
				if n == x {
					return true
				}
			}
			return false
		}
	}
	s := spec()
	s.Principals = policy.Principals{Groups: []domain.Name{"ops", "gone"}, Roles: []domain.Name{"ops"}}
	s.Rules[0].Conditions = []policy.Condition{request(60)}
	pointers := func(err error) (out []string) {
		if e, ok := err.(*domain.Error); ok {
			for _, f := range e.Fields {
				out = append(out, f.Pointer+" "+f.Code)
			}
		}
		return out
	}
	nothing := policy.References{Group: only("ops"), Role: only(), RequestType: only(), Server: only()}
	all := []string{"/principals/groups/1 group.not_found", "/principals/roles/0 role.not_found",
		"/rules/0/resource/server server.not_found", "/rules/0/conditions/0/request_type request_type.not_found"}

	st, _, err := run(t, policy.State{}, security, policy.Draft{Name: "p", Spec: s, Known: nothing})
	if diff := cmp.Diff(all, pointers(err)); diff != "" {
		t.Errorf("a draft is refused for (-want +got):\n%s", diff)
	}
	st, _, err = run(t, st, security, policy.Draft{Name: "p", Spec: s})
	if err != nil {
		t.Fatal(err)
	}
	// What is gone since may stay, and is shown; nothing else that is not there comes in.
	again := s
	again.Description = "again"
	st, types, err := run(t, st, security, policy.Edit{Name: "p", Version: 1, Spec: again, Known: nothing})
	if err != nil || len(types) != 1 {
		t.Errorf("an edit that names what was named before: %v, %v", types, err)
	}
	more := s
	more.Principals.Groups = []domain.Name{"gone", "elsewhere"}
	if _, _, err := run(t, st, security, policy.Edit{Name: "p", Version: 2, Spec: more, Known: nothing}); cmp.Diff([]string{"/principals/groups/1 group.not_found"}, pointers(err)) != "" {
		t.Errorf("an edit is refused for %v", pointers(err))
	}
	var missing []string
	for _, f := range s.Missing(nothing) {
		missing = append(missing, f.Pointer+" "+f.Code)
		if f.Code == "request_type.not_found" && f.Detail != "there is no request type called prod" {
			t.Errorf("what is missing is called: %s", f.Detail)
		}
	}
	if diff := cmp.Diff(all, missing); diff != "" {
		t.Errorf("missing are (-want +got):\n%s", diff)
	}
}
