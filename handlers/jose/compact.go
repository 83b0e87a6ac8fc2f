package jose

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport.dev/domain/claim"
)

// What a proof may measure, in bytes: a longer token is refused before it is
// decoded, a longer part before it is parsed.
const (
	MaxTokenBytes  = 16 << 10
	MaxHeaderBytes = 2 << 10
	MaxClaimsBytes = 12 << 10
	maxKeyIDBytes  = 256
	maxTextBytes   = 1024 // of sub
	maxAudiences   = 16
)

var (
	headerLimits = Limits{Bytes: MaxHeaderBytes, Depth: 10, Members: 256}
	claimLimits  = Limits{Bytes: MaxClaimsBytes, Depth: 10, Members: 256}
	// Our own tokens nest a proof's claims two levels deep beside ours.
	ownLimits = Limits{Bytes: MaxTokenBytes, Depth: 12, Members: 512}
)

// Header is the protected header of a JWS (RFC 7515 section 4).
type Header struct {
	Algorithm string   // alg, as written
	KeyID     string   // kid: 1 to 256 bytes, no space or control character
	Type      string   // typ, as written; "" where there is none
	Ignored   []string // jku, x5u, x5c, x5t where present: they name keys, and are never followed
}

// Compact is a JWT in compact form taken apart. Nothing about it is verified.
// It is a bearer's secret: it prints as its kid and nothing else.
type Compact struct {
	Header Header
	Claims claim.Set

	input     string // header and claims as signed
	signature []byte
}

// Digest is the SHA-256 of what is signed, in base64url. Two tokens that
// differ only in their signature have the same one.
func (c Compact) Digest() string {
	sum := sha256.Sum256([]byte(c.input))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (c Compact) String() string       { return "JWT signed by key " + c.Header.KeyID }
func (c Compact) GoString() string     { return c.String() }
func (c Compact) LogValue() slog.Value { return slog.StringValue(c.String()) }

// ParseCompact reads a proof: a JWS in compact form (RFC 7515 section 7.1)
// with an object of claims (RFC 7519), and nothing else. Every error is a
// *[Refusal]; nothing is decoded twice, and limits come before everything they
// bound. Which algorithms are good is not its question.
func ParseCompact(s string) (Compact, error) {
	c, flaws := parse(s)
	return c, flaws.err()
}

// flaws are what is wrong with the form of a token. A fatal one leaves its
// meaning open, so that nothing more can be said about it; in spite of the
// others its signature can still be looked at, for those who ask why.
type flaws struct {
	fatal *Refusal
	other []*Refusal
}

func (f *flaws) add(r *Refusal) {
	if r != nil {
		f.other = append(f.other, r)
	}
}

// all are the flaws, gravest first.
func (f flaws) all() []*Refusal {
	if f.fatal != nil {
		return append([]*Refusal{f.fatal}, f.other...)
	}
	return f.other
}

func (f flaws) err() error {
	var errs []error
	for _, r := range f.all() {
		errs = append(errs, r)
	}
	return errors.Join(errs...)
}

// parse reads a proof, with every flaw that it can tell. Where one is fatal,
// the claims may still be there, but no header is.
func parse(s string) (c Compact, f flaws) {
	p, r := split(s)
	if r != nil {
		return c, flaws{fatal: r}
	}
	if c.Claims, r = decodeObject(p.claims, claimLimits, "claims"); r != nil {
		f.fatal = r
	} else {
		f.add(checkSubject(c.Claims))
		f.add(checkAudience(c.Claims))
	}
	h, r := decodeObject(p.header, headerLimits, "header")
	if r == nil {
		c.Header, r = readHeader(h)
	}
	if _, known := algorithms[c.Header.Algorithm]; r == nil && known && len(p.signature) == 0 {
		r = errEmpty // of an unknown algorithm, "none" first, it is the algorithm that is wrong
	}
	if r != nil {
		f.add(f.fatal)
		f.fatal = r
	}
	if f.fatal != nil {
		return Compact{Claims: c.Claims}, f
	}
	if !proofType(h, c.Header.Type) {
		f.add(refuse("typ_not_allowed", "a proof's typ is JWT or JOSE, or there is none"))
	}
	c.input, c.signature = p.input, p.signature
	return c, f
}

// parts are the three parts of a compact JWS; the header and the claims still encoded.
type parts struct {
	header, claims, input string
	signature             []byte
}

// split finds the parts and checks what they measure. It reads no further than the third dot.
func split(s string) (parts, *Refusal) {
	header, rest, ok1 := strings.Cut(s, ".")
	claims, signature, ok2 := strings.Cut(rest, ".")
	switch {
	case !ok1 || !ok2 || strings.IndexByte(signature, '.') >= 0:
		return parts{}, refuse("not_compact_jws", "it is not a JWT: a JWT has three parts with dots between them")
	case len(s) > MaxTokenBytes:
		return parts{}, refuse("token_too_large", "it is larger than 16 KiB")
	case header == "" || claims == "":
		return parts{}, errEmpty
	}
	sig, r := decodePart(signature)
	if r != nil {
		return parts{}, r
	}
	return parts{header, claims, s[:len(header)+1+len(claims)], sig}, nil
}

var errEmpty = refuse("empty_segment", "one of its three parts is empty")

// strictBase64 refuses padding, the other alphabet and stray last bits, so
// that no two texts mean the same bytes (RFC 7515 appendix C).
var strictBase64 = base64.RawURLEncoding.Strict()

// decodePart decodes canonical base64url.
func decodePart(s string) ([]byte, *Refusal) {
	b, err := strictBase64.DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") { // encoding/base64 steps over line ends
		return nil, refuse("bad_base64url", "a part is not canonical base64url")
	}
	return b, nil
}

