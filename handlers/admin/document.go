package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/provider"
	"sallyport.dev/handlers/jose"
)

// draftRequest is a connection as drafted. What only the server says of a
// connection is not among its fields, so nobody can claim it.
type draftRequest struct {
	Name string `json:"name"`
	connection.Spec

	name domain.Name     // Name, parsed
	spec connection.Spec // Spec, complete
}

// editRequest is a connection as replaced. An answer may be sent back as it
// came: what only the server says is accepted and ignored.
type editRequest struct {
	Name string `json:"name"`
	connection.Spec

	Status        json.RawMessage `json:"status"`
	Version       json.RawMessage `json:"version"`
	ActiveVersion json.RawMessage `json:"active_version"`
	Pending       json.RawMessage `json:"pending"`
	CreatedAt     json.RawMessage `json:"created_at"`
	CreatedBy     json.RawMessage `json:"created_by"`
	UpdatedAt     json.RawMessage `json:"updated_at"`
	UpdatedBy     json.RawMessage `json:"updated_by"`
	ActivatedAt   json.RawMessage `json:"activated_at"`
	ActivatedBy   json.RawMessage `json:"activated_by"`
	Warnings      json.RawMessage `json:"warnings"`

	spec connection.Spec // Spec, complete
}

func (h *Admin) checkDraft(in *draftRequest) (broken []domain.FieldError) {
	var err error
	if in.name, err = domain.ParseName(in.Name); err != nil {
		broken = append(broken, domain.FieldError{Pointer: "/name", Code: "name.invalid", Detail: err.Error()})
	}
	in.spec, err = h.complete(in.Spec)
	return append(broken, fieldsOf(err)...)
}

func (h *Admin) checkEdit(in *editRequest) []domain.FieldError {
	var err error
	in.spec, err = h.complete(in.Spec)
	return fieldsOf(err)
}

// fieldsOf are the fields that an error of a document names; an error that
// names none is about the whole.
func fieldsOf(err error) []domain.FieldError {
	var known *domain.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &known):
		return []domain.FieldError{{Code: "request.invalid", Detail: err.Error()}}
	case len(known.Fields) == 0:
		return []domain.FieldError{{Code: known.Code, Detail: known.Message}}
	}
	return known.Fields
}

// complete fills in what the preset and the defaults say, and names every field
// that breaks a rule: the domain's, and those about what is on the wire, which
// keys are and from where they may be fetched. It fetches nothing.
func (h *Admin) complete(written connection.Spec) (connection.Spec, error) {
	var broken []domain.FieldError
	if len(written.JWKS) > 0 && !bytes.Equal(written.JWKS, []byte("null")) {
		keys, err := jose.ParseKeySet(written.JWKS)
		if err != nil {
			broken = append(broken, refused("/jwks", err))
		} else {
			written.JWKS = keys.Public() // nothing but public members is kept
		}
	}
	spec, err := connection.Complete(written, h.org.Issuer())
	wire := broken
	for _, f := range fieldsOf(err) {
		if !named(wire, f.Pointer) {
			broken = append(broken, f)
		}
	}
	gate := h.org.Gate()
	broken = append(broken, checkSource(gate.CheckURL, "/jwks_url", written.JWKSURL, spec.JWKSURL, broken)...)
	broken = append(broken, checkSource(gate.CheckIssuerURL, "/issuer_url", written.IssuerURL, spec.IssuerURL, broken)...)
	if strings.Count(written.CACertificate, "-----BEGIN ") > maxCertificates {
		broken = append(broken, domain.FieldError{Pointer: "/ca_certificate", Code: "too_long", Detail: "at most 16 certificates are allowed"})
	}
	return spec, domain.ErrFields(broken)
}

// maxCertificates bounds ca_certificate.
const maxCertificates = 16

// checkSource asks the gate whether keys may be fetched from a URL: the one
// written, or the one that the preset made of the settings.
func checkSource(check func(string) error, pointer, written, complete string, broken []domain.FieldError) []domain.FieldError {
	url := written
	if url == "" {
		pointer, url = "/settings", complete
	}
	if url == "" || named(broken, pointer) {
		return nil
	}
	if err := check(url); err != nil {
		return []domain.FieldError{refused(pointer, err)}
	}
	return nil
}

