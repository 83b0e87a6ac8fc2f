package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/token"
)

var addGoldens = flag.Bool("add-goldens", false, "write the golden of each type that has none; one that is there is never touched")

func golden(typ string) string { return filepath.Join("testdata", "golden", typ+".json") }

// envelope is the example as the log would hold it.
func envelope(t testing.TB, x example) domain.Envelope {
	t.Helper()
	data, err := events.New().Encode(x.event)
	if err != nil {
		t.Fatal(err)
	}
	return domain.Envelope{
		ID: "01KASE00000000000000000000", Type: x.event.EventType(), Source: "https://sallyport.example/orgs/default",
		Subject: x.subject, Time: noon, Actor: x.actor, RequestID: "01KASE00000000000000000001", CommitID: "01KASE00000000000000000002",
		Data: data, Event: x.event,
	}
}

func TestTheCatalogueIsWhatWasReleased(t *testing.T) {
	b, err := os.ReadFile("testdata/released.txt")
	if err != nil {
		t.Fatal(err)
	}
	released := strings.Fields(string(b))
	if diff := cmp.Diff(released, events.New().Types()); diff != "" {
		t.Errorf("testdata/released.txt only grows, and has every type (-released +catalogue):\n%s", diff)
	}
	for typ := range examples() {
		if !slices.Contains(released, typ) {
			t.Errorf("%s has an example and is not released", typ)
		}
	}
}

func TestATypeIsWhatItsEventSays(t *testing.T) {
	for typ, x := range examples() {
		if got := x.event.EventType(); got != typ {
			t.Errorf("%T calls itself %s, the catalogue %s", x.event, got, typ)
		}
	}
}

// TestGoldens holds every type to the bytes it was released with: they
// validate, decode to the example, and encode to themselves.
func TestGoldens(t *testing.T) {
	cat := events.New()
	for _, typ := range cat.Types() {
		t.Run(typ, func(t *testing.T) {
			x, ok := examples()[typ]
			if !ok {
				t.Fatal("it has no example")
			}
			if *addGoldens {
				addGolden(t, typ, envelope(t, x))
			}
			whole, err := os.ReadFile(golden(typ))
			if err != nil {
				t.Fatal(err)
			}
			var stored bytes.Buffer
			if err := json.Compact(&stored, whole); err != nil {
				t.Fatal(err)
			}
			var e domain.Envelope
			if err := json.Unmarshal(stored.Bytes(), &e); err != nil {
				t.Fatal(err)
			}
			validate(t, cat, typ, e.Data)
			if e.Event, err = cat.Decode(e.Type, e.Data); err != nil {
				t.Fatal(err)
			}
			if e.Data, err = cat.Encode(e.Event); err != nil {
				t.Fatal(err)
			}
			if got, err := json.Marshal(e); err != nil || !bytes.Equal(got, stored.Bytes()) {
				t.Errorf("it encodes to\n%s (%v), want\n%s", got, err, stored.Bytes())
			}
			if diff := cmp.Diff(envelope(t, x).Event, e.Event); diff != "" {
				t.Errorf("it is not the example (-example +golden):\n%s", diff)
			}
		})
	}
}

