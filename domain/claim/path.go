package claim

import (
	"regexp"
	"strings"

	"sallyport.dev/domain"
)

// Path names one claim of a [Set]. Without a leading slash it is the literal
// name of a top-level claim or, where there is none of that name, a walk
// through objects at each slash (oidc.circleci.com/project-id,
// kubernetes.io/namespace). With one it is an RFC 6901 pointer that goes
// through objects only and never falls back to a flat name. Lists are never
// indexed: which element comes first is the provider's whim.
type Path string

// MaxPathBytes bounds a path.
const MaxPathBytes = 256

// listIndex finds a step below the first that can only mean a place in a list.
var listIndex = regexp.MustCompile(`/[0-9]+(/|\z)|\[[0-9]*\]\z`)

// ParsePath turns text from outside into a Path, or tells the rule it breaks.
func ParsePath(s string) (Path, error) {
	refuse := func(why string) (Path, error) { return "", domain.Invalid("claim.invalid", why) }
	switch {
	case s == "":
		return refuse("name a claim, such as sub")
	case len(s) > MaxPathBytes:
		return refuse("a claim path is at most 256 bytes")
	case !clean(s):
		return refuse("a claim path holds no control characters, no invisible ones, and is UTF-8")
	case s == "/":
		return refuse("after a leading slash comes the name of a claim")
	case s[0] == '/' && badEscape(s):
		return refuse("in a pointer ~ is written ~0 and / inside a name ~1 (RFC 6901)")
	case listIndex.MatchString(strings.TrimPrefix(s, "/")):
		return refuse("a path goes through objects only; a list is asked with includes")
	}
	return Path(s), nil
}

// badEscape finds a ~ that RFC 6901 section 3 gives no meaning.
func badEscape(s string) bool {
	rest := strings.NewReplacer("~0", "", "~1", "").Replace(s)
	return strings.Contains(rest, "~")
}

// Lookup finds the claim the path names. A claim whose value is null is found,
// with a nil value. A walk through anything but an object finds nothing.
func (p Path) Lookup(s Set) (value any, found bool) {
	if rest, pointer := strings.CutPrefix(string(p), "/"); pointer {
		return walk(s, rest, unescape)
	}
	if v, ok := s[string(p)]; ok {
		return v, true
	}
	return walk(s, string(p), func(name string) string { return name })
}

func walk(s Set, path string, name func(string) string) (any, bool) {
	var value any = map[string]any(s)
	for more := true; more; {
		var step string
		step, path, more = strings.Cut(path, "/")
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = object[name(step)]; !ok {
			return nil, false
		}
	}
	return value, true
}

// Is tells whether p names the claim that plain names, whichever form p is
// written in: /aud is aud, and both /kubernetes.io/namespace and
// /kubernetes.io~1namespace are kubernetes.io/namespace.
func (p Path) Is(plain Path) bool {
	rest, pointer := strings.CutPrefix(string(p), "/")
	return p == plain || pointer && unescape(rest) == string(plain)
}

// unescape decodes ~1 before ~0, as RFC 6901 section 4 demands: ~01 is ~1.
func unescape(step string) string {
	return strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
}

func escape(step string) string {
	return strings.ReplaceAll(strings.ReplaceAll(step, "~", "~0"), "/", "~1")
}

// pathTo writes the path that leads through the named objects, in the plainest form.
func pathTo(steps []string) Path {
	plain := steps[0] != "" && steps[0][0] != '/'
	for _, step := range steps {
		plain = plain && (len(steps) == 1 || !strings.Contains(step, "/"))
	}
	if plain {
		return Path(strings.Join(steps, "/"))
	}
	var b strings.Builder
	for _, step := range steps {
		b.WriteString("/" + escape(step))
	}
	return Path(b.String())
}

// clean tells whether text can be shown and compared as it looks: UTF-8 without
// control characters and invisible ones.
func clean(s string) bool { return !strings.ContainsFunc(s, Hidden) }
