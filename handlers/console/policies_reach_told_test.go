package console

import "testing"

func TestTimesInASentenceAreWrittenAsElsewhere(t *testing.T) {
	for text, want := range map[string]string{
		"Approved until 2026-11-22T13:00:00Z by request 01M8.": "Approved until 22 Nov 2026, 13:00 UTC by request 01M8.",
		"Raise an access request.":                             "Raise an access request.",
		"From 2026-99-22T13:00:00Z on":                         "From 2026-99-22T13:00:00Z on",
	} {
		if got := readableTimes(text); got != want {
			t.Errorf("%q is told as %q, want %q", text, got, want)
		}
	}
}
