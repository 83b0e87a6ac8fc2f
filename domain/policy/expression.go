package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // getHours("Europe/Berlin") is the same on every replica, also where the system knows no zones

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"

	"sallyport.dev/domain/claim"
)

const (
	maxExpression = 2048 // bytes
	// maxNodes and maxDepth bound what the compiler is given to think about.
	maxNodes, maxDepth = 1000, 64
	// maxCost bounds what an expression may do, in CEL's units: about one for
	// each step, and one for each ten bytes of text looked at. What is decided
	// depends on nothing else, so on no clock and no load.
	maxCost = 10_000
)

// Facts are what an expression is asked about.
type Facts struct {
	Claims map[string]any // as [Values] makes them
	Target Target
	Time   time.Time
}

// environment is the language of expressions: CEL without comprehensions and
// regular expressions, over claims, resource and time.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewCustomEnv(
		cel.StdLib(cel.StdLibSubset(env.NewLibrarySubset().
			AddIncludedMacros("has").
			AddExcludedFunctions(env.NewFunction("matches")))), // it finds a part where people mean the whole
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("resource.ref", cel.StringType),
		cel.Variable("resource.kind", cel.StringType),
		cel.Variable("resource.name", cel.StringType),
		cel.Variable("resource.project", cel.StringType),
		cel.Variable("resource.labels", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("time", cel.TimestampType),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserErrorRecoveryLimit(1),
		cel.ExpressionNodeLimit(maxNodes),
	)
})

// facts gives the variables their values.
type facts struct{ Facts }

// ResolveName is the value of a variable (cel.Activation).
func (f facts) ResolveName(name string) (any, bool) {
	switch name {
	case "claims":
		return f.Claims, true
	case "resource.ref":
		return f.Target.Ref, true
	case "resource.kind":
		return f.Target.Kind, true
	case "resource.name":
		return f.Target.Name, true
	case "resource.project":
		return f.Target.Project, true
	case "resource.labels":
		return f.Target.Labels, true
	case "time":
		return f.Time.UTC(), true
	}
	return nil, false
}

// Parent is none (cel.Activation).
func (facts) Parent() cel.Activation { return nil }

// CheckExpression tells why the text is no expression of a rule, in a sentence
// that says where it is wrong; nil if it is one, "" included.
func CheckExpression(text string) error {
	if text == "" {
		return nil
	}
	_, err := compile(text)
	return err
}

func compile(text string) (cel.Program, error) {
	hidden := func(r rune) bool { return r != '\n' && r != '\t' && claim.Hidden(r) }
	switch {
	case len(text) > maxExpression:
		return nil, errors.New("an expression is at most 2048 bytes")
	case strings.ContainsFunc(text, hidden):
		return nil, errors.New("an expression holds no control characters and no invisible ones")
	}
	language, err := environment()
	if err != nil {
		return nil, fmt.Errorf("making the language of expressions: %w", err)
	}
	ast, issues := language.Compile(text)
	if broken := issues.Errors(); len(broken) > 0 {
		e := broken[0]
		if e.Location.Line() < 1 {
			return nil, errors.New("it is nested too deeply, or too long: split the rule")
		}
		return nil, fmt.Errorf("line %d, column %d: %s", e.Location.Line(), e.Location.Column()+1, claim.Text(e.Message))
	}
	if t := ast.OutputType(); t != cel.BoolType {
		return nil, fmt.Errorf("it has to be true or false, and is of type %s: compare it with something", t)
	}
	return language.Program(ast, cel.CostLimit(maxCost))
}

// expression is one of a published rule. It is compiled when it is asked for the
// first time, so that reading a long log compiles nothing that decides nothing.
// It is safe for concurrent use.
type expression struct {
	text    string
	once    sync.Once
	program cel.Program // nil: it is no expression
}

// holds tells whether it is true of the facts.
func (e *expression) holds(f Facts) bool {
	if e.text == "" {
		return true
	}
	e.once.Do(func() { e.program, _ = compile(e.text) })
	if e.program == nil {
		return false
	}
	v, _, err := e.program.Eval(facts{f})
	return err == nil && v == types.True
}

// Values is a set of claims as expressions see them: whole numbers as CEL's int,
// or where they are too large for it as its uint, others as its double. A number
// that is none of these is there, and whatever is asked about it fails.
func Values(s claim.Set) map[string]any {
	out := make(map[string]any, len(s))
	for k, v := range s {
		out[k] = value(v)
	}
	return out
}

func value(v any) any {
	switch v := v.(type) {
	case nil, string, bool:
		return v
	case json.Number:
		return number(v.String())
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = value(v[i])
		}
		return out
	case map[string]any:
		return Values(v)
	}
	return types.NewErr("a value of type %T is no claim", v)
}

func number(text string) any {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i
	}
	if u, err := strconv.ParseUint(text, 10, 64); err == nil {
		return u
	}
	// A double would make neighbouring numbers the same: an id is told by all its digits.
	if f, err := strconv.ParseFloat(text, 64); err == nil && strings.ContainsAny(text, ".eE") {
		return f
	}
	return types.NewErr("%s is larger than any number here", text)
}
