// Package orgtest gives a test an organisation of its own: a real embedded log
// in a folder of the test's, people with API tokens, and a provider whose keys
// are fetched over real HTTP. Nothing of ours is faked.
package orgtest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/provider"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
	"sallyport.dev/streams"
)

// BaseURL is where the organisation believes it is reached.
const BaseURL = "https://sallyport.example"

// World is one organisation and everything around it.
type World struct {
	*organisation.Organisation
	Server *streams.Server // nil if the log is a cluster's
	Conn   *streams.Conn
	// TrailPath is the audit trail's file.
	TrailPath string
	// SealDir is where the log is sealed, DATA/seal/<org>.
	SealDir string

	t       testing.TB
	opt     organisation.Options
	began   time.Time
	ahead   atomic.Int64 // nanoseconds by which the clock is ahead of began
	running atomic.Bool  // with the machine's clock
}

// New opens a world; it is closed, and its log audited, when the test ends.
func New(t testing.TB) *World {
	t.Helper()
	return newIn(t, t.TempDir(), t.TempDir())
}

func newIn(t testing.TB, log, data string) *World {
	t.Helper()
	server, err := streams.StartServer(context.Background(), streams.ServerOptions{Dir: log, Log: Quiet()})
	if err != nil {
		t.Fatalf("starting the log: %v", err)
	}
	t.Cleanup(server.Close)
	conn, err := server.Connect()
	if err != nil {
		t.Fatalf("connecting to the log: %v", err)
	}
	t.Cleanup(conn.Close)
	w := join(t, conn, data)
	w.Server = server
	return w
}

// Join opens a world on a log that others may have opened too, as one of several
// replicas. All of the test have the machine's clock from then on: by clocks of their
// own, each that of how often it is looked at, they would drift apart.
func Join(t testing.TB, conn *streams.Conn) *World {
	t.Helper()
	w := join(t, conn, t.TempDir())
	worlds.Lock()
	defer worlds.Unlock()
	for _, one := range worlds.of[t] {
		one.RunClock()
	}
	return w
}

// worlds are those that are open, by their test.
var worlds = struct {
	sync.Mutex
	of map[testing.TB][]*World
}{of: map[testing.TB][]*World{}}

// register has [Join] know the world, until its test ends.
func (w *World) register() {
	worlds.Lock()
	defer worlds.Unlock()
	worlds.of[w.t] = append(worlds.of[w.t], w)
	w.t.Cleanup(func() {
		worlds.Lock()
		defer worlds.Unlock()
		delete(worlds.of, w.t)
	})
}

// Reached does something again for as long as it is told that the log cannot be
// reached and nothing was done, and for a minute at most: a cluster that gets no
// processor for a second has no leader for a moment.
func Reached(do func() error) error {
	for deadline := time.Now().Add(time.Minute); ; {
		if err := do(); !errors.Is(err, streams.ErrUnavailable) || time.Now().After(deadline) {
			return err
		}
	}
}

// Await waits until a position is folded, for a minute at most.
func (w *World) Await(at domain.Position) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		err := w.WaitFor(w.t.Context(), at)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal(err)
		}
	}
}

func join(t testing.TB, conn *streams.Conn, data string) *World {
	t.Helper()
	opt, err := options(conn, data)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{Conn: conn, TrailPath: opt.TrailPath, SealDir: opt.SealDir, opt: opt, t: t, began: time.Now()}
	w.opt.Now = w.clock
	w.register()
	if _, measured := t.(*testing.B); measured {
		w.RunClock()
	}
	w.Organisation = w.open()
	t.Cleanup(func() { w.Organisation.Close() })
	t.Cleanup(w.audit)
	return w
}

// Reopen closes the organisation, does what is to be done meanwhile, and opens it again.
func (w *World) Reopen(meanwhile func()) {
	w.t.Helper()
	w.Organisation.Close()
	meanwhile()
	w.Organisation = w.open()
}

func (w *World) open() *organisation.Organisation {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	o, err := organisation.Open(ctx, w.opt)
	if err != nil {
		w.t.Fatalf("opening the organisation: %v", err)
	}
	return o
}

// options are those of every world but for its clock: data is the folder of what is folded.
func options(conn *streams.Conn, data string) (organisation.Options, error) {
	s, err := sealer()
	return organisation.Options{
		Name: "default", BaseURL: BaseURL, Conn: conn, TrailPath: filepath.Join(data, "trail.db"), SealDir: filepath.Join(data, "seal", "default"),
		Sealer: s, Gate: jose.Gate{LoopbackHTTP: true}, Log: Quiet(), Notices: true,
	}, err
}

// kek is one key-encryption key for all worlds of a test binary, so that
// replicas of one organisation can open each other's keys.
var kek, kekErr = jose.NewKEK()

func sealer() (*jose.Sealer, error) {
	if kekErr != nil {
		return nil, kekErr
	}
	return jose.ParseKEK(kek)
}

