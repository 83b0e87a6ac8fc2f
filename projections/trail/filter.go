package trail

import (
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport.dev/domain"
)

// What a filter may hold at most.
const (
	maxFilterBytes = 2048 // of one filter; an identity is the longest
	maxQueryBytes  = 256  // of q
	maxTypes       = 32   // in type
)

const workloadScheme = "workload://"

var (
	typeForm   = regexp.MustCompile(`\A[a-z0-9_]+(\.[a-z0-9_]+)*\z`)
	familyForm = regexp.MustCompile(`\A[a-z0-9_]+(\.[a-z0-9_]+)*\.\*\z`)
)

// plan is a query that was understood: what the index must match, what the
// rows must be, and from where.
type plan struct {
	query        Query
	after        domain.Position
	desc         bool
	limit        int
	bare         bool
	match        []string         // terms of the index; all must match
	holds        []func(row) bool // the same of the row: a term of the index is a short hash
	since, until int64            // Unix nanoseconds; since <= time < until
	bounded      bool             // since or until is set
	fields       []domain.FieldError
}

// newPlan reads a query from outside. Every filter that breaks a rule is named.
func newPlan(q Query) (*plan, error) {
	p := &plan{query: q, limit: q.Limit, bare: q.Bare, since: math.MinInt64, until: math.MaxInt64}
	p.page(q)
	p.types(q.Type)
	p.exact("actor", markActor, q.Actor, func(r row) string { return r.actor })
	p.exact("connection", markConnection, q.Connection, func(r row) string { return r.connection })
	p.exact("request_id", markRequest, q.RequestID, func(r row) string { return r.requestID })
	p.outcome(q.Outcome)
	p.workload(q.Workload)
	p.times(q.Since, q.Until)
	p.words(q.Q)
	if len(p.fields) > 0 {
		return nil, domain.ErrFields(p.fields)
	}
	if q.After == "" {
		return p, nil
	}
	var err error
	p.after, err = DecodeCursor(q, q.After)
	return p, err
}

func (p *plan) refuse(field, code, detail string) {
	p.fields = append(p.fields, domain.FieldError{Pointer: "/" + field, Code: code, Detail: detail})
}

func (p *plan) page(q Query) {
	switch {
	case q.Limit == 0:
		p.limit = DefaultLimit
	case q.Limit < 0 || q.Limit > MaxLimit:
		p.refuse("limit", "limit.range", "a page has 1 to "+strconv.Itoa(MaxLimit)+" events")
	}
	switch q.Order {
	case "", Ascending:
	case Descending:
		p.desc = true
	default:
		p.refuse("order", "order.unknown", "order is asc or desc")
	}
}

// text tells whether a filter is set and holds text of a bearable size.
func (p *plan) text(field, value string, limit int) bool {
	if len(value) > limit || !utf8.ValidString(value) {
		p.refuse(field, "filter.text", "a filter is UTF-8 text of at most "+strconv.Itoa(limit)+" bytes")
		return false
	}
	return value != ""
}

// exact adds a filter on one column.
func (p *plan) exact(field string, kind byte, value string, column func(row) string) {
	if p.text(field, value, maxFilterBytes) {
		p.match = append(p.match, quoted(mark(kind, value)))
		p.holds = append(p.holds, func(r row) bool { return column(r) == value })
	}
}

func (p *plan) outcome(value string) {
	switch value {
	case "", Success, Denied, Failed:
		p.exact("outcome", markOutcome, value, func(r row) string { return r.outcome })
	default:
		p.refuse("outcome", "outcome.unknown", "outcome is success, denied or failed")
	}
}

func (p *plan) types(value string) {
	if !p.text("type", value, maxFilterBytes) {
		return
	}
	items := strings.Split(value, ",")
	if len(items) > maxTypes {
		p.refuse("type", "type.many", "type names at most "+strconv.Itoa(maxTypes)+" types")
		return
	}
	var marks []string
	for _, item := range items {
		switch {
		case typeForm.MatchString(item):
			marks = append(marks, quoted(mark(markType, item)))
		case familyForm.MatchString(item):
			marks = append(marks, quoted(mark(markFamily, strings.TrimSuffix(item, ".*"))))
		default:
			p.refuse("type", "type.form", "a type is like token.issued, a family like connection.*, several are separated by commas")
			return
		}
	}
	p.match = append(p.match, "("+strings.Join(marks, " OR ")+")")
	p.holds = append(p.holds, func(r row) bool {
		return slices.ContainsFunc(items, func(item string) bool { return typeIs(item, r.typ) })
	})
}

// typeIs tells whether a type is the one, or of the family, that item says.
func typeIs(item, typ string) bool {
	family, ok := strings.CutSuffix(item, "*")
	return typ == item || ok && strings.HasPrefix(typ, family)
}

// workload takes a plain identity, or the URI that says its connection too.
func (p *plan) workload(value string) {
	if !strings.HasPrefix(value, workloadScheme) {
		p.exact("workload", markWorkload, value, func(r row) string { return r.workload })
		return
	}
	if !p.text("workload", value, maxFilterBytes) {
		return
	}
	w, ok := parseWorkload(value)
	if !ok || w.identity == "" {
		p.refuse("workload", "workload.form", "a workload is its plain identity, or workload://organisation/connection/identity")
		return
	}
	p.match = append(p.match, quoted(mark(markURI, w.String())))
	p.holds = append(p.holds, func(r row) bool { return r.connection == w.connection && r.workload == w.identity })
}

func (p *plan) times(since, until time.Time) {
	if !since.IsZero() {
		p.since, p.bounded = nanoseconds(since), true
	}
	if !until.IsZero() {
		p.until, p.bounded = nanoseconds(until), true
	}
}

func (p *plan) words(q string) {
	if !p.text("q", q, maxQueryBytes) {
		return
	}
	terms := match(q)
	if len(terms) == 0 {
		p.refuse("q", "q.empty", "q needs a letter or a digit")
	}
	p.match = append(p.match, terms...)
}

// nanoseconds is t since 1970, held within what 64 bits can say (1678 to 2262).
func nanoseconds(t time.Time) int64 {
	const second = int64(time.Second)
	switch s := t.Unix(); {
	case s <= math.MinInt64/second:
		return math.MinInt64
	case s >= math.MaxInt64/second:
		return math.MaxInt64
	}
	return t.UnixNano()
}

// workload is what a workload:// URI says; identity is unescaped, "" where unknown.
type workload struct{ org, connection, identity string }

func parseWorkload(uri string) (workload, bool) {
	rest, ok := strings.CutPrefix(uri, workloadScheme)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return workload{}, false
	}
	w := workload{org: parts[0], connection: parts[1]}
	if len(parts) == 2 {
		return w, true
	}
	var err error
	w.identity, err = url.PathUnescape(parts[2])
	return w, err == nil && utf8.ValidString(w.identity)
}

func (w workload) String() string {
	return workloadScheme + w.org + "/" + w.connection + "/" + url.PathEscape(w.identity)
}
