package demo

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"
)

//go:embed claims/*.json
var claimFiles embed.FS

// maxLife is the longest a proof may live; a Kubernetes token, good for a year,
// is cut to it.
const maxLife = 24 * time.Hour

// decode reads one JSON object and keeps every digit of its numbers.
func decode(b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var set map[string]any
	if err := d.Decode(&set); err != nil {
		return nil, err
	}
	if d.More() || set == nil {
		return nil, fmt.Errorf("it is not one JSON object")
	}
	return set, nil
}

// claimsOf is the real claim set of one provider as if it were issued now:
// its times moved to now, a jti of its own if it has one, and what override
// says in place of what it had.
func claimsOf(provider string, override map[string]any, now time.Time) (map[string]any, bool, error) {
	b, err := claimFiles.ReadFile("claims/" + provider + ".json")
	if err != nil {
		return nil, false, nil // there is no such provider
	}
	set, err := decode(b)
	if err != nil {
		return nil, true, fmt.Errorf("reading the claims of %s: %w", provider, err)
	}
	if err := move(set, now); err != nil {
		return nil, true, fmt.Errorf("moving the times of %s: %w", provider, err)
	}
	if _, has := set["jti"]; has {
		set["jti"] = rand.Text()
	}
	maps.Copy(set, override)
	return set, true, nil
}

// move shifts every time of a claim set by as much as iat is in the past.
func move(set map[string]any, now time.Time) error {
	iat, err := seconds(set["iat"])
	if err != nil {
		return err
	}
	shift := now.Unix() - iat
	for _, name := range []string{"iat", "nbf", "exp"} {
		if err := moveBy(set, name, shift); err != nil {
			return err
		}
	}
	if exp, err := seconds(set["exp"]); err == nil {
		set["exp"] = min(exp, now.Add(maxLife).Unix())
	}
	if k, ok := set["kubernetes.io"].(map[string]any); ok {
		return moveBy(k, "warnafter", shift)
	}
	return nil
}

func moveBy(set map[string]any, name string, shift int64) error {
	v, has := set[name]
	if !has {
		return nil
	}
	t, err := seconds(v)
	set[name] = t + shift
	return err
}

func seconds(v any) (int64, error) {
	switch t := v.(type) {
	case json.Number:
		return strconv.ParseInt(t.String(), 10, 64)
	case int64:
		return t, nil
	}
	return 0, fmt.Errorf("%v is no time", v)
}

// filled is a claim set with iss, iat and exp (five minutes from now) where
// they are absent.
func (p *Provider) filled(set map[string]any) map[string]any {
	now := p.now()
	out := map[string]any{"iss": p.issuer, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	maps.Copy(out, set)
	return out
}
