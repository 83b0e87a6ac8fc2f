package token

import (
	"encoding/json"

	"sallyport.dev/domain"
)

// Plain reads the data of token.issued in the form in which our encoder writes
// most of it; ok is false for any other, which encoding/json has to read. Of a
// long log nearly every event is one of these.
func (WasIssued) Plain(data json.RawMessage) (event domain.Event, ok bool) {
	var e WasIssued
	p := domain.NewPlain(data)
	p.Skip(`{"connection":"`)
	e.Connection = domain.Name(p.Text())
	p.Skip(`,"version":`)
	e.Version = p.Uint()
	p.Skip(`,"generation":`)
	e.Generation = p.Uint()
	p.Skip(`,"identity":"`)
	e.Identity = p.Text()
	if p.Has(`,"grant":"`) {
		e.Grant = p.Text()
	}
	p.Skip(`,"jti":"`)
	e.ID = p.Text()
	p.Skip(`,"audience":"`)
	e.Audience = p.Text()
	p.Skip(`,"algorithm":"`)
	e.Algorithm = p.Text()
	p.Skip(`,"issued_at":"`)
	e.IssuedAt = p.Time()
	p.Skip(`,"expires_at":"`)
	e.ExpiresAt = p.Time()
	if p.Has(`,"role_hint":"`) {
		e.RoleHint = p.Text()
	}
	if p.Has(`,"source":"`) {
		e.Source = p.Text()
	}
	p.Skip(`,"proof":`)
	e.Proof = plainProof(p)
	if p.Has(`,"spent":"`) {
		e.Spent = p.Text()
	}
	if p.Has(`,"spent_until":"`) {
		e.SpentUntil = p.Time()
	}
	p.Skip(`}`)
	return e, p.Done()
}

func plainProof(p *domain.Plain) (f Proof) {
	p.Skip(`{`)
	for _, field := range []struct {
		name string
		to   *string
	}{{"digest", &f.Digest}, {"id", &f.ID}, {"issuer", &f.Issuer}, {"key_id", &f.KeyID}, {"algorithm", &f.Algorithm}} {
		if p.Has(`"` + field.name + `":"`) {
			*field.to = p.Text()
			p.Skip(`,`)
		}
	}
	if p.Has(`"expires_at":"`) {
		f.ExpiresAt = p.Time()
		p.Skip(`,`)
	}
	p.Skip(`"skew_seconds":`)
	f.SkewSeconds = int(p.Uint())
	f.KeysStale = p.Has(`,"keys_stale":true`)
	p.Skip(`}`)
	return f
}
