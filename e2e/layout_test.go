package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "sallyport.dev"

// arrows says what each folder may import of ours. A folder's own packages see
// each other, but for domain, where they form a tree.
var arrows = map[string][]string{
	"cmd":         {"cmd", "handlers", "projections", "streams", "domain", "."},
	"handlers":    {"handlers", "projections", "streams", "domain", "."},
	"projections": {"projections", "domain"},
	"streams":     {"streams", "domain"},
	"e2e":         {"e2e", "cmd", "handlers", "projections", "streams", "domain", "."},
	".":           {},
}

// nouns says what each package of domain may import of domain: a tree, so that
// a rule about one noun never pulls in another.
var nouns = map[string][]string{
	"domain":              {},
	"domain/claim":        {"domain"},
	"domain/key":          {"domain"},
	"domain/person":       {"domain"},
	"domain/organisation": {"domain"},
	"domain/provider":     {"domain", "domain/claim"},
	"domain/proof":        {"domain", "domain/claim"},
	"domain/connection":   {"domain", "domain/claim", "domain/provider", "domain/proof"},
	"domain/token":        {"domain", "domain/claim", "domain/provider", "domain/proof", "domain/connection"},
	"domain/group":        {"domain"},
	"domain/sshca":        {"domain"},
	"domain/identity":     {"domain"},
	"domain/notification": {"domain", "domain/group", "domain/request", "domain/access"},
	"domain/resource":     {"domain"},
	"domain/role":         {"domain", "domain/claim"},
	"domain/policy":       {"domain", "domain/claim"},
	"domain/request":      {"domain", "domain/resource"},
	"domain/access":       {"domain", "domain/claim", "domain/policy", "domain/resource", "domain/request"},
	"domain/events":       {"domain", "domain/claim", "domain/provider", "domain/proof", "domain/connection", "domain/token", "domain/key", "domain/person", "domain/organisation", "domain/group", "domain/role", "domain/resource", "domain/policy", "domain/request", "domain/access", "domain/sshca", "domain/identity", "domain/notification"},
}

// homes says where each outside dependency lives, one that has two is named twice. Tests may use more: a real
// server of NATS, or another reader of JWTs, is what they test against.
var homes = []struct{ module, home string }{
	{"github.com/nats-io/", "streams"},
	{"github.com/minio/highwayhash", "streams/blocks"},
	{"github.com/klauspost/compress", "streams"},
	{"github.com/klauspost/compress", "projections/trail"},
	{"github.com/labstack/echo", "handlers"},
	{"github.com/lestrrat-go/", "handlers/jose"},
	{"github.com/tink-crypto/", "handlers/jose"},
	{"github.com/tink-crypto/", "handlers/vault"},
	{"modernc.org/sqlite", "projections"},
	{"cel.dev/", "domain/policy"},
	{"golang.org/x/crypto/ssh", "handlers/sshca"},
	{"golang.org/x/crypto/ssh", "cmd/sallyport"},
	{"golang.org/x/mod/sumdb", "streams"},
	{"github.com/go-webauthn/", "handlers/passkey"},
	{"github.com/google/uuid", "handlers/passkey"},
	{"github.com/standard-webhooks/", "handlers/notify"},
	{"github.com/wneessen/go-mail", "handlers/notify"},
	{"github.com/emersion/", "e2e"},
	{"github.com/spf13/", "cmd"},
	{"go.yaml.in/yaml", "cmd"},
	{"go.yaml.in/yaml", "handlers/console"},
	{"github.com/knadh/", "cmd"},
	{"github.com/prometheus/", "handlers/telemetry"},
	{"go.opentelemetry.io/", "handlers/telemetry"},
	{"github.com/getkin/kin-openapi", "e2e"},
	{"github.com/cloudevents/", "e2e"},
	{"github.com/coreos/go-oidc", "handlers/signin"},
	{"golang.org/x/oauth2", "handlers/signin"},
	{"github.com/rogpeppe/go-internal", "e2e"},
}

