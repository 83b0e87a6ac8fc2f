package domain

import (
	"testing"
	"time"
)

func TestALengthOfTimeIsSaidInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                             "0 seconds",
		-time.Hour:                    "0 seconds",
		999 * time.Millisecond:        "0 seconds",
		time.Second:                   "1 second",
		15 * time.Minute:              "15 minutes",
		90 * time.Minute:              "1 hour 30 minutes",
		24 * time.Hour:                "1 day",
		49*time.Hour + 61*time.Second: "2 days 1 hour 1 minute 1 second",
	} {
		if got := Lasting(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}
