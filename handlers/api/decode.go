package api

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
)

// Bounds of a JSON body beside its size.
const (
	maxDepth   = 16
	maxMembers = 20_000
	maxNamed   = 128 // bytes of a member nobody knows that are told back
)

// check holds a body against the type it is to be decoded into. encoding/json
// would take a member in another case, twice, or of no meaning; here each is
// named by its pointer. unknown are members the type does not have, fatal what
// cannot be decoded into it; err is a body that is not one JSON object.
func check(body []byte, in any) (unknown, fatal []domain.FieldError, err error) {
	doc, err := jose.DecodeObject(body, jose.Limits{Bytes: MaxBody, Depth: maxDepth, Members: maxMembers})
	var r *jose.Refusal
	switch {
	case errors.As(err, &r) && r.Reason == "duplicate_member":
		return nil, []domain.FieldError{{Code: "field.duplicate", Detail: "a member occurs twice in one object"}}, nil
	case errors.As(err, &r):
		return nil, nil, &refusal{http.StatusBadRequest, "json.malformed", "The body is not one JSON object that we read: " + r.Message + "."}
	case err != nil:
		return nil, nil, err
	}
	w := walker{}
	w.walk(map[string]any(doc), reflect.TypeOf(in).Elem(), "")
	return w.unknown[:min(len(w.unknown), domain.MaxFields)], w.fatal[:min(len(w.fatal), domain.MaxFields)], nil
}

// walker compares a decoded document with a Go type.
type walker struct{ unknown, fatal []domain.FieldError }

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func (w *walker) walk(v any, t reflect.Type, pointer string) {
	if v == nil || reflect.PointerTo(t).Implements(unmarshaler) {
		return // null is absent; a type that reads itself checks itself
	}
	want, ok := "", true
	switch t.Kind() {
	case reflect.Pointer:
		w.walk(v, t.Elem(), pointer)
	case reflect.Interface:
	case reflect.Struct:
		want, ok = "an object", w.object(v, t, pointer)
	case reflect.Map:
		want, ok = "an object", w.members(v, t.Elem(), pointer)
	case reflect.Slice:
		want, ok = "a list", w.elements(v, t.Elem(), pointer)
	case reflect.String:
		want = "text"
		_, ok = v.(string)
	case reflect.Bool:
		want = "true or false"
		_, ok = v.(bool)
	case reflect.Int, reflect.Int64:
		want, ok = "a whole number", whole(v)
	default:
		panic("no body has a field of kind " + t.Kind().String())
	}
	if !ok {
		w.fatal = append(w.fatal, domain.FieldError{Pointer: pointer, Code: "field.type", Detail: "this must be " + want})
	}
}

func whole(v any) bool {
	n, ok := v.(json.Number)
	_, err := strconv.ParseInt(n.String(), 10, 64)
	return ok && err == nil
}

func (w *walker) object(v any, t reflect.Type, pointer string) bool {
	doc, ok := v.(map[string]any)
	types := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && !f.Anonymous && name != "-" && name != "" {
			types[name] = f.Type
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		if ft, known := types[name]; known {
			w.walk(doc[name], ft, member(pointer, name))
			continue
		}
		w.unknown = append(w.unknown, domain.FieldError{Pointer: member(pointer, name), Code: "field.unknown", Detail: "there is no such field here"})
	}
	return ok
}

func (w *walker) members(v any, elem reflect.Type, pointer string) bool {
	doc, ok := v.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		w.walk(doc[name], elem, member(pointer, name))
	}
	return ok
}

func (w *walker) elements(v any, elem reflect.Type, pointer string) bool {
	list, ok := v.([]any)
	for i, e := range list {
		w.walk(e, elem, pointer+"/"+strconv.Itoa(i))
	}
	return ok
}

// member points at a member of what pointer points at (RFC 6901), or, so that
// nobody has an essay of theirs sent back, at that itself.
func member(pointer, name string) string {
	if len(name) > maxNamed {
		return pointer
	}
	return pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
