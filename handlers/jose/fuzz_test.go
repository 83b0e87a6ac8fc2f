package jose

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"sallyport.dev/domain/claim"
)

// FuzzParseCompact: no text makes it panic, and what it takes is canonical:
// one text for one meaning.
func FuzzParseCompact(f *testing.F) {
	for _, c := range readAttacks(f).Cases {
		f.Add(c.Token)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCompact(s)
		if err != nil {
			return
		}
		if len(s) > MaxTokenBytes || strings.Count(s, ".") != 2 || c.input+"."+b64(c.signature) != s || c.Header.KeyID == "" || c.Claims == nil {
			t.Errorf("took %q as %#v", s, c.Header)
		}
	})
}

// FuzzStrictJSON: what it takes, encoding/json takes and understands the same.
func FuzzStrictJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1,"a":2}`, `{"a":[1,-0.5e+3,"\ud83d\ude00\n",true,false,null,{}]}`, `{"a":"\ud800"}`, "\ufeff{}", `{"a":01}`, `{"a":1}x`,
		"{\"\xff\":1}", `{"a":[[[[[[[[[[[1]]]]]]]]]]]}`, `{"\u0061":1,"a":2}`, ` {"a":1e999,"b":-0} `, `{"a":"\u0000\/\b\f"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeObject(b, roomy)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var want map[string]any
		if err := d.Decode(&want); err != nil || !utf8.Valid(b) {
			t.Fatalf("took %q, which is not JSON: %v", b, err)
		}
		x, err1 := json.Marshal(got)
		y, err2 := json.Marshal(claim.Set(want))
		if err1 != nil || err2 != nil || !bytes.Equal(x, y) {
			t.Errorf("%q: got %s, want %s", b, x, y)
		}
	})
}

// FuzzParseKeySet: what it takes it writes as a set that reads the same, with
// nothing private in it.
func FuzzParseKeySet(f *testing.F) {
	for _, doc := range readAttacks(f).JWKS {
		if len(doc) < 8<<10 {
			f.Add([]byte(doc))
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		set, err := ParseKeySet(doc)
		if err != nil || len(set.KeyIDs()) == 0 {
			return
		}
		again, err := ParseKeySet(set.Public())
		if err != nil || !bytes.Equal(again.Public(), set.Public()) {
			t.Errorf("%q: got %s, %v", doc, set.Public(), err)
		}
	})
}
