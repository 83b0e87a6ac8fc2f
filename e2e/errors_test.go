package e2e

import (
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sallyport.dev/domain/events"
)

// codeForm is what an error code looks like in the code: family.reason. Types
// of events look the same and are told apart by the catalogue.
var codeForm = regexp.MustCompile(`^(access|api_token|audience|audit|auth|body|break_glass|checkout|claim|commit|connection|content_type|device|cursor|email|event|field|filter|grant|group|idempotency|` +
	`if_match|json|keys|limit|log|manager|method|name|order|organisation|outcome|passkey|person|policy|position|project|proof|q|query|rate|request|request_type|role|route|schema|secret|server|signing_key|` +
	`streams|time|token|type|until|value|vault|version|workload)\.[a-z_]+$`)

// A person who meets a code finds it explained; a code that is added without
// that fails here.
func TestEveryErrorCodeIsExplained(t *testing.T) {
	var pages strings.Builder
	for _, page := range []string{"../docs/errors.md", "../docs/concepts.md"} {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		pages.Write(b)
	}
	types := map[string]bool{}
	for _, typ := range events.New().Types() {
		types[typ] = true
	}
	found := 0
	for _, s := range project(t) {
		if s.test || s.folder() == "e2e" || s.folder() == "cmd" {
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			code, err := strconv.Unquote(lit.Value)
			if err != nil || !codeForm.MatchString(code) || types[code] {
				return true
			}
			found++
			if !strings.Contains(pages.String(), "`"+code+"`") {
				t.Errorf("%s: %s is not explained in docs/errors.md", files.Position(lit.Pos()), code)
			}
			return true
		})
	}
	if found < 50 {
		t.Errorf("found %d codes, so this test looks in the wrong place", found)
	}
}
