package console

import (
	"cmp"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/projections/control"
)

// requestView is a request as its page shows it to one person.
type requestView struct {
	request.Request
	What      string // what is asked for, in words
	Holds     time.Duration
	Filled    []filled // by the requester
	Timeline  []moment // or a part of it
	Parts     pagerView
	Step      int // the one that is open, counted from 1
	Of        int // how many steps there are
	Deciders  string
	Asked     []fieldAsked // of the approver
	MayDecide bool
	MayCancel bool
	Told      string // why the person has nothing to decide, "" where that needs no words
	Comment   string
	Meanwhile meanwhileView
	same      bool // as the page shows it that asks
}

// filled is a field as somebody filled it in.
type filled struct{ Label, Value string }

// fieldAsked is a field to fill in.
type fieldAsked struct {
	request.Field
	Value string
}

// inputView is a field of a request type as part of a form.
type inputView struct {
	Field   fieldView
	Type    request.FieldType
	Options []option // of a choice; the first is none
}

// askedView makes a form's field of one that a request type asks for; in a
// template: template "asked" (asked $ .).
func askedView(f frame, a fieldAsked) inputView {
	hint := ""
	if a.Type == request.Date {
		hint = "A day, in UTC."
	}
	v := inputView{Field: newField(f, "/fields/"+a.Name.String(), labelOf(a.Field), a.Value, hint), Type: a.Type, Options: []option{{"", "Choose"}}}
	v.Field.Required, v.Field.Optional = a.Required, !a.Required
	for _, c := range a.Choices {
		v.Options = append(v.Options, option{c, visible(c)})
	}
	return v
}

func labelOf(f request.Field) string {
	if f.Label != "" {
		return visible(f.Label)
	}
	return f.Name.String()
}

// moment is one line of a request's timeline.
type moment struct {
	At      time.Time // zero: it has not come yet
	Who     string    // "" for what nobody did
	Says    string
	State   string // as in badge; "" has none
	Comment string
	Filled  []filled
	Until   time.Time // when a step that is open is over
}

// seenRequest is the request of that id as it is now, for who may see it.
func seenRequest(p *page, s *control.State, id string) (r request.Request, now time.Time, err error) {
	now = s.Later(p.now())
	r, ok := s.Requests().Request(id)
	if !ok || !s.Requests().Sees(r, p.Person, now, s.RequestWorld(now)) {
		return r, now, request.ErrNotFound
	}
	return r.At(now), now, nil
}

// requestPage is what the page shows; what was typed before it was refused is kept.
func requestPage(p *page, typed url.Values) (v requestView, err error) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		var r request.Request
		var now time.Time
		if r, now, err = seenRequest(p, s, p.param("id")); err != nil {
			return
		}
		v = viewRequest(r, typed)
		v.part(p)
		deciders := s.Approvers(r.ID, now)
		v.MayDecide = slices.Contains(deciders, domain.Name(p.Person.ID))
		v.MayCancel = r.Status == request.Pending && r.Requester == p.Person.ID && !begun(r)
		v.Deciders = someNames(deciders)
		v.Told = v.notYours(p.Person.ID)
		if v.Open() || p.asksByItself() {
			v.Meanwhile, v.same = p.stillSo("/requests/"+v.ID, v.shown(), v.meanwhileSays)
		}
	})
	return v, err
}

// viewRequest is the request alone, whoever looks at it.
func viewRequest(r request.Request, typed url.Values) requestView {
	v := requestView{
		Request: r, What: whatIsAsked(r), Holds: time.Duration(r.ApprovalSeconds) * time.Second,
		Filled: fillIn(r.Spec.Fields, r.Fields), Timeline: timeline(r), Step: len(r.Steps), Of: len(r.Spec.Steps),
	}
	v.Justification = visible(r.Justification)
	v.Asked = fieldsToAsk(r.Spec.Fields, request.OfApprover, typed)
	v.Comment = typed.Get("comment")
	return v
}

// maxTold is how much of what people said a page tells, in bytes as HTML has it.
const maxTold = 32 << 10

// part leaves of a long timeline the part that the page asks for; the last, where
// it asks for none.
func (v *requestView) part(p *page) {
	parts := [][]moment{nil}
	told := 0
	for _, m := range v.Timeline {
		last := len(parts) - 1
		if told += m.size(); told > maxTold && len(parts[last]) > 0 {
			parts, last, told = append(parts, nil), last+1, m.size()
		}
		parts[last] = append(parts[last], m)
	}
	n, err := strconv.Atoi(p.query("part"))
	if err != nil || n < 1 || n > len(parts) {
		n = len(parts)
	}
	at := func(n int) string {
		if n < 1 || n > len(parts) {
			return ""
		}
		return p.url("/requests/"+v.ID) + "?part=" + strconv.Itoa(n)
	}
	v.Timeline = parts[n-1]
	if len(parts) > 1 {
		v.Parts = newPager(at(n-1), at(n+1), fmt.Sprintf("Part %d of %d", n, len(parts)))
	}
}

