package request

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"sallyport.dev/domain"
)

// Kind is what requests of a type ask for.
type Kind string

const (
	// ForAccess is a method of reaching a resource: a policy's condition names the type.
	ForAccess Kind = "access"
	// ForGroup is membership of one of the type's groups until a time.
	ForGroup Kind = "group"
)

// Bounds of what people write.
const (
	maxSteps       = 10
	maxPeople      = 20 // named as the approvers of one step
	maxNeeded      = 10
	maxGroups      = 50
	maxFields      = 20
	maxChoices     = 50
	maxText        = 2 << 10  // bytes of a justification, a comment, a field
	maxAllFields   = 4 << 10  // bytes of the fields of one request or decision together
	maxSpec        = 32 << 10 // bytes of a type as JSON: it is one event
	maxDescription = 1000     // characters
	maxLabel       = 200      // characters of a field's label, and of a choice

	minStep       = 60 // seconds that a step waits, or until it escalates
	maxStep       = 30 * 24 * 60 * 60
	defaultStep   = 7 * 24 * 60 * 60
	minMembership = 60
	maxMembership = 365 * 24 * 60 * 60
	minApproval   = 60 // seconds that an approval opens something
	maxApproval   = 365 * 24 * 60 * 60
)

// Approvers says who may decide a step: exactly one of its ways.
type Approvers struct {
	Group         domain.Name   `json:"group,omitempty"`          // who is in it then
	People        []domain.Name `json:"people,omitempty"`         // 1..20 by name
	Manager       bool          `json:"manager,omitempty"`        // of the requester
	ResourceOwner bool          `json:"resource_owner,omitempty"` // the person, or who is in the group, that answers for the resource
}

// Escalation lets more people decide a step that has waited for long.
type Escalation struct {
	AfterSeconds int       `json:"after_seconds"` // since the step was opened, 60.. and less than the step's expires_after_seconds
	To           Approvers `json:"to"`            // a group or people; they decide too, beside the step's own approvers
}

// Step is one approval among those that a request needs, in their order.
type Step struct {
	Name                domain.Name `json:"name"`
	Approvers           Approvers   `json:"approvers"`
	Needed              int         `json:"needed"`                // how many of them, 1..10; 0 written is 1
	ExpiresAfterSeconds int         `json:"expires_after_seconds"` // 60..2592000; 0 written is 604800, a week
	Escalate            *Escalation `json:"escalate,omitempty"`
}

// FieldType is what one fills into a field.
type FieldType string

const (
	// Text is a text of up to 2 KiB.
	Text FieldType = "text"
	// Choice is one of the field's Choices.
	Choice FieldType = "choice"
	// Date is a day, as in 2026-11-22.
	Date FieldType = "date"
)

// Side is who fills a field in.
type Side string

const (
	// OfRequester is filled in when a request is raised.
	OfRequester Side = "requester"
	// OfApprover is filled in with each approval.
	OfApprover Side = "approver"
)

// Field is something to fill in.
type Field struct {
	Name     domain.Name `json:"name"`
	Label    string      `json:"label,omitempty"`
	Type     FieldType   `json:"type"`
	Of       Side        `json:"of"`
	Required bool        `json:"required,omitempty"`
	Choices  []string    `json:"choices,omitempty"`
}

// Justification tells whether a requester says why.
type Justification string

const (
	// Required has the requester say why.
	Required Justification = "required"
	// Optional lets them say nothing.
	Optional Justification = "optional"
)

// Spec is what people write of a request type.
type Spec struct {
	Description   string        `json:"description,omitempty"` // up to 1000 characters
	Kind          Kind          `json:"kind"`
	Groups        []domain.Name `json:"groups,omitempty"`      // of kind group: 1..50 to choose from
	MaxSeconds    int           `json:"max_seconds,omitempty"` // of kind group: how long a membership may last, 60..31536000
	Steps         []Step        `json:"steps"`                 // 1..10, one after the other
	Fields        []Field       `json:"fields,omitempty"`
	Justification Justification `json:"justification"` // "" written is required
}

// step is the step of that number, counted from 1.
func (s Spec) step(n int) Step { return s.Steps[n-1] }

