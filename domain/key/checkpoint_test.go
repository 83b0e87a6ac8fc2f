package key_test

import (
	"errors"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/key"
)

const verifier = "sallyport.example/orgs/default+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

func TestTheKeyOfTheCheckpointsIsMadeOnce(t *testing.T) {
	first := key.CreateCheckpoint{KeyID: "c1", Verifier: verifier}
	s, fs, err := do(t, key.State{}, first, system, noon)
	if err != nil || len(fs) != 1 || fs[0].Subject != "checkpoint_key/c1" || fs[0].Event.EventType() != "checkpoint_key.created" {
		t.Fatalf("got %v, %v", fs, err)
	}
	if got := s.Checkpoint(); got != key.CheckpointKey(first) {
		t.Errorf("the key is %+v", got)
	}
	if len(s.All()) != 0 {
		t.Errorf("it is among the keys of tokens: %v", s.All())
	}
	for _, tt := range []struct {
		name string
		by   domain.Actor
		when key.CreateCheckpoint
		s    key.State
		err  error
	}{
		{"the same again is nothing", system, first, s, nil},
		{"another one is refused", system, key.CreateCheckpoint{KeyID: "c2", Verifier: verifier}, s, key.ErrTaken},
		{"no id is refused", system, key.CreateCheckpoint{Verifier: verifier}, key.State{}, key.ErrMalformed},
		{"no verifier is refused", system, key.CreateCheckpoint{KeyID: "c1"}, key.State{}, key.ErrMalformed},
		{"a verifier of two lines is refused", system, key.CreateCheckpoint{KeyID: "c1", Verifier: verifier + "\n"}, key.State{}, key.ErrMalformed},
		{"a verifier without a key is refused", system, key.CreateCheckpoint{KeyID: "c1", Verifier: "sallyport.example+c74f20a3"}, key.State{}, key.ErrMalformed},
		{"a verifier without end is refused", system, key.CreateCheckpoint{KeyID: "c1", Verifier: verifier + strings.Repeat("A", 1000)}, key.State{}, key.ErrMalformed},
		{"nobody else makes it", devops, first, key.State{}, key.ErrRole},
	} {
		if _, fs, err := do(t, tt.s, tt.when, tt.by, noon); !errors.Is(err, tt.err) || len(fs) != 0 {
			t.Errorf("%s: %v, %v", tt.name, fs, err)
		}
	}
}

func TestAnImpossibleKeyOfCheckpointsDoesNotFold(t *testing.T) {
	s, _, err := do(t, key.State{}, key.CreateCheckpoint{KeyID: "c1", Verifier: verifier}, system, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		s key.State
		e key.CheckpointWasCreated
	}{
		{s, key.CheckpointWasCreated{KeyID: "c1", Verifier: verifier}},
		{s, key.CheckpointWasCreated{KeyID: "c2", Verifier: verifier}},
		{key.State{}, key.CheckpointWasCreated{KeyID: "c2"}},
	} {
		if _, err := key.Evolve(x.s, domain.Envelope{Type: "checkpoint_key.created", Event: x.e}); err == nil {
			t.Errorf("%+v folded", x.e)
		}
	}
}