// size is how much of a page a moment takes, about.
func (m moment) size() int {
	n := 400 + len(html.EscapeString(m.Comment))
	for _, f := range m.Filled {
		n += 60 + len(html.EscapeString(f.Label)) + len(html.EscapeString(f.Value))
	}
	return n
}

// Open tells whether the request still waits for somebody.
func (v requestView) Open() bool { return v.Status == request.Pending }

// notYours is why somebody has nothing to decide here.
func (v requestView) notYours(who string) string {
	switch {
	case v.MayDecide || v.Status != request.Pending:
		return ""
	case v.Requester == who:
		return "This is your own request: somebody else decides it."
	case spoke(v.Request, who):
		return "Your word on this request is spoken. Nobody decides twice in one request."
	}
	return "You are not among those who decide the step that is open now."
}

// spoke tells whether somebody's word on a request is spoken, by them or for them.
func spoke(r request.Request, who string) bool {
	for _, st := range r.Steps {
		for _, d := range st.Decisions {
			if d.By.String() == who || d.For.String() == who {
				return true
			}
		}
	}
	return false
}

func begun(r request.Request) bool {
	return slices.ContainsFunc(r.Steps, func(st request.Opened) bool { return len(st.Decisions) > 0 })
}

func showRequest(p *page) error {
	v, err := requestPage(p, nil)
	switch {
	case err != nil:
		return err
	case v.same:
		return p.nothingNew()
	}
	return p.render("request", v)
}

func approveRequest(p *page) error { return decideRequest(p, "approve", "Approved.") }

func denyRequest(p *page) error { return decideRequest(p, "deny", "Denied.") }