// Quiet is a log that nobody reads.
func Quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// clock is a millisecond later whenever somebody looks, so that what a test sees
// does not depend on how fast its machine is.
func (w *World) clock() time.Time {
	if w.running.Load() {
		return time.Now().Add(time.Duration(w.ahead.Load()))
	}
	return w.began.Add(time.Duration(w.ahead.Add(int64(time.Millisecond))))
}

// RunClock has the organisation's clock go by itself, for tests of what waits for a time.
func (w *World) RunClock() { w.running.Store(true) }

// Advance moves the organisation's clock.
func (w *World) Advance(d time.Duration) { w.ahead.Add(int64(d)) }

// Meta is a command of a person who bears the roles, now.
func (w *World) Meta(id string, roles ...domain.Role) domain.Meta {
	return domain.Meta{Actor: domain.Actor{ID: id, Roles: roles}, Now: w.Now(), RequestID: "test"}
}

// Token makes an API token for a person.
func (w *World) Token(who domain.Name, role domain.Role) string {
	w.t.Helper()
	m := domain.Meta{Actor: domain.System("host"), Now: w.Now()}
	tok, err := w.CreateToken(w.t.Context(), m, who, role, time.Hour)
	if err != nil {
		w.t.Fatalf("making a token for %s: %v", who, err)
	}
	return tok.Secret
}

// SignedIn is a session of s.Person, and its cookie, begun as the console begins one
// once somebody has proved who they are.
func (w *World) SignedIn(s session.Session) (cookie string, _ session.Session) {
	w.t.Helper()
	cookie, _ = session.Name()
	s, err := w.Sessions().Create(w.t.Context(), cookie, s)
	if err != nil {
		w.t.Fatal(err)
	}
	return cookie, s
}

// Do runs a command on a connection and fails the test if it is refused.
func (w *World) Do(m domain.Meta, name domain.Name, c connection.Command) domain.Position {
	w.t.Helper()
	var p domain.Position
	err := Reached(func() (err error) {
		p, err = Try(w.t.Context(), w.Organisation, m, name, c)
		return err
	})
	if err != nil {
		w.t.Fatalf("%T on %s: %v", c, name, err)
	}
	return p
}

// Try runs a command on a connection.
func Try(ctx context.Context, o *organisation.Organisation, m domain.Meta, name domain.Name, c connection.Command) (domain.Position, error) {
	return o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		return connection.Decide(s.Connection(name), c, m)
	})
}

// Activated drafts spec as "devops" and activates it as "security".
func (w *World) Activated(name domain.Name, spec connection.Spec) {
	w.t.Helper()
	full, err := connection.Complete(spec, w.Issuer())
	if err != nil {
		w.t.Fatalf("completing %s: %v", name, err)
	}
	w.Do(w.Meta("devops", domain.DevOpsAdmin), name, connection.Draft{Name: name, Spec: full})
	w.Activate(name)
}

// Activate activates the newest version as "security", whatever it is warned of.
func (w *World) Activate(name domain.Name) {
	w.t.Helper()
	var c connection.State
	w.Read(func(s *control.State, _ domain.Head) { c = s.Connection(name) })
	var codes []string
	for _, warning := range connection.Warnings(c.Newest(), w.Issuer()) {
		if warning.Blocks {
			codes = append(codes, warning.Code)
		}
	}
	w.Do(w.Meta("security", domain.SecurityAdmin), name,
		connection.Activate{Version: c.Version, Acknowledge: codes, DualControl: "strict", Issuer: w.Issuer()})
}

// Provider is somebody else's identity provider: its keys are served over HTTP
// on the loopback, and it signs what it is asked to.
type Provider struct {
	URL     string // also its issuer
	Key     *jose.HostKey
	Fetched atomic.Int64 // how often the keys were asked for
	Down    atomic.Bool  // answers 503 while set
	t       testing.TB
}

// NewProvider starts a provider whose key is for alg.
func NewProvider(t testing.TB, alg string) *Provider {
	t.Helper()
	key, err := jose.NewHostKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{Key: key, t: t}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.Fetched.Add(1)
		if p.Down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(key.PublicJWKS())
	}))
	t.Cleanup(s.Close)
	p.URL = s.URL
	return p
}

// Spec trusts the provider: its issuer, the organisation as audience, and one subject.
func (p *Provider) Spec(audience, subject string) connection.Spec {
	return connection.Spec{
		Provider: provider.GenericJWT, JWKSURL: p.URL + "/jwks",
		Conditions: []claim.Condition{
			{Claim: "iss", Operator: claim.Equals, Value: p.URL},
			{Claim: "aud", Operator: claim.Equals, Value: audience},
			{Claim: "sub", Operator: claim.Equals, Value: subject},
		},
	}
}

// Claims are a proof's claims at now, five minutes long, with changes; a nil value removes.
func (p *Provider) Claims(now time.Time, audience, subject string, changes map[string]any) map[string]any {
	c := map[string]any{"iss": p.URL, "aud": audience, "sub": subject, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// Mint signs claims.
func (p *Provider) Mint(claims map[string]any) string {
	p.t.Helper()
	token, err := p.Key.Sign(claims)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}
