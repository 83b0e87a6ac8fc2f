package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sallyport.dev/handlers/api"
)

// FuzzBody: what is let through as a body can be decoded into its type, and
// says no more than the type can hold.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"name":"a","on":true,"amount":-3,"labels":{"a":"b"},"parts":[{"id":"x"}],"inner":{"id":"y"},"any":{"x":[1]}}`,
		`{"name":null}`, `{"Name":"a"}`, `{"amount":1e3}`, `{"amount":9223372036854775808}`, `{"name":"a","name":"b"}`, `{"inner":{"a/b~c":1}}`,
		`[]`, `{"labels":{"a":1}}`, `{"parts":[null,{"id":null}]}`, "{\"name\":\"\xff\"}", `{"name":"\ud800"}`, `{"any":`, ` {} `, `{"note":"n"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		unknown, fatal, err := api.Check(body, &thing{})
		if err != nil || len(fatal) > 0 {
			return
		}
		var in thing
		if err := json.Unmarshal(body, &in); err != nil {
			t.Fatalf("let through and not decoded: %v: %q", err, body)
		}
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.DisallowUnknownFields()
		if err := d.Decode(new(thing)); err != nil && len(unknown) == 0 {
			t.Fatalf("let through with a member that nobody knows: %v: %q", err, body)
		}
	})
}
