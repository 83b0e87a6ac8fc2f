package domain_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport.dev/domain"
)

// byJSON is an event as encoding/json reads it: white space before it is
// nothing to JSON, and not the plain form.
func byJSON(b []byte) (domain.Envelope, error) {
	e, err := domain.ParseEvent(append([]byte(" "), b...))
	e.Stored = b
	return e, err
}

// However an event is written, it reads the same by the short way and the long one.
func TestTheShortWayReadsAsTheLongOne(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[ -~]{0,12}`), rapid.String())
	rapid.Check(t, func(rt *rapid.T) {
		e := envelope(`{"a":` + strings.TrimSpace(string(encoded(rt, text.Draw(rt, "data")))) + `}`)
		e.ID, e.Type, e.Source, e.Subject = text.Draw(rt, "id"), text.Draw(rt, "type"), text.Draw(rt, "source"), text.Draw(rt, "subject")
		e.Actor, e.RequestID, e.CommitID = text.Draw(rt, "actor"), text.Draw(rt, "request"), text.Draw(rt, "commit")
		e.Time = time.Unix(rapid.Int64Range(-1<<33, 1<<33).Draw(rt, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(rt, "nanoseconds")).UTC()
		if rapid.IntRange(0, 9).Draw(rt, "idempotency") == 0 {
			e.Idempotency = &domain.Idempotency{Key: text.Draw(rt, "key"), Request: "r"}
		}
		b := encoded(rt, e)
		short, err := domain.ParseEvent(b)
		long, errLong := byJSON(b)
		if (err == nil) != (errLong == nil) || err == nil && !reflect.DeepEqual(short, long) {
			rt.Fatalf("%s\nis   %+v, %v\nlong %+v, %v", b, short, err, long, errLong)
		}
	})
}

func encoded(t interface{ Fatal(...any) }, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The short way takes nothing that encoding/json would not, and reads nothing otherwise.
func FuzzParseEvent(f *testing.F) {
	good := encoded(f, envelope(`{"a":"b"}`))
	for _, s := range []string{
		string(good), strings.Replace(string(good), `"actor":"alice"`, `"actor":"a\u006cice"`, 1), strings.Replace(string(good), `}}`, `},"type":"x"}`, 1),
		strings.Replace(string(good), `{"a":"b"}`, `{"a":"b"},"id":"2","data":{}`, 1), strings.Replace(string(good), `{"a":"b"}`, `{} {}`, 1),
		strings.Replace(string(good), `{"a":"b"}`, `{"a":"b"} `, 1),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		short, err := domain.ParseEvent(b)
		long, errLong := byJSON(b)
		if (err == nil) != (errLong == nil) || err == nil && !reflect.DeepEqual(short, long) {
			t.Fatalf("%q\nis   %+v, %v\nlong %+v, %v", b, short, err, long, errLong)
		}
	})
}

func BenchmarkParseEvent(b *testing.B) {
	data := `{"connection":"ci","identity":"` + strings.Repeat("x", 600) + `"}`
	plain := encoded(b, envelope(data))
	for name, stored := range map[string][]byte{"plain": plain, "any": append([]byte(" "), plain...)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := domain.ParseEvent(stored); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
