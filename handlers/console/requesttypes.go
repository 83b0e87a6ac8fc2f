package console

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/projections/control"
)

// publishers publish request types: which of the two, what the type lists decides.
var publishers = []domain.Role{domain.Owner, domain.SecurityAdmin}

func typeNoun() noun {
	n := noun{
		path: "/request-types", one: "request type", many: "request types", menu: "Request types", icon: "form", group: "Trust",
		first:   "Write one where a rule of a policy should want somebody's yes, and name it there.",
		lead:    "A request type says who has to agree, step by step, before access opens or a membership begins.",
		writers: reviewers, columns: []string{"Request type", "State", "For", "#Steps", "Changed", "Description"},
		entries: listTypes, open: openType, outline: outlineType, examples: typeExamples,
		keep:     []string{"name", "description", "kind", "groups", "max_seconds", "steps", "fields", "justification"},
		deleting: []string{"Nothing new can be asked for by it.", "Requests keep what they were raised under: what is pending can still be decided, and what was approved holds until its time."},
	}
	n.actions = map[string]func(*page) error{
		"publish": n.act("publish", "Requests are raised under it from now on.", true),
		"disable": n.act("disable", "Nothing new can be asked for by it.", true),
	}
	return n
}

func (c *Console) requestTypes() []screen { return typeNoun().screens() }

func listTypes(p *page, s *control.State) iter.Seq[entry] {
	return entriesOf(slices.Values(s.Requests().Types()), func(to *sought, t request.Type) { to.add(t.Name.String(), t.Newest.Description) }, func(t request.Type) []cell {
		state := badgeCell(string(t.Status))
		if t.Published != nil && t.PublishedVersion != t.Version {
			state = toneCell("info", string(t.Status)+", with an edit that waits")
		}
		return []cell{
			linkCell(t.Name.String(), p.url("/request-types/"+t.Name.String())), state, textCell(kindSays(*t.Newest)),
			numberCell(len(t.Newest.Steps)), timeCell(t.UpdatedAt), quietCell(t.Newest.Description),
		}
	})
}

func kindSays(spec request.Spec) string {
	if spec.Kind == request.ForGroup {
		return "membership of " + join(spec.Groups)
	}
	return "access by a policy"
}

// typeDocument is a request type as /v1 answers it.
type typeDocument struct {
	request.Spec
	Status           request.TypeStatus `json:"status"`
	Version          uint64             `json:"version"`
	PublishedVersion uint64             `json:"published_version"`
	PublishedAt      time.Time          `json:"published_at"`
	PublishedBy      string             `json:"published_by"`
	Missing          []string           `json:"missing"`
}

func openType(p *page, raw json.RawMessage, v *sheet) error {
	var d typeDocument
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("reading a request type: %w", err)
	}
	n := typeNoun()
	v.Lead, v.States = d.Description, []string{string(d.Status)}
	waits := d.PublishedVersion != 0 && d.PublishedVersion != d.Version
	if slices.ContainsFunc(publishers, p.Person.Has) && d.Version != d.PublishedVersion || n.writes(p) && d.Status == request.Disabled {
		publish := n.button(p, "Publish", "publish")
		publish.Primary = true
		v.Actions = append(v.Actions, publish)
	}
	if n.writes(p) && d.Status == request.Published {
		v.Actions = append(v.Actions, n.button(p, "Disable", "disable").sure("Disable now"))
	}
	switch {
	case waits:
		v.Notes = append(v.Notes, sheetNote{"warn", "An edit waits to be published. Requests are raised under what was published before."})
		section, err := typePending(p, raw, n.keep)
		if err != nil {
			return err
		}
		v.Sections = append(v.Sections, section)
	case d.Status == request.Draft:
		v.Notes = append(v.Notes, sheetNote{"", "It is a draft: nothing can be asked for by it until it is published."})
	}
	if len(d.Missing) > 0 {
		v.Notes = append(v.Notes, sheetNote{"bad", "It names somebody who is not there. They are marked, and let nobody in."})
	}
	if d.PublishedBy != "" {
		v.Facts = append(v.Facts, factOf("Published", timeCell(d.PublishedAt), quietCell("by "+d.PublishedBy)))
	}
	v.Sections = append(v.Sections, typeSections(d.Spec, d.Missing)...)
	return nil
}

