package sshca_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/sshca"
)

var (
	noon     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	system   = domain.System("keys")
	security = domain.Actor{ID: "security", Roles: []domain.Role{domain.SecurityAdmin}}
)

// pair is the public half of some key and its fingerprint.
func pair(n byte) (id, public string) {
	blob := []byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + strings.Repeat(string(rune('A'+n%26)), 31) + string(rune('0'+n/26)))
	return sshca.Fingerprint(blob), "ssh-ed25519 " + base64.StdEncoding.EncodeToString(blob)
}

func create(n byte, st sshca.Status) sshca.Create {
	id, public := pair(n)
	return sshca.Create{ID: id, Public: public, Status: st}
}

func rotate(n byte) sshca.Rotate {
	id, public := pair(n)
	return sshca.Rotate{ID: id, Public: public}
}

// do decides, and folds what follows.
func do(t testing.TB, s sshca.State, c sshca.Command, a domain.Actor, now time.Time) (sshca.State, []domain.Fact, error) {
	facts, err := sshca.Decide(s, c, domain.Meta{Actor: a, Now: now})
	for _, f := range facts {
		var folded error
		if s, folded = sshca.Evolve(s, domain.Envelope{Type: f.Event.EventType(), Subject: f.Subject, Time: now, Event: f.Event}); folded != nil {
			t.Fatalf("what was decided does not fold: %v", folded)
		}
	}
	return s, facts, err
}

// fresh is an authority with its first two keys.
func fresh(t testing.TB) sshca.State {
	var s sshca.State
	for n, st := range []sshca.Status{sshca.Active, sshca.Next} {
		var err error
		if s, _, err = do(t, s, create(byte(n), st), system, noon); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func ids(keys []sshca.Key) (out []string) {
	for _, k := range keys {
		out = append(out, k.ID)
	}
	return out
}

func TestARotationMovesTheLineByOne(t *testing.T) {
	s := fresh(t)
	first, next := ids(s.Trusted())[0], ids(s.Trusted())[1]
	later := noon.Add(sshca.CacheTime)
	s, facts, err := do(t, s, rotate(2), security, later)
	if err != nil || len(facts) != 3 {
		t.Fatalf("got %v, %v", facts, err)
	}
	for i, want := range []string{"ssh_ca.retired", "ssh_ca.activated", "ssh_ca.created"} {
		if got := facts[i].Event.EventType(); got != want || !strings.HasPrefix(facts[i].Subject, "ssh_ca/SHA256:") {
			t.Errorf("fact %d is %s of %s, want %s", i, got, facts[i].Subject, want)
		}
	}
	third, _ := pair(2)
	if got := fmt.Sprint(ids(s.Trusted())); got != fmt.Sprint([]string{next, third}) {
		t.Errorf("servers are to trust %s, want %s and %s", got, next, third)
	}
	if k, ok := s.Active(); !ok || k.ID != next || !k.ActivatedAt.Equal(later) {
		t.Errorf("%+v signs, want %s", k, next)
	}
	if k := s.Keys()[0]; k.ID != first || k.Status != sshca.Retired || !k.RetiredAt.Equal(later) {
		t.Errorf("the first key is %+v, want it retired", k)
	}
}

func TestWhatIsRefused(t *testing.T) {
	s := fresh(t)
	late := noon.Add(time.Hour)
	id, public := pair(9)
	rsa := "ssh-rsa " + strings.TrimPrefix(public, "ssh-ed25519 ")
	for name, tt := range map[string]struct {
		s   sshca.State
		c   sshca.Command
		by  domain.Actor
		now time.Time
		err error
	}{
		"an owner does not rotate":                      {s, rotate(9), domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner}}, late, sshca.ErrRole},
		"a resource_admin does not":                     {s, rotate(9), domain.Actor{ID: "r", Roles: []domain.Role{domain.ResourceAdmin}}, late, sshca.ErrRole},
		"a next key younger than caches does not sign":  {s, rotate(9), security, noon.Add(sshca.CacheTime - time.Millisecond), sshca.ErrTooYoung},
		"without a next key there is no rotation":       {sshca.State{}, rotate(9), security, late, sshca.ErrNoNext},
		"the same rotation again is nothing":            {s, rotate(1), security, late, nil},
		"the same first key again is nothing":           {s, create(0, sshca.Active), system, late, nil},
		"a key has one place":                           {s, create(0, sshca.Next), system, late, sshca.ErrTaken},
		"a second active key is none":                   {s, create(9, sshca.Active), system, late, sshca.ErrTaken},
		"a key is not created retired":                  {s, create(9, sshca.Retired), system, late, sshca.ErrTaken},
		"another fingerprint is refused":                {s, sshca.Rotate{ID: id + "x", Public: public}, security, late, sshca.ErrMalformed},
		"a comment is refused":                          {s, sshca.Rotate{ID: id, Public: public + " me"}, security, late, sshca.ErrMalformed},
		"a second line is refused":                      {s, sshca.Rotate{ID: id, Public: public + "\n" + public}, security, late, sshca.ErrMalformed},
		"a line end inside the base64 is refused":       {s, sshca.Rotate{ID: id, Public: public[:40] + "\n" + public[40:]}, security, late, sshca.ErrMalformed},
		"options before it are refused":                 {s, sshca.Rotate{ID: id, Public: "cert-authority " + public}, security, late, sshca.ErrMalformed},
		"another kind is refused":                       {s, sshca.Rotate{ID: id, Public: rsa}, security, late, sshca.ErrMalformed},
		"an ed25519 name around other bytes is refused": {s, sshca.Rotate{ID: sshca.Fingerprint([]byte("x")), Public: "ssh-ed25519 eA=="}, security, late, sshca.ErrMalformed},
		"nothing is refused":                            {s, sshca.Rotate{}, security, late, sshca.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if _, facts, err := do(t, tt.s, tt.c, tt.by, tt.now); !errors.Is(err, tt.err) || len(facts) != 0 {
				t.Errorf("got %v, %v", facts, err)
			}
		})
	}
}

