package organisation

import (
	"context"
	"errors"
	"fmt"

	"sallyport.dev/domain"
	"sallyport.dev/domain/sshca"
	authority "sallyport.dev/handlers/sshca"
	"sallyport.dev/projections/control"
)

// SSH is the organisation's SSH authority. It signs with the key that is active
// in the control state at that moment.
func (o *Organisation) SSH() *authority.Authority { return o.ssh }

// SSHKeys lists every key that the SSH authority ever had, oldest first; public halves only.
func (o *Organisation) SSHKeys() (keys []sshca.Key) {
	o.control.Read(func(s *control.State, _ domain.Head) { keys = s.SSH().Keys() })
	return keys
}

// TrustedSSHKeys is what servers are to trust: the key that signs, and the next one.
func (o *Organisation) TrustedSSHKeys() (keys []sshca.Key) {
	o.control.Read(func(s *control.State, _ domain.Head) { keys = s.SSH().Trusted() })
	return keys
}

// activeSSHKey is the fingerprint of the key that signs certificates now.
func (o *Organisation) activeSSHKey() (string, error) {
	var k sshca.Key
	var ok bool
	o.control.Read(func(s *control.State, _ domain.Head) { k, ok = s.SSH().Active() })
	if !ok {
		return "", errors.New("the SSH authority has no active key")
	}
	return k.ID, nil
}

// ensureSSH gives an organisation that has none its first keys for SSH, an
// active and a next one, and opens the active one. A replica that loses the race
// to make them destroys its own.
func (o *Organisation) ensureSSH(ctx context.Context) error {
	if _, err := o.activeSSHKey(); err != nil {
		if err := o.firstSSHKeys(ctx); err != nil {
			return err
		}
	}
	active, err := o.activeSSHKey()
	if err != nil {
		return err
	}
	return o.ssh.Load(ctx, active)
}

func (o *Organisation) firstSSHKeys(ctx context.Context) error {
	var creates []sshca.Create
	for _, status := range []sshca.Status{sshca.Active, sshca.Next} {
		id, public, err := o.ssh.Generate(ctx)
		if err != nil {
			return err
		}
		creates = append(creates, sshca.Create{ID: id, Public: public, Status: status})
	}
	m := domain.Meta{Actor: domain.System("keys"), Now: o.Now()}
	_, err := o.Execute(ctx, m, func(s *control.State) (facts []domain.Fact, err error) {
		if _, made := s.SSH().Active(); made {
			return nil, nil // by another replica
		}
		for _, c := range creates {
			f, err := sshca.Decide(s.SSH(), c, m)
			if err != nil {
				return nil, err
			}
			facts = append(facts, f...)
		}
		return facts, nil
	})
	if err != nil {
		return fmt.Errorf("recording the first keys of the SSH authority: %w", err)
	}
	used := map[string]bool{}
	for _, k := range o.SSHKeys() {
		used[k.ID] = true
	}
	for _, c := range creates {
		if !used[c.ID] {
			if err := o.ssh.Destroy(ctx, c.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// RotateSSH makes the next key of the SSH authority the one that signs, retires
// the one that did and publishes a new next one. It is refused while the next
// key is younger than servers may cache the list of trusted keys (five minutes).
func (o *Organisation) RotateSSH(ctx context.Context, m domain.Meta) (domain.Position, error) {
	if err := o.trusted(); err != nil {
		return domain.Position{}, err
	}
	id, public, err := o.ssh.Generate(ctx)
	if err != nil {
		return domain.Position{}, err
	}
	pos, err := o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		return sshca.Decide(s.SSH(), sshca.Rotate{ID: id, Public: public}, m)
	})
	if err != nil {
		if refused(err) { // if it is unclear whether it was recorded, the new key is kept
			o.destroySSH(ctx, id)
		}
		return domain.Position{}, err
	}
	known := false
	for _, k := range o.SSHKeys() {
		known = known || k.ID == id
		if k.Status == sshca.Retired {
			o.destroySSH(ctx, k.ID)
		}
	}
	if !known { // this request was done before, under its Idempotency-Key
		o.destroySSH(ctx, id)
	}
	active, err := o.activeSSHKey()
	if err != nil {
		return pos, err
	}
	return pos, o.ssh.Load(ctx, active)
}

// destroySSH deletes a private key that will not be used again. It is no failure
// of a rotation if that is late: the key stays sealed.
func (o *Organisation) destroySSH(ctx context.Context, id string) {
	if err := o.ssh.Destroy(ctx, id); err != nil {
		o.log.Warn("a private key of the SSH authority that is not used any more could not be destroyed", "key", id, "error", err)
	}
}

// forgetRetiredSSH drops private keys from memory that another replica has retired.
func (o *Organisation) forgetRetiredSSH() {
	for _, k := range o.SSHKeys() {
		if k.Status == sshca.Retired && o.ssh.Loaded(k.ID) {
			o.ssh.Forget(k.ID)
		}
	}
}