// calls must not occur outside tests, anywhere but in the folder named, each
// for its own reason.
var calls = []struct{ name, but, reason string }{
	{"jwk.Fetch", "", "it fetches without our gate; handlers/jose fetches"},
	{"jwk.NewCache", "", "it fetches without our gate; handlers/jose fetches"},
	{"jws.WithVerifyAuto", "", "it follows jku"},
	{"jwk.PublicSetOf", "", "public members are written by hand"},
	{"jwt.Parse", "", "the front door of handlers/jose parses"},
	{"jwt.ParseString", "", "the front door of handlers/jose parses"},
	{"ulid.Parse", "", "it turns bad text into another id; use ulid.ParseStrict"},
	{"http.DefaultClient", "", "it has no limits, and follows redirects"},
	{"http.Get", "", "it has no limits, and follows redirects"},
	{"http.Post", "", "it has no limits, and follows redirects"},
	{"os.Exit", "cmd", "only main ends the process"},
}

// secrets lists the packages that make secrets or unguessable ids; there
// ulid.Make, whose entropy is not meant for that, must not occur.
var secrets = []string{"handlers/jose", "handlers/exchange", "handlers/issuer", "domain", "cmd"}

// topLevel lists what may lie at the top of the project; a new folder is an
// architecture decision, with a note in docs/adr.
var topLevel = []string{
	".ci", "cmd", "deploy", "docs", "domain", "e2e", "handlers", "projections", "scripts", "streams",
	".gitignore", ".gitattributes", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md",
	"go.mod", "go.sum", "openapi.go", "openapi.yaml",
}

// ignored lists what lies there on a developer's machine and is in .gitignore.
var ignored = []string{".git", ".sallyport", "bin", "dist"}

// source is one Go file of the project.
type source struct {
	file   string // slash-separated, from the top of the project
	pkg    string // folder of the file, "." at the top
	test   bool   // a test, or a package that only tests import
	syntax *ast.File
}

// folder is the top-level folder of the file, "." at the top itself.
func (s source) folder() string {
	first, _, _ := strings.Cut(s.pkg, "/")
	return first
}