func TestAnImpossibleHistoryDoesNotFold(t *testing.T) {
	s := fresh(t)
	active, next := s.Trusted()[0], s.Trusted()[1]
	id, public := pair(9)
	for name, e := range map[string]domain.Event{
		"a second active key":                  sshca.WasCreated{ID: id, Public: public, Status: sshca.Active},
		"a key twice":                          sshca.WasCreated{ID: next.ID, Public: next.Public, Status: sshca.Next},
		"a key under another's fingerprint":    sshca.WasCreated{ID: next.ID, Public: public, Status: sshca.Next},
		"a second active one beside the first": sshca.WasActivated{ID: next.ID},
		"the active one again":                 sshca.WasActivated{ID: active.ID},
		"the next one retired":                 sshca.WasRetired{ID: next.ID},
		"one that never was retired":           sshca.WasRetired{ID: id},
	} {
		if _, err := sshca.Evolve(s, domain.Envelope{Type: e.EventType(), Event: e}); err == nil {
			t.Errorf("%s folded", name)
		}
	}
}

// TestWhatServersTrustSigns holds any history of commands to what a server needs:
// at most one key signs, it is trusted, and it was published for as long as caches live.
func TestWhatServersTrustSigns(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s sshca.State
		now := noon
		for n := range rapid.IntRange(1, 20).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 10).Draw(rt, "minutes")) * time.Minute)
			c := rapid.SampledFrom([]sshca.Command{create(byte(n), sshca.Active), create(byte(n), sshca.Next), rotate(byte(n))}).Draw(rt, "command")
			before := s
			s, _, _ = do(t, s, c, system, now)
			active, next := 0, 0
			for _, k := range s.Keys() {
				if k.Status == sshca.Active {
					active++
				} else if k.Status == sshca.Next {
					next++
				}
				if rotated := k.ActivatedAt.After(k.CreatedAt); rotated && k.ActivatedAt.Sub(k.CreatedAt) < sshca.CacheTime {
					rt.Fatalf("%s signs %s after it was published", k.ID, k.ActivatedAt.Sub(k.CreatedAt))
				}
			}
			if active > 1 || next > 1 || len(s.Trusted()) != active+next || len(s.Keys()) < len(before.Keys()) {
				rt.Fatalf("%d active, %d next, %d trusted", active, next, len(s.Trusted()))
			}
		}
	})
}
