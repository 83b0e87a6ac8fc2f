package jose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain/claim"
)

// What a key set document may measure.
const (
	MaxKeySetBytes = 256 << 10
	MaxKeys        = 100
)

var keySetLimits = Limits{Bytes: MaxKeySetBytes, Depth: 10, Members: 4096}

// KeySet is a provider's public keys (RFC 7517 section 5), each parsed once.
// It never changes and is safe for concurrent use.
type KeySet struct {
	keys    map[string]Key
	unfit   map[string]string // kid -> why the key of that kid cannot verify a proof
	skipped []string          // one sentence for each key that was passed over
	ids     []string
	public  json.RawMessage
}

// ParseKeySet reads a key set document. A document that is not strict JSON,
// holds a kid twice, more than 100 keys, or a private or symmetric key is
// refused whole: it is not what its provider meant. A single key that we do
// not know or that is too weak is passed over, since providers add new kinds
// of keys beside the old. A key without kid is never used. A document
// without a single key that verifies proofs is refused, but for one whose
// keys are good and meant for something else: it says so when a key is sought.
//
// Its error is a *[Refusal].
func ParseKeySet(doc []byte) (*KeySet, error) {
	top, err := DecodeObject(doc, keySetLimits)
	if r, ok := errors.AsType[*Refusal](err); ok {
		return nil, r.of("jwks_", "the key set")
	}
	list, ok := top["keys"].([]any)
	switch {
	case !ok:
		return nil, refuse("jwks_no_keys", "the key set has no list of keys")
	case len(list) > MaxKeys:
		return nil, refuse("jwks_too_many_keys", "the key set has more than 100 keys")
	}
	s := &KeySet{keys: map[string]Key{}, unfit: map[string]string{}}
	seen := map[string]bool{}
	for i, v := range list {
		if r := s.add(i, v, seen); r != nil {
			return nil, r
		}
	}
	if len(s.keys)+len(s.unfit) == 0 {
		return nil, refuse("jwks_no_usable_key", strings.Join(append([]string{"the key set has no usable key"}, s.skipped...), "; "))
	}
	s.write()
	return s, nil
}

// add takes up one entry of the list. It refuses what spoils the whole document.
func (s *KeySet) add(i int, v any, seen map[string]bool) *Refusal {
	m, ok := v.(map[string]any)
	if !ok {
		s.skip(i, "", "it is not an object")
		return nil
	}
	if secret(m) {
		return refuse("jwks_private_material", "the key set holds a private or symmetric key: consider that key disclosed")
	}
	kid, _ := m["kid"].(string)
	switch {
	case kid == "":
		s.skip(i, "", "it has no kid")
		return nil
	case seen[kid]:
		return refuse("jwks_duplicate_kid", "the key set holds a kid twice")
	case !cleanKeyID(kid):
		s.skip(i, "", "its kid is not 1 to 256 bytes without spaces")
		return nil
	}
	seen[kid] = true
	k, err := parseKey(kid, m)
	if err != nil {
		s.skip(i, kid, err.Error())
		return nil
	}
	if why := unfit(m); why != "" {
		s.unfit[kid] = why
		return nil
	}
	s.keys[kid] = k
	return nil
}

func (s *KeySet) skip(i int, kid, why string) {
	s.skipped = append(s.skipped, fmt.Sprintf("key %d %q: %s", i, kid, why))
}

// secret tells whether a JWK shows more than its public half (RFC 7518 section 6).
func secret(m map[string]any) bool {
	if m["kty"] == "oct" {
		return true
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, there := m[name]; there {
			return true
		}
	}
	return false
}

// unfit tells why a good key does not verify proofs, "" if it does (RFC 7517 sections 4.2, 4.3).
func unfit(m map[string]any) string {
	if use, there := m["use"]; there && use != "sig" {
		return "its use is not sig"
	}
	ops, there := m["key_ops"]
	if !there {
		return ""
	}
	if list, ok := ops.([]any); !ok || !slices.Contains(list, any("verify")) {
		return "its key_ops do not hold verify"
	}
	return ""
}

// write works out what the set shows of itself, in an order that does not
// depend on the document's: the same keys always give the same bytes.
func (s *KeySet) write() {
	for kid := range s.keys {
		s.ids = append(s.ids, kid)
	}
	slices.Sort(s.ids)
	var b bytes.Buffer
	b.WriteString(`{"keys":[`)
	for i, kid := range s.ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(s.keys[kid].JWK())
	}
	b.WriteString(`]}`)
	s.public = b.Bytes()
}

// Public is the set as {"keys":[...]}: usable keys alone, public members
// alone, sorted by kid. Equal sets have equal bytes.
func (s *KeySet) Public() json.RawMessage { return slices.Clone(s.public) }

// KeyIDs are the kids of the usable keys, sorted.
func (s *KeySet) KeyIDs() []string { return slices.Clone(s.ids) }

// Skipped says of each key of the document that was passed over why it was.
func (s *KeySet) Skipped() []string { return slices.Clone(s.skipped) }

// Find is the key of that kid, if the set holds one that verifies proofs.
func (s *KeySet) Find(kid string) (Key, bool) {
	k, ok := s.keys[kid]
	return k, ok
}

// thumbprints are the RFC 7638 thumbprints of the usable keys.
func (s *KeySet) thumbprints() map[string]bool {
	out := make(map[string]bool, len(s.keys))
	for _, k := range s.keys {
		out[k.Thumbprint()] = true
	}
	return out
}

// JWKS is the key set document of public JWKs, in the order given.
func JWKS(public ...json.RawMessage) json.RawMessage {
	return slices.Concat([]byte(`{"keys":[`), bytes.Join(rawBytes(public), []byte{','}), []byte(`]}`))
}

func rawBytes(raw []json.RawMessage) [][]byte {
	out := make([][]byte, len(raw))
	for i, r := range raw {
		out[i] = r
	}
	return out
}

// stringMember is a member that is a string; anything else counts as absent.
func stringMember(m claim.Set, name string) string {
	s, _ := m[name].(string)
	return s
}

// knows tells whether the set says anything about the kid.
func (s *KeySet) knows(kid string) bool {
	return s.keys[kid].Public != nil || s.unfit[kid] != ""
}

// found is the answer of a set of that age.
func (s *KeySet) found(kid string, at time.Time, stale bool) Found {
	k, known := s.keys[kid]
	return Found{Key: k, Known: known, Unfit: s.unfit[kid], At: at, Stale: stale}
}
