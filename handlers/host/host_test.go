package host_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

// operations are what the host does, itself or by its socket.
type operations interface {
	CreateToken(ctx context.Context, org string, r host.TokenRequest) (host.NewToken, error)
	Tokens(ctx context.Context, org string) ([]host.TokenInfo, error)
	RevokeToken(ctx context.Context, org, id string) error
	Recover(ctx context.Context, org string, r host.RecoveryRequest) (host.Enrolment, error)
	RotateKeys(ctx context.Context, org string) error
	Keys(ctx context.Context, org string) ([]host.KeyInfo, error)
}

// both runs a test on the host itself and through its socket, each on an
// organisation of its own.
func both(t *testing.T, f func(*testing.T, *orgtest.World, operations)) {
	t.Run("itself", func(t *testing.T) {
		w := orgtest.New(t)
		f(t, w, host.New(w.Organisation))
	})
	t.Run("by the socket", func(t *testing.T) {
		w := orgtest.New(t)
		f(t, w, serve(t, t.TempDir(), host.New(w.Organisation)))
	})
}

// serve serves the socket of dir until the test ends.
func serve(t *testing.T, dir string, h *host.Host) *host.Client {
	t.Helper()
	l, err := host.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serving the socket: %v", err)
		}
	})
	c, err := host.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func actor(w *orgtest.World, token string) (a domain.Actor, err error) {
	w.Read(func(s *control.State, _ domain.Head) {
		a, err = s.Authenticate(person.HashToken(token), w.Now())
	})
	return a, err
}

