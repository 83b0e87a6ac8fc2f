package jose

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"log/slog"
)

// CheckpointSigner signs the checkpoints of a log (Ed25519, RFC 8032) and
// nothing else: it is never published as a key of tokens. It prints as nothing
// of itself. Safe for concurrent use.
type CheckpointSigner struct {
	KeyID   string // RFC 7638 thumbprint
	private crypto.Signer
}

func (s *CheckpointSigner) String() string       { return "checkpoint key " + s.KeyID }
func (s *CheckpointSigner) GoString() string     { return s.String() }
func (s *CheckpointSigner) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Public is an [ed25519.PublicKey].
func (s *CheckpointSigner) Public() crypto.PublicKey { return s.private.Public() }

// Sign signs a message that is not hashed; opts is [crypto.Hash](0).
func (s *CheckpointSigner) Sign(rand io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.private.Sign(rand, msg, opts)
}

// GenerateCheckpoint makes the key of an organisation's checkpoints, once its
// private half is sealed and stored. That it exists is the caller's to record.
func (k *Keyring) GenerateCheckpoint(ctx context.Context) (*CheckpointSigner, error) {
	private, err := generate(checkpointAlgorithm)
	if err != nil {
		return nil, fmt.Errorf("making the key of the checkpoints: %w", err)
	}
	key, err := newKey(private.Public(), checkpointAlgorithm)
	if err != nil {
		return nil, err
	}
	if err := k.put(ctx, key.ID, checkpointAlgorithm, private); err != nil {
		return nil, fmt.Errorf("storing the key of the checkpoints %s: %w", key.ID, err)
	}
	return &CheckpointSigner{key.ID, private}, nil
}

// LoadCheckpoint opens the sealed key of an organisation's checkpoints.
func (k *Keyring) LoadCheckpoint(ctx context.Context, kid string) (*CheckpointSigner, error) {
	sealed, err := k.store.Get(ctx, storeName(kid))
	if err != nil {
		return nil, fmt.Errorf("reading the key of the checkpoints %s: %w", kid, err)
	}
	s, err := k.open(kid, sealed)
	if err != nil {
		return nil, fmt.Errorf("opening the key of the checkpoints %s: %w", kid, err)
	}
	if s.alg != checkpointAlgorithm {
		return nil, fmt.Errorf("opening the key of the checkpoints %s: it signs %s", kid, s.alg)
	}
	return &CheckpointSigner{kid, s.private}, nil
}

// checkpointAlgorithm is the one that every reader of signed notes knows.
const checkpointAlgorithm = "EdDSA"