// Complete is the type as it is kept, every default filled in, or what is wrong
// with each field (a *domain.Error of kind invalid).
func Complete(written Spec) (Spec, error) {
	s := written
	s.Steps = slices.Clone(written.Steps)
	if s.Justification == "" {
		s.Justification = Required
	}
	for i := range s.Steps {
		st := &s.Steps[i]
		if st.Needed == 0 {
			st.Needed = 1
		}
		if st.ExpiresAfterSeconds == 0 {
			st.ExpiresAfterSeconds = defaultStep
		}
	}
	b := &broken{}
	s.check(b)
	if text, err := json.Marshal(s); err == nil && len(text) > maxSpec && len(b.fields) == 0 {
		b.add("", "too_long", "a request type is at most %d bytes of JSON", maxSpec)
	}
	return s, domain.ErrFields(b.fields)
}

// broken collects the fields that break a rule.
type broken struct{ fields []domain.FieldError }

func (b *broken) add(pointer, code, format string, args ...any) {
	b.fields = append(b.fields, domain.FieldError{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// within notes a number outside its range.
func (b *broken) within(pointer string, n, least, most int) {
	if n < least || n > most {
		b.add(pointer, "out_of_range", "this is %d to %d", least, most)
	}
}

// text notes a text that is longer than most characters, or no UTF-8.
func (b *broken) text(pointer, s string, most int) {
	if utf8.RuneCountInString(s) > most || !utf8.ValidString(s) {
		b.add(pointer, "too_long", "this is at most %d characters", most)
	}
}

// names notes what is no name, and a name that comes twice; it tells whether there were at most most.
func (b *broken) names(pointer string, names []domain.Name, most int) bool {
	if len(names) > most {
		b.add(pointer, "too_long", "at most %d are allowed", most)
		return false
	}
	for i, n := range names {
		b.name(at(pointer, i), n)
		if slices.Contains(names[:i], n) {
			b.add(at(pointer, i), "twice", "%s is named twice", n)
		}
	}
	return true
}

func (b *broken) name(pointer string, n domain.Name) {
	if _, err := domain.ParseName(n.String()); err != nil {
		b.add(pointer, "name.invalid", "%s", err.Error())
	}
}

// at is the pointer of an element.
func at(pointer string, i int) string { return pointer + "/" + strconv.Itoa(i) }

func (s Spec) check(b *broken) {
	b.text("/description", s.Description, maxDescription)
	if s.Justification != Required && s.Justification != Optional {
		b.add("/justification", "unknown", "justification is required or optional")
	}
	switch s.Kind {
	case ForAccess:
		if len(s.Groups) > 0 {
			b.add("/groups", "not_of_kind", "a type of kind access has no groups to choose from")
		}
		if s.MaxSeconds != 0 {
			b.add("/max_seconds", "not_of_kind", "the policy's rule says how long an approval holds")
		}
	case ForGroup:
		if len(s.Groups) == 0 {
			b.add("/groups", "field.required", "a type of kind group lists the groups to choose from")
		}
		b.names("/groups", s.Groups, maxGroups)
		b.within("/max_seconds", s.MaxSeconds, minMembership, maxMembership)
	default:
		b.add("/kind", "unknown", "kind is access or group")
	}
	s.checkSteps(b)
	s.checkFields(b)
}

func (s Spec) checkSteps(b *broken) {
	if len(s.Steps) == 0 || len(s.Steps) > maxSteps {
		b.add("/steps", "out_of_range", "a request type has 1 to %d steps", maxSteps)
		return
	}
	for i, st := range s.Steps {
		p := at("/steps", i)
		b.name(p+"/name", st.Name)
		if slices.ContainsFunc(s.Steps[:i], func(o Step) bool { return o.Name == st.Name }) {
			b.add(p+"/name", "twice", "another step is called %s", st.Name)
		}
		b.within(p+"/needed", st.Needed, 1, maxNeeded)
		b.within(p+"/expires_after_seconds", st.ExpiresAfterSeconds, minStep, maxStep)
		st.Approvers.check(b, p+"/approvers")
		switch most := st.Approvers.most(st.Escalate); {
		case s.Kind == ForGroup && st.Approvers.ResourceOwner:
			b.add(p+"/approvers/resource_owner", "not_of_kind", "a type of kind group has no resource, so nobody owns it")
		case most > 0 && st.Needed > most:
			b.add(p+"/needed", "out_of_range", "there are only %d to approve this step, so %d never will", most, st.Needed)
		}
		if e := st.Escalate; e != nil {
			b.within(p+"/escalate/after_seconds", e.AfterSeconds, minStep, st.ExpiresAfterSeconds-1)
			e.To.check(b, p+"/escalate/to")
			if e.To.Manager || e.To.ResourceOwner {
				b.add(p+"/escalate/to", "not_here", "a step escalates to a group or to people")
			}
		}
	}
}

// check holds the approvers to exactly one way.
func (a Approvers) check(b *broken, pointer string) {
	ways := 0
	for _, way := range []bool{a.Group != "", len(a.People) > 0, a.Manager, a.ResourceOwner} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		b.add(pointer, "one_of", "say exactly one of group, people, manager and resource_owner")
	}
	if a.Group != "" {
		b.name(pointer+"/group", a.Group)
	}
	b.names(pointer+"/people", a.People, maxPeople)
}

// most is how many people there can be to approve the step, 0 where nobody can tell.
func (a Approvers) most(e *Escalation) int {
	switch {
	case e != nil:
		return 0
	case a.Manager:
		return 1
	}
	return len(a.People)
}

func (s Spec) checkFields(b *broken) {
	if len(s.Fields) > maxFields {
		b.add("/fields", "too_long", "at most %d fields are allowed", maxFields)
		return
	}
	for i, f := range s.Fields {
		p := at("/fields", i)
		b.name(p+"/name", f.Name)
		if slices.ContainsFunc(s.Fields[:i], func(o Field) bool { return o.Name == f.Name }) {
			b.add(p+"/name", "twice", "another field is called %s", f.Name)
		}
		b.text(p+"/label", f.Label, maxLabel)
		if f.Of != OfRequester && f.Of != OfApprover {
			b.add(p+"/of", "unknown", "a field is of requester or of approver")
		}
		switch f.Type {
		case Choice:
			f.checkChoices(b, p+"/choices")
		case Text, Date:
			if len(f.Choices) > 0 {
				b.add(p+"/choices", "not_of_kind", "only a field of type choice has choices")
			}
		default:
			b.add(p+"/type", "unknown", "a field is of type text, choice or date")
		}
	}
}

func (f Field) checkChoices(b *broken, pointer string) {
	b.within(pointer, len(f.Choices), 1, maxChoices)
	if len(f.Choices) > maxChoices {
		return
	}
	for i, c := range f.Choices {
		b.text(at(pointer, i), c, maxLabel)
		if c == "" || slices.Contains(f.Choices[:i], c) {
			b.add(at(pointer, i), "twice", "each choice is a text of its own")
		}
	}
}

// checkFilled holds what somebody filled in to the fields of their side; those
// that are required are asked for if must.
func (s Spec) checkFilled(b *broken, side Side, filled map[string]string, must bool) {
	total := 0
	for _, name := range sorted(filled) {
		value := filled[name]
		total += len(value)
		p := "/fields/" + name
		i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name.String() == name && f.Of == side })
		if i < 0 {
			b.add("/fields", "field.unknown", "the request type has no such field for the %s", side)
			return
		}
		b.value(p, s.Fields[i], value)
	}
	if total > maxAllFields {
		b.add("/fields", "too_long", "all fields together are at most %d bytes", maxAllFields)
	}
	for _, f := range s.Fields {
		if must && f.Of == side && f.Required && filled[f.Name.String()] == "" {
			b.add("/fields/"+f.Name.String(), "field.required", "the request type asks for %s", f.Name)
		}
	}
}

