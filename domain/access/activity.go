package access

import "sallyport.dev/domain"

// Activity is an event that says what was done with access, and changes nothing:
// the activity subject has it.
type Activity interface {
	domain.Event
	activity()
}

// IsActivity tells whether the type is one of an [Activity].
func IsActivity(typ string) bool { return false }
