package access_test

import (
	"fmt"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
)

// crowd is 1,000 policies of 30 rules, for 100 groups, over 10,000 servers and
// secrets; who asks is in so many of the groups.
func crowd(b *testing.B, resources, groups int) (*scene, access.Subject) {
	b.Helper()
	x := newScene(b)
	for i := range resources / 2 {
		x.server(domain.Name(fmt.Sprintf("s%d", i)), map[string]string{"team": fmt.Sprintf("t%d", i%200), "env": "prod"})
		x.secret(fmt.Sprintf("team%d/app%d/key", i%200, i))
	}
	for i := range policy.MaxPolicies {
		var rules []policy.Rule
		for j := range 30 {
			n := domain.Name(fmt.Sprintf("r%d", j))
			switch k := i*30 + j; j % 3 {
			case 0:
				rules = append(rules, only(onServer(n, domain.Name(fmt.Sprintf("s%d", k%5000)), ssh("root", "dba"), asks("prod")), `time.getHours() < 23`))
			case 1:
				rules = append(rules, policy.Rule{Name: n, Resource: policy.Selector{Labels: map[string]string{"team": fmt.Sprintf("t%d", k%200), "env": "prod"}}, Privileges: []policy.Privilege{ssh("me")}})
			default:
				rules = append(rules, onFolder(n, fmt.Sprintf("team%d", k%200), reveals()))
			}
		}
		x.logFor(domain.Name(fmt.Sprintf("p%d", i)), policy.Principals{Groups: []domain.Name{domain.Name(fmt.Sprintf("g%d", i%100))}}, rules...)
	}
	var in []domain.Name
	for i := range groups {
		in = append(in, domain.Name(fmt.Sprintf("g%d", i)))
	}
	return x, carol(in...)
}

// floor is what no decision over rules can be quicker than: one look at the name
// in each.
func floor(x *scene, name domain.Name) (n int) {
	for _, p := range x.w.Policies.Published() {
		for i := range p.Published.Rules {
			if p.Published.Rules[i].Resource.Server == name {
				n++
			}
		}
	}
	return n
}

func BenchmarkResolveAmong30000Rules(b *testing.B) {
	for _, groups := range []int{5, 100} {
		x, s := crowd(b, resource.MaxResources-10, groups)
		r := x.resource("server/s7")
		b.Run(fmt.Sprintf("floor, %d groups", groups), func(b *testing.B) {
			for b.Loop() {
				floor(x, "s7")
			}
		})
		b.Run(fmt.Sprintf("resolve, %d groups", groups), func(b *testing.B) {
			b.ReportAllocs()
			var a access.Answer
			for b.Loop() {
				a = access.Resolve(x.w, s, r, x.now)
			}
			b.ReportMetric(float64(len(a.Methods)), "methods")
		})
		b.Run(fmt.Sprintf("everything, %d groups", groups), func(b *testing.B) {
			b.ReportAllocs()
			var all []access.Reachable
			for b.Loop() {
				all = access.ResolveAll(x.w, s, x.now)
			}
			b.ReportMetric(float64(len(all)), "resources")
		})
	}
}

// One look at one secret, as a reveal has it.
func BenchmarkResolveOne(b *testing.B) {
	x := newScene(b)
	x.publish("p", only(onFolder("r", "payments", reveals()), `claims.ref == "main"`))
	r, s := x.resource(resource.Ref("secret/payments/api-key")), robot()
	b.ReportAllocs()
	for b.Loop() {
		access.Resolve(x.w, s, r, x.now)
	}
}
