package jose

import (
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"

	"sallyport.dev/domain/claim"
)

// Limits bound a JSON document from outside. They are checked while reading,
// so nothing beyond them is ever built.
type Limits struct {
	Bytes   int // of the document
	Depth   int // of nesting; the document's own object counts as one
	Members int // of all objects of the document together
}

// DecodeObject reads exactly one JSON object (RFC 8259), in one pass and
// stricter than encoding/json: a member that occurs twice in an object (also
// when an escape hides it), invalid UTF-8, half a surrogate pair, a byte order
// mark and anything after the object are refused, and names are told apart by
// their exact bytes. Numbers keep their text as [json.Number].
//
// Its error is a *[Refusal].
func DecodeObject(b []byte, l Limits) (claim.Set, error) {
	if len(b) > l.Bytes {
		return nil, refuse("too_large", "the document is too large")
	}
	d := decoder{b: b, limits: l}
	d.space()
	if d.peek() != '{' {
		return nil, refuse("not_an_object", "it is not a JSON object")
	}
	v, r := d.value(0)
	if r == nil {
		r = d.end()
	}
	if r != nil {
		return nil, r
	}
	return claim.Set(v.(map[string]any)), nil
}

// decoder is a position in a document. It never steps back.
type decoder struct {
	b       []byte
	i       int
	members int
	limits  Limits
}

var errSyntax = refuse("bad_json", "it is not valid JSON")

// peek is the next byte, 0 at the end: no JSON token begins with NUL.
func (d *decoder) peek() byte {
	if d.i < len(d.b) {
		return d.b[d.i]
	}
	return 0
}

func (d *decoder) space() {
	for d.i < len(d.b) {
		switch d.b[d.i] {
		case ' ', '\t', '\n', '\r':
			d.i++
		default:
			return
		}
	}
}

func (d *decoder) end() *Refusal {
	d.space()
	if d.i < len(d.b) {
		return refuse("trailing_data", "something follows the JSON document")
	}
	return nil
}

// value reads the value that begins at the next byte; depth is how many
// objects and lists are open around it.
func (d *decoder) value(depth int) (any, *Refusal) {
	switch c := d.peek(); {
	case c == '{':
		return d.object(depth + 1)
	case c == '[':
		return d.list(depth + 1)
	case c == '"':
		return d.str()
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	case c == 't':
		return true, d.word("true")
	case c == 'f':
		return false, d.word("false")
	case c == 'n':
		return nil, d.word("null")
	}
	return nil, errSyntax
}

func (d *decoder) word(w string) *Refusal {
	if len(d.b)-d.i < len(w) || string(d.b[d.i:d.i+len(w)]) != w {
		return errSyntax
	}
	d.i += len(w)
	return nil
}

func (d *decoder) deeper(depth int) *Refusal {
	if depth > d.limits.Depth {
		return refuse("too_deep", "it is nested too deeply")
	}
	d.i++ // the bracket
	d.space()
	return nil
}

func (d *decoder) object(depth int) (any, *Refusal) {
	if r := d.deeper(depth); r != nil {
		return nil, r
	}
	m := make(map[string]any, 8)
	if d.peek() == '}' {
		d.i++
		return m, nil
	}
	for {
		if r := d.member(m, depth); r != nil {
			return nil, r
		}
		if done, r := d.next('}'); done || r != nil {
			return m, r
		}
	}
}

func (d *decoder) member(m map[string]any, depth int) *Refusal {
	if d.members++; d.members > d.limits.Members {
		return refuse("too_many_members", "it has too many members")
	}
	if d.peek() != '"' {
		return errSyntax
	}
	name, r := d.str()
	if r != nil {
		return r
	}
	if _, twice := m[name]; twice {
		return refuse("duplicate_member", "a member occurs twice in one object")
	}
	if d.space(); d.peek() != ':' {
		return errSyntax
	}
	d.i++
	d.space()
	m[name], r = d.value(depth)
	return r
}

