package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/resource"
	"sallyport.dev/projections/control"
)

// simulators may ask who can reach what, as /v1 has it.
var simulators = []domain.Role{domain.SecurityAdmin, domain.Auditor}

const reachPath = "/policies/-/reach"

// reachScreen answers who can reach what. Asking changes nothing; it is a form
// that is sent since claims do not belong into an address.
func reachScreen() screen {
	return screen{path: reachPath, menu: "Who can reach what", icon: "search", group: "Trust", roles: simulators, get: showReach,
		post: map[string]func(*page) error{"ask": askReach}}
}

// showReach is the form; an address that says whom or what it is about is answered.
func showReach(p *page) error {
	v := url.Values{
		"subject.person": {p.query("person")}, "subject.connection": {p.query("connection")}, "subject.identity": {p.query("identity")}, "resource": {p.query("resource")},
	}
	if p.query("person") == "" && p.query("identity") == "" && p.query("resource") == "" {
		return p.render("sheet", reachSheet(p, v)) // of a connection alone: which of its workloads is still to be said
	}
	return answerReach(p, v)
}

func reachSheet(p *page, v url.Values) sheet {
	who := sheetField{Pointer: "/subject/person", Label: "Person", Value: v.Get("subject.person"), Hint: "Without a resource: everything that they can reach."}
	if who.Options = p.peopleOptions(who.Value); who.Options == nil {
		who.Hint += " " + byName
	}
	what := sheetField{Pointer: "/resource", Label: "Resource", Value: v.Get("resource"), Mono: true, Hint: "server/ and a name, or secret/ and a path, such as server/web-1. With nobody below: who can reach it."}
	from := sheetField{Pointer: "/subject/connection", Label: "Or a workload of the connection", Value: v.Get("subject.connection")}
	from.Options = p.connectionOptions(from.Value)
	return sheet{
		Title: "Who can reach what", Lead: "Pick a person, a workload, a resource, or one of each: who can do what with it now, by which rules, and what is still missing. Asking opens nothing.",
		Form: &sheetForm{Path: p.url(reachPath + "/ask"), Do: "Ask", Fields: []sheetField{
			what, who, from,
			{Pointer: "/subject/identity", Label: "Its identity", Value: v.Get("subject.identity"), Mono: true, Hint: "With a connection: of which workload, as the audit trail names it."},
			{Pointer: "/subject/claims", Label: "Its claims", Value: v.Get("subject.claims"), Rows: 6, Mono: true, Hint: `A JSON object, such as {"ref": "main"}: those that its token of ours carries.`},
		}},
	}
}

// connectionOptions are all connections, with none first; nil where there are too
// many to choose from.
func (p *page) connectionOptions(chosen string) []option {
	options := []option{{"", "none"}}
	known := chosen == ""
	p.Org.Read(func(s *control.State, _ domain.Head) {
		for c := range s.EachConnection() {
			if len(options) > maxOptions {
				options = nil
				return
			}
			options = append(options, option{c.Name.String(), c.Name.String()})
			known = known || c.Name.String() == chosen
		}
	})
	if options != nil && !known {
		options = append(options, option{chosen, chosen})
	}
	return options
}

// claimsIn are claims that somebody typed; none is none.
func claimsIn(p *page, pointer, text string) (json.RawMessage, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if !json.Valid([]byte(text)) {
		return nil, p.invalid(pointer, `this is no JSON: write an object, such as {"ref": "main"}`)
	}
	return json.RawMessage(text), nil
}

// reachAnswer is what /v1 answers.
type reachAnswer struct {
	Subject string         `json:"subject"`
	Groups  []domain.Name  `json:"groups"`
	Roles   []domain.Name  `json:"roles"`
	Outcome access.Outcome `json:"outcome"`
	Methods []reachMethod  `json:"methods"`
	LeftOut []reachMethod  `json:"left_out"`
}

type reachMethod struct {
	Kind       access.Kind      `json:"kind"`
	Account    string           `json:"account"`
	Username   string           `json:"username"`
	Policy     string           `json:"policy"`
	Rule       string           `json:"rule"`
	Through    string           `json:"through"`
	Open       bool             `json:"open"`
	Conditions []reachCondition `json:"conditions"`
	CheckedOut *reachHolder     `json:"checked_out"`
}

type reachCondition struct {
	Met         bool   `json:"met"`
	Description string `json:"description"`
}

type reachHolder struct {
	By string `json:"by"`
}

func askReach(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	return answerReach(p, form)
}

