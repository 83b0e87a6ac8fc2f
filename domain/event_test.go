package domain_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
)

func envelope(data string) domain.Envelope {
	return domain.Envelope{
		ID: "01J0000000000000000000000A", Type: "thing.happened", Source: "https://x/orgs/o", Subject: "thing/a",
		Time: time.Date(2026, 11, 22, 12, 0, 0, 1e6, time.UTC), Actor: "alice", CommitID: "01J0000000000000000000000B",
		Data: json.RawMessage(data),
	}
}

func TestABatchReadsBackByteForByte(t *testing.T) {
	var stored []string
	want := []domain.Envelope{
		envelope(`{}`), envelope(`{"a":"],[\"}{\\","b":[1,[2,{"c":","}]]}`), envelope(`{"q":"\\\\\""}`), envelope(`"text, with a comma"`), envelope(`[]`),
	}
	want[1].Idempotency = &domain.Idempotency{Key: "k", Request: "r"}
	for i, e := range want {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, string(b))
		want[i].Stored = b
	}
	got, err := domain.ParseBatch([]byte("[" + strings.Join(stored, ",") + "]"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNotABatchIsRefused(t *testing.T) {
	good, err := json.Marshal(envelope(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	g := string(good)
	for name, body := range map[string]string{
		"nothing": "", "an object": g, "an open array": "[" + g, "two commas": "[" + g + ",," + g + "]", "a comma at the end": "[" + g + ",]",
		"an unbalanced bracket": "[" + g + "]]", "something behind": "[" + g + "] x", "text between": "[" + g + " x," + g + "]",
		"an open string": `[{"a":"]`, "a number": "[1]", "null": "[null]",
		"another version": "[" + strings.Replace(g, `"1.0"`, `"0.3"`, 1) + "]", "no actor": "[" + strings.Replace(g, `"alice"`, `""`, 1) + "]",
		"no data": "[" + strings.Replace(g, `,"data":{}`, ``, 1) + "]",
	} {
		if got, err := domain.ParseBatch([]byte(body)); err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
	if got, err := domain.ParseBatch([]byte(" [ ] ")); err != nil || len(got) != 0 {
		t.Errorf("an empty batch: %v, %v", got, err)
	}
}

func FuzzParseBatch(f *testing.F) {
	good, err := json.Marshal(envelope(`{"a":"],[\"}{\\"}`))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"[]", "[" + string(good) + "]", "[" + string(good) + "," + string(good) + "]", `[{"a":"\"]`, "[[", "]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := domain.ParseBatch(body)
		if err != nil {
			return
		}
		var whole []json.RawMessage
		if err := json.Unmarshal(body, &whole); err != nil || len(whole) != len(got) {
			t.Fatalf("%d events of what encoding/json reads as %d elements, %v", len(got), len(whole), err)
		}
	})
}

func TestPositionsReadBackOnlyInTheirOwnForm(t *testing.T) {
	for _, s := range []string{"0.0", "12.3", "18446744073709551615.63"} {
		if p, err := domain.ParsePosition(s); err != nil || p.String() != s {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "12", "12.", ".1", "01.0", "1.00", "+1.0", "1.-1", "1.0.0", "1 .0", "18446744073709551616.0"} {
		if p, err := domain.ParsePosition(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, p)
		}
	}
}

func TestNames(t *testing.T) {
	for _, s := range []string{"a", "gitlab-ci", "0", strings.Repeat("a", 63)} {
		if n, err := domain.ParseName(s); err != nil || n.String() != s {
			t.Errorf("%q: %v, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "-a", "a-", "A", "a.b", "a/b", "a_b", "ä", "a\n", strings.Repeat("a", 64)} {
		if n, err := domain.ParseName(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, n)
		}
	}
}
