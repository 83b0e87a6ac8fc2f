package domain

import (
	"fmt"
	"strings"
	"time"
)

// Lasting is a length of time in words: 1h30m0s is "1 hour 30 minutes". What is
// below a second is left out.
func Lasting(d time.Duration) string {
	var parts []string
	for _, u := range []struct {
		name string
		d    time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if n := d / u.d; n > 0 {
			name := u.name
			if n > 1 {
				name += "s"
			}
			parts, d = append(parts, fmt.Sprintf("%d %s", n, name)), d%u.d
		}
	}
	if len(parts) == 0 {
		return "0 seconds"
	}
	return strings.Join(parts, " ")
}
