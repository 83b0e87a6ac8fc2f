package organisation

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/vault"
	"sallyport.dev/projections/control"
)

// SecretsBucket names the bucket in which an organisation's sealed secrets are.
func SecretsBucket(org domain.Name) string { return "SECRETS_" + org.String() }

// openVault opens the vault. What should be destroyed in it is swept later: a
// large one takes its time to list.
func (o *Organisation) openVault(ctx context.Context, sealer *jose.Sealer) error {
	bucket, err := o.conn.Bucket(ctx, SecretsBucket(o.name))
	if err != nil {
		return err
	}
	o.vault, err = vault.Open(ctx, bucket, sealer, o.name)
	return err
}

// Vault is where the values of secrets are. What is put there or revealed is
// recorded by the caller: see [vault.Vault]. [Organisation.Reveal] says more of
// a value that is not there.
func (o *Organisation) Vault() *vault.Vault { return o.vault }

// KeyedHash is a hash of text that only the organisation can make: nobody who
// reads the log can try texts against it.
func (o *Organisation) KeyedHash(text string) string { return o.vault.HashText(text) }

// Reveal is a value from the vault, once the caller has recorded that it is
// revealed. One that was destroyed meanwhile is [resource.ErrDestroyed], and
// not [vault.ErrLost].
func (o *Organisation) Reveal(ctx context.Context, id string, owner vault.Owner) ([]byte, error) {
	value, err := o.vault.Reveal(ctx, id, owner)
	if !errors.Is(err, vault.ErrLost) {
		return value, err
	}
	destroyed := false
	_, asked := o.Execute(ctx, o.ourselves(), func(s *control.State) ([]domain.Fact, error) {
		destroyed = !s.Resources().Standing(id)
		return nil, nil
	})
	switch {
	case asked != nil:
		return nil, asked
	case destroyed:
		return nil, resource.ErrDestroyed
	}
	o.log.Error("the vault does not have what the log says it has", "resource", owner.Ref, "account", owner.Account, "version", owner.Version)
	return nil, err
}

func (o *Organisation) ourselves() domain.Meta {
	return domain.Meta{Actor: domain.System("vault"), Now: o.Now()}
}

// Permission tells whether a policy lets the caller write a secret; neither that
// nor an error means that their role decides. It is asked on the state as it is.
type Permission func(*control.State) (allowed bool, err error)

// CreateSecret makes a secret, with its first version unless value is nil.
func (o *Organisation) CreateSecret(ctx context.Context, m domain.Meta, path string, spec resource.SecretSpec, value []byte, may Permission) (domain.Position, error) {
	command := func(id, hash string, _ int) func(*control.State) ([]domain.Fact, error) {
		return func(s *control.State) ([]domain.Fact, error) {
			allowed, err := may(s)
			if err != nil {
				return nil, err
			}
			return resource.Decide(s.Resources(), resource.CreateSecret{Path: path, Spec: spec, ID: id, Hash: hash, Allowed: allowed}, m)
		}
	}
	if value == nil {
		return o.Execute(ctx, m, command("", "", 0))
	}
	first := func(*control.State) int { return 1 }
	return o.putVersion(ctx, m, vault.Owner{Ref: resource.SecretRef(path)}, value, first, command)
}

// PutVersion makes value the newest version of a secret, or of the password of a
// server's account.
func (o *Organisation) PutVersion(ctx context.Context, m domain.Meta, ref resource.Ref, account domain.Name, value []byte, may Permission) (domain.Position, error) {
	next := func(s *control.State) int {
		r, _ := s.Resources().Resource(ref)
		return r.Next(account)
	}
	return o.putVersion(ctx, m, vault.Owner{Ref: ref, Account: account}, value, next, func(id, hash string, number int) func(*control.State) ([]domain.Fact, error) {
		return func(s *control.State) ([]domain.Fact, error) {
			allowed, err := may(s)
			if err != nil {
				return nil, err
			}
			return resource.Decide(s.Resources(), resource.AddVersion{
				Ref: ref, Account: account, Number: number, ID: id, Hash: hash, Allowed: allowed,
			}, m)
		}
	})
}

// putTries bounds how often a value is sealed again since others put versions meanwhile.
const putTries = 20

// putVersion seals value under the number that is next, stores it, and has the
// command recorded that makes it a version. What was stored and refused is
// destroyed; what may have been recorded is kept, and swept later if it was not.
//
// The seal is bound to the number, so whoever loses a race for one seals again.
func (o *Organisation) putVersion(ctx context.Context, m domain.Meta, owner vault.Owner, value []byte,
	next func(*control.State) int, command func(id, hash string, number int) func(*control.State) ([]domain.Fact, error)) (domain.Position, error) {
	for try := 1; ; try++ {
		id, err := newVersionID(o.Now())
		if err != nil {
			return domain.Position{}, err
		}
		pos, done, err := o.wouldPut(ctx, m, id, &owner, next, command)
		if err != nil || done {
			return pos, err
		}
		if err := o.vault.Put(ctx, id, owner, value); err != nil {
			o.forgetValue(id)
			return domain.Position{}, err
		}
		pos, err = o.Execute(ctx, m, command(id, o.vault.Hash(owner, value), owner.Version))
		if refused(err) {
			o.forgetValue(id)
		}
		if !errors.Is(err, resource.ErrNumber) || try == putTries {
			return pos, err
		}
	}
}

