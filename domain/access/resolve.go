package access

import (
	"time"

	"sallyport.dev/domain/resource"
)

// Resolve is every method by which the subject may reach the resource at now.
func Resolve(w World, s Subject, r resource.Resource, now time.Time) Answer {
	return Answer{Outcome: Refused}
}

// MaxReachable bounds what [ResolveAll] answers.
const MaxReachable = 10_000

// Reachable is a resource that a subject may reach.
type Reachable struct {
	// Resource is a server or a secret. A folder in which the subject may create
	// secrets is one whose Ref and Name end in a slash, and it has nothing else.
	Resource resource.Resource
	Answer   Answer
}

// ResolveAll is every resource that the subject may reach by some method, one
// that was left out included, by reference: the first [MaxReachable].
func ResolveAll(w World, s Subject, now time.Time) []Reachable { return nil }

// Find is the method of that id among those that the subject may choose; one
// that was left out is not.
func Find(a Answer, id string) (Method, bool) {
	for _, m := range a.Methods {
		if m.ID == id {
			return m, true
		}
	}
	return Method{}, false
}