func (d *decoder) list(depth int) (any, *Refusal) {
	if r := d.deeper(depth); r != nil {
		return nil, r
	}
	l := []any{}
	if d.peek() == ']' {
		d.i++
		return l, nil
	}
	for {
		v, r := d.value(depth)
		if r != nil {
			return nil, r
		}
		l = append(l, v)
		if done, r := d.next(']'); done || r != nil {
			return l, r
		}
	}
}

// next steps over what follows a member or an element: a comma, or the end.
func (d *decoder) next(closing byte) (done bool, r *Refusal) {
	d.space()
	c := d.peek()
	d.i++
	switch c {
	case closing:
		return true, nil
	case ',':
		d.space()
		return false, nil
	}
	return false, errSyntax
}

// number reads -?int frac? exp? as written (RFC 8259 section 6).
func (d *decoder) number() (any, *Refusal) {
	start := d.i
	if d.peek() == '-' {
		d.i++
	}
	if d.peek() == '0' {
		d.i++ // a leading zero stands alone
	} else if !d.digits() {
		return nil, errSyntax
	}
	if d.peek() == '.' {
		d.i++
		if !d.digits() {
			return nil, errSyntax
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.i++
		if c := d.peek(); c == '+' || c == '-' {
			d.i++
		}
		if !d.digits() {
			return nil, errSyntax
		}
	}
	return json.Number(d.b[start:d.i]), nil
}

func (d *decoder) digits() bool {
	start := d.i
	for c := d.peek(); c >= '0' && c <= '9'; c = d.peek() {
		d.i++
	}
	return d.i > start
}

// str reads a string whose opening quote is the next byte. Most strings have
// no escape and are copied once.
func (d *decoder) str() (string, *Refusal) {
	d.i++
	start, ascii := d.i, true
	for ; d.i < len(d.b); d.i++ {
		switch c := d.b[d.i]; {
		case c == '"':
			s := d.b[start:d.i]
			if !ascii && !utf8.Valid(s) {
				return "", errUTF8
			}
			d.i++
			return string(s), nil
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", errSyntax
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", errSyntax
}

var errUTF8 = refuse("invalid_utf8", "it is not valid UTF-8")

// escaped reads on at the first escape of a string that began at start.
func (d *decoder) escaped(start int) (string, *Refusal) {
	s := append(make([]byte, 0, 2*(d.i-start)+16), d.b[start:d.i]...)
	for d.i < len(d.b) {
		c := d.b[d.i]
		d.i++
		switch {
		case c == '"':
			if !utf8.Valid(s) {
				return "", errUTF8
			}
			return string(s), nil
		case c < ' ':
			return "", errSyntax
		case c != '\\':
			s = append(s, c)
		default:
			r, bad := d.escape()
			if bad != nil {
				return "", bad
			}
			s = utf8.AppendRune(s, r)
		}
	}
	return "", errSyntax
}

// escape reads what follows a backslash.
func (d *decoder) escape() (rune, *Refusal) {
	c := d.peek()
	d.i++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return d.unicode()
	}
	return 0, errSyntax
}

// unicode reads the digits of \uXXXX, and the second half of a surrogate pair.
func (d *decoder) unicode() (rune, *Refusal) {
	r, bad := d.hex4()
	if bad != nil || !utf16.IsSurrogate(r) {
		return r, bad
	}
	lone := refuse("lone_surrogate", "it has half a surrogate pair, which is no character")
	if d.i+2 > len(d.b) || d.b[d.i] != '\\' || d.b[d.i+1] != 'u' {
		return 0, lone
	}
	d.i += 2
	low, bad := d.hex4()
	if bad != nil {
		return 0, bad
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, lone
	}
	return r, nil
}

func (d *decoder) hex4() (rune, *Refusal) {
	if len(d.b)-d.i < 4 {
		return 0, errSyntax
	}
	var r rune
	for _, c := range d.b[d.i : d.i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, errSyntax
		}
		r = r<<4 | rune(c)
	}
	d.i += 4
	return r, nil
}
