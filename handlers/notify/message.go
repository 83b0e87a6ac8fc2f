package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sallyport.dev/domain"
)

// Person is somebody who is told.
type Person struct {
	Name  domain.Name
	Email string // "" they have none, and no mail reaches them
}

// Message is what people are told, as of the moment of telling.
type Message struct {
	ID   string // of the event, the same however often it is sent
	Type string // of the event
	At   time.Time
	To   []Person // by name, at most maxPeople
	// Title is one short sentence that holds names alone, nothing that somebody wrote.
	Title string
	Data  Data
}

// Data is what a message says, field by field; what does not apply is left out.
type Data struct {
	Org           domain.Name   `json:"org"`
	Request       string        `json:"request,omitempty"`     // id of the access request
	BreakGlass    string        `json:"break_glass,omitempty"` // id of the broken glass
	Requester     string        `json:"requester,omitempty"`   // a person's name, or a workload's URI
	RequestType   domain.Name   `json:"request_type,omitempty"`
	Resource      string        `json:"resource,omitempty"`
	Method        string        `json:"method,omitempty"` // id of the access method
	Account       string        `json:"account,omitempty"`
	Group         domain.Name   `json:"group,omitempty"`
	Justification string        `json:"justification,omitempty"`
	Seconds       int           `json:"seconds,omitempty"` // how long an approval would open it
	Until         time.Time     `json:"until,omitzero"`    // when it closes again, or ended
	Policy        domain.Name   `json:"policy,omitempty"`
	Rule          domain.Name   `json:"rule,omitempty"`
	Step          int           `json:"step,omitempty"` // that waits for approvals, counted from 1
	StepName      domain.Name   `json:"step_name,omitempty"`
	ExpiresAt     time.Time     `json:"expires_at,omitzero"` // when the step is over
	DecidedBy     string        `json:"decided_by,omitempty"`
	Comment       string        `json:"comment,omitempty"`
	Recipients    []domain.Name `json:"recipients"`
	Link          string        `json:"link,omitempty"`
	Command       string        `json:"command,omitempty"` // that does in a terminal what the link is for
}

// document is the body in our own format.
func document(m Message) ([]byte, error) {
	return json.Marshal(struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      Data      `json:"data"`
	}{m.Type, m.At.UTC(), m.Data})
}

// fact is one line of what a message says to people.
type fact struct{ name, value string }

// facts is what a message says, line by line, with whatever somebody wrote made
// visible: a line of theirs must not look like one of ours.
func (m Message) facts() (out []fact) {
	add := func(name, value string) {
		if value != "" {
			out = append(out, fact{name, visible(value)})
		}
	}
	d := m.Data
	add("Who", d.Requester)
	add("Resource", d.Resource)
	add("Account", d.Account)
	add("Access method", d.Method)
	add("Group", d.Group.String())
	add("Why", d.Justification)
	if d.Seconds > 0 {
		add("For", period(d.Seconds))
	}
	add("Until", stamp(d.Until))
	if d.Rule != "" {
		add("By rule", d.Policy.String()+"/"+d.Rule.String())
	}
	if d.Step > 0 {
		add("Step", fmt.Sprintf("%d, %s", d.Step, d.StepName))
	}
	add("To be decided by", stamp(d.ExpiresAt))
	add("Decided by", d.DecidedBy)
	add("Comment", d.Comment)
	add("Organisation", d.Org.String())
	return out
}

// names lists whom a message is to.
func (m Message) names() string {
	var names []string
	for _, n := range m.Data.Recipients {
		names = append(names, n.String())
	}
	return strings.Join(names, ", ")
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// period tells seconds as people do: 1h, 1h30m, 45s.
func period(seconds int) string {
	s := (time.Duration(seconds) * time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
