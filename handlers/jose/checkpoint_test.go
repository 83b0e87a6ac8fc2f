package jose

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
)

func TestTheKeyOfTheCheckpointsIsSealedAndSigns(t *testing.T) {
	store, sealer := vault{}, newSealer(t)
	made, err := NewKeyring(store, sealer, "acme").GenerateCheckpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k := NewKeyring(store, sealer, "acme") // another replica's
	loaded, err := k.LoadCheckpoint(t.Context(), made.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	msg := []byte("origin\n1\nroot\n")
	sig, err := loaded.Sign(rand.Reader, msg, crypto.Hash(0))
	if err != nil || !ed25519.Verify(made.Public().(ed25519.PublicKey), msg, sig) {
		t.Errorf("the signature does not verify: %v", err)
	}
	seed := loaded.private.(ed25519.PrivateKey).Seed()
	for name, b := range store {
		if bytes.Contains(b, seed) {
			t.Errorf("%s is stored in plain text", name)
		}
	}
	for _, text := range []string{fmt.Sprint(loaded), fmt.Sprintf("%v %+v %#v %s", loaded, loaded, loaded, loaded), loaded.LogValue().String()} {
		if bytes.Contains([]byte(text), seed) || bytes.Contains([]byte(text), fmt.Appendf(nil, "%v", seed)) {
			t.Errorf("it prints as %q", text)
		}
	}
	if k.Loaded(made.KeyID) {
		t.Error("the keyring would sign tokens with it")
	}
}

func TestAnotherKeyDoesNotSignCheckpoints(t *testing.T) {
	store, sealer := vault{}, newSealer(t)
	k := NewKeyring(store, sealer, "acme")
	kid, _, err := k.Generate(t.Context(), "ES256")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.LoadCheckpoint(t.Context(), kid); err == nil {
		t.Error("a key of tokens signs checkpoints")
	}
	if _, err := k.LoadCheckpoint(t.Context(), "nobody"); !errors.Is(err, errGone) {
		t.Errorf("a key that is not there: %v", err)
	}
	made, err := k.GenerateCheckpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewKeyring(store, sealer, "umbrella").LoadCheckpoint(t.Context(), made.KeyID); !errors.Is(err, ErrSealed) {
		t.Errorf("another organisation's key: %v", err)
	}
}