// decodeObject decodes one part that holds a JSON object; part names it in the refusal.
func decodeObject(encoded string, l Limits, part string) (claim.Set, *Refusal) {
	b, r := decodePart(encoded)
	if r != nil {
		return nil, r
	}
	set, err := DecodeObject(b, l)
	if r, ok := errors.AsType[*Refusal](err); ok {
		return nil, r.of(part+"_", part)
	}
	return set, nil
}

// readHeader holds the header against the rules that are the same for every
// JWS we read. What is refused here changes how the rest is to be understood.
func readHeader(h claim.Set) (Header, *Refusal) {
	for _, name := range []string{"crit", "b64", "zip", "cty", "jwk"} {
		if _, there := h[name]; there {
			return Header{}, refuse("header_forbidden_"+name, "its header has the member "+name+", which is not allowed")
		}
	}
	alg, ok := h["alg"].(string)
	if !ok {
		return Header{}, refuse("alg_missing", "its header has no alg that is a string")
	}
	kid, ok := h["kid"].(string)
	if !ok || !cleanKeyID(kid) {
		return Header{}, refuse("kid_missing", "its header has no kid of 1 to 256 bytes without spaces")
	}
	out := Header{Algorithm: alg, KeyID: kid}
	out.Type, _ = h["typ"].(string)
	for _, name := range []string{"jku", "x5u", "x5c", "x5t", "x5t#S256"} {
		if _, there := h[name]; there {
			out.Ignored = append(out.Ignored, name)
		}
	}
	return out, nil
}

// cleanKeyID tells whether a kid can be a key's name: it is compared byte for
// byte, and shown to people.
func cleanKeyID(kid string) bool {
	return kid != "" && len(kid) <= maxKeyIDBytes && !strings.ContainsFunc(kid, func(r rune) bool {
		return unicode.IsSpace(r) || hidden(r)
	})
}

// proofType tells whether the typ lets a token be a proof. Tokens of other
// kinds, ours among them (at+jwt), say so here (RFC 8725 section 3.11).
func proofType(h claim.Set, typ string) bool {
	if _, there := h["typ"]; !there {
		return true
	}
	return asciiFold(typ) == "jwt" || asciiFold(typ) == "jose"
}

// asciiFold lowers A to Z alone: strings.EqualFold takes a long s for an s.
func asciiFold(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// checkSubject demands a sub that names somebody, and the same one to every reader.
func checkSubject(c claim.Set) *Refusal {
	sub, ok := c["sub"].(string)
	if ok && len(sub) <= maxTextBytes && strings.TrimSpace(sub) != "" && !strings.ContainsFunc(sub, hidden) {
		return nil
	}
	return refuse("sub_invalid", "its sub is not a string of 1 to 1024 bytes without hidden characters")
}

// hidden tells of characters that people do not see: controls, formatting
// such as zero width and right-to-left marks, line separators, and the
// character that stands for a broken one.
func hidden(r rune) bool {
	return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// checkAudience demands that aud, where there is one, is a string or a list
// of at most 16 strings. Whether it is us is a condition of the connection.
func checkAudience(c claim.Set) *Refusal {
	aud, there := c["aud"]
	if _, one := aud.(string); one || !there {
		return nil
	}
	list, ok := aud.([]any)
	if ok && len(list) > maxAudiences {
		return refuse("aud_too_many", "its aud names more than 16 audiences")
	}
	for _, a := range list {
		if _, text := a.(string); !text {
			ok = false
		}
	}
	if !ok {
		return refuse("aud_bad_type", "its aud is neither a string nor a list of strings")
	}
	return nil
}
