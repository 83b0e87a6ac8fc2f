package policy

import "strings"

// Target is a resource as rules know it.
type Target struct {
	Ref     string // "server/web-1" or "secret/payments/db/password"
	Kind    string // "server" or "secret"
	Name    string // web-1, or payments/db/password
	Project string
	Labels  map[string]string
}

// Kinds of a [Target].
const (
	server = "server"
	secret = "secret"
)

// Selects tells whether a rule with this selector is about the resource. One
// that says nothing selects nothing.
func (s Selector) Selects(t Target) bool {
	switch {
	case s.Server != "":
		return t.Kind == server && t.Name == s.Server.String()
	case len(s.Labels) > 0:
		return t.Kind == server && has(t.Labels, s.Labels)
	case s.Secret != "":
		return t.Kind == secret && t.Name == s.Secret
	case s.Folder != "":
		below, ok := strings.CutPrefix(t.Name, s.Folder) // not payments-old below payments
		return t.Kind == secret && ok && strings.HasPrefix(below, "/")
	}
	return false
}

// has tells whether a resource's labels have all those wanted, with exactly their values.
func has(labels, wanted map[string]string) bool {
	for k, v := range wanted {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
