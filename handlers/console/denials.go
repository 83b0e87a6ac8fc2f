package console

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/token"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
)

func (c *Console) denials() []screen {
	return []screen{
		{path: "/denials", menu: "Denials", icon: "ban", group: "Trust", roles: readers, get: listDenials},
		{path: "/denials/:position", roles: readers, get: showDenial},
	}
}

// denialsPage is how many denials a page has.
const denialsPage = 30

// denialsView is a page of denials.
type denialsView struct {
	Connection, Code string // filters
	Codes            []option
	Rows             []denialRow
	Newest, Older    string // addresses of other pages
}

// denialRow is a denial of the list, or a count of those that came too fast to
// be written one by one.
type denialRow struct {
	Position                           string
	Connection                         domain.Name
	Code, Identity, Source, Suppressed string
	At                                 time.Time
}

// denialCodes are why a workload gets no token, in words.
var denialCodes = []option{
	{token.CodeConditions, "A condition does not hold"}, {token.CodeIdentity, "The workload has no usable name"}, {token.CodeExpired, "The proof has expired"},
	{token.CodeMalformed, "The proof cannot be read"}, {"proof.signature", "The signature is wrong"}, {"proof.unknown_key", "The key is unknown"},
	{"proof.algorithm", "The algorithm is not allowed"}, {"proof.not_yet_valid", "The proof is not valid yet"}, {"proof.too_old", "The proof is too old"},
	{token.CodeReplayed, "The proof was used before"}, {token.CodeDraft, "The connection is a draft"}, {token.CodeInactive, "The connection is inactive"},
	{token.CodeAudience, "The audience is not allowed"},
}

// sayCode is a code in words; the code itself where it has none.
func sayCode(code string) string {
	for _, c := range denialCodes {
		if c.Value == code {
			return c.Label
		}
	}
	return code
}

func listDenials(p *page) error {
	v := denialsView{
		Connection: strings.TrimSpace(p.query("connection")), Code: p.query("code"),
		Codes: append([]option{{"", "Any reason"}}, denialCodes...),
	}
	q := trail.Query{
		Type: token.WasDenied{}.EventType() + "," + token.DenialsWereSuppressed{}.EventType(), Connection: v.Connection, Q: v.Code,
		Order: trail.Descending, Limit: denialsPage, After: p.query("after"),
	}
	p.Org.Settle(p.Context())
	found, err := p.denialsFound(q, &v)
	if err != nil {
		return err
	}
	at := func(after string) string {
		values := url.Values{}
		for name, value := range map[string]string{"connection": v.Connection, "code": v.Code, "after": after} {
			if value != "" {
				values.Set(name, value)
			}
		}
		return strings.TrimSuffix(p.url("/denials")+"?"+values.Encode(), "?")
	}
	if p.query("after") != "" {
		v.Newest = at("")
	}
	if found.HasMore {
		v.Older = at(found.Next)
	}
	return p.render("denials", v)
}

// denialRounds is how often the trail is asked for a page of denials.
const denialRounds = 10

// denialsFound fills the page. The trail finds a reason wherever it is written;
// an identity that is called like one is not refused for it.
func (p *page) denialsFound(q trail.Query, v *denialsView) (found trail.Page, err error) {
	for range denialRounds {
		q.Limit = denialsPage - len(v.Rows)
		if found, err = p.Org.Trail().Query(p.Context(), q); err != nil {
			return found, err
		}
		for _, e := range found.Events {
			row, err := p.denialRow(e)
			if err != nil {
				return found, err
			}
			if v.Code == "" || row.Code == v.Code {
				v.Rows = append(v.Rows, row)
			}
		}
		if q.After = found.Next; !found.HasMore || len(v.Rows) == denialsPage {
			break
		}
	}
	return found, nil
}

func (p *page) denialRow(e trail.Entry) (denialRow, error) {
	event, env, err := p.decode(e)
	row := denialRow{Position: e.Position.String(), At: env.Time}
	switch event := event.(type) {
	case token.WasDenied:
		row.Connection, row.Code, row.Identity, row.Source = event.Connection, event.Code, event.Identity, event.Source
	case token.DenialsWereSuppressed:
		row.Connection, row.Source, row.Suppressed = event.Connection, event.Source, strconv.FormatUint(event.Count, 10)
	}
	return row, err
}

// denialView is one denial with everything that was looked at.
type denialView struct {
	Position  string
	At        time.Time
	RequestID string
	Denied    token.WasDenied
	Reason    string
	Checks    []denialCheck
	Known     bool // the connection is still there
	MayEdit   bool
	WhyNot    string // why no condition is made, for those who draft them; "" one is, or none can be
	Older     bool   // the connection is at another version by now
	MayReach  bool   // it may be asked what the workload could reach
}

// denialCheck is a check of a denial, and whether a condition can be made of it.
type denialCheck struct {
	checkWords
	Suggest bool
}

