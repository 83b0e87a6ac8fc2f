package token_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/token"
)

// No two workloads have one name, whatever bytes their claims hold and whatever
// paths their connections put before them: not within a connection, not across
// two of one organisation, not across two organisations.
func TestWorkloadsOfAllConnectionsStayApart(t *testing.T) {
	value := rapid.OneOf(
		rapid.SampledFrom([]string{"../admin", "a/b", "a%2Fb", "a%2fb", ".", "..", "b", "ci/b", "ci%2Fb", "/b", "b/", "a b", "a+b", "é", "e\u0301", "a\x00b"}),
		rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
	type named struct {
		org, conn domain.Name
		claim     string
	}
	draw := func(rt *rapid.T, who string) named {
		return named{
			org:   rapid.SampledFrom([]domain.Name{"default", "acme", "a"}).Draw(rt, who+"org"),
			conn:  rapid.SampledFrom([]domain.Name{"ci", "c", "a", "ci-b"}).Draw(rt, who+"connection"),
			claim: value.Draw(rt, who+"claim"),
		}
	}
	// A connection has one path, so it is drawn for the connection and not for the workload.
	rapid.Check(t, func(rt *rapid.T) {
		paths := map[domain.Name]string{}
		for _, c := range []domain.Name{"ci", "c", "a", "ci-b"} {
			paths[c] = rapid.SampledFrom([]string{"", "a", "ci", "a/b"}).Draw(rt, "path of "+c.String())
		}
		name := func(n named) string {
			spec := connection.Spec{IdentityClaim: "sub", IdentityPath: paths[n.conn]}
			identity, _ := spec.Admit(proof.Proof{Claims: claim.Set{"sub": n.claim}})
			if identity == "" {
				return ""
			}
			return token.Workload(n.org, n.conn, identity)
		}
		a, b := draw(rt, "a "), draw(rt, "b ")
		x, y := name(a), name(b)
		if x != "" && x == y && a != b {
			rt.Fatalf("%+v and %+v are both %s", a, b, x)
		}
		if a == b && x != y {
			rt.Fatalf("%+v is %s and %s", a, x, y)
		}
		if x != "" && strings.Count(x, "/") != 4 {
			rt.Fatalf("%+v has more than one segment: %s", a, x)
		}
	})
}
