package events_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"sallyport.dev/domain/events"
)

// raw are the fields that hold JSON as it is, each public keys and nothing else.
var raw = map[string]bool{"JWKS": true, "Keys": true, "PublicJWK": true}

// What is stored for ever has fields of which one knows what they hold: no
// bytes, no maps of anything, no interfaces and no errors, through which a
// secret comes that nobody thought of.
func TestEventsHoldTypedFieldsAlone(t *testing.T) {
	looked := 0
	for _, typ := range events.New().Types() {
		x, ok := examples()[typ]
		if !ok {
			t.Fatalf("%s has no example", typ)
		}
		looked += typed(t, typ, reflect.TypeOf(x.event), "")
	}
	if looked < 50 {
		t.Errorf("looked at %d fields, so this test looks in the wrong place", looked)
	}
}

// typed walks a type's fields and tells how many there are.
func typed(t *testing.T, where string, typ reflect.Type, field string) (n int) {
	t.Helper()
	switch {
	case typ == reflect.TypeFor[time.Time]():
		return 0
	case typ == reflect.TypeFor[json.RawMessage]():
		if !raw[field] {
			t.Errorf("%s holds JSON of any kind", where)
		}
		return 0
	}
	switch typ.Kind() {
	case reflect.Struct:
		for i := range typ.NumField() {
			f := typ.Field(i)
			n += 1 + typed(t, where+"."+f.Name, f.Type, f.Name)
		}
	case reflect.Pointer:
		n += typed(t, where, typ.Elem(), field)
	case reflect.Slice, reflect.Array:
		if typ.Elem().Kind() == reflect.Uint8 {
			t.Errorf("%s holds bytes", where)
		}
		n += typed(t, where, typ.Elem(), field)
	case reflect.Map:
		n += typed(t, where, typ.Key(), field) + typed(t, where, typ.Elem(), field)
	case reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		t.Errorf("%s holds %s", where, typ)
	}
	return n
}
