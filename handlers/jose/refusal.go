package jose

import "errors"

// Refusal says why a document, a token, a URL or an address was refused: a
// stable reason such as claims_duplicate_member, and a sentence for people.
// Neither ever holds more of the input than a name of it.
type Refusal struct {
	Reason  string
	Message string
}

func (r *Refusal) Error() string { return r.Message }

func refuse(reason, message string) *Refusal { return &Refusal{Reason: reason, Message: message} }

// of says in which part of a larger whole the refusal happened.
func (r *Refusal) of(prefix, part string) *Refusal {
	return &Refusal{Reason: prefix + r.Reason, Message: part + ": " + r.Message}
}

// reasonOf is the reason of the first Refusal in err, "" if there is none.
func reasonOf(err error) string {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	return ""
}
