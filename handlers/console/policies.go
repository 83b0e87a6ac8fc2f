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
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/projections/control"
)

func policyNoun() noun {
	n := noun{
		path: "/policies", one: "policy", many: "policies", menu: "Policies", icon: "shield", group: "Trust",
		first:   "Nothing is open before the first is published: write one that lets a group log in to a server.",
		lead:    "A policy says who may do what with which resource, and what has to be met besides. What no published policy allows is not allowed.",
		writers: reviewers, columns: []string{"Policy", "State", "For", "#Rules", "Changed", "Description"},
		entries: listPolicies, open: openPolicy, outline: outlinePolicy, examples: policyExamples, warns: warnOfPolicy,
		keep:     []string{"name", "description", "principals", "rules"},
		deleting: []string{"What it opens is closed at once, unless another policy opens it too."},
	}
	n.actions = map[string]func(*page) error{
		"publish":   n.act("publish", "It decides from now on.", true),
		"unpublish": n.act("unpublish", "It opens nothing any more.", true),
	}
	return n
}

func (c *Console) policies() []screen {
	return append(policyNoun().screens(), reachScreen())
}

func listPolicies(p *page, s *control.State) iter.Seq[entry] {
	return entriesOf(s.Policies().Each(), func(to *sought, d *policy.Policy) { to.add(d.Name.String(), d.Newest.Description) }, func(d *policy.Policy) []cell {
		state := badgeCell("draft")
		switch {
		case d.Published != nil && d.PublishedVersion != d.Version:
			state = toneCell("info", "published, with an edit that waits")
		case d.Published != nil:
			state = badgeCell("published")
		}
		return []cell{
			linkCell(d.Name.String(), p.url("/policies/"+d.Name.String())), state, textCell(principalsSay(d.Newest.Principals)),
			numberCell(len(d.Newest.Rules)), timeCell(d.UpdatedAt), quietCell(d.Newest.Description),
		}
	})
}

// principalsSay is whom a policy is for, in a few words.
func principalsSay(who policy.Principals) string {
	var parts []string
	if len(who.Groups) > 0 {
		parts = append(parts, "group "+join(who.Groups))
	}
	if len(who.Roles) > 0 {
		parts = append(parts, "workload role "+join(who.Roles))
	}
	return strings.Join(parts, "; ")
}

// policyDocument is a policy as /v1 answers it.
type policyDocument struct {
	Name string `json:"name"`
	policy.Spec
	Status      string       `json:"status"`
	Pending     bool         `json:"pending"`
	Published   *policy.Spec `json:"published"`
	PublishedAt time.Time    `json:"published_at"`
	PublishedBy string       `json:"published_by"`
}

func openPolicy(p *page, raw json.RawMessage, v *sheet) error {
	var d policyDocument
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("reading a policy: %w", err)
	}
	n := policyNoun()
	v.Lead, v.States = d.Description, []string{d.Status}
	if n.writes(p) {
		if d.Status == "draft" || d.Pending {
			publish := n.button(p, "Publish", "publish")
			publish.Primary = true
			v.Actions = append(v.Actions, publish)
		}
		if d.Status != "draft" {
			v.Actions = append(v.Actions, n.button(p, "Unpublish", "unpublish").sure("Unpublish now"))
		}
	}
	if slices.ContainsFunc(simulators, p.Person.Has) {
		v.Actions = append(v.Actions, sheetAction{Do: "Who can reach what", Path: p.url(reachPath)})
	}
	if d.PublishedBy != "" {
		v.Facts = append(v.Facts, factOf("Published", timeCell(d.PublishedAt), quietCell("by "+d.PublishedBy)))
	}
	missing := missingIn(p, d.Spec)
	if len(missing) > 0 {
		v.Notes = append(v.Notes, sheetNote{"bad", "It names something that is not there. That lets nobody in; it is marked below."})
	}
	v.Notes = append(v.Notes, noSuchAccounts(p, d.Spec)...)
	v.Notes = append(v.Notes, draftTypes(p, d.Spec)...)
	switch {
	case d.Status == "draft":
		v.Notes = append(v.Notes, sheetNote{"", "It is a draft, and decides nothing until it is published."})
	case d.Pending:
		section, err := pendingSection(raw, d, n.keep)
		if err != nil {
			return err
		}
		v.Notes = append(v.Notes, sheetNote{"warn", "An edit waits to be published. What decides is what was published before."})
		v.Sections = append(v.Sections, section)
	}
	v.Sections = append(v.Sections, policySections(d.Spec, missing)...)
	return nil
}