// answerReach is the form with its answer: about one and one resource, about
// everything that one can reach, or about everybody who can reach one.
func answerReach(p *page, form url.Values) error {
	v := reachSheet(p, form)
	what := form.Get("resource") != ""
	who := form.Get("subject.person") != "" || form.Get("subject.connection") != ""
	answer := everythingOf
	switch {
	case who && what:
		answer = oneAtOne
	case what:
		answer = everybodyAt
	case !who:
		return p.refused("sheet", v, p.invalid("/subject/person", "say whom or what this is about: a person, a workload, or a resource"))
	}
	if err := answer(p, &v, form); err != nil {
		return p.refused("sheet", v, p.orThose(err, "/subject/person", form.Get("subject.person")))
	}
	v.Form.Folded = "Ask something else"
	return p.render("sheet", v)
}

// oneAtOne adds to the page what somebody can do with a resource, as /v1 answers it.
func oneAtOne(p *page, v *sheet, form url.Values) error {
	subject := map[string]any{}
	for _, name := range []string{"person", "connection", "identity"} {
		if s := form.Get("subject." + name); s != "" {
			subject[name] = s
		}
	}
	claims, err := claimsIn(p, "/subject/claims", form.Get("subject.claims"))
	if err != nil {
		return err
	}
	if claims != nil {
		subject["claims"] = claims
	}
	var a reachAnswer
	if err := p.API(http.MethodPost, "/policies/simulate", nil, map[string]any{"subject": subject, "resource": form.Get("resource")}, &a); err != nil {
		return err
	}
	v.Notes, v.Facts = []sheetNote{outcomeNote(a)}, reachFacts(a)
	ref := resource.Ref(form.Get("resource"))
	v.Tables = append(v.Tables, reachTable(p, "Ways in", ref, a.Methods, "No rule lets them in", "No published policy that is for them selects this resource, or an expression is not true now."))
	if len(a.LeftOut) > 0 {
		v.Tables = append(v.Tables, reachTable(p, "Left out, since a workload cannot meet them", ref, a.LeftOut, "", ""))
	}
	return nil
}

func outcomeNote(a reachAnswer) sheetNote {
	open := slices.ContainsFunc(a.Methods, func(m reachMethod) bool { return m.Open })
	switch {
	case open:
		return sheetNote{"good", "They are let in: something below stands open now."}
	case len(a.Methods) > 0:
		return sheetNote{"warn", "There are rules for them, and of each something is still missing."}
	case a.Outcome == access.Cancelled:
		return sheetNote{"warn", "Every rule that would let them in needs a human, and this is a workload."}
	}
	return sheetNote{"bad", "No rule lets them in."}
}

func reachFacts(a reachAnswer) []sheetFact {
	facts := []sheetFact{factOf("Who", codeCell(a.Subject))}
	if len(a.Groups) > 0 {
		facts = append(facts, factOf("Groups", textCell(join(a.Groups))))
	}
	if len(a.Roles) > 0 {
		facts = append(facts, factOf("Workload roles", textCell(join(a.Roles))))
	}
	return facts
}

func reachTable(p *page, heading string, ref resource.Ref, methods []reachMethod, empty, text string) sheetTable {
	t := sheetTable{Heading: heading, Caption: heading, Columns: wayColumns, EmptyTitle: empty, EmptyText: text}
	for _, m := range methods {
		now := toneCell("warn", "something is missing")
		if m.Open {
			now = badgeCell("open")
		}
		t.Rows = append(t.Rows, []cell{
			textCell(does(ref, m.Kind, m.Account, m.Username)), now, linkCell(m.Policy, p.url("/policies/"+m.Policy)), textCell(m.Rule),
			textCell(m.Through), textCell(m.says()),
		})
	}
	return t
}

// says is what of its conditions is met.
func (m reachMethod) says() string {
	var parts []string
	for _, c := range m.Conditions {
		state := "Missing: "
		if c.Met {
			state = "Met: "
		}
		parts = append(parts, state+strings.TrimSuffix(readableTimes(c.Description), ".")+".")
	}
	if m.CheckedOut != nil {
		parts = append(parts, "Checked out by "+m.CheckedOut.By+".")
	}
	if len(parts) == 0 {
		return "nothing besides"
	}
	return strings.Join(parts, " ")
}

// Times and lengths of time, as sentences of /v1 have them.
var (
	timeInText = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	spanInText = regexp.MustCompile(`\b(for|issued|expires|expired|be|than|from|is|was) (\d+(?:h(?:\d+m)?(?:\d+s)?|m(?:\d+s)?|s))([ .,;)]|$)`)
)

// readableTimes is a sentence whose times are written as the console writes them.
func readableTimes(text string) string {
	text = spanInText.ReplaceAllStringFunc(text, func(s string) string {
		part := spanInText.FindStringSubmatch(s)
		d, err := time.ParseDuration(part[2])
		if err != nil || d < time.Second {
			return s
		}
		return part[1] + " " + domain.Lasting(d) + part[3]
	})
	return timeInText.ReplaceAllStringFunc(text, func(s string) string {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return s
		}
		return exact(t)
	})
}
