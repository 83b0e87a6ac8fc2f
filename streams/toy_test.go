package streams_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams/streamstest"
)

// The toy organisation: a switch on control, tokens on activity that may be
// issued only while it is on, and keys that may be spent once.
type (
	wasSwitched struct{ On bool }
	wasIssued   struct {
		Name  string
		Spent string `json:",omitempty"`
	}
)

func (wasSwitched) EventType() string { return "toy.switched" }
func (wasIssued) EventType() string   { return "toy.issued" }

// toys is the codec of the toy events and knows no other type.
type toys struct{}

func (toys) Encode(e domain.Event) (json.RawMessage, error) { return json.Marshal(e) }

func (toys) Decode(typ string, data json.RawMessage) (domain.Event, error) {
	switch typ {
	case "toy.switched":
		var e wasSwitched
		return e, json.Unmarshal(data, &e)
	case "toy.issued":
		var e wasIssued
		return e, json.Unmarshal(data, &e)
	}
	return nil, fmt.Errorf("unknown type %q", typ)
}

// toy is the fold of the toy organisation, a Reader and a State.
type toy struct {
	mu    sync.Mutex
	head  domain.Head
	on    bool
	spent map[string]bool
	moved chan struct{}
	hold  func([]domain.Commit) // called before each Apply; may block
}

func newToy() *toy { return &toy{spent: map[string]bool{}, moved: make(chan struct{})} }

func (s *toy) Applied() uint64 { return s.at().Stream }

func (s *toy) at() domain.Head {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head
}

func (s *toy) Apply(cs []domain.Commit) error {
	if s.hold != nil {
		s.hold(cs)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range cs {
		for _, e := range c.Events {
			switch e := e.Event.(type) {
			case wasSwitched:
				s.on = e.On
			case wasIssued:
				s.spent[e.Spent] = true
			}
		}
		s.head.Stream = c.Sequence
		if c.Control {
			s.head.Control = c.Sequence
		}
	}
	close(s.moved)
	s.moved = make(chan struct{})
	return nil
}

func (s *toy) Read(f func(*toy, domain.Head)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s, s.head)
}

func (s *toy) Wait(ctx context.Context, seq uint64) error {
	for {
		s.mu.Lock()
		reached, moved := s.head.Stream >= seq, s.moved
		s.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// issue is the decision to issue a token: refused while the switch is off, or if its key is spent.
func issue(name, key string) func(*toy) ([]domain.Fact, string, error) {
	return func(s *toy) ([]domain.Fact, string, error) {
		switch {
		case !s.on:
			return nil, "", errOff
		case key != "" && s.spent[key]:
			return nil, "", errSpent
		}
		return []domain.Fact{{Subject: "toy/" + name, Event: wasIssued{Name: name, Spent: key}}}, key, nil
	}
}

var (
	errOff   = domain.Invalid("toy.off", "The switch is off.")
	errSpent = domain.Invalid("toy.spent", "That key is spent.")
)

func switched(on bool) []domain.Fact {
	return []domain.Fact{{Subject: "toy/switch", Event: wasSwitched{On: on}}}
}

func issued(name string) []domain.Fact {
	return []domain.Fact{{Subject: "toy/" + name, Event: wasIssued{Name: name}}}
}

var meta = domain.Meta{Actor: domain.Actor{ID: "tess"}, Now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), RequestID: "r1"}

func withTimeout(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*streamstest.Within)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
