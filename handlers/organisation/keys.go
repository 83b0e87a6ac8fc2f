package organisation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/key"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/projections/control"
)

// ensureKeys gives a new organisation its first signing keys, an active and a
// next one for each algorithm, and opens the active ones. A replica that loses
// the race to make them destroys its own.
func (o *Organisation) ensureKeys(ctx context.Context) error {
	for _, alg := range key.Algorithms() {
		if _, err := o.activeKey(alg); err == nil {
			continue
		}
		if err := o.firstKeys(ctx, alg); err != nil {
			return err
		}
	}
	return o.loadKeys(ctx)
}

// firstKeys makes and records the active and the next key of an algorithm.
func (o *Organisation) firstKeys(ctx context.Context, alg key.Algorithm) error {
	var creates []key.Create
	for _, status := range []key.Status{key.Active, key.Next} {
		kid, public, err := o.keyring.Generate(ctx, string(alg))
		if err != nil {
			return err
		}
		creates = append(creates, key.Create{Algorithm: alg, KeyID: kid, PublicJWK: public, Status: status})
	}
	m := domain.Meta{Actor: domain.System("keys"), Now: o.Now()}
	_, err := o.Execute(ctx, m, func(s *control.State) (facts []domain.Fact, err error) {
		if _, made := s.Keys().Active(alg); made {
			return nil, nil // by another replica
		}
		for _, c := range creates {
			f, err := key.Decide(s.Keys(), c, m)
			if err != nil {
				return nil, err
			}
			facts = append(facts, f...)
		}
		return facts, nil
	})
	if err != nil {
		return err
	}
	for _, c := range creates {
		if _, used := o.findKey(c.KeyID); !used {
			if err := o.keyring.Destroy(ctx, c.KeyID); err != nil {
				return err
			}
		}
	}
	return nil
}

// RotateKeys makes the next key of every algorithm the one that signs, retires
// the one that did and publishes a new next key. It is refused while the next
// key is younger than verifiers may cache the key set (five minutes).
func (o *Organisation) RotateKeys(ctx context.Context, m domain.Meta) (domain.Position, error) {
	if err := o.trusted(); err != nil {
		return domain.Position{}, err
	}
	var rotations []key.Rotate
	for _, alg := range key.Algorithms() {
		kid, public, err := o.keyring.Generate(ctx, string(alg))
		if err != nil {
			return domain.Position{}, err
		}
		rotations = append(rotations, key.Rotate{Algorithm: alg, KeyID: kid, PublicJWK: public})
	}
	pos, err := o.Execute(ctx, m, func(s *control.State) (facts []domain.Fact, err error) {
		for _, r := range rotations {
			f, err := key.Decide(s.Keys(), r, m)
			if err != nil {
				return nil, err
			}
			facts = append(facts, f...)
		}
		return facts, nil
	})
	if err != nil {
		if refused(err) { // if it is unclear whether it was recorded, the new keys are kept
			for _, r := range rotations {
				o.destroy(ctx, r.KeyID)
			}
		}
		return domain.Position{}, err
	}
	for _, k := range o.SigningKeys() {
		if k.Status == key.Retired {
			o.destroy(ctx, k.KeyID) // it is published still, and signs nothing any more
		}
	}
	return pos, o.loadKeys(ctx)
}

// destroy deletes a private key that will not be used again. It is no failure
// of a rotation if that is late: the key stays sealed.
func (o *Organisation) destroy(ctx context.Context, kid string) {
	if err := o.keyring.Destroy(ctx, kid); err != nil {
		o.log.Warn("a private key that is not used any more could not be destroyed", "kid", kid, "error", err)
	}
}

// retireEvery is how often retired keys are looked for in memory.
const retireEvery = time.Second

// forgetRetired drops private keys from memory that another replica has retired,
// a second after the log says so, until ctx ends.
func (o *Organisation) forgetRetired(ctx context.Context) {
	for ctx.Err() == nil {
		for _, k := range o.SigningKeys() {
			if k.Status == key.Retired && o.keyring.Loaded(k.KeyID) {
				o.keyring.Forget(k.KeyID)
			}
		}
		o.forgetRetiredSSH()
		pause(ctx, retireEvery)
	}
}

// SigningKeys lists every signing key there ever was, oldest first; public halves only.
func (o *Organisation) SigningKeys() (keys []key.Key) {
	o.control.Read(func(s *control.State, _ domain.Head) { keys = s.Keys().All() })
	return keys
}

// PublicKeys is the organisation's key set document (RFC 7517 section 5): RS256
// first, then ES256, whatever may still have to be verified.
func (o *Organisation) PublicKeys() json.RawMessage {
	var published []key.Key
	o.control.Read(func(s *control.State, _ domain.Head) { published = s.Keys().Published(o.Now()) })
	var jwks []json.RawMessage
	for _, k := range published {
		jwks = append(jwks, k.PublicJWK)
	}
	return jose.JWKS(jwks...)
}

// Sign signs claims with the organisation's active key for alg (RS256 or ES256).
// The caller hands the token out only after what it says is in the log.
func (o *Organisation) Sign(ctx context.Context, alg, typ string, claims any) (string, error) {
	signed, err := o.signOnce(ctx, alg, typ, claims)
	if err != nil {
		// A rotation may have taken the key away between finding and using it.
		signed, err = o.signOnce(ctx, alg, typ, claims)
	}
	return signed, err
}

func (o *Organisation) signOnce(ctx context.Context, alg, typ string, claims any) (string, error) {
	k, err := o.activeKey(key.Algorithm(alg))
	if err != nil {
		return "", err
	}
	if err := o.keyring.Load(ctx, k.KeyID); err != nil { // another replica may have rotated
		return "", fmt.Errorf("opening signing key %s: %w", k.KeyID, err)
	}
	return o.keyring.Sign(k.KeyID, alg, typ, claims)
}

func (o *Organisation) activeKey(alg key.Algorithm) (k key.Key, err error) {
	var ok bool
	o.control.Read(func(s *control.State, _ domain.Head) { k, ok = s.Keys().Active(alg) })
	if !ok {
		return key.Key{}, fmt.Errorf("there is no active signing key for %s", alg)
	}
	return k, nil
}

// findKey is a published key by its id.
func (o *Organisation) findKey(kid string) (k key.Key, ok bool) {
	now := o.Now()
	o.control.Read(func(s *control.State, _ domain.Head) { k, ok = s.Keys().Find(kid, now) })
	return k, ok
}

func (o *Organisation) loadKeys(ctx context.Context) error {
	for _, alg := range key.Algorithms() {
		k, err := o.activeKey(alg)
		if err != nil {
			return err
		}
		if err := o.keyring.Load(ctx, k.KeyID); err != nil {
			return fmt.Errorf("opening signing key %s: %w", k.KeyID, err)
		}
	}
	return nil
}

// keysReady tells whether there is a key to sign with for each algorithm.
func (o *Organisation) keysReady() error {
	for _, alg := range key.Algorithms() {
		if _, err := o.activeKey(alg); err != nil {
			return err
		}
	}
	return nil
}

// refused tells an error that means that nothing was recorded.
func refused(err error) bool {
	var d *domain.Error
	return errors.As(err, &d) && d.Kind != domain.KindUnavailable
}
