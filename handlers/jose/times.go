package jose

import (
	"encoding/json"
	"math/big"
	"strconv"
	"time"

	"sallyport.dev/domain/claim"
)

const (
	// Skew is how far a provider's clock and ours may be apart.
	Skew = 30 * time.Second
	// MaxLifetime is the longest life of a proof: exp minus iat.
	MaxLifetime = 24 * time.Hour

	maxSeconds = 253402300799 // the last second of the year 9999
)

// times are the moments a proof names. NotBefore is zero where there is no nbf.
type times struct {
	issuedAt, notBefore, expiresAt time.Time
}

// readTimes reads exp, iat and nbf: numbers of seconds, whole or not (RFC 7519
// section 2, NumericDate). All that is wrong is told, and what can be read is.
func readTimes(c claim.Set) (t times, wrong []*Refusal) {
	for _, m := range []struct {
		name     string
		into     *time.Time
		required bool
	}{{"exp", &t.expiresAt, true}, {"iat", &t.issuedAt, true}, {"nbf", &t.notBefore, false}} {
		v, there := c[m.name]
		if !there {
			if m.required {
				wrong = append(wrong, refuse(m.name+"_missing", m.name+" is missing"))
			}
			continue
		}
		at, r := numericDate(m.name, v)
		if r != nil {
			wrong = append(wrong, r)
			continue
		}
		*m.into = at
	}
	return t, wrong
}

// numericDate reads one moment, exactly: a float would move it. Moments
// before 1970 and after the year 9999 are out of range; a fraction of a
// nanosecond is cut off.
func numericDate(name string, v any) (time.Time, *Refusal) {
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, refuse(name+"_not_number", name+" is not a number")
	}
	out := refuse(name+"_range", name+" is not a moment from 1970 to 9999")
	if s, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		if s < 0 || s > maxSeconds {
			return time.Time{}, out
		}
		return time.Unix(s, 0).UTC(), nil
	}
	// Only a short text with a moderate value may become a big.Rat: of 1e-999999 it makes a megabyte.
	f, err := strconv.ParseFloat(string(n), 64)
	switch {
	case err != nil || f < 0 || f > maxSeconds+1 || len(n) > 64:
		return time.Time{}, out
	case f < 1e-9:
		return time.Unix(0, 0).UTC(), nil
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok || r.Sign() < 0 || r.Cmp(big.NewRat(maxSeconds+1, 1)) >= 0 {
		return time.Time{}, out
	}
	r.Mul(r, big.NewRat(int64(time.Second), 1))
	ns := new(big.Int).Quo(r.Num(), r.Denom())
	s, rest := new(big.Int).QuoRem(ns, big.NewInt(int64(time.Second)), new(big.Int))
	return time.Unix(s.Int64(), rest.Int64()).UTC(), nil
}

// check holds the moments against the clock. Those that are zero could not be
// read, and that was told already.
func (t times) check(now time.Time, maxAge time.Duration) (wrong []*Refusal) {
	tell := func(bad bool, reason, message string) {
		if bad {
			wrong = append(wrong, refuse(reason, message))
		}
	}
	iat, exp := !t.issuedAt.IsZero(), !t.expiresAt.IsZero()
	tell(exp && !now.Before(t.expiresAt.Add(Skew)), "expired", "it expired "+ago(now, t.expiresAt))
	tell(iat && t.issuedAt.After(now.Add(Skew)), "iat_future", "it was issued in the future, "+ago(now, t.issuedAt))
	tell(!t.notBefore.IsZero() && t.notBefore.After(now.Add(Skew)), "nbf_future", "it is not valid yet, but "+ago(now, t.notBefore))
	tell(iat && exp && !t.expiresAt.After(t.issuedAt), "exp_before_iat", "exp is not after iat")
	tell(iat && exp && t.expiresAt.Sub(t.issuedAt) > MaxLifetime, "lifetime_too_long", "it lives longer than 24 hours")
	tell(iat && maxAge > 0 && now.Sub(t.issuedAt) > maxAge, "too_old", "it was issued "+ago(now, t.issuedAt)+", more than "+maxAge.String())
	return wrong
}

// ago tells people how far a moment is from now. Years say enough where it is
// far, and a difference of 292 years and more does not fit a [time.Duration].
func ago(now, t time.Time) string {
	const far = 100 * 365 * 24 * time.Hour
	direction, d := " ago", now.Sub(t).Round(time.Second)
	if t.After(now) {
		direction, d = " from now", t.Sub(now).Round(time.Second)
	}
	if d > far {
		return "more than 100 years" + direction
	}
	return d.String() + direction
}
