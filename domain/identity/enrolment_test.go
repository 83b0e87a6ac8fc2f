package identity_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
)

const (
	first  = "01KASE0000000000000000000A"
	second = "01KASE0000000000000000000B"
)

var (
	host    = domain.System("host")
	secret1 = strings.Repeat("a1", 32) // their hashes
	secret2 = strings.Repeat("b2", 32)
)

// enrolling is a state with the first enrolment, made at noon, and what happened since.
func enrolling(t *testing.T, who domain.Name, more ...domain.Event) identity.State {
	t.Helper()
	var s identity.State
	made := identity.EnrolmentWasCreated{ID: first, Person: who, Hash: secret1, ExpiresAt: noon.Add(identity.EnrolmentLife)}
	for _, e := range append([]domain.Event{made}, more...) {
		var err error
		if s, err = identity.Evolve(s, domain.Envelope{Type: e.EventType(), Time: noon, Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestEnrolments(t *testing.T) {
	role := &domain.Error{Code: "role.missing"}
	used := identity.EnrolmentWasUsed{ID: first, Person: "dana"}
	newer := identity.EnrolmentWasCreated{ID: second, Person: "sam", Hash: secret2, ExpiresAt: noon.Add(identity.EnrolmentLife)}
	for _, tt := range []struct {
		name  string
		who   domain.Name // the first is for; "" anybody
		given []domain.Event
		by    domain.Actor
		after time.Duration
		when  identity.Command
		want  int // facts
		err   error
	}{
		{"the host makes one in place of another", "", nil, host, 0, identity.CreateEnrolment{ID: second, Hash: secret2}, 1, nil},
		{"and after one was used", "", []domain.Event{used}, host, 0, identity.CreateEnrolment{ID: second, Hash: secret2}, 1, nil},
		{"the same again is nothing", "", nil, host, 0, identity.CreateEnrolment{ID: first, Hash: secret1}, 0, nil},
		{"the same with another secret", "", nil, host, 0, identity.CreateEnrolment{ID: first, Hash: secret2}, 0, identity.ErrEnrolmentForm},
		{"a secret is for one", "", []domain.Event{used}, host, 0, identity.CreateEnrolment{ID: second, Hash: secret1}, 0, identity.ErrEnrolmentForm},
		{"no owner makes one: they would be two people", "", nil, owner, 0, identity.CreateEnrolment{ID: second, Hash: secret2}, 0, role},
		{"nor does anybody else", "", nil, carol, 0, identity.CreateEnrolment{ID: second, Hash: secret2}, 0, role},
		{"an id is a ULID", "", nil, host, 0, identity.CreateEnrolment{ID: "2", Hash: secret2}, 0, identity.ErrEnrolmentForm},
		{"in capitals", "", nil, host, 0, identity.CreateEnrolment{ID: strings.ToLower(second), Hash: secret2}, 0, identity.ErrEnrolmentForm},
		{"a secret itself is no hash", "", nil, host, 0, identity.CreateEnrolment{ID: second, Hash: "sallyport_secret"}, 0, identity.ErrEnrolmentForm},

		{"it is used", "", nil, system, 0, identity.UseEnrolment{ID: first, Person: "dana"}, 1, nil},
		{"by whom it is for", "dana", nil, system, 0, identity.UseEnrolment{ID: first, Person: "dana"}, 1, nil},
		{"and by nobody else", "dana", nil, system, 0, identity.UseEnrolment{ID: first, Person: "mallory"}, 0, identity.ErrEnrolment},
		{"nobody uses it by saying so", "dana", nil, carol, 0, identity.UseEnrolment{ID: first, Person: "dana"}, 0, role},
		{"not an owner either", "dana", nil, owner, 0, identity.UseEnrolment{ID: first, Person: "dana"}, 0, role},
		{"in its last moment", "", nil, system, identity.EnrolmentLife - 1, identity.UseEnrolment{ID: first, Person: "dana"}, 1, nil},
		{"not at its end", "", nil, system, identity.EnrolmentLife, identity.UseEnrolment{ID: first, Person: "dana"}, 0, identity.ErrEnrolment},
		{"not after it", "", nil, system, identity.EnrolmentLife + 1, identity.UseEnrolment{ID: first, Person: "dana"}, 0, identity.ErrEnrolment},
		{"not twice", "", []domain.Event{used}, system, 0, identity.UseEnrolment{ID: first, Person: "dana"}, 0, identity.ErrEnrolment},
		{"not by another", "", []domain.Event{used}, system, 0, identity.UseEnrolment{ID: first, Person: "mallory"}, 0, identity.ErrEnrolment},
		{"not once there is a newer one", "", []domain.Event{newer}, system, 0, identity.UseEnrolment{ID: first, Person: "dana"}, 0, identity.ErrEnrolment},
		{"the newer one is", "", []domain.Event{newer}, system, 0, identity.UseEnrolment{ID: second, Person: "sam"}, 1, nil},
		{"one that nobody made", "", nil, system, 0, identity.UseEnrolment{ID: second, Person: "dana"}, 0, identity.ErrEnrolment},
		{"none at all", "", nil, system, 0, identity.UseEnrolment{Person: "dana"}, 0, identity.ErrEnrolment},
	} {
		s := enrolling(t, tt.who, tt.given...)
		facts, err := identity.Decide(s, tt.when, domain.Meta{Actor: tt.by, Now: noon.Add(tt.after)})
		if len(facts) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %v, %v, want %d facts, %v", tt.name, facts, err, tt.want, tt.err)
		}
		for _, f := range facts {
			if _, err := identity.Evolve(s, domain.Envelope{Type: f.Event.EventType(), Event: f.Event}); err != nil {
				t.Errorf("%s: what is decided does not fold: %v", tt.name, err)
			}
		}
	}
}

func TestNothingOpensWhereThereNeverWasAnEnrolment(t *testing.T) {
	var s identity.State
	for _, hash := range []string{"", secret1} {
		if _, err := s.EnrolmentOf(hash, time.Time{}); !errors.Is(err, identity.ErrEnrolment) {
			t.Errorf("%q: %v", hash, err)
		}
	}
	if _, err := identity.Decide(s, identity.UseEnrolment{Person: "dana"}, domain.Meta{Actor: system}); !errors.Is(err, identity.ErrEnrolment) {
		t.Errorf("got %v", err)
	}
}

func TestAnEnrolmentIsUsedByWhoUsedIt(t *testing.T) {
	facts, err := identity.Decide(enrolling(t, ""), identity.UseEnrolment{ID: first, Person: "dana"}, domain.Meta{Actor: system, Now: noon})
	if err != nil || facts[0].Actor != "dana" || facts[0].Subject != "enrolment/"+first {
		t.Errorf("got %+v, %v", facts, err)
	}
}

func TestALogThatUsesAnEnrolmentTwiceIsNotOurs(t *testing.T) {
	used := identity.EnrolmentWasUsed{ID: first, Person: "dana"}
	for name, e := range map[string]domain.Event{
		"used twice": used, "used, and older than another": identity.EnrolmentWasUsed{ID: second, Person: "dana"},
		"created twice": identity.EnrolmentWasCreated{ID: first, Hash: secret2},
	} {
		if _, err := identity.Evolve(enrolling(t, "", used), domain.Envelope{Type: e.EventType(), Event: e}); err == nil {
			t.Errorf("%s: it folds", name)
		}
	}
}

// Whatever happens in whatever order, a secret opens once, before its time is over,
// and only while none was made after it.
func TestWhateverHappensASecretOpensOnce(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var s identity.State
		var made []identity.EnrolmentWasCreated
		opened := map[string]int{}
		now := noon
		for range 60 {
			now = now.Add(time.Duration(rng.Int64N(int64(6 * time.Minute))))
			var c identity.Command
			var used *identity.EnrolmentWasCreated
			if len(made) == 0 || rng.IntN(3) == 0 {
				n := len(made)
				c = identity.CreateEnrolment{ID: fmt.Sprintf("01KASE%020d", n), Hash: fmt.Sprintf("%064x", n)}
			} else {
				used = &made[len(made)-1-rng.IntN(min(3, len(made)))]
				c = identity.UseEnrolment{ID: used.ID, Person: "dana"}
			}
			open := used != nil && used.ID == made[len(made)-1].ID && opened[used.ID] == 0 && now.Before(used.ExpiresAt)
			if used != nil {
				if _, err := s.EnrolmentOf(used.Hash, now); (err == nil) != open {
					t.Fatalf("seed %d: the secret of %s: %v, want open %v", seed, used.ID, err, open)
				}
			}
			facts, err := identity.Decide(s, c, domain.Meta{Actor: system, Now: now})
			if used != nil && (err == nil) != open || used == nil && err != nil {
				t.Fatalf("seed %d: %+v: %v, want open %v", seed, c, err, open)
			}
			for _, f := range facts {
				if s, err = identity.Evolve(s, domain.Envelope{Type: f.Event.EventType(), Time: now, Event: f.Event}); err != nil {
					t.Fatal(err)
				}
				switch e := f.Event.(type) {
				case identity.EnrolmentWasCreated:
					made = append(made, e)
				case identity.EnrolmentWasUsed:
					opened[e.ID]++
				}
			}
		}
	}
}