// decision is what /v1 takes as somebody's word.
type decision struct {
	Step    int               `json:"step"`
	Comment string            `json:"comment,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
}

func decideRequest(p *page, verdict, notice string) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	// The step that the page showed is the one that is meant, and no other.
	in := decision{Comment: form.Get("comment"), Fields: fieldsOf(form)}
	if in.Step, err = strconv.Atoi(form.Get("step")); err != nil || in.Step < 1 {
		return errForm
	}
	err = p.API(http.MethodPost, "/access/requests/"+url.PathEscape(p.param("id"))+"/"+verdict, nil, in, nil)
	if err == nil {
		return p.done("/requests/"+p.param("id"), notice)
	}
	return refuseRequest(p, form, err)
}

func cancelRequest(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	err = p.API(http.MethodPost, "/access/requests/"+url.PathEscape(p.param("id"))+"/cancel", nil, struct{}{}, nil)
	if err == nil {
		return p.done("/requests/"+p.param("id"), "You withdrew the request.")
	}
	return refuseRequest(p, form, err)
}

// refuseRequest shows the request as it is now, and why what was done to it was refused.
func refuseRequest(p *page, form url.Values, err error) error {
	v, gone := requestPage(p, form)
	if gone != nil {
		return gone
	}
	return p.refused("request", v, err)
}

// fieldsOf is what was filled into the fields of a request type.
func fieldsOf(form url.Values) map[string]string {
	fields := map[string]string{}
	for name := range form {
		if field, is := strings.CutPrefix(name, "fields."); is && form.Get(name) != "" {
			fields[field] = form.Get(name)
		}
	}
	return fields
}

// fillIn is what was filled in, in the order of the type's fields.
func fillIn(asked []request.Field, values map[string]string) (out []filled) {
	for _, f := range asked {
		if v := values[f.Name.String()]; v != "" {
			out = append(out, filled{labelOf(f), visible(v)})
		}
	}
	return out
}

// whatIsAsked says in words what a request is for.
func whatIsAsked(r request.Request) string {
	if r.Group != "" {
		return "Be in group " + r.Group.String()
	}
	_, last, _ := cutLast(r.Method, "/")
	kind, account, _ := strings.Cut(last, ":")
	return does(r.Resource, access.Kind(kind), account, r.Username)
}

// does says what one does by an access method.
func does(ref resource.Ref, kind access.Kind, account, username string) string {
	_, name, _ := strings.Cut(string(ref), "/")
	switch kind {
	case access.SSH:
		return "Log in to " + name + " as " + asWhom(account, username)
	case access.RevealPassword:
		return "See the password of " + account + " on " + name
	case access.SecretReveal:
		return "See the value of " + name
	case access.SecretCreate:
		return "Make the secret " + name
	case access.SecretUpdate:
		return "Put a new value of " + name
	case access.SecretDelete:
		return "Destroy values of " + name + ", or delete it"
	case access.SecretList:
		return "See what is known of " + name + ", without its value"
	}
	return string(kind) + " " + name
}

// asWhom names an account and the user that it is on the server, where they differ.
func asWhom(account, username string) string {
	if account == "" || username == "" || account == username {
		return cmp.Or(account, username)
	}
	return account + " (user " + username + ")"
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// timeline is what happened to a request, and what is still to come.
func timeline(r request.Request) []moment {
	out := []moment{{At: r.RaisedAt, Who: visible(r.Requester), Says: "asked"}}
	for i, st := range r.Spec.Steps {
		if i >= len(r.Steps) {
			if r.Status == request.Pending {
				out = append(out, moment{Says: stepSays(i, len(r.Spec.Steps), st) + ", after that"})
			}
			continue
		}
		o := r.Steps[i]
		m := moment{At: o.OpenedAt, Says: stepSays(i, len(r.Spec.Steps), st)}
		if i == len(r.Steps)-1 && r.Status == request.Pending {
			m.State, m.Until = "waiting", o.ExpiresAt
		}
		out = append(out, m)
		if !o.EscalatedAt.IsZero() && st.Escalate != nil {
			out = append(out, moment{At: o.EscalatedAt, Says: "It had waited for long, so " + approversSay(st.Escalate.To) + " may decide, too"})
		}
		for _, d := range o.Decisions {
			out = append(out, decided(r.Spec.Fields, d))
		}
		if m.State != "" && o.EscalatedAt.IsZero() && st.Escalate != nil {
			out = append(out, moment{At: o.EscalatesAt, Says: "From then on " + approversSay(st.Escalate.To) + " may decide, too"})
		}
	}
	return append(out, ending(r)...)
}

func decided(fields []request.Field, d request.Decision) moment {
	m := moment{At: d.At, Who: d.By.String(), Says: "said yes", State: string(d.Verdict), Comment: visible(d.Comment), Filled: fillIn(fields, d.Fields)}
	if d.Verdict == request.Denied {
		m.Says = "said no"
	}
	if d.For != "" {
		m.Says += " for " + d.For.String()
	}
	return m
}

// ending is how a request ended, where its last decision does not say so already.
func ending(r request.Request) []moment {
	switch r.Status {
	case request.Approved:
		return []moment{{At: r.EndedAt, Says: "Approved", State: "approved", Until: r.ValidUntil}}
	case request.Cancelled:
		return []moment{{At: r.EndedAt, Who: visible(r.EndedBy), Says: "withdrew it", State: "cancelled"}}
	case request.Expired:
		return []moment{{At: r.EndedAt, Says: "Nobody decided in time", State: "expired"}}
	}
	return nil
}

// stepSays names a step and who decides it.
func stepSays(i, of int, st request.Step) string {
	says := "Step " + strconv.Itoa(i+1) + " of " + strconv.Itoa(of) + ", " + st.Name.String() + ": "
	if of == 1 {
		says = "To be approved: "
	}
	if st.Needed > 1 {
		return says + strconv.Itoa(st.Needed) + " yeses of " + approversSay(st.Approvers)
	}
	return says + approversSay(st.Approvers)
}

// approversSay says who may decide.
func approversSay(a request.Approvers) string {
	switch {
	case a.Group != "":
		return "whoever is in group " + a.Group.String()
	case a.Manager:
		return "the requester's manager"
	case a.ResourceOwner:
		return "who answers for it"
	}
	return join(a.People)
}

// someNames lists people, at most ten of them.
func someNames(names []domain.Name) string {
	const most = 10
	if len(names) <= most {
		return join(names)
	}
	return fmt.Sprintf("%s and %d more", join(names[:most]), len(names)-most)
}

// visible is what people wrote, in which nothing hides or turns the text around:
// but for line breaks and tabs, whatever is not printable is written as an escape.
func visible(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+n]
		if r != '\n' && r != '\t' && (r == utf8.RuneError && n == 1 || !strconv.IsPrint(r)) {
			q := strconv.QuoteToASCII(piece)
			piece = q[1 : len(q)-1]
		}
		b.WriteString(piece)
		i += n
	}
	return strings.ReplaceAll(b.String(), `\r`+"\n", "\n")
}