// wouldPut asks whether the value would be taken before anything is stored, and
// for the number it would get. done tells that it was, under this Idempotency-Key.
func (o *Organisation) wouldPut(ctx context.Context, m domain.Meta, id string, owner *vault.Owner,
	next func(*control.State) int, command func(id, hash string, number int) func(*control.State) ([]domain.Fact, error)) (pos domain.Position, done bool, err error) {
	if err := o.room(Commands); err != nil {
		return domain.Position{}, false, err
	}
	done = true
	pos, err = o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		done = false
		owner.Version = next(s)
		_, err := command(id, "", owner.Version)(s)
		return nil, err
	})
	return pos, done, err
}

// newVersionID is a fresh ULID, which a stranger cannot guess.
func newVersionID(now time.Time) (string, error) {
	id, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	return id.String(), err
}

// DestroyVersion records that one version is destroyed, and then makes it so.
func (o *Organisation) DestroyVersion(ctx context.Context, m domain.Meta, ref resource.Ref, account domain.Name, number int, may Permission) (domain.Position, error) {
	return o.destroyAfter(ctx, m, ref, may, func(allowed bool) resource.Command {
		return resource.DestroyVersion{Ref: ref, Account: account, Number: number, Allowed: allowed}
	})
}

// DeleteSecret records that a secret is gone, and then destroys its values.
func (o *Organisation) DeleteSecret(ctx context.Context, m domain.Meta, path string, may Permission) (domain.Position, error) {
	return o.destroyAfter(ctx, m, resource.SecretRef(path), may, func(allowed bool) resource.Command {
		return resource.DeleteSecret{Path: path, Allowed: allowed}
	})
}

// destroyAfter has a command recorded after which values are destroyed, and
// destroys them. That the vault is late is no failure of it: nobody can reveal
// them any more, and the next sweep destroys them.
func (o *Organisation) destroyAfter(ctx context.Context, m domain.Meta, ref resource.Ref, may Permission, command func(allowed bool) resource.Command) (domain.Position, error) {
	var before []string
	pos, err := o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		r, _ := s.Resources().Resource(ref)
		before = r.IDs()
		allowed, err := may(s)
		if err != nil {
			return nil, err
		}
		return resource.Decide(s.Resources(), command(allowed), m)
	})
	if err == nil {
		o.DestroyGone(before)
	}
	return pos, err
}

// DestroyGone destroys the values under those ids that no version stands for any
// more. It is called once that is recorded.
func (o *Organisation) DestroyGone(ids []string) {
	for _, id := range ids {
		gone := false
		o.Read(func(s *control.State, _ domain.Head) { gone = !s.Resources().Standing(id) })
		if gone {
			o.forgetValue(id)
		}
	}
}

// forgetTime bounds destroying one value.
const forgetTime = 5 * time.Second

// forgetValue destroys what is stored under an id, also when the caller is gone.
// If that fails, the next sweep does it.
func (o *Organisation) forgetValue(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), forgetTime)
	defer cancel()
	if err := o.vault.Destroy(ctx, id); err != nil {
		o.log.Warn("a value that is no version of anything could not be destroyed; it is later", "id", id, "error", err)
	}
}

// unrecordedFor is how old a value has to be, by its id, that no version stands
// for, to be taken for one that never was recorded: the clocks of replicas are
// never that far apart, and no put takes that long.
const unrecordedFor = 3 * time.Hour

// LostValues counts the versions that can be revealed by the log, and those of
// them that the vault does not have.
func (o *Organisation) LostValues(ctx context.Context) (standing, lost int, err error) {
	var ids []string
	o.Read(func(s *control.State, _ domain.Head) { ids = s.Resources().IDs() })
	whole, err := o.vault.Whole(ctx) // later, so that what is put meanwhile is not missed
	if err != nil {
		return 0, 0, err
	}
	o.Read(func(s *control.State, _ domain.Head) {
		for _, id := range ids {
			if !s.Resources().Standing(id) { // destroyed meanwhile
				continue
			}
			if standing++; !whole[id] {
				lost++
			}
		}
	})
	return standing, lost, nil
}

// SweepVault destroys in the vault whatever the log says is destroyed, and what
// was put there long ago and never recorded. It is called at the start and now
// and then, and may be at any time.
func (o *Organisation) SweepVault(ctx context.Context) error {
	ids, err := o.vault.IDs(ctx)
	if err != nil {
		return err
	}
	gone, err := o.gone(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range gone {
		if err := o.vault.Destroy(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// gone is which of the ids no version stands for, on state as new as the log: of
// those that were destroyed lately, and of those that are old.
func (o *Organisation) gone(ctx context.Context, ids []string) (gone []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	_, err = o.Execute(ctx, o.ourselves(), func(s *control.State) ([]domain.Fact, error) {
		gone = nil
		destroyed := map[string]bool{}
		for _, id := range s.Resources().Destroyed() {
			destroyed[id] = true
		}
		for _, id := range ids {
			if !s.Resources().Standing(id) && (destroyed[id] || o.longAgo(id)) {
				gone = append(gone, id)
			}
		}
		return nil, nil
	})
	return gone, err
}

// longAgo tells whether an id was made long ago; what is no id of ours never was.
func (o *Organisation) longAgo(id string) bool {
	u, err := ulid.ParseStrict(id)
	return err == nil && o.Now().Sub(ulid.Time(u.Time())) > unrecordedFor
}
