package sshca

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"sallyport.dev/domain"
)

// Create gives an organisation a key that has no predecessor: the active and the
// next one, when there are none. Every later key comes by [Rotate].
type Create struct {
	ID     string // fingerprint of Public
	Public string // authorized_keys form, without a comment
	Status Status // Active or Next
}

func (c Create) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := checkPublic(c.ID, c.Public); err != nil {
		return nil, err
	}
	if i := s.index(c.ID); i >= 0 {
		if s.keys[i].Status == c.Status {
			return nil, nil // already so
		}
		return nil, ErrTaken
	}
	e := WasCreated(c)
	if _, err := e.evolve(s, domain.Envelope{Time: m.Now}); err != nil {
		return nil, ErrTaken.With("The SSH authority has its %s key already.", c.Status)
	}
	return []domain.Fact{fact(c.ID, e)}, nil
}

// WasCreated records that a key pair was made and its public half published.
type WasCreated struct {
	ID     string `json:"fingerprint"`
	Public string `json:"public_key"`
	Status Status `json:"state"` // Next, or Active for the first
}

// EventType is ssh_ca.created.
func (WasCreated) EventType() string { return "ssh_ca.created" }

func (e WasCreated) evolve(s State, env domain.Envelope) (State, error) {
	k := Key{ID: e.ID, Public: e.Public, Status: e.Status, CreatedAt: env.Time}
	_, taken := s.first(e.Status)
	switch {
	case checkPublic(e.ID, e.Public) != nil:
		return s, fmt.Errorf("SSH authority key %q is not the key it is called", e.ID)
	case s.index(e.ID) >= 0:
		return s, fmt.Errorf("SSH authority key %q was created before", e.ID)
	case e.Status != Active && e.Status != Next:
		return s, fmt.Errorf("SSH authority key %q was created as %q", e.ID, e.Status)
	case taken:
		return s, fmt.Errorf("SSH authority key %q is a second %s key", e.ID, e.Status)
	case e.Status == Active:
		k.ActivatedAt = env.Time
	}
	s.keys = append(slices.Clip(s.keys), k)
	return s, nil
}

// blobHead is how the wire form of every ed25519 key begins (RFC 8709 section
// 4): the length and name of the algorithm, then the length of the key.
const (
	algorithm = "ssh-ed25519"
	blobHead  = "\x00\x00\x00\x0b" + algorithm + "\x00\x00\x00\x20"
	blobSize  = len(blobHead) + 32
)

// checkPublic tells why text is not the public half of an ed25519 key with that
// fingerprint, in the one way to write it: what is in the log is what servers
// put into a file that opens doors.
func checkPublic(fingerprint, text string) error {
	typ, encoded, ok := strings.Cut(text, " ")
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	switch {
	case !ok || typ != algorithm || err != nil || strings.ContainsAny(encoded, "\r\n"),
		len(blob) != blobSize || !strings.HasPrefix(string(blob), blobHead):
		return ErrMalformed
	case fingerprint != Fingerprint(blob):
		return ErrMalformed.With("The fingerprint is not that of the public key.")
	}
	return nil
}

// Fingerprint names a public key, given in its wire form, as OpenSSH does: SHA256: and 43 characters.
func Fingerprint(blob []byte) string {
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}
