package main

import "testing"

func TestGarbageIsBoundedByWhatLives(t *testing.T) {
	for _, tt := range []struct {
		name string
		live uint64
		want int
	}{
		{"nothing is known yet", 0, 400},
		{"a small heap grows fivefold", 20 << 20, 400},
		{"one of ten thousand connections to the target", 50 << 20, 220},
		{"a larger one doubles", 100 << 20, 100},
		{"however large it is", 1 << 40, 100},
	} {
		if got := garbage(tt.live); got != tt.want {
			t.Errorf("%s: got %d %%, want %d", tt.name, got, tt.want)
		}
	}
}
