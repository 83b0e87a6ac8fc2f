package token_test

import (
	"fmt"
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
		rapid.StringOfN(rapid.SampledFrom([]rune("a/%2F.é")), 1, 4, -1), // so few that they often meet
		rapid.SampledFrom([]string{"../admin", "a/b", "a%2Fb", "ci/b", "é", "e\u0301", "a\x00b"}),
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
		whose := map[string]named{}
		for i := range 40 {
			n := draw(rt, fmt.Sprint(i, " "))
			x := name(n)
			if x == "" {
				continue // not admitted
			}
			if other, taken := whose[x]; taken && other != n {
				rt.Fatalf("%+v and %+v are both %s", n, other, x)
			}
			whose[x] = n
			if strings.Count(x, "/") != 4 {
				rt.Fatalf("%+v has more than one segment: %s", n, x)
			}
		}
	})
}
