package organisation

import (
	"context"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/projections/control"
)

// Verify checks a proof with the keys of one version of a connection, fetched
// if need be. Conditions and identity are not its business: they are
// [connection.Spec.Admit]'s.
func (o *Organisation) Verify(ctx context.Context, c connection.State, spec connection.Spec, version uint64, jwt string, now time.Time) (proof.Proof, []proof.Check) {
	id, keys := o.sourceOf(c, spec, version)
	source := o.sources.Source(id, keys, c.Keys)
	rules := jose.Rules{Algorithms: spec.Algorithms}
	if spec.ProofMaxAge != nil {
		rules.MaxAge = spec.ProofMaxAge.Value()
	}
	return jose.Verify(ctx, jwt, rules, source, now)
}

// sourceOf names the key source of one version of a connection, and says where it is.
func (o *Organisation) sourceOf(c connection.State, spec connection.Spec, version uint64) (jose.SourceID, jose.KeySpec) {
	return jose.SourceID{Org: o.name, Connection: c.Name, Version: version}, jose.KeySpec{
		JWKSURL: spec.JWKSURL, IssuerURL: spec.IssuerURL, Static: spec.JWKS, CA: spec.CACertificate,
		Draft: !c.EverActivated,
	}
}

// observe records a provider's key set when it changes, and at most hourly while
// it is in use, so that a cold start in an outage knows the keys and their age.
// A version that was only written issues nothing that could need them; once it
// is activated the next fetch tells again.
func (o *Organisation) observe(ctx context.Context, seen jose.Observation) error {
	m := domain.Meta{Actor: domain.System("keys"), Now: o.Now()}
	decides := false
	_, err := o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		c := s.Connection(seen.ID.Connection)
		decides = c.ActiveVersion == seen.ID.Version
		return connection.Decide(c, connection.ObserveKeys{
			Version: seen.ID.Version, Keys: seen.Keys, KeyIDs: seen.KeyIDs, At: seen.At, SourceURL: seen.SourceURL,
		}, m)
	})
	if err == nil && !decides {
		return jose.ErrNotYet
	}
	return err
}