// value holds what was filled in to the field's type; "" is nothing.
func (b *broken) value(pointer string, f Field, value string) {
	b.long(pointer, value)
	switch {
	case value == "" || f.Type == Text:
	case f.Type == Choice && !slices.Contains(f.Choices, value):
		b.add(pointer, "unknown", "this is one of the choices that the request type lists")
	case f.Type == Date:
		if _, err := time.Parse(time.DateOnly, value); err != nil {
			b.add(pointer, "date.invalid", "this is a date, such as 2026-11-22")
		}
	}
}

// long notes a text of more than 2 KiB, or one that is no UTF-8.
func (b *broken) long(pointer, s string) {
	if len(s) > maxText || !utf8.ValidString(s) {
		b.add(pointer, "too_long", "this is at most %d bytes of UTF-8", maxText)
	}
}

// names tells whether the type names the group.
func (s *Spec) names(group domain.Name) bool {
	return slices.Contains(s.Groups, group) || slices.ContainsFunc(s.Steps, func(st Step) bool {
		return st.Approvers.Group == group || st.Escalate != nil && st.Escalate.To.Group == group
	})
}

// namesPerson tells whether it names somebody as approver or as an escalation.
func (s *Spec) namesPerson(n domain.Name) bool {
	return slices.ContainsFunc(s.Steps, func(st Step) bool {
		return slices.Contains(st.Approvers.People, n) || st.Escalate != nil && slices.Contains(st.Escalate.To.People, n)
	})
}