// named tells whether something is told already about what pointer points at,
// or about what that is in.
func named(broken []domain.FieldError, pointer string) bool {
	return slices.ContainsFunc(broken, func(f domain.FieldError) bool {
		return f.Pointer == pointer || f.Pointer != "" && strings.HasPrefix(pointer, f.Pointer+"/")
	})
}

// refused names a field by the reason for which handlers/jose refused it.
func refused(pointer string, err error) domain.FieldError {
	f := domain.FieldError{Pointer: pointer, Code: "value.refused", Detail: err.Error()}
	var r *jose.Refusal
	if errors.As(err, &r) {
		f.Code = r.Reason
		if pointer != "/jwks" {
			f.Code = "url." + r.Reason
		}
	}
	return f
}

// written is what people write of a connection, as it is answered: complete,
// with every list a list.
type written struct {
	Description    string               `json:"description"`
	Provider       provider.Kind        `json:"provider"`
	Settings       provider.Settings    `json:"settings,omitempty"`
	JWKSURL        string               `json:"jwks_url,omitempty"`
	IssuerURL      string               `json:"issuer_url,omitempty"`
	JWKS           json.RawMessage      `json:"jwks,omitempty"`
	CACertificate  string               `json:"ca_certificate,omitempty"`
	Conditions     []claim.Condition    `json:"conditions"`
	IdentityClaim  claim.Path           `json:"identity_claim"`
	IdentityPath   string               `json:"identity_path"`
	Audiences      []string             `json:"audiences"`
	AudienceClaims []string             `json:"audience_claims"`
	TokenTTL       connection.Duration  `json:"token_ttl"`
	Algorithms     []string             `json:"algorithms"`
	SingleUse      bool                 `json:"single_use"`
	ProofMaxAge    *connection.Duration `json:"proof_max_age,omitempty"`
	TTLWithinProof bool                 `json:"ttl_within_proof"`
}

// shown is a connection as answered: the version that decides (the activated
// one, or the draft), and the pending one beside it.
type shown struct {
	Name domain.Name `json:"name"`
	written
	Status        connection.Status `json:"status"`
	Version       uint64            `json:"version"`
	ActiveVersion uint64            `json:"active_version,omitempty"`
	Pending       *pending          `json:"pending,omitempty"`
	CreatedAt     time.Time         `json:"created_at"`
	CreatedBy     string            `json:"created_by"`
	UpdatedAt     time.Time         `json:"updated_at"`
	UpdatedBy     string            `json:"updated_by"`
	ActivatedAt   *time.Time        `json:"activated_at,omitempty"`
	ActivatedBy   string            `json:"activated_by,omitempty"`
	// Warnings are of the version that an activation would take into force.
	Warnings []connection.Warning `json:"warnings"`
}

// pending is a version that waits for another person, and how it differs from
// the one that decides.
type pending struct {
	written
	Version    uint64              `json:"version"`
	Difference []connection.Change `json:"difference"`
}

func show(c connection.State, issuer string) shown {
	s := shown{
		Name: c.Name, written: write(c.Current), Status: c.Status, Version: c.Version, ActiveVersion: c.ActiveVersion,
		CreatedAt: c.CreatedAt, CreatedBy: c.CreatedBy, UpdatedAt: c.UpdatedAt, UpdatedBy: c.UpdatedBy, ActivatedBy: c.ActivatedBy,
		Warnings: orEmpty(connection.Warnings(c.Newest(), issuer)),
	}
	if !c.ActivatedAt.IsZero() {
		s.ActivatedAt = &c.ActivatedAt
	}
	if c.Pending != nil {
		s.Pending = &pending{written: write(*c.Pending), Version: c.Version, Difference: orEmpty(c.Diff())}
	}
	return s
}

func write(s connection.Spec) written {
	return written{
		Description: s.Description, Provider: s.Provider, Settings: s.Settings, JWKSURL: s.JWKSURL, IssuerURL: s.IssuerURL,
		JWKS: s.JWKS, CACertificate: s.CACertificate, Conditions: orEmpty(s.Conditions), IdentityClaim: s.IdentityClaim,
		IdentityPath: s.IdentityPath, Audiences: orEmpty(s.Audiences), AudienceClaims: orEmpty(s.AudienceClaims),
		TokenTTL: s.TokenTTL, Algorithms: orEmpty(s.Algorithms), SingleUse: s.SingleUse, ProofMaxAge: s.ProofMaxAge,
		TTLWithinProof: s.TTLWithinProof,
	}
}

// orEmpty is a list that JSON shows as one, also where there is none.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
