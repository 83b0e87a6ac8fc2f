package claim

import "sallyport.dev/domain"

// Operator is how a condition compares.
type Operator string

const (
	Equals     Operator = "equals"
	StartsWith Operator = "starts_with"
	Exists     Operator = "exists"
	OneOf      Operator = "one_of"
	Includes   Operator = "includes"
)

// Condition is what one claim must be.
type Condition struct {
	Claim    Path     `json:"claim"`
	Operator Operator `json:"operator"`
	Value    string   `json:"value,omitempty"`
	Values   []string `json:"values,omitempty"`
}

// Validate names every field that breaks a rule; pointer is where the condition stands, such as /conditions/0.
func (c Condition) Validate(pointer string) []domain.FieldError { return nil }

// Match tells whether the claims meet the condition.
func (c Condition) Match(s Set) bool { return false }