// imports yields the import paths of the file.
func (s source) imports() []string {
	var paths []string
	for _, i := range s.syntax.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

var files = token.NewFileSet()

// project reads every Go file of the project.
func project(t *testing.T) []source {
	t.Helper()
	var all []source
	top := ".."
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != top && (name == "testdata" || name == "node_modules" || slices.Contains(ignored, name)) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(top, p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(files, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		file := filepath.ToSlash(rel)
		pkg := path.Dir(file)
		all = append(all, source{file, pkg, strings.HasSuffix(name, "_test.go") || testOnly(pkg), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found %d Go files, so this test looks in the wrong place", len(all))
	}
	return all
}

// testOnly tells whether a package exists for tests alone: those of e2e, and
// those named after the package they help to test, such as streams/streamstest.
func testOnly(pkg string) bool {
	return strings.HasPrefix(pkg, "e2e") || strings.HasSuffix(path.Base(pkg), "test") && pkg != "."
}

func TestLayoutOfTheTopLevel(t *testing.T) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(topLevel, e.Name()) && !slices.Contains(ignored, e.Name()) {
			t.Errorf("%s is at the top of the project; a new folder there needs a note in docs/adr and a line here", e.Name())
		}
	}
}

func TestLayoutImportsFollowTheArrows(t *testing.T) {
	for _, s := range project(t) {
		for _, p := range s.imports() {
			ours, isOurs := strings.CutPrefix(p, module)
			if !isOurs || ours != "" && ours[0] != '/' {
				continue
			}
			ours = strings.TrimPrefix(ours, "/")
			if ours == "" {
				ours = "."
			}
			if err := s.mayImport(ours); err != nil {
				t.Errorf("%s: %v", s.file, err)
			}
		}
	}
}

// mayImport tells why the file must not import that package of ours.
func (s source) mayImport(ours string) error {
	if s.test && (testOnly(ours) || s.pkg == ours) {
		return nil // an external test of its own package, or a helper made for tests
	}
	if testOnly(ours) {
		return fmt.Errorf("%s is for tests alone", ours)
	}
	if s.folder() == "domain" {
		allowed, known := nouns[s.pkg]
		if !known {
			return fmt.Errorf("%s is not in the tree of domain; add it to nouns", s.pkg)
		}
		if !slices.Contains(allowed, ours) && !(s.test && strings.HasPrefix(ours, "domain")) {
			return fmt.Errorf("%s must not import %s", s.pkg, ours)
		}
		return nil
	}
	allowed, known := arrows[s.folder()]
	if !known {
		return fmt.Errorf("no Go here")
	}
	to, _, _ := strings.Cut(ours, "/")
	if !slices.Contains(allowed, to) {
		return fmt.Errorf("%s must not import %s", s.folder(), ours)
	}
	return nil
}

func TestLayoutEveryDependencyHasOneHome(t *testing.T) {
	for _, s := range project(t) {
		if s.test {
			continue
		}
		for _, p := range s.imports() {
			var at []string
			for _, h := range homes {
				if strings.HasPrefix(p, h.module) {
					at = append(at, h.home)
				}
			}
			isHome := func(home string) bool { return s.pkg == home || strings.HasPrefix(s.pkg, home+"/") }
			if at != nil && !slices.ContainsFunc(at, isHome) {
				t.Errorf("%s imports %s, whose home is %s", s.file, p, strings.Join(at, " and "))
			}
		}
	}
}

func TestLayoutDependenciesOfTestsStayInTests(t *testing.T) {
	forbidden := []string{"testing", "github.com/google/go-cmp", "pgregory.net/rapid", "net/http/httptest", "github.com/anishathalye/porcupine"}
	for _, s := range project(t) {
		for _, p := range s.imports() {
			if !s.test && slices.ContainsFunc(forbidden, func(f string) bool { return p == f || strings.HasPrefix(p, f+"/") }) {
				t.Errorf("%s imports %s, which is for tests", s.file, p)
			}
		}
	}
}

func TestLayoutTimeIdentityAndChanceAreArguments(t *testing.T) {
	chance := []string{"math/rand", "math/rand/v2", "crypto/rand"}
	for _, s := range project(t) {
		if s.test || s.folder() != "domain" && s.folder() != "projections" {
			continue
		}
		for _, p := range s.imports() {
			if slices.Contains(chance, p) || s.folder() == "domain" && p == "context" {
				t.Errorf("%s imports %s; chance, and who asks, are arguments here", s.file, p)
			}
		}
		for _, c := range []string{"time.Now", "time.Since", "time.Until", "context.WithValue"} {
			for _, at := range uses(s.syntax, c) {
				t.Errorf("%s: %s; time and identity are arguments here", files.Position(at), c)
			}
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && s.folder() == "projections" {
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Value" && isIdent(sel.X, "ctx") {
					t.Errorf("%s: a value out of a context", files.Position(call.Pos()))
				}
			}
			return true
		})
	}
}

func TestLayoutForbiddenCalls(t *testing.T) {
	for _, s := range project(t) {
		if s.test {
			continue
		}
		for _, c := range calls {
			if c.but != "" && s.folder() == c.but {
				continue
			}
			for _, at := range uses(s.syntax, c.name) {
				t.Errorf("%s: %s: %s", files.Position(at), c.name, c.reason)
			}
		}
		if slices.ContainsFunc(secrets, func(in string) bool { return s.pkg == in || strings.HasPrefix(s.pkg, in+"/") }) {
			for _, at := range uses(s.syntax, "ulid.Make") {
				t.Errorf("%s: ulid.Make: its entropy is not for secrets", files.Position(at))
			}
		}
		if slices.ContainsFunc(s.imports(), func(p string) bool { return strings.HasPrefix(p, "github.com/labstack/echo") }) {
			for _, at := range methodCalls(s.syntax, "Bind") {
				t.Errorf("%s: Bind takes XML and forms too; decode strictly", files.Position(at))
			}
		}
	}
}

