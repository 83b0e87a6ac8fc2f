package token_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/token"
)

// strictly is the data as encoding/json reads it, with no field unknown.
func strictly(data []byte) (e token.WasIssued, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return e, d.Decode(&e)
}

// However a token's event is written, the short way reads what the long one
// reads, or leaves it to the long one.
func TestTheShortWayReadsATokenAsTheLongOne(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[ -~]{0,12}`), rapid.StringMatching(`[a-z0-9:/.-]{1,40}`), rapid.String())
	when := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "seconds"), 0).UTC()
	})
	read := 0
	rapid.Check(t, func(rt *rapid.T) {
		plain := rapid.StringMatching(`[a-z0-9:/.-]{0,40}`)
		some := plain
		if rapid.IntRange(0, 3).Draw(rt, "odd") == 0 {
			some = text
		}
		e := token.WasIssued{
			Connection: domain.Name(some.Draw(rt, "connection")), Version: rapid.Uint64().Draw(rt, "version"), Generation: rapid.Uint64Range(0, 3).Draw(rt, "generation"),
			Identity: some.Draw(rt, "identity"), Grant: some.Draw(rt, "grant"), ID: some.Draw(rt, "jti"), Audience: some.Draw(rt, "audience"),
			Algorithm: some.Draw(rt, "algorithm"), IssuedAt: when.Draw(rt, "issued"), ExpiresAt: when.Draw(rt, "expires"), RoleHint: some.Draw(rt, "hint"),
			Source: some.Draw(rt, "source"), Spent: some.Draw(rt, "spent"), SpentUntil: when.Draw(rt, "spent until"),
			Proof: token.Proof{
				Digest: some.Draw(rt, "digest"), ID: some.Draw(rt, "proof"), Issuer: some.Draw(rt, "issuer"), KeyID: some.Draw(rt, "key"), Algorithm: some.Draw(rt, "their algorithm"),
				ExpiresAt: when.Draw(rt, "proof expires"), SkewSeconds: rapid.IntRange(-1, 60).Draw(rt, "skew"), KeysStale: rapid.Bool().Draw(rt, "stale"),
			},
		}
		data, err := json.Marshal(e)
		if err != nil {
			rt.Fatal(err)
		}
		if got, ok := e.Plain(data); ok {
			read++
			if want, err := strictly(data); err != nil || !reflect.DeepEqual(got, domain.Event(want)) {
				rt.Fatalf("%s\nis   %+v\nlong %+v, %v", data, got, want, err)
			}
		}
	})
	if read == 0 {
		t.Error("the short way read nothing")
	}
}

// The short way takes nothing that encoding/json would not, and reads nothing otherwise.
func FuzzPlain(f *testing.F) {
	e := token.WasIssued{Connection: "ci", Version: 1, Identity: "main", ID: "j", Spent: "s", SpentUntil: noon, Proof: token.Proof{Digest: "d", ExpiresAt: noon, KeysStale: true}}
	data, err := json.Marshal(e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(bytes.Replace(data, []byte(`"version":1`), []byte(`"version":01`), 1))
	f.Add(bytes.Replace(data, []byte(`"proof":{`), []byte(`"proof":{"unknown":1,`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := e.Plain(data)
		if !ok {
			return
		}
		if want, err := strictly(data); err != nil || !reflect.DeepEqual(got, domain.Event(want)) {
			t.Fatalf("%q\nis   %+v\nlong %+v, %v", data, got, want, err)
		}
	})
}
