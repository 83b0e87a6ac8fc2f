package jose

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/domain/claim"
)

var roomy = Limits{Bytes: 1 << 20, Depth: 10, Members: 256}

func TestStrictJSON(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	for _, c := range []struct{ name, doc, reason string }{
		{"an object is read", ` {"a":[1,-0.5e+3,"x",true,false,null,{}]} `, ""},
		{"a member that occurs twice is refused", `{"a":1,"a":2}`, "duplicate_member"},
		{"a member that occurs twice through an escape is refused", `{"sub":1,"\u0073ub":2}`, "duplicate_member"},
		{"a member that occurs twice in an inner object is refused", `{"a":{"b":1,"b":1}}`, "duplicate_member"},
		{"a member that occurs twice in a list's object is refused", `{"a":[{"b":1,"b":1}]}`, "duplicate_member"},
		{"the same name in two objects is two members", `{"a":{"b":1},"b":1}`, ""},
		{"names differ by case", `{"a":1,"A":2}`, ""},
		{"ten levels are read", deep(9), ""},
		{"eleven levels are refused", deep(10), "too_deep"},
		{"a list is no object", `[{}]`, "not_an_object"},
		{"a string is no object", `"a"`, "not_an_object"},
		{"nothing is no object", ``, "not_an_object"},
		{"a byte order mark is refused", "\ufeff{}", "not_an_object"},
		{"trailing data is refused", `{}{}`, "trailing_data"},
		{"a trailing NUL is refused", "{}\x00", "trailing_data"},
		{"a trailing comma is refused", `{"a":1,}`, "bad_json"},
		{"a comment is refused", `{/**/}`, "bad_json"},
		{"a leading zero is refused", `{"a":01}`, "bad_json"},
		{"a hexadecimal number is refused", `{"a":0x1}`, "bad_json"},
		{"NaN is refused", `{"a":NaN}`, "bad_json"},
		{"single quotes are refused", `{'a':1}`, "bad_json"},
		{"a raw newline in a string is refused", "{\"a\":\"\n\"}", "bad_json"},
		{"an unknown escape is refused", `{"a":"\x41"}`, "bad_json"},
		{"a cut escape is refused", `{"a":"\u00"}`, "bad_json"},
		{"invalid UTF-8 is refused", "{\"a\":\"\xff\"}", "invalid_utf8"},
		{"invalid UTF-8 after an escape is refused", "{\"a\":\"\\n\xff\"}", "invalid_utf8"},
		{"overlong UTF-8 is refused", "{\"a\":\"\xc0\xaf\"}", "invalid_utf8"},
		{"invalid UTF-8 in a name is refused", "{\"\xff\":1}", "invalid_utf8"},
		{"a raw surrogate is refused", "{\"a\":\"\xed\xa0\x80\"}", "invalid_utf8"},
		{"a high surrogate alone is refused", `{"a":"\ud800"}`, "lone_surrogate"},
		{"a low surrogate alone is refused", `{"a":"\udc00"}`, "lone_surrogate"},
		{"a high surrogate before a letter is refused", `{"a":"\ud800\u0061"}`, "lone_surrogate"},
		{"a pair the wrong way round is refused", `{"a":"\udc00\ud800"}`, "lone_surrogate"},
		{"a surrogate pair is one character", `{"a":"\ud83d\ude00"}`, ""},
		{"an escaped replacement character is a character", `{"a":"\ufffd"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := DecodeObject([]byte(c.doc), roomy)
			if reasonOf(err) != c.reason || (err == nil) != (got != nil) {
				t.Errorf("got %v, %v (%s), want %q", got, err, reasonOf(err), c.reason)
			}
		})
	}
}

func TestStrictJSONKeepsValuesAsTheyAre(t *testing.T) {
	got, err := DecodeObject([]byte(`{"n":9007199254740993,"f":1.0,"e":1E2,"s":"a\u00e9\n\ud83d\ude00","l":[null,true,{}],"":0}`), roomy)
	want := claim.Set{
		"n": json.Number("9007199254740993"), "f": json.Number("1.0"), "e": json.Number("1E2"), "s": "aé\n😀",
		"l": []any{nil, true, map[string]any{}}, "": json.Number("0"),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, %v, want %#v", got, err, want)
	}
}

func TestStrictJSONLimits(t *testing.T) {
	members := func(n int) string {
		return `{"a":{` + strings.TrimSuffix(strings.Repeat(`"%":0,`, n), ",") + `}}`
	}
	numbered := func(n int) string {
		s := members(n)
		for i := range n {
			s = strings.Replace(s, "%", "k"+strings.Repeat("x", i), 1)
		}
		return s
	}
	for _, c := range []struct {
		name, doc, reason string
		limits            Limits
	}{
		{"as many members as allowed, counted in all objects together", numbered(9), "", Limits{1 << 20, 10, 10}},
		{"one member more", numbered(10), "too_many_members", Limits{1 << 20, 10, 10}},
		{"as many bytes as allowed", `{"a":1}`, "", Limits{7, 10, 10}},
		{"one byte more", `{"a":1} `, "too_large", Limits{7, 10, 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := DecodeObject([]byte(c.doc), c.limits); reasonOf(err) != c.reason {
				t.Errorf("got %v, want %q", err, c.reason)
			}
		})
	}
}

// either are the files that a parser may take or leave. We take numbers of any
// size, since they stay text, and leave everything about broken text.
var eitherTaken = []string{
	"i_number_double_huge_neg_exp.json", "i_number_huge_exp.json", "i_number_neg_int_huge_exp.json",
	"i_number_pos_double_huge_exp.json", "i_number_real_neg_overflow.json", "i_number_real_pos_overflow.json",
	"i_number_real_underflow.json", "i_number_too_big_neg_int.json", "i_number_too_big_pos_int.json",
	"i_number_very_big_negative_int.json",
}

func TestJSONTestSuite(t *testing.T) {
	files, err := filepath.Glob(vectors(t, "jsontestsuite", "test_parsing", "*.json"))
	if err != nil || len(files) != 318 {
		t.Fatalf("got %d files, %v, want 318", len(files), err)
	}
	duplicates := []string{"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}
	for _, path := range files {
		name := filepath.Base(path)
		doc, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		taken := name[0] == 'y' && !slices.Contains(duplicates, name) || slices.Contains(eitherTaken, name)
		d := decoder{b: doc, limits: roomy}
		d.space()
		_, r := d.value(0)
		if r == nil {
			r = d.end()
		}
		if (r == nil) != taken {
			t.Errorf("%s as a value: got %v, want it taken: %v", name, r, taken)
		}
		object := taken && strings.HasPrefix(strings.TrimSpace(string(doc)), "{")
		if _, err := DecodeObject(doc, roomy); (err == nil) != object {
			t.Errorf("%s as an object: got %v, want it taken: %v", name, err, object)
		}
	}
}
