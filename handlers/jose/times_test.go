package jose

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestTimesToTheSecond(t *testing.T) {
	const now = 1767225600
	num := func(s string) json.Number { return json.Number(s) }
	for _, c := range []struct {
		name    string
		claims  map[string]any
		maxAge  time.Duration
		reasons []string
	}{
		{"a good one", map[string]any{"iat": num("1767225600"), "exp": num("1767225900")}, 0, nil},
		{"exp 29 s ago", map[string]any{"iat": num("1767225000"), "exp": num("1767225571")}, 0, nil},
		{"exp 30 s ago", map[string]any{"iat": num("1767225000"), "exp": num("1767225570")}, 0, []string{"expired"}},
		{"exp a nanosecond less than 30 s ago", map[string]any{"iat": num("1767225000"), "exp": num("1767225570.000000001")}, 0, nil},
		{"exp a little less, which a float cannot tell, is cut off", map[string]any{"iat": num("1767225000"), "exp": num("1767225570.0000000001")}, 0, []string{"expired"}},
		{"iat 30 s ahead", map[string]any{"iat": num("1767225630"), "exp": num("1767225900")}, 0, nil},
		{"iat 31 s ahead", map[string]any{"iat": num("1767225631"), "exp": num("1767225900")}, 0, []string{"iat_future"}},
		{"iat a fraction more than 30 s ahead", map[string]any{"iat": num("1767225630.5"), "exp": num("1767225900")}, 0, []string{"iat_future"}},
		{"nbf 30 s ahead", map[string]any{"iat": num("1767225600"), "nbf": num("1767225630"), "exp": num("1767225900")}, 0, nil},
		{"nbf 31 s ahead", map[string]any{"iat": num("1767225600"), "nbf": num("1767225631"), "exp": num("1767225900")}, 0, []string{"nbf_future"}},
		{"a life of 24 hours", map[string]any{"iat": num("1767225600"), "exp": num("1767312000")}, 0, nil},
		{"a life of a second more", map[string]any{"iat": num("1767225600"), "exp": num("1767312001")}, 0, []string{"lifetime_too_long"}},
		{"exp at iat", map[string]any{"iat": num("1767225600"), "exp": num("1767225600")}, 0, []string{"exp_before_iat"}},
		{"in exponent form", map[string]any{"iat": num("1.7672256e9"), "exp": num("17672259E2")}, 0, nil},
		{"exp 1e308", map[string]any{"iat": num("1767225600"), "exp": num("1e308")}, 0, []string{"exp_range"}},
		{"exp 1e999999999", map[string]any{"iat": num("1767225600"), "exp": num("1e999999999")}, 0, []string{"exp_range"}},
		{"exp 1e-999999999", map[string]any{"iat": num("1767225600"), "exp": num("1e-999999999")}, 0, []string{"expired", "exp_before_iat"}},
		{"exp 1e-300", map[string]any{"iat": num("1767225600"), "exp": num("1e-300")}, 0, []string{"expired", "exp_before_iat"}},
		{"exp with more digits than anybody needs", map[string]any{"iat": num("1767225600"), "exp": num("1767225900." + strings.Repeat("0", 60))}, 0, []string{"exp_range"}},
		{"exp 2^63", map[string]any{"iat": num("1767225600"), "exp": num("9223372036854775808")}, 0, []string{"exp_range"}},
		{"exp that wraps 2^64", map[string]any{"iat": num("1767225600"), "exp": num("18446744075476777516")}, 0, []string{"exp_range"}},
		{"exp negative", map[string]any{"iat": num("1767225600"), "exp": num("-1")}, 0, []string{"exp_range"}},
		{"exp negative with a fraction", map[string]any{"iat": num("1767225600"), "exp": num("-0.5")}, 0, []string{"exp_range"}},
		{"exp in milliseconds", map[string]any{"iat": num("1767225600"), "exp": num("1767225900000")}, 0, []string{"exp_range"}},
		{"exp after the year 9999", map[string]any{"iat": num("1767225600"), "exp": num("253402300800")}, 0, []string{"exp_range"}},
		{"exp after the year 9999 in exponent form", map[string]any{"iat": num("1767225600"), "exp": num("2.534023008e11")}, 0, []string{"exp_range"}},
		{"exp 0", map[string]any{"iat": num("1767225600"), "exp": num("0")}, 0, []string{"expired", "exp_before_iat"}},
		{"exp missing", map[string]any{"iat": num("1767225600")}, 0, []string{"exp_missing"}},
		{"exp a string", map[string]any{"iat": num("1767225600"), "exp": "1767225900"}, 0, []string{"exp_not_number"}},
		{"exp a date", map[string]any{"iat": num("1767225600"), "exp": "2026-01-01T00:05:00Z"}, 0, []string{"exp_not_number"}},
		{"exp null", map[string]any{"iat": num("1767225600"), "exp": nil}, 0, []string{"exp_not_number"}},
		{"exp a list", map[string]any{"iat": num("1767225600"), "exp": []any{num("1767225900")}}, 0, []string{"exp_not_number"}},
		{"iat missing", map[string]any{"exp": num("1767225900")}, 0, []string{"iat_missing"}},
		{"iat a string", map[string]any{"iat": "1767225600", "exp": num("1767225900")}, 0, []string{"iat_not_number"}},
		{"nbf null", map[string]any{"iat": num("1767225600"), "nbf": nil, "exp": num("1767225900")}, 0, []string{"nbf_not_number"}},
		{"everything wrong is told at once", map[string]any{"nbf": "x", "exp": num("1")}, 0, []string{"iat_missing", "nbf_not_number", "expired"}},
		{"as old as allowed", map[string]any{"iat": num("1767225000"), "exp": num("1767225900")}, 10 * time.Minute, nil},
		{"older than allowed", map[string]any{"iat": num("1767224999"), "exp": num("1767225900")}, 10 * time.Minute, []string{"too_old"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts, wrong := readTimes(c.claims)
			wrong = append(wrong, ts.check(time.Unix(now, 0), c.maxAge)...)
			var got []string
			for _, r := range wrong {
				got = append(got, r.Reason)
			}
			wantReasons(t, got, c.reasons...)
		})
	}
}

func TestHowLongAgo(t *testing.T) {
	now := time.Unix(1767225600, 0)
	for _, c := range []struct {
		seconds int64 // since 1970
		want    string
	}{
		{1767225600, "0s ago"},
		{1767225599, "1s ago"},
		{1767225601, "1s from now"},
		{1767225600 - 3600, "1h0m0s ago"},
		{0, "490896h0m0s ago"},
		{1767225600 + 101*366*86400, "more than 100 years from now"},
		{maxSeconds, "more than 100 years from now"}, // 7973 years, which a Duration does not hold
	} {
		if got := ago(now, time.Unix(c.seconds, 0)); got != c.want {
			t.Errorf("%d: got %q, want %q", c.seconds, got, c.want)
		}
	}
	if got := ago(time.Unix(maxSeconds, 0), time.Unix(0, 0)); got != "more than 100 years ago" {
		t.Errorf("the other way: got %q", got)
	}
}
