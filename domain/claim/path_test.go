package claim_test

import (
	"strings"
	"testing"

	"sallyport.dev/domain/claim"
)

func TestParsePath(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		ok         bool
	}{
		{"a plain name", "sub", true},
		{"a name with dots and slashes", "oidc.circleci.com/project-id", true},
		{"a name that is an address", "https://acme.example/team", true},
		{"a pointer", "/kubernetes.io/namespace", true},
		{"a pointer with an escaped slash", "/kubernetes.io~1namespace", true},
		{"a name of digits", "42", true},
		{"a name with digits at its end", "a/v2", true},
		{"256 bytes", strings.Repeat("x", 256), true},
		{"257 bytes", strings.Repeat("x", 257), false},
		{"nothing", "", false},
		{"a slash alone", "/", false},
		{"an index in a pointer", "/groups/0", false},
		{"an index on the way of a pointer", "/groups/0/name", false},
		{"an index in a plain path", "groups/0", false},
		{"an index in brackets", "groups[0]", false},
		{"empty brackets", "groups[]", false},
		{"an escape that is none", "/a~2b", false},
		{"an escape cut short", "/a~", false},
		{"a control character", "a\nb", false},
		{"a zero-width space", "sub\u200b", false},
		{"no UTF-8", "a\xff", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if p, err := claim.ParsePath(tt.path); (err == nil) != tt.ok {
				t.Errorf("got %q, %v; want ok %t", p, err, tt.ok)
			}
		})
	}
}

func TestPathIs(t *testing.T) {
	for _, tt := range []struct {
		path, plain claim.Path
		want        bool
	}{
		{"aud", "aud", true},
		{"/aud", "aud", true},
		{"Aud", "aud", false},
		{"aud/x", "aud", false},
		{"//aud", "aud", false},
		{"/kubernetes.io/namespace", "kubernetes.io/namespace", true},
		{"/kubernetes.io~1namespace", "kubernetes.io/namespace", true},
		{"aud", "/aud", false},
	} {
		if got := tt.path.Is(tt.plain); got != tt.want {
			t.Errorf("%q is %q: got %t, want %t", tt.path, tt.plain, got, tt.want)
		}
	}
}

// FuzzPath holds what paths from outside may never do: panic, find what is not
// there, or differ between their two readings.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"sub", "/a/b", "/a~1b", "a/b", "/g/0", "/~01", "//", "a//b", "g[0]", "~", "/\xff", "kubernetes.io/namespace"} {
		f.Add(p, `{"sub":"x","a":{"b":"y"},"a/b":"z","g":["a"],"":{"":1},"~1":null,"kubernetes.io":{"namespace":"ns"}}`)
	}
	f.Fuzz(func(t *testing.T, path, doc string) {
		set, _ := decode(doc)
		p, err := claim.ParsePath(path)
		if err != nil {
			p = claim.Path(path) // unparsed paths must not panic either
		}
		v, found := p.Lookup(set)
		if !found && v != nil {
			t.Fatalf("%q is not found and is %v", p, v)
		}
		for _, op := range []claim.Operator{claim.Equals, claim.StartsWith, claim.Exists, claim.OneOf, claim.Includes} {
			c := claim.Condition{Claim: p, Operator: op, Value: path, Values: []string{path, "x"}}
			e := c.Explain(set)
			if e.Match != c.Match(set) || e.Match && !found {
				t.Fatalf("%s: %+v, found %t", c, e, found)
			}
		}
	})
}