// pendingSection is what publishing would change.
func pendingSection(raw json.RawMessage, d policyDocument, keep []string) (sheetSection, error) {
	was, err := json.Marshal(d.Published)
	if err != nil {
		return sheetSection{}, fmt.Errorf("encoding a policy: %w", err)
	}
	before, err := writeDocument(was, keep[1:]) // the name is the same
	if err != nil {
		return sheetSection{}, err
	}
	after, err := writeDocument(raw, keep[1:])
	return sheetSection{ID: "pending", Heading: "What publishing changes", Diff: diffText(before, after)}, err
}

// missingIn is what the policy names that is not there, by pointer.
func missingIn(p *page, spec policy.Spec) map[string]bool {
	missing := map[string]bool{}
	p.Org.Read(func(s *control.State, _ domain.Head) {
		known := policy.References{
			Group:       func(n domain.Name) bool { _, ok := s.Groups().Find(n); return ok },
			Role:        func(n domain.Name) bool { _, ok := s.WorkloadRoles().Role(n); return ok },
			RequestType: func(n domain.Name) bool { _, ok := s.Requests().Type(n); return ok },
			Server:      func(n domain.Name) bool { _, ok := s.Resources().Resource(resource.ServerRef(n)); return ok },
		}
		for _, f := range spec.Missing(known) {
			missing[f.Pointer] = true
		}
	})
	return missing
}

// maxAccountNotes is how many accounts that are not there are told of.
const maxAccountNotes = 5

func warnOfPolicy(p *page, raw json.RawMessage) []sheetNote {
	var spec policy.Spec
	if json.Unmarshal(raw, &spec) != nil {
		return nil // /v1 says why
	}
	return append(noSuchAccounts(p, spec), draftTypes(p, spec)...)
}

// draftTypes tells of request types that a rule asks for and nobody can ask by yet,
// since they are drafts or disabled. A policy may be published before them.
func draftTypes(p *page, spec policy.Spec) (notes []sheetNote) {
	told := map[domain.Name]bool{}
	p.Org.Read(func(s *control.State, _ domain.Head) {
		for _, r := range spec.Rules {
			for _, c := range r.Conditions {
				t, there := s.Requests().Type(c.RequestType)
				if c.RequestType == "" || !there || t.Status == request.Published || told[t.Name] {
					continue
				}
				told[t.Name] = true
				notes = append(notes, sheetNote{"warn", "The request type " + t.Name.String() + " is not published, so nobody can ask for what the rule " + r.Name.String() + " opens. Publish it, too."})
			}
		}
	})
	return notes
}

// noSuchAccounts tells of accounts that a rule opens on a server it names, and
// which that server does not have. It may get them later, so nothing is refused.
func noSuchAccounts(p *page, spec policy.Spec) (notes []sheetNote) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		for _, r := range spec.Rules {
			server, there := s.Resources().Resource(resource.ServerRef(r.Resource.Server))
			if !there || server.ServerSpec == nil {
				continue
			}
			for _, does := range r.Privileges {
				for _, account := range does.Accounts {
					if len(notes) < maxAccountNotes && !slices.ContainsFunc(server.ServerSpec.Accounts, func(a resource.Account) bool { return a.Name == account }) {
						notes = append(notes, sheetNote{"warn", "The server " + r.Resource.Server.String() + " has no account " + account.String() + ", which the rule " + r.Name.String() + " opens. That lets nobody in."})
					}
				}
			}
		}
	})
	return notes
}

func outlinePolicy(p *page, raw json.RawMessage) ([]sheetSection, error) {
	var spec policy.Spec
	if err := json.Unmarshal(raw, &spec); err != nil {
		return nil, err
	}
	return policySections(spec, missingIn(p, spec)), nil
}

// policySections is a policy in words: whom it is for, and each rule.
func policySections(spec policy.Spec, missing map[string]bool) []sheetSection {
	who := sheetSection{Heading: "Who"}
	for i, g := range spec.Principals.Groups {
		who.Lines = append(who.Lines, lineOf("Group", "whoever is in "+g.String(), missing["/principals/groups/"+strconv.Itoa(i)]))
	}
	for i, r := range spec.Principals.Roles {
		who.Lines = append(who.Lines, lineOf("Workload role", "workloads that bear "+r.String(), missing["/principals/roles/"+strconv.Itoa(i)]))
	}
	sections := []sheetSection{who}
	for i, r := range spec.Rules {
		sections = append(sections, ruleSection(r, "/rules/"+strconv.Itoa(i), missing))
	}
	return sections
}

// lineOf is a line, marked where what it names is missing.
func lineOf(label, text string, missing bool) sheetLine {
	l := sheetLine{Label: label, Text: text}
	if missing {
		l.Tone, l.Mark = "bad", "missing"
	}
	return l
}

