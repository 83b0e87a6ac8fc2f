package domain_test

import (
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
)

func TestAMomentIsWrittenAsPeopleDo(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "30m": 30 * time.Minute, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour,
		"1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "0d1h": time.Hour, "36500d": 36500 * 24 * time.Hour,
	} {
		if at, ago, err := domain.Moment(s, now); err != nil || !ago || !at.Equal(now.Add(-want)) {
			t.Errorf("%q is %v, %t, %v", s, at, ago, err)
		}
	}
	for s, want := range map[string]time.Time{
		"2026-11-22T13:00:00Z": now.Add(time.Hour), "2026-11-22T13:00:00.5Z": now.Add(time.Hour + time.Second/2), "2026-11-22T13:00:00+01:00": now,
		"2026-11-22T13:00:00": now.Add(time.Hour), "2026-11-22T13:00": now.Add(time.Hour), "2026-11-22 13:00": now.Add(time.Hour), "2026-11-22": now.Add(-12 * time.Hour),
	} {
		if at, ago, err := domain.Moment(s, now); err != nil || ago || !at.Equal(want) {
			t.Errorf("%q is %v, %t, %v", s, at, ago, err)
		}
	}
	for _, s := range []string{
		"", "d", "0", "0h", "0d", "0d0s", "7", "7D", "-1h", "+1h", "-7d", "+7d", "7d-1h", "7d7d", "1.5d", " 7d", "7d ", "7w", "36501d", "36500d1s", "65536d", "99999999999999999999d",
		"900000h", "2562047h47m16s", "1e3h", "yesterday", "2026-13-01", "2026-11-22T25:00", "٣d", "7d\n", strings.Repeat("1", 1000) + "d", strings.Repeat("1h", 1000),
	} {
		if at, _, err := domain.Moment(s, now); err == nil {
			t.Errorf("%q is taken for %v", s, at)
		}
	}
}