func TestTokens(t *testing.T) {
	both(t, func(t *testing.T, w *orgtest.World, o operations) {
		ctx := t.Context()
		made, err := o.CreateToken(ctx, "default", host.TokenRequest{Person: "dana", Role: domain.DevOpsAdmin, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if a, err := actor(w, made.Token); err != nil || a.ID != "dana" || !a.Has(domain.DevOpsAdmin) || !made.Granted {
			t.Errorf("%+v speaks for %+v, %v", made, a, err)
		}
		again, err := o.CreateToken(ctx, "default", host.TokenRequest{Person: "dana", Role: domain.DevOpsAdmin, TTL: time.Minute})
		if err != nil || again.Token == made.Token || again.Granted {
			t.Errorf("a second token: %+v, %v", again, err)
		}
		if err := o.RevokeToken(ctx, "default", made.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := actor(w, made.Token); !errors.Is(err, person.ErrTokenRevoked) {
			t.Errorf("a revoked token: %v", err)
		}
		w.Advance(2 * time.Minute)
		all, err := o.Tokens(ctx, "default")
		if err != nil || len(all) != 2 || all[0].Status != "revoked" || all[0].RevokedBy != "system:host" || all[1].Status != "expired" {
			t.Errorf("got %+v, %v", all, err)
		}
	})
}

// A token of a role that a group lends gives the person nothing besides, and
// bears it as long as the group lends it.
func TestATokenOfALentRoleGrantsNothing(t *testing.T) {
	both(t, func(t *testing.T, w *orgtest.World, o operations) {
		ctx := t.Context()
		if _, err := o.CreateToken(ctx, "default", host.TokenRequest{Person: "dana", Role: domain.Member, TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
		m := domain.Meta{Actor: domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner}}, Now: w.Now()}
		for _, c := range []group.Command{
			group.Create{Name: "audit", Spec: group.Spec{Roles: []domain.Role{domain.Auditor}}},
			group.AddMember{Group: "audit", Person: "dana", Until: w.Now().Add(30 * time.Minute)},
		} {
			if _, err := w.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) { return group.Decide(s.Groups(), c, m) }); err != nil {
				t.Fatal(err)
			}
		}
		made, err := o.CreateToken(ctx, "default", host.TokenRequest{Person: "dana", Role: domain.Auditor, TTL: time.Hour})
		if a, _ := actor(w, made.Token); err != nil || made.Granted || !a.Has(domain.Auditor) {
			t.Errorf("%+v speaks for %+v, %v", made, a, err)
		}
		w.Read(func(s *control.State, _ domain.Head) {
			if p, _ := s.Person("dana"); len(p.Roles) != 1 {
				t.Errorf("dana has %v of her own", p.Roles)
			}
		})
		w.Advance(31 * time.Minute)
		if a, err := actor(w, made.Token); err != nil || len(a.Roles) > 0 {
			t.Errorf("once the membership has ended it speaks for %+v, %v", a, err)
		}
	})
}

func TestRefusalsKeepTheirKindAndCode(t *testing.T) {
	both(t, func(t *testing.T, _ *orgtest.World, o operations) {
		for _, tt := range []struct {
			name, org string
			r         host.TokenRequest
			code      string
		}{
			{"an organisation that is not served", "other", host.TokenRequest{Person: "dana", Role: domain.Auditor, TTL: time.Hour}, "organisation.not_found"},
			{"a name that is none", "default", host.TokenRequest{Person: "Dana", Role: domain.Auditor, TTL: time.Hour}, "name.invalid"},
			{"a role that is none", "default", host.TokenRequest{Person: "dana", Role: "king", TTL: time.Hour}, "role.unknown"},
			{"a life too short", "default", host.TokenRequest{Person: "dana", Role: domain.Auditor, TTL: time.Second}, "api_token.ttl"},
			{"a life too long", "default", host.TokenRequest{Person: "dana", Role: domain.Auditor, TTL: 91 * 24 * time.Hour}, "api_token.ttl"},
		} {
			var e *domain.Error
			if _, err := o.CreateToken(t.Context(), tt.org, tt.r); !errors.As(err, &e) || e.Code != tt.code || e.Kind == 0 {
				t.Errorf("%s: got %v, want %s", tt.name, err, tt.code)
			}
		}
		if all, err := o.Tokens(t.Context(), "default"); err != nil || len(all) != 0 {
			t.Errorf("refusals left %+v, %v", all, err)
		}
		if err := o.RevokeToken(t.Context(), "default", "../../keys"); !errors.Is(err, person.ErrTokenNotFound) {
			t.Errorf("revoking what is not there: %v", err)
		}
	})
}

func TestKeys(t *testing.T) {
	both(t, func(t *testing.T, w *orgtest.World, o operations) {
		if err := o.RotateKeys(t.Context(), "default"); err == nil || !strings.Contains(err.Error(), "Rotate again") {
			t.Errorf("a next key that nobody knows was taken into use: %v", err)
		}
		w.Advance(time.Hour)
		if err := o.RotateKeys(t.Context(), "default"); err != nil {
			t.Fatal(err)
		}
		all, err := o.Keys(t.Context(), "default")
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, k := range all {
			count[k.Status]++
			if (k.PublishedUntil != nil) != (k.Status == "retired") {
				t.Errorf("%+v", k)
			}
		}
		if count["active"] != 2 || count["next"] != 2 || count["retired"] != 2 {
			t.Errorf("got %v", count)
		}
	})
}

func TestHolds(t *testing.T) {
	w := orgtest.New(t)
	h := host.New(w.Organisation)
	made, err := h.CreateToken(t.Context(), "default", host.TokenRequest{Person: "dana", Role: domain.Auditor, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, token string
		role        domain.Role
		span        time.Duration
		want        bool
	}{
		{"it holds", made.Token, domain.Auditor, time.Minute, true},
		{"not for another role", made.Token, domain.Owner, time.Minute, false},
		{"not for longer than it lives", made.Token, domain.Auditor, 2 * time.Hour, false},
		{"another token", "x", domain.Auditor, 0, false},
		{"none", "", domain.Auditor, 0, false},
	} {
		if got, err := h.Holds(t.Context(), "default", tt.token, tt.role, tt.span); err != nil || got != tt.want {
			t.Errorf("%s: got %v, %v", tt.name, got, err)
		}
	}
}

func TestTheSocketIsForItsOwnerAndGoesAway(t *testing.T) {
	// A path too long for a socket is reached all the same.
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), strings.Repeat("long/", 40))} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := host.Dial(t.Context(), dir); !errors.Is(err, host.ErrNoServer) {
			t.Errorf("nobody listens: %v", err)
		}
		t.Run("served", func(t *testing.T) {
			serve(t, dir, host.New())
			info, err := os.Stat(filepath.Join(dir, "host.sock"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
		})
		if _, err := host.Dial(t.Context(), dir); !errors.Is(err, host.ErrNoServer) {
			t.Errorf("the server is gone: %v", err)
		}
	}
}

func TestASocketOfAProcessThatWasKilledIsReplaced(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "host.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, dir, host.New())
}