func TestLayoutNoInitAndNothingUnsafe(t *testing.T) {
	for _, s := range project(t) {
		if s.test {
			continue
		}
		for _, d := range s.syntax.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init hides an order; say it in a constructor", files.Position(f.Pos()))
			}
		}
		for _, p := range s.imports() {
			if p == "unsafe" || p == "C" || p == "expvar" || p == "net/http/pprof" {
				t.Errorf("%s imports %s", s.file, p)
			}
		}
	}
}

func TestLayoutEveryExportedNameIsDocumented(t *testing.T) {
	for _, s := range project(t) {
		if strings.HasSuffix(s.file, "_test.go") {
			continue
		}
		for _, d := range s.syntax.Decls {
			for _, u := range undocumented(d) {
				t.Errorf("%s: exported %s needs a comment that starts with its name", files.Position(u.Pos()), u.Name)
			}
		}
	}
	for _, pkg := range undocumentedPackages(project(t)) {
		t.Errorf("package %s needs a comment: what it answers, and what it never does", pkg)
	}
}

// undocumented lists the exported names of a declaration that nobody explains.
// Constants and variables of a group may share the group's comment.
func undocumented(d ast.Decl) []*ast.Ident {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && !explains(d.Doc, d.Name.Name) && !plain(d) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		var missing []*ast.Ident
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && !explains(spec.Doc, spec.Name.Name) && !explains(d.Doc, spec.Name.Name) {
					missing = append(missing, spec.Name)
				}
			case *ast.ValueSpec:
				said := spec.Doc != nil || spec.Comment != nil || d.Doc != nil
				for _, n := range spec.Names {
					if n.IsExported() && !said {
						missing = append(missing, n)
					}
				}
			}
		}
		return missing
	}
	return nil
}

// plain tells whether a method is one whose meaning its interface gives: what
// errors, fmt, json, sort and our own closed interfaces call.
func plain(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return false
	}
	if !receiverExported(f) {
		return true // reachable only through an interface, which explains it
	}
	switch f.Name.Name {
	case "Error", "String", "Unwrap", "Is", "EventType", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "LogValue", "GoString", "Close":
		return true
	}
	return false
}

func receiverExported(f *ast.FuncDecl) bool {
	typ := f.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

var article = regexp.MustCompile(`^(An?|The) `)

func explains(doc *ast.CommentGroup, name string) bool {
	text := article.ReplaceAllString(strings.TrimSpace(doc.Text()), "")
	rest, ok := strings.CutPrefix(text, name)
	return ok && (rest == "" || !isWord(rest[0]))
}

func isWord(b byte) bool {
	return b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func undocumentedPackages(all []source) []string {
	said := map[string]bool{}
	for _, s := range all {
		if !strings.HasSuffix(s.file, "_test.go") {
			said[s.pkg] = said[s.pkg] || s.syntax.Doc != nil
		}
	}
	var missing []string
	for pkg, ok := range said {
		if !ok {
			missing = append(missing, pkg)
		}
	}
	slices.Sort(missing)
	return missing
}

// uses finds where the file names package.Name, whatever it does with it and
// whatever the package is called in the file.
func uses(f *ast.File, name string) []token.Pos {
	pkg, sel, _ := strings.Cut(name, ".")
	local := ""
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		if path.Base(version.ReplaceAllString(p, "")) == pkg {
			local = pkg
			if i.Name != nil {
				local = i.Name.Name
			}
		}
	}
	var at []token.Pos
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && local != "" && s.Sel.Name == sel && isIdent(s.X, local) {
			at = append(at, s.Pos())
		}
		return true
	})
	return at
}

// version is the last element of the path of a module of major version 2 or more.
var version = regexp.MustCompile(`/v[0-9]+$`)

// methodCalls finds calls of any method of that name.
func methodCalls(f *ast.File, name string) []token.Pos {
	var at []token.Pos
	ast.Inspect(f, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			if s, ok := c.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == name {
				at = append(at, c.Pos())
			}
		}
		return true
	})
	return at
}

func isIdent(e ast.Expr, name string) bool {
	i, ok := e.(*ast.Ident)
	return ok && i.Name == name
}
