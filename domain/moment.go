package domain

import (
	"strconv"
	"strings"
	"time"
)

// maxAgo bounds how long ago a moment may be said to be.
const maxAgo = 100 * 365 * 24 * time.Hour

// maxMoment bounds a moment as people write it, in bytes.
const maxMoment = 40

// Moment is a time as people write it: 2026-11-22T13:00:00Z, without a zone in UTC, or
// how long before now it was, such as 30m, 24h, 7d or 1d12h. ago tells that it is of
// that kind, and another time when it is read again.
func Moment(s string, now time.Time) (at time.Time, ago bool, err error) {
	if len(s) <= maxMoment {
		if d, ok := span(s); ok {
			return now.Add(-d).UTC(), true, nil
		}
		for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
			if t, err := time.Parse(form, s); err == nil {
				return t.UTC(), false, nil
			}
		}
	}
	return time.Time{}, false, Invalid("time.invalid", "Write a time such as 2026-11-22T12:00:00Z, or 2026-11-22 12:00 in UTC, or how long ago it is: 30m, 24h, 7d.")
}

// span is a length of time as Go writes it, which may begin with days.
func span(s string) (d time.Duration, ok bool) {
	if days, rest, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, false
		}
		d, s = time.Duration(n)*24*time.Hour, rest
		if s == "" {
			return d, d > 0 && d <= maxAgo
		}
	}
	more, err := time.ParseDuration(s)
	if err != nil || more < 0 || more > maxAgo || strings.HasPrefix(s, "+") {
		return 0, false
	}
	d += more
	return d, d > 0 && d <= maxAgo
}