func ruleSection(r policy.Rule, at string, missing map[string]bool) sheetSection {
	v := sheetSection{Heading: "Rule " + r.Name.String()}
	for _, does := range r.Privileges {
		v.Lines = append(v.Lines, lineOf("May", privilegeSays(does), false))
	}
	v.Lines = append(v.Lines, lineOf("Where", selectorSays(r.Resource), missing[at+"/resource/server"]))
	for i, c := range r.Conditions {
		v.Lines = append(v.Lines, lineOf("Only if", conditionSays(c), missing[at+"/conditions/"+strconv.Itoa(i)+"/request_type"]))
	}
	if r.Expression != "" {
		v.Lines = append(v.Lines, lineOf("Only while", r.Expression, false))
	}
	if len(r.Conditions) == 0 && r.Expression == "" {
		v.Lines = append(v.Lines, lineOf("Only if", "nothing else: it stands open", false))
	}
	if r.WorkloadsMayWait {
		v.Lines = append(v.Lines, lineOf("Workloads", "may ask, and wait until people approve", false))
	}
	if b := r.BreakGlass; b != nil {
		v.Lines = append(v.Lines, lineOf("Emergency", "one may break the glass with a reason, for "+seconds(b.AccessSeconds)+", in place of the approval; it is reviewed afterwards", false))
	}
	return v
}

// seconds is a number of seconds in words.
func seconds(n int) string { return duration(time.Duration(n) * time.Second) }

func privilegeSays(v policy.Privilege) string {
	switch v.Type {
	case policy.SSH:
		return "log in with SSH, with the account " + join(v.Accounts)
	case policy.SSHWorkload:
		return "log in with SSH as the workload's own user, wl_ and its role"
	case policy.RevealPassword:
		return "read the password of the account " + join(v.Accounts)
	case policy.Secret:
		return join(v.Actions) + " secrets"
	}
	return string(v.Type)
}

func selectorSays(s policy.Selector) string {
	switch {
	case s.Server != "":
		return "on the server " + s.Server.String()
	case len(s.Labels) > 0:
		return "on every server labelled " + labelsSay(s.Labels)
	case s.Secret != "":
		return "the secret " + s.Secret
	case s.Folder != "":
		return "every secret below " + s.Folder + "/"
	}
	return "nowhere"
}

// labelsSay are labels in order.
func labelsSay(labels map[string]string) string { return string(appendLabels(nil, labels)) }

func appendLabels(to []byte, labels map[string]string) []byte {
	var room [8]string // mostly they are few, and a filter asks for those of everything
	keys := room[:0]
	for k := range labels {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		if i > 0 {
			to = append(to, ", "...)
		}
		to = append(append(append(to, k...), '='), labels[k]...)
	}
	return to
}

func conditionSays(c policy.Condition) string {
	switch c.Type {
	case policy.AccessRequest:
		return "a request of the type " + c.RequestType.String() + " was approved, which opens it for " + seconds(c.ApprovalSeconds)
	case policy.MFA:
		if c.FreshSeconds == nil {
			return "a passkey was proved within 30 minutes"
		}
		if *c.FreshSeconds == 0 {
			return "a passkey is proved for each use"
		}
		return "a passkey was proved within " + seconds(*c.FreshSeconds)
	case policy.Checkout:
		if c.MaxSeconds == 0 {
			return "one has it checked out, for as long as its project says"
		}
		return "one has it checked out, for up to " + seconds(c.MaxSeconds)
	}
	return string(c.Type)
}

// policyExamples are those of docs/policies.md, from little risk to much, for
// the accounts of serverExamples.
var policyExamples = []example{
	{"standing", "a standing group", `name: web-standing
description: Operators log in to web servers as themselves
principals:
  groups: [web-operators] # one of your groups
rules:
  - name: web-servers
    resource:
      labels: { tier: web }
    privileges:
      - { type: ssh, accounts: [me] }
`},
	{"on-call", "a group, and hours", `name: on-call
description: Who is on call reads passwords of the shop in the evening
principals:
  groups: [shop-on-call] # one of your groups
rules:
  - name: passwords
    resource: { folder: shop/db }
    privileges:
      - { type: secret, actions: [list, reveal] }
    expression: time.getHours("Europe/Berlin") >= 18
`},
	{"approval", "an approval", `name: database-admins
description: The shared user of the database, one at a time, when somebody agrees
principals:
  groups: [shop-dba] # one of your groups
rules:
  - name: databases
    resource:
      labels: { tier: db, env: prod }
    privileges:
      - { type: ssh, accounts: [dba] }
    conditions:
      - { type: access_request, request_type: shop-approval, approval_seconds: 3600 }
      - { type: checkout, max_seconds: 3600 }
    break_glass: { access_seconds: 900 }
`},
}