// typePending is what publishing would change.
func typePending(p *page, raw json.RawMessage, keep []string) (sheetSection, error) {
	var published request.Spec
	p.Org.Read(func(s *control.State, _ domain.Head) {
		if t, there := s.Requests().Type(domain.Name(p.param("name"))); there && t.Published != nil {
			published = *t.Published
		}
	})
	was, err := json.Marshal(published)
	if err != nil {
		return sheetSection{}, fmt.Errorf("encoding a request type: %w", err)
	}
	before, err := writeDocument(was, keep[1:])
	if err != nil {
		return sheetSection{}, err
	}
	after, err := writeDocument(raw, keep[1:])
	return sheetSection{ID: "pending", Heading: "What publishing changes", Diff: diffText(before, after)}, err
}

func outlineType(p *page, raw json.RawMessage) ([]sheetSection, error) {
	var written request.Spec
	if err := json.Unmarshal(raw, &written); err != nil {
		return nil, err
	}
	spec, err := request.Complete(written)
	if err != nil {
		spec = written
	}
	return typeSections(spec, nil), nil
}

// typeSections is a request type in words: what it is for, and its steps in their order.
func typeSections(spec request.Spec, missing []string) []sheetSection {
	at := func(prefix string) bool {
		return slices.ContainsFunc(missing, func(m string) bool { return strings.HasPrefix(m, prefix) })
	}
	what := sheetSection{Heading: "What is asked for", Lines: []sheetLine{lineOf("For", kindSays(spec), at("/groups/"))}}
	if spec.MaxSeconds > 0 {
		what.Lines = append(what.Lines, lineOf("At most", seconds(spec.MaxSeconds), false))
	}
	why := "has to say why"
	if spec.Justification == request.Optional {
		why = "may say why"
	}
	what.Lines = append(what.Lines, lineOf("Whoever asks", why, false))
	for _, f := range spec.Fields {
		what.Lines = append(what.Lines, lineOf("Field "+f.Name.String(), fieldSays(f), false))
	}
	steps := sheetSection{Heading: "Steps, one after the other", Steps: true}
	for i, st := range spec.Steps {
		l := sheetLine{Label: strconv.Itoa(i+1) + ". " + st.Name.String(), Text: stepInWords(st)}
		if at("/steps/" + strconv.Itoa(i) + "/") {
			l.Mark = "missing"
		}
		steps.Lines = append(steps.Lines, l)
	}
	return []sheetSection{what, steps}
}

func fieldSays(f request.Field) string {
	says := string(f.Type)
	if len(f.Choices) > 0 {
		says += " of " + join(f.Choices)
	}
	if says += ", filled in by the " + string(f.Of); f.Required {
		says += ", required"
	}
	return says
}

func stepInWords(st request.Step) string {
	says := "Decided by " + approversSay(st.Approvers)
	if st.Needed > 1 {
		says += ", of whom " + strconv.Itoa(st.Needed) + " have to say yes"
	}
	says += "; over after " + seconds(st.ExpiresAfterSeconds)
	if e := st.Escalate; e != nil {
		says += "; after " + seconds(e.AfterSeconds) + " also by " + approversSay(e.To)
	}
	return says + "."
}

var typeExamples = []example{
	{"access", "one approval", `name: server-access
kind: access
description: Privileged users on servers
steps:
  - name: server-manager
    approvers: { group: server-managers }
    expires_after_seconds: 86400
`},
	{"group", "a group until a date", `name: time-in-production
kind: group
description: Help in production
groups: [pam-linux]
max_seconds: 604800
steps:
  - name: lead
    approvers: { manager: true }
`},
	{"steps", "two steps", `name: root-on-production
kind: access
steps:
  - name: first
    approvers: { group: server-managers }
    expires_after_seconds: 3600
    escalate: { after_seconds: 900, to: { group: on-call } }
  - name: second
    approvers: { resource_owner: true }
fields:
  - { name: ticket, label: "Which ticket?", type: text, of: requester, required: true }
  - { name: risk, label: "How risky is it?", type: choice, choices: [low, high], of: approver, required: true }
`},
}
