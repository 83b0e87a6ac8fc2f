package claim

// Explanation says to people why a condition held or did not.
type Explanation struct {
	Match    bool
	Expected string
	Actual   string
	Message  string
}

// Explain is [Condition.Match] with its reasons, near misses included.
func (c Condition) Explain(s Set) Explanation { return Explanation{} }

// Text is a short text of a claim value for people.
func Text(v any) string { return "" }