func addGolden(t testing.TB, typ string, e domain.Envelope) {
	t.Helper()
	if _, err := os.Stat(golden(typ)); err == nil {
		return
	}
	b, err := json.MarshalIndent(e, "", "  ")
	if err == nil {
		err = os.WriteFile(golden(typ), append(b, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func validate(t testing.TB, cat *events.Catalogue, typ string, data []byte) {
	t.Helper()
	schema, ok := cat.Schema(typ)
	if !ok {
		t.Fatal("it has no schema")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("https://sallyport.example/schemas/"+typ, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("https://sallyport.example/schemas/" + typ)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("the golden does not fit its schema: %v", err)
	}
}

// TestSchemasNameExactlyTheFields walks each schema and the struct behind it
// together: no field without a description, no description without a field.
func TestSchemasNameExactlyTheFields(t *testing.T) {
	cat := events.New()
	for typ, x := range examples() {
		t.Run(typ, func(t *testing.T) {
			b, _ := cat.Schema(typ)
			var s map[string]any
			if err := json.Unmarshal(b, &s); err != nil {
				t.Fatal(err)
			}
			if s["$id"] != "/schemas/"+typ || s["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
				t.Errorf("it is %v of %v", s["$id"], s["$schema"])
			}
			sameFields(t, typ, s, reflect.TypeOf(x.event))
		})
	}
}

func sameFields(t *testing.T, at string, s map[string]any, typ reflect.Type) {
	t.Helper()
	if d, _ := s["description"].(string); d == "" && !strings.HasSuffix(at, "[]") {
		t.Errorf("%s has no description", at)
	}
	switch typ.Kind() {
	case reflect.Pointer:
		sameFields(t, at, s, typ.Elem())
		return
	case reflect.Slice:
		if items, ok := s["items"].(map[string]any); ok && typ != reflect.TypeFor[json.RawMessage]() {
			sameFields(t, at+"[]", items, typ.Elem())
		}
		return
	case reflect.Struct:
		if typ == reflect.TypeFor[time.Time]() {
			if s["format"] != "date-time" {
				t.Errorf("%s is a time and not said to be one", at)
			}
			return
		}
	default:
		return
	}
	if s["additionalProperties"] != false {
		t.Errorf("%s lets in fields that are not there", at)
	}
	props, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	var fields []string
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous {
			continue // its fields are among these
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, name)
		p, ok := props[name].(map[string]any)
		if !ok {
			t.Errorf("%s/%s is not in the schema", at, name)
			continue
		}
		if may := options != ""; may == slices.Contains(required, any(name)) {
			t.Errorf("%s/%s: omitted when empty is %v, and so must not be required, or must be", at, name, may)
		}
		sameFields(t, at+"/"+name, p, f.Type)
	}
	for name := range props {
		if !slices.Contains(fields, name) {
			t.Errorf("%s/%s is in the schema only", at, name)
		}
	}
}

func TestWhatIsNotKnownIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, typ, data string
	}{
		{"a type that nobody knows", "connection.exploded", `{}`},
		{"no type", "", `{}`},
		{"a field that nobody knows", "signing_key.activated", `{"kid":"a","why":"b"}`},
		{"a field within a field", "token.denied", `{"connection":"a","version":1,"code":"b","proof":{"skew_seconds":30,"jwt":"ey"}}`},
		{"text after the data", "signing_key.activated", `{"kid":"a"} {}`},
		{"half an object", "signing_key.activated", `{"kid":"a"`},
		{"null", "connection.deleted", `null`},
		{"a list", "connection.deleted", `[]`},
		{"nothing", "connection.deleted", ``},
		{"another kind of value", "signing_key.activated", `{"kid":1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := events.New().Decode(tt.typ, json.RawMessage(tt.data))
			if err == nil {
				t.Fatalf("decoded %#v", e)
			}
			if _, known := events.New().Lookup(tt.typ); errors.Is(err, events.ErrUnknown) == known {
				t.Errorf("%v does not tell whether the type is known", err)
			}
		})
	}
}

type strange struct{}

func (strange) EventType() string { return "strange.happened" }

func TestAnEventOutsideTheCatalogueIsNotEncoded(t *testing.T) {
	if b, err := events.New().Encode(strange{}); !errors.Is(err, events.ErrUnknown) {
		t.Errorf("got %s, %v, want %v", b, err, events.ErrUnknown)
	}
	if _, ok := events.New().Schema("../testdata/golden/person.added"); ok {
		t.Error("a path is a schema")
	}
}

// Suppose people had first been recorded with one role, as person.joined. The
// log still holds that; the upcaster reads it as what is written today.
func TestAnOldTypeIsReadAsTheNewOne(t *testing.T) {
	cat := events.New()
	cat.Upcast("person.joined", "person.added", func(old json.RawMessage) (json.RawMessage, error) {
		var was struct {
			Name domain.Name `json:"name"`
			Role domain.Role `json:"role"`
		}
		if err := json.Unmarshal(old, &was); err != nil {
			return nil, err
		}
		return json.Marshal(person.WasAdded{Name: was.Name, Roles: []domain.Role{was.Role}})
	})
	e, err := cat.Decode("person.joined", json.RawMessage(`{"name":"carol","role":"auditor"}`))
	want := person.WasAdded{Name: "carol", Roles: []domain.Role{domain.Auditor}}
	if diff := cmp.Diff(domain.Event(want), e); err != nil || diff != "" {
		t.Fatalf("%v, (-want +got):\n%s", err, diff)
	}
	typ, ok := cat.Lookup("person.joined")
	if !ok || !typ.Control || typ.Name != "person.joined" {
		t.Errorf("the old type is %+v", typ)
	}
	if got := typ.Summary(domain.Envelope{Type: "person.joined", Actor: "owner", Event: e}); got != "owner added carol as auditor" {
		t.Errorf("it says %q", got)
	}
	if _, err := cat.Decode("person.joined", json.RawMessage(`{"name":`)); err == nil {
		t.Error("half of an old event was read")
	}
	if _, err := events.New().Decode("person.joined", json.RawMessage(`{}`)); !errors.Is(err, events.ErrUnknown) {
		t.Errorf("another catalogue knows it too: %v", err)
	}
}

func TestEveryTypeIsExplained(t *testing.T) {
	for typ, x := range examples() {
		t.Run(typ, func(t *testing.T) {
			def, ok := events.New().Lookup(typ)
			if !ok {
				t.Fatal("it is not in the catalogue")
			}
			e := envelope(t, x)
			if got := def.Summary(e); got != x.summary {
				t.Errorf("it says\n%q, want\n%q", got, x.summary)
			}
			outcome := x.outcome
			if outcome == "" {
				outcome = events.Success
			}
			if got := def.Outcome(e); got != outcome {
				t.Errorf("its outcome is %q, want %q", got, outcome)
			}
			wantConn, _ := strings.CutPrefix(x.subject, "connection/")
			if wantConn == x.subject {
				wantConn = x.connection
			}
			if conn, w := def.Workload(e); conn != wantConn || w != x.workload {
				t.Errorf("it is about %q %q, want %q %q", conn, w, wantConn, x.workload)
			}
			activity := strings.HasPrefix(typ, "token.") || strings.HasPrefix(typ, "access.") || typ == "connection.tested" || typ == "secret.revealed" || typ == "audit.exported"
			if def.Control == activity {
				t.Errorf("control is %v", def.Control)
			}
		})
	}
}

func TestASentenceIsBoundedWhateverStrangersWrite(t *testing.T) {
	nasty := strings.Repeat("\x1b[2J\n\u202e\u200b\xff<é", 500)
	deny := func(cs ...proof.Check) domain.Envelope {
		return domain.Envelope{Subject: "connection/ci", Actor: "a", Event: token.WasDenied{Connection: "ci", Code: "proof.conditions", Identity: nasty, Checks: cs}}
	}
	def, _ := events.New().Lookup("token.denied")
	for _, e := range []domain.Envelope{
		deny(), deny(proof.Check{Check: "condition", Claim: nasty, Operator: nasty, Expected: nasty, Actual: nasty, Message: nasty, Result: proof.Fail}),
	} {
		got := def.Summary(e)
		if len(got) > 512 || !strings.HasPrefix(got, "ci refused a token to \\x1b[2J\\n\\u202e\\u200b\\xff<é") || strings.ContainsAny(got, "\x1b\n\u202e\u200b") || !utf8.ValidString(got) {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	}
}

func TestTheReasonIsTheFirstFailureAndCountsTheOthers(t *testing.T) {
	def, _ := events.New().Lookup("token.denied")
	fail := func(name, message string) proof.Check {
		return proof.Check{Check: name, Message: message, Result: proof.Fail}
	}
	for _, tt := range []struct {
		name   string
		checks []proof.Check
		want   string
	}{
		{"without checks the code is the reason", nil, "ci refused a token to an unknown workload: it is inactive"},
		{"the first failure", []proof.Check{fail("signature", "the signature is wrong")}, "ci refused a token to an unknown workload: the signature is wrong"},
		{"others are counted", []proof.Check{fail("signature", "the signature is wrong"), fail("times", "x"), fail("condition", "y")},
			"ci refused a token to an unknown workload: the signature is wrong (and 2 more)"},
		{"a failure that says nothing is named", []proof.Check{fail("keys", "")}, "ci refused a token to an unknown workload: keys failed"},
		{"an absent claim", []proof.Check{{Check: "condition", Claim: "ref", Operator: "exists", Result: proof.Fail}}, "ci refused a token to an unknown workload: condition ref exists failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := domain.Envelope{Subject: "connection/ci", Event: token.WasDenied{Connection: "ci", Code: "connection.inactive", Checks: tt.checks}}
			if got := def.Summary(e); got != tt.want {
				t.Errorf("it says %q, want %q", got, tt.want)
			}
		})
	}
}
