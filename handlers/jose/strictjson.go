package jose

import (
	"errors"

	"sallyport.dev/domain/claim"
)

// Limits bound a JSON document from outside. A zero field means no limit.
type Limits struct {
	Bytes   int // of the document
	Depth   int // nesting, the document's own object counting as one
	Members int // of objects, in the whole document
}

// Refusal says why a document, a token or a URL was refused: a stable reason
// such as claims_duplicate_member, and a sentence for people without secrets.
type Refusal struct {
	Reason  string
	Message string
}

func (r *Refusal) Error() string { return r.Message }

// DecodeObject reads one JSON object strictly, in one pass.
func DecodeObject(b []byte, l Limits) (claim.Set, error) {
	return nil, errors.New("reading JSON: refused")
}
