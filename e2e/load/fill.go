package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/events"
	"sallyport.dev/domain/provider"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
	"sallyport.dev/streams"
)

// filling is a data directory to be made as a busy server would have left it.
type filling struct {
	dir         string
	baseURL     string
	connections int // active, each with its own provider
	events      int // tokens issued to their workloads, in full commits
	log         *slog.Logger
}

// org is the one organisation of a load.
const org = domain.Name("default")

func (f filling) issuer() string { return f.baseURL + "/orgs/" + org.String() }

// run fills the directory through the code that a server runs: the connections
// by the commands of two people, the activity by the committer.
func (f filling) run(ctx context.Context) error {
	sealer, err := f.kek()
	if err != nil {
		return err
	}
	server, err := streams.StartServer(ctx, streams.ServerOptions{Dir: f.dir, Log: f.log})
	if err != nil {
		return err
	}
	defer server.Close()
	conn, err := server.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := f.trust(ctx, conn, sealer); err != nil {
		return err
	}
	return f.issue(ctx, conn)
}

// kek makes the key-encryption key of the directory, or reads the one that is there.
func (f filling) kek() (*jose.Sealer, error) {
	path := filepath.Join(f.dir, "kek.json")
	b, err := os.ReadFile(path)
	if err != nil {
		if b, err = jose.NewKEK(); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(f.dir, 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return nil, err
		}
	}
	return jose.ParseKEK(b)
}

// trust makes the connections: drafted by one person, activated by another, and
// the provider's keys seen once, as a first exchange sees them.
func (f filling) trust(ctx context.Context, conn *streams.Conn, sealer *jose.Sealer) error {
	trails := filepath.Join(f.dir, "trail")
	if err := os.MkdirAll(trails, 0o700); err != nil {
		return err
	}
	o, err := organisation.Open(ctx, organisation.Options{
		Name: org, BaseURL: f.baseURL, Conn: conn, TrailPath: filepath.Join(trails, org.String()+".sqlite"), Sealer: sealer, Log: f.log,
	})
	if err != nil {
		return err
	}
	defer o.Close()
	key, err := jose.NewHostKey("RS256")
	if err != nil {
		return err
	}
	devops := domain.Meta{Actor: domain.Actor{ID: "devops", Roles: []domain.Role{domain.DevOpsAdmin}}}
	security := domain.Meta{Actor: domain.Actor{ID: "security", Roles: []domain.Role{domain.SecurityAdmin}}}
	keys := domain.Meta{Actor: domain.System("keys")}
	for i := range f.connections {
		name := connectionName(i)
		spec, err := connection.Complete(providerSpec(fmt.Sprintf("https://idp-%d.example", i), f.issuer()), f.issuer())
		if err != nil {
			return err
		}
		for _, step := range []struct {
			m domain.Meta
			c connection.Command
		}{
			{devops, connection.Draft{Name: name, Spec: spec}},
			{security, connection.Activate{Version: 1, DualControl: "strict", Issuer: f.issuer()}},
			{keys, connection.ObserveKeys{Version: 1, Keys: key.PublicJWKS(), KeyIDs: []string{key.KeyID}, At: o.Now(), SourceURL: spec.JWKSURL}},
		} {
			step.m.Now = o.Now()
			if _, err := o.Execute(ctx, step.m, func(s *control.State) ([]domain.Fact, error) {
				return connection.Decide(s.Connection(name), step.c, step.m)
			}); err != nil {
				return fmt.Errorf("%T of %s: %w", step.c, name, err)
			}
		}
	}
	return nil
}

func connectionName(i int) domain.Name { return domain.Name(fmt.Sprintf("ci-%d", i)) }

// subject is the workload that the proofs of a load name.
const subject = "repo:acme/app:ref:refs/heads/main"

// providerSpec trusts one provider for one workload.
func providerSpec(issuer, audience string) connection.Spec {
	return connection.Spec{
		Provider: provider.GenericJWT, JWKSURL: issuer + "/jwks",
		Conditions: []claim.Condition{
			{Claim: "iss", Operator: claim.Equals, Value: issuer},
			{Claim: "aud", Operator: claim.Equals, Value: audience},
			{Claim: "sub", Operator: claim.Equals, Value: subject},
		},
	}
}

// still is a state that nothing changes while the activity is written.
type still struct{ head domain.Head }

// Read implements [streams.State].
func (s still) Read(f func(struct{}, domain.Head)) { f(struct{}{}, s.head) }

// Wait implements [streams.State].
func (s still) Wait(context.Context, uint64) error { return nil }

// issue records tokens from 256 callers at once, so that commits are full.
func (f filling) issue(ctx context.Context, conn *streams.Conn) error {
	journal, err := streams.Open(ctx, conn, streams.Options{Org: org, Source: f.issuer(), Codec: events.New(), Log: f.log})
	if err != nil {
		return err
	}
	last, err := journal.LastControl(ctx)
	if err != nil {
		return err
	}
	committer := streams.NewCommitter(journal, still{domain.Head{Control: last}}, streams.CommitterOptions{})
	defer committer.Close()
	var next atomic.Int64
	errs := make(chan error, 256)
	var callers sync.WaitGroup
	for range cap(errs) {
		callers.Go(func() {
			for i := int(next.Add(1)) - 1; i < f.events; i = int(next.Add(1)) - 1 {
				m, fact := f.issued(i)
				if _, err := committer.Record(ctx, m, func(struct{}) ([]domain.Fact, string, error) {
					return []domain.Fact{fact}, "", nil
				}); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	callers.Wait()
	close(errs)
	return <-errs
}

// issued is a token as an exchange records it, of a proof of GitHub's shape.
func (f filling) issued(i int) (domain.Meta, domain.Fact) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	second := now.Truncate(time.Second)
	conn := connectionName(i % max(f.connections, 1))
	e := token.WasIssued{
		Connection: conn, Version: 1, Identity: subject, Grant: "urn:ietf:params:oauth:grant-type:token-exchange",
		ID: base64.RawURLEncoding.EncodeToString(random(16)), Audience: f.issuer(), Algorithm: "ES256",
		IssuedAt: second, ExpiresAt: second.Add(15 * time.Minute), Source: fmt.Sprintf("192.0.2.%d", i%250),
		Proof: token.Proof{
			Digest: base64.RawURLEncoding.EncodeToString(random(32)), ID: uuid(), Issuer: fmt.Sprintf("https://idp-%d.example", i%max(f.connections, 1)),
			KeyID: "cc413527-173f-5a05-976e-9c52b1d7b431", Algorithm: "RS256", ExpiresAt: second.Add(5 * time.Minute), SkewSeconds: 30,
		},
	}
	m := domain.Meta{Actor: domain.Actor{ID: "workload://" + org.String()}, Now: now, RequestID: ulid.Make().String()}
	return m, domain.Fact{Subject: "connection/" + conn.String(), Event: e, Actor: token.Workload(org, conn, subject)}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// uuid is a jti as most providers make it.
func uuid() string {
	h := hex.EncodeToString(random(16))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
