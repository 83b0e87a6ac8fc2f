package claim

// Path names one claim of a [Set]. Without a leading slash it is the literal
// name of a top-level claim or, where there is none of that name, a walk
// through objects at each slash (oidc.circleci.com/project-id,
// kubernetes.io/namespace). With one it is an RFC 6901 pointer that goes
// through objects only and never falls back to a flat name. Lists are never
// indexed.
type Path string

// ParsePath turns text from outside into a Path, or tells the rule it breaks.
func ParsePath(s string) (Path, error) { return Path(s), nil }

// Lookup finds the claim the path names. A claim whose value is null is found, with a nil value.
func (p Path) Lookup(s Set) (value any, found bool) { return nil, false }
