package streamstest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams/streamstest"
)

type said struct{ Words string }

func (said) EventType() string { return "toy.said" }

type codec struct{}

func (codec) Encode(e domain.Event) (json.RawMessage, error) { return json.Marshal(e) }
func (codec) Decode(_ string, b json.RawMessage) (domain.Event, error) {
	var e said
	return e, json.Unmarshal(b, &e)
}

// inner is a test within the test, which is expected to fail.
type inner struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (i *inner) Errorf(format string, args ...any) {
	i.errors = append(i.errors, fmt.Sprintf(format, args...))
}
func (i *inner) Cleanup(f func()) { i.cleanups = append(i.cleanups, f) }

func TestTheAuditFindsASecret(t *testing.T) {
	for _, tt := range []struct{ name, words, want string }{
		{"a clean log passes", "nothing of note", ""},
		{"a secret in the log is found", "the password is hunter2", "toy.said at 1.0 holds a secret"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := &inner{TB: t}
			f := streamstest.New(in, codec{})
			f.Secret("hunter2")
			m := domain.Meta{Actor: domain.Actor{ID: "tess"}, Now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
			if _, err := f.Journal.Commit(t.Context(), 0, m, []domain.Fact{{Event: said{tt.words}}}); err != nil {
				t.Fatal(err)
			}
			for _, f := range in.cleanups {
				f()
			}
			got := strings.Join(in.errors, "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("the audit said %q, want %q", got, tt.want)
			}
		})
	}
}
