package events_test

import (
	"encoding/json"
	"errors"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
)

// What a newer version wrote is told apart from what is no event at all: the one
// needs another version, the other a repair.
func TestWhatANewerVersionWroteIsToldApart(t *testing.T) {
	for _, test := range []struct {
		name, typ, data string
		newer           bool
	}{
		{"a type of another name", "connection.frozen", `{}`, true},
		{"a new meaning of a type", "token.issued.v2", `{}`, true},
		{"a member that was added", "connection.deleted", `{"why": "unused"}`, true},
		{"a member of another kind", "connection.activated", `{"version": "one"}`, false},
		{"no object", "connection.deleted", `[]`, false},
		{"something behind it", "connection.deleted", `{} {}`, false},
		{"half of one", "connection.deleted", `{"why"`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := events.New().Decode(test.typ, json.RawMessage(test.data))
			if err == nil || errors.Is(err, domain.ErrNewer) != test.newer {
				t.Errorf("err = %v, want one of a newer version: %t", err, test.newer)
			}
		})
	}
}
