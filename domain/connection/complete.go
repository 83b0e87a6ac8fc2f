package connection

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/domain/provider"
)

// Complete is the specification with presets and defaults filled in, or an
// error that names every field that breaks a rule. What the writer gave
// replaces what a preset fills in, conditions as a whole. issuer is the
// organisation's. It fetches nothing, and completing twice changes nothing.
func Complete(s Spec, issuer string) (Spec, error) {
	s = s.tidied()
	s, errs := s.preset(issuer)
	s = s.defaults()
	errs = append(errs, s.check(issuer, len(errs) == 0)...)
	if len(errs) > 0 {
		return Spec{}, domain.ErrFields(errs)
	}
	return s, nil
}

// tidied writes the same thing in one way, so that equal specifications are
// equal bytes.
func (s Spec) tidied() Spec {
	if len(s.Settings) == 0 {
		s.Settings = nil
	}
	if len(s.Audiences) == 0 {
		s.Audiences = nil
	}
	if len(s.AudienceClaims) == 0 {
		s.AudienceClaims = nil
	}
	if bytes.Equal(bytes.TrimSpace(s.JWKS), []byte("null")) || len(s.JWKS) == 0 {
		s.JWKS = nil
	}
	var b bytes.Buffer
	if s.JWKS != nil && json.Compact(&b, s.JWKS) == nil {
		s.JWKS = b.Bytes()
	}
	s.CACertificate = onlyBlocks(s.CACertificate)
	return s
}

// onlyBlocks leaves out what stands between PEM blocks: it means nothing, and
// could be a key. Text without any block stays, to be refused.
func onlyBlocks(text string) string {
	var out []byte
	for rest := []byte(text); ; {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		out, rest = append(out, pem.EncodeToMemory(block)...), after
	}
	if len(out) == 0 {
		return text
	}
	return string(out)
}

// preset fills in what the provider's preset knows, unless everything is given.
func (s Spec) preset(issuer string) (Spec, []domain.FieldError) {
	if s.Provider == "" {
		s.Provider = provider.GenericJWT
	}
	if s.Settings == nil && len(s.Conditions) > 0 && s.keySources() > 0 && slices.Contains(provider.Kinds(), s.Provider) {
		return s, nil // a preset is a help, not a duty
	}
	f, errs := provider.Fill(s.Provider, s.Settings, issuer)
	if len(errs) > 0 {
		return s, errs
	}
	if s.keySources() == 0 {
		s.JWKSURL, s.IssuerURL = f.JWKSURL, f.IssuerURL
	}
	if len(s.Conditions) == 0 {
		s.Conditions = f.Conditions
	}
	if s.IdentityClaim == "" {
		s.IdentityClaim = f.IdentityClaim
	}
	return s, nil
}

func (s Spec) keySources() int {
	n := 0
	for _, given := range []bool{s.JWKSURL != "", s.IssuerURL != "", s.JWKS != nil} {
		if given {
			n++
		}
	}
	return n
}

func (s Spec) defaults() Spec {
	if s.IdentityClaim == "" {
		s.IdentityClaim = "sub"
	}
	if s.TokenTTL == (Duration{}) {
		s.TokenTTL = Duration{15, "minutes"}
	}
	if s.Algorithms == nil {
		s.Algorithms = []string{"RS256", "ES256"}
	}
	return s
}
