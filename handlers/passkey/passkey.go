// Package passkey checks what authenticators say: that a person has a key, when
// it is registered, and that it is them, when they sign in with it (WebAuthn
// level 3). Every check asks for user verification, for a key that the
// authenticator finds by itself, and for our own origin alone; a challenge is for
// one attempt.
package passkey

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
)

// ErrRefused means that what the authenticator said proves nothing here. Why is
// in the error that it is joined with, for the log alone.
var ErrRefused = &domain.Error{Kind: domain.KindForbidden, Code: "sign_in.passkey",
	Message: "This passkey does not open anything here: it may have been removed, or be of another site. Try another, or sign in another way."}

// Verifier is a relying party. It is safe for concurrent use.
type Verifier struct{ w *webauthn.WebAuthn }

// Attempt is what has to be known to check an answer. Its challenge is good once,
// which whoever keeps it sees to.
type Attempt = webauthn.SessionData

// New is the relying party at a base URL. It is nil, without an error, where the
// host is an address: browsers have passkeys for names alone.
func New(baseURL string) (*Verifier, error) {
	u, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("the base URL: %w", err)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil, nil //nolint:nilnil // said above
	}
	w, err := webauthn.New(&webauthn.Config{
		RPID: strings.ToLower(u.Hostname()), RPDisplayName: "Sallyport", RPOrigins: []string{Origin(u)},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	return &Verifier{w}, nil
}

// Origin is that of a URL as browsers write it: in lower case, without the port that
// its scheme has anyway (RFC 6454 section 6.2).
func Origin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// user is a person of an organisation, as WebAuthn sees them.
type user struct {
	handle []byte
	name   string
	keys   []webauthn.Credential
}

// newUser is a person of the organisation with that issuer, and their passkeys.
func newUser(issuer string, who domain.Name, keys []identity.Passkey) (user, error) {
	handle := sha256.Sum256([]byte(issuer + "\x00" + who.String()))
	u := user{handle: handle[:], name: who.String()}
	for _, k := range keys {
		id, idErr := base64.RawURLEncoding.DecodeString(k.ID)
		public, err := base64.RawURLEncoding.DecodeString(k.PublicKey)
		if err = errors.Join(idErr, err); err != nil {
			return user{}, fmt.Errorf("reading the passkey %s: %w", k.ID, err)
		}
		u.keys = append(u.keys, webauthn.Credential{
			ID: id, PublicKey: public, Flags: webauthn.CredentialFlags{BackupEligible: k.Synced},
			Authenticator: webauthn.Authenticator{SignCount: k.Counter},
		})
	}
	return u, nil
}

func (u user) WebAuthnID() []byte                         { return u.handle }
func (u user) WebAuthnName() string                       { return u.name }
func (u user) WebAuthnDisplayName() string                { return u.name }
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.keys }

// BeginRegistration asks an authenticator for a key of a person who has those
// passkeys: options is what a browser is told.
func (v *Verifier) BeginRegistration(issuer string, who domain.Name, has []identity.Passkey) (options json.RawMessage, a Attempt, err error) {
	u, err := newUser(issuer, who, has)
	if err != nil {
		return nil, Attempt{}, err
	}
	creation, session, err := v.w.BeginRegistration(u, webauthn.WithExclusions(webauthn.Credentials(u.keys).CredentialDescriptors()))
	if err != nil {
		return nil, Attempt{}, fmt.Errorf("beginning to register a passkey: %w", err)
	}
	options, err = json.Marshal(creation.Response)
	return options, *session, err
}

// FinishRegistration is the passkey that the authenticator made, or [ErrRefused].
func (v *Verifier) FinishRegistration(issuer string, who domain.Name, a Attempt, answer []byte) (identity.RegisterPasskey, error) {
	u, err := newUser(issuer, who, nil)
	if err != nil {
		return identity.RegisterPasskey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return identity.RegisterPasskey{}, errors.Join(ErrRefused, err)
	}
	made, err := v.w.CreateCredential(u, a, parsed)
	if err != nil {
		return identity.RegisterPasskey{}, errors.Join(ErrRefused, err)
	}
	model, err := uuid.FromBytes(made.Authenticator.AAGUID)
	if err != nil {
		return identity.RegisterPasskey{}, errors.Join(ErrRefused, err)
	}
	return identity.RegisterPasskey{
		Person: who, ID: base64.RawURLEncoding.EncodeToString(made.ID), PublicKey: base64.RawURLEncoding.EncodeToString(made.PublicKey),
		AAGUID: model.String(), Synced: made.Flags.BackupEligible, Counter: made.Authenticator.SignCount,
	}, nil
}

// BeginSignIn asks for whatever passkey of ours somebody has.
func (v *Verifier) BeginSignIn() (options json.RawMessage, a Attempt, err error) {
	assertion, session, err := v.w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, Attempt{}, fmt.Errorf("beginning to sign in: %w", err)
	}
	options, err = json.Marshal(assertion.Response)
	return options, *session, err
}

// FinishSignIn tells which passkey was used, of those that find knows, and what it
// has counted; or [ErrRefused].
func (v *Verifier) FinishSignIn(issuer string, a Attempt, answer []byte, find func(id string) (identity.Passkey, bool)) (identity.UsePasskey, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return identity.UsePasskey{}, errors.Join(ErrRefused, err)
	}
	id := base64.RawURLEncoding.EncodeToString(parsed.RawID)
	key, known := find(id)
	if !known {
		return identity.UsePasskey{}, errors.Join(ErrRefused, errors.New("nobody has this passkey"))
	}
	_, _, err = v.w.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) {
		return newUser(issuer, key.Person, []identity.Passkey{key})
	}, a, parsed)
	if err != nil {
		return identity.UsePasskey{}, errors.Join(ErrRefused, err)
	}
	said := parsed.Response.AuthenticatorData
	if !said.Flags.HasUserVerified() { // the attempt asked for it
		return identity.UsePasskey{}, errors.Join(ErrRefused, errors.New("the person was not verified"))
	}
	return identity.UsePasskey{ID: id, Counter: said.Counter}, nil
}
