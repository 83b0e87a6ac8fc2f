package domain_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

func TestASecretIsShownNowhere(t *testing.T) {
	const text = "the-very-secret"
	type holder struct {
		Shown  domain.Secret
		hidden domain.Secret
		deep   *struct{ s domain.Secret }
		list   []domain.Secret
	}
	s := domain.NewSecret(text)
	h := holder{s, s, &struct{ s domain.Secret }{s}, []domain.Secret{s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", s, h, &h)
	}
	b, err := json.Marshal(map[string]any{"s": s, "h": h})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("told", "s", s, "h", h, "p", &h, "error", fmt.Errorf("with %v", s))
	}
	if strings.Contains(out.String(), text) || strings.Contains(out.String(), fmt.Sprintf("%x", text)) {
		t.Errorf("the secret is in\n%s", &out)
	}
	if s.Reveal() != text || s.String() != "[redacted]" {
		t.Errorf("got %q, shown as %q", s.Reveal(), s)
	}
}

func TestNoSecretIsEmpty(t *testing.T) {
	var s domain.Secret
	if !s.IsZero() || s.Reveal() != "" || s.String() != "" || !domain.NewSecret("").IsZero() {
		t.Errorf("got %q", s.Reveal())
	}
}
