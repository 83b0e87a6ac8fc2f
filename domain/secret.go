package domain

import "log/slog"

// Secret is text that must not be seen: a key, a proof, a token, a seed. It
// shows as [redacted] wherever it is printed, logged or encoded, also as a field
// of something else; only [Secret.Reveal] gives it out. The zero value is no secret.
type Secret struct {
	// A pointer, since fmt prints the fields of unexported fields itself, past
	// any String method, and of a pointer that deep only the address.
	text *string
}

// NewSecret keeps s; empty text is no secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal is the text itself, for the one place that needs it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero tells whether there is no secret.
func (s Secret) IsZero() bool { return s.text == nil }

func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return "[redacted]"
}

func (s Secret) GoString() string { return s.String() }

// LogValue leaves the secret out of a log.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Secret) UnmarshalText(b []byte) error {
	*s = NewSecret(string(b))
	return nil
}