// denial finds the denial at a position of the trail.
func (p *page) denial(position string) (d token.WasDenied, env domain.Envelope, err error) {
	at, err := domain.ParsePosition(position)
	if err != nil {
		return d, env, errNothing
	}
	q := trail.Query{Type: d.EventType(), Limit: 1}
	q.After = trail.EncodeCursor(q, previous(at))
	found, err := p.Org.Trail().Query(p.Context(), q)
	if err != nil {
		return d, env, err
	}
	if len(found.Events) == 0 || found.Events[0].Position != at {
		return d, env, errNothing
	}
	event, env, err := p.decode(found.Events[0])
	if err != nil {
		return d, env, err
	}
	return event.(token.WasDenied), env, nil
}

// previous is a position behind which p is the first.
func previous(p domain.Position) domain.Position {
	if p.Index > 0 {
		return domain.Position{Sequence: p.Sequence, Index: p.Index - 1}
	}
	return domain.Position{Sequence: max(p.Sequence, 1) - 1, Index: 1<<16 - 1}
}

func showDenial(p *page) error {
	p.Org.Settle(p.Context())
	d, env, err := p.denial(p.param("position"))
	if err != nil {
		return err
	}
	var c connection.State
	p.Org.Read(func(s *control.State, _ domain.Head) { c = s.Connection(d.Connection) })
	v := denialView{
		Position: p.param("position"), At: env.Time, RequestID: env.RequestID, Denied: d, Reason: sayCode(d.Code),
		Known: c.Status != connection.None && c.Status != connection.Deleted, MayEdit: connection.MayWrite(c, p.Person) == nil, Older: c.CurrentVersion() != d.Version,
	}
	v.MayReach = v.Known && d.Identity != "" && slices.ContainsFunc(simulators, p.Person.Has)
	for _, w := range sayChecks(d.Checks) {
		_, possible := suggested(c.Newest(), w.Check)
		v.Checks = append(v.Checks, denialCheck{w, v.Known && v.MayEdit && possible >= 0})
		if v.Known && possible >= 0 {
			v.WhyNot = whyNotEdit(c, p.Person)
		}
	}
	return p.render("denial", v)
}

// suggested is the condition that the check failed, changed to let in what the
// claim was besides what it lets in, and where it stands. A beginning cannot
// stand beside a value, and is replaced. at is -1 where none can be made: the
// claim was not there, is no plain text, or was not kept whole.
func suggested(s connection.Spec, check proof.Check) (changed claim.Condition, at int) {
	actual := check.Actual
	if check.Check != proof.Condition || check.Result != proof.Fail || actual == "" || actual == "null" ||
		strings.HasSuffix(actual, "…") || strings.ContainsAny(actual, `\`) || strings.HasPrefix(actual, "[") || strings.HasPrefix(actual, "{") {
		return changed, -1
	}
	for i, c := range s.Conditions {
		if string(c.Claim) != check.Claim || string(c.Operator) != check.Operator || c.Explain(nil).Expected != check.Expected {
			continue
		}
		switch c.Operator {
		case claim.Equals:
			changed = claim.Condition{Claim: c.Claim, Operator: claim.OneOf, Values: []string{c.Value, actual}}
		case claim.OneOf:
			changed = claim.Condition{Claim: c.Claim, Operator: claim.OneOf, Values: append(slices.Clone(c.Values), actual)}
		case claim.StartsWith:
			changed = claim.Condition{Claim: c.Claim, Operator: claim.Equals, Value: actual}
		default:
			return changed, -1
		}
		if len(changed.Validate("")) > 0 || !rowOf(changed).condition().Equal(changed) { // a form trims the values of a list
			return changed, -1
		}
		return changed, i
	}
	return changed, -1
}

// suggest changes the form by the denial and the check that the query names.
// Nothing is saved: a person looks at it first, and another activates it.
func (p *page) suggest(f *connectionForm, c connection.State) error {
	d, env, err := p.denial(p.query("denial"))
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(p.query("check"))
	if err != nil || n < 0 || n >= len(d.Checks) || d.Connection != c.Name {
		return errNothing
	}
	changed, at := suggested(c.Newest(), d.Checks[n])
	if at < 0 {
		f.Note = "The condition of that denial is not in this version any more, or no value can be taken from it."
		return nil
	}
	f.Rows[at] = rowOf(changed)
	f.Note = whoGetsIn(c.Newest().Conditions[at], changed, d.Checks[n].Actual) + " The denied workload of " + exact(env.Time) +
		" had that. Make sure that this workload is yours: a denial can be a stranger's. Nothing is saved yet."
	return nil
}

// whoGetsIn says what changing a condition for a value that was denied does.
func whoGetsIn(was, changed claim.Condition, actual string) string {
	who := string(changed.Claim) + " is " + actual
	if changed.Operator == claim.OneOf {
		return "Once this is activated, workloads whose " + who + " get in too, where the other conditions hold. Whom this condition lets in already, it still does."
	}
	return "Once this is activated, only workloads whose " + who + " get in, where the other conditions hold. Others whose " +
		string(was.Claim) + " begins with " + was.Value + " do not any more: a beginning and a value do not go together in one condition."
}
