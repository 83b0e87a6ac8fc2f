package organisation

import (
	"testing"
	"time"

	"sallyport.dev/streams/seal"
)

// A sealer that gets nothing to read, for whatever reason, is late after a
// minute, however little there is to read.
func TestASealerThatReadsNothingIsLate(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := &sealer{dir: "seal", newest: seal.Checkpoint{Size: 9, Sequence: 9}}
	for _, step := range []struct {
		name   string
		after  time.Duration
		folded uint64
		read   uint64
		late   bool
	}{
		{"all is read", 0, 9, 9, false},
		{"a commit has come", time.Hour, 10, 9, false},
		{"it is not read for a minute", time.Hour + 59*time.Second, 12, 9, false},
		{"nor for longer", time.Hour + 61*time.Second, 12, 9, true},
		{"it is read, and the next one is not", time.Hour + 62*time.Second, 12, 10, false},
		{"that one is not read either", time.Hour + 123*time.Second, 12, 10, true},
		{"all is read again", time.Hour + 124*time.Second, 12, 12, false},
		{"another has come much later", 9 * time.Hour, 13, 12, false},
	} {
		s.newest.Sequence = step.read
		if err := s.standing(step.folded, noon.Add(step.after)).Late(noon.Add(step.after)); (err != nil) != step.late {
			t.Errorf("%s: %v, want late %v", step.name, err, step.late)
		}
	}
}
