package e2e

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// attackCase is a row of docs/attacks.md: the case, what is tried, the tests.
var attackCase = regexp.MustCompile(`^\| (T\d{3}[ab]?) \| ([^|]+) \| ([^|]+) \|$`)

// attackTest is a test as docs/attacks.md names it: package, function and row.
var attackTest = regexp.MustCompile("^`([a-z0-9]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)(?:/(.+))?`$")

// testsOf are a package's tests, and every text in its test files: among them
// the names of the tables' rows.
type testsOf struct {
	funcs map[string]bool
	texts map[string]bool
}

func tests(t *testing.T) map[string]testsOf {
	t.Helper()
	all := map[string]testsOf{}
	for _, s := range project(t) {
		if !strings.HasSuffix(s.file, "_test.go") {
			continue
		}
		pkg := strings.TrimSuffix(s.syntax.Name.Name, "_test")
		if all[pkg].funcs == nil {
			all[pkg] = testsOf{map[string]bool{}, map[string]bool{}}
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil {
					all[pkg].funcs[n.Name.Name] = true
				}
			case *ast.BasicLit:
				if n.Kind == token.STRING {
					text, _ := strconv.Unquote(n.Value)
					all[pkg].texts[text] = true
				}
			}
			return true
		})
	}
	return all
}

// Every case that is said to be tested names tests that are there.
func TestAttacksNameTestsThatAreThere(t *testing.T) {
	page, err := os.ReadFile("../docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	all := tests(t)
	var cases []string
	for _, line := range strings.Split(string(page), "\n") {
		m := attackCase.FindStringSubmatch(line)
		if m == nil {
			if strings.HasPrefix(line, "| T") && strings.Contains(line, "`") {
				t.Errorf("a row that cannot be read: %s", line)
			}
			continue
		}
		if len(cases) > 0 && cases[len(cases)-1][:4] > m[1][:4] { // T105a and T105b stand before T105
			t.Errorf("%s stands behind %s", m[1], cases[len(cases)-1])
		}
		cases = append(cases, m[1])
		for _, name := range strings.Split(strings.ReplaceAll(m[3], "`, `", "`\x00`"), "\x00") {
			n := attackTest.FindStringSubmatch(name)
			switch {
			case n == nil:
				t.Errorf("%s: %s is no test", m[1], name)
			case !all[n[1]].funcs[n[2]]:
				t.Errorf("%s: package %s has no %s", m[1], n[1], n[2])
			case n[3] != "" && !strings.HasPrefix(n[3], "JA-") && !all[n[1]].texts[n[3]]: // JA-… are of the corpus
				t.Errorf("%s: package %s has no row %q", m[1], n[1], n[3])
			}
		}
	}
	if len(cases) < 100 {
		t.Errorf("%d cases, so this test looks in the wrong place", len(cases))
	}
	missingCases(t, string(page), cases)
}

// missingCases demands that each case of the catalogue's parts that this version
// has is on the page: with tests, or with the reason why not.
func missingCases(t *testing.T, page string, cases []string) {
	t.Helper()
	_, later, found := strings.Cut(page, "## Not of this version")
	if !found {
		t.Fatal("the page says nothing of what is not of this version")
	}
	excused := map[int]bool{}
	for _, m := range regexp.MustCompile(`T(\d{3})(?: to T(\d{3}))?`).FindAllStringSubmatch(later, -1) {
		from, _ := strconv.Atoi(m[1])
		to, _ := strconv.Atoi(m[2])
		for i := from; i <= max(from, to); i++ {
			excused[i] = true
		}
	}
	for _, part := range [][2]int{{1, 116}, {131, 142}, {161, 198}} {
		for i := part[0]; i <= part[1]; i++ {
			if name := fmt.Sprintf("T%03d", i); !excused[i] && !slices.Contains(cases, name) {
				t.Errorf("docs/attacks.md does not have %s", name)
			}
		}
	}
}

// What is not in the program cannot be attacked: nothing that decrypts a token
// a stranger sent, with whatever work they ask for.
func TestAttacksNothingThatDecryptsIsLinked(t *testing.T) {
	c := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/...")
	c.Dir, c.Stderr = "..", os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, module+"/handlers/jose") {
		t.Fatalf("%d packages are linked, without handlers/jose: this test looks in the wrong place", len(linked))
	}
	for _, pkg := range linked {
		if strings.HasSuffix(pkg, "/jwe") || strings.Contains(pkg, "/jwe/") || strings.HasPrefix(pkg, "github.com/lestrrat-go/jwx/") && strings.HasSuffix(pkg, "/jwt") {
			t.Errorf("%s is linked", pkg)
		}
	}
}
