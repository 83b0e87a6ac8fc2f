package probe_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/probe"
)

func TestTheFullerTheDiskTheLessIsWritten(t *testing.T) {
	var out bytes.Buffer
	var used atomic.Uint64
	d := &probe.Disk{Log: slog.New(slog.NewTextHandler(&out, nil)), Measure: func() (uint64, uint64, error) { return 1000 - used.Load(), 1000, nil }}
	for _, tt := range []struct {
		used                         uint64
		says                         string
		activity, commands, ready, t bool
	}{
		{used: 500, activity: true, commands: true, ready: true},
		{used: 850, says: "the disk fills up", activity: true, commands: true, ready: true},
		{used: 949, activity: true, commands: true, ready: true},
		{used: 950, says: "nothing can be changed", activity: true, ready: true},
		{used: 979, activity: true, ready: true},
		{used: 980, says: "no tokens are issued"},
		{used: 1000},
		{used: 960, says: "tokens are still issued", activity: true, ready: true}, // somebody made room
		{used: 200, says: "there is room on the disk again", activity: true, commands: true, ready: true},
	} {
		used.Store(tt.used)
		out.Reset()
		d.Look()
		if got := out.String(); (tt.says == "") != (got == "") || !strings.Contains(got, tt.says) {
			t.Errorf("at %d it says %q, want %q", tt.used, got, tt.says)
		}
		for w, want := range map[organisation.Writes]bool{organisation.Activity: tt.activity, organisation.Commands: tt.commands, organisation.Endings: true} {
			if got := d.Room(w) == nil; got != want {
				t.Errorf("at %d, room for %d is %t", tt.used, w, got)
			}
		}
		if got := d.Ready(t.Context())["disk"] == nil; got != tt.ready {
			t.Errorf("at %d, ready is %t", tt.used, got)
		}
	}
	broken := &probe.Disk{Log: slog.New(slog.DiscardHandler), Measure: func() (uint64, uint64, error) { return 0, 0, errors.New("no disk") }}
	broken.Look()
	if broken.Room(organisation.Commands) != nil {
		t.Error("a disk that cannot be measured stops writing")
	}
}

// hours is a clock that a test sets, beside one that nobody sets.
type hours struct {
	elapsed, off time.Duration // since the start; what the clock was set by
	theirs       time.Duration // by which the log's clock is ahead of the true time
	newest       time.Duration // after the start, of the newest commit
	gone         bool
	out          bytes.Buffer
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func (h *hours) clock() *probe.Clock {
	return &probe.Clock{
		Now:     func() time.Time { return noon.Add(h.elapsed + h.off) },
		Elapsed: func() time.Duration { return h.elapsed },
		Log: func(context.Context) (time.Time, time.Time, error) {
			if h.gone {
				return time.Time{}, time.Time{}, errors.New("out of reach")
			}
			return noon.Add(h.elapsed + h.theirs), noon.Add(h.newest), nil
		},
		Out: slog.New(slog.NewTextHandler(&h.out, nil)),
	}
}

func TestAClockThatIsOffIsNoticed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*hours)
		red    bool
	}{
		{name: "a clock that is right", change: func(*hours) {}},
		{name: "one that a machine's sleep did not stop", change: func(h *hours) { h.elapsed += 8 * time.Hour }},
		{name: "one that was put right by a little", change: func(h *hours) { h.off = 29 * time.Second }},
		{name: "one that was set an hour ahead, with the log's", change: func(h *hours) { h.off, h.theirs = time.Hour, time.Hour }, red: true},
		{name: "one that was set an hour back, with the log's", change: func(h *hours) { h.off, h.theirs = -time.Hour, -time.Hour }, red: true},
		{name: "one ahead of the log's", change: func(h *hours) { h.theirs = -31 * time.Second }, red: true},
		{name: "one behind the log's", change: func(h *hours) { h.theirs = 31 * time.Second }, red: true},
		{name: "one a little behind the log's", change: func(h *hours) { h.theirs = 29 * time.Second }},
		{name: "a log that was written an hour ahead", change: func(h *hours) { h.newest = time.Hour }, red: true},
		{name: "a log out of reach says nothing of clocks", change: func(h *hours) { h.gone, h.theirs = true, time.Hour }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &hours{}
			c := h.clock()
			c.Look(t.Context())
			h.elapsed += 3 * time.Second
			tt.change(h)
			c.Look(t.Context())
			if err := c.Ready(t.Context())["clock"]; (err != nil) != tt.red || strings.Contains(h.out.String(), "level=ERROR") != tt.red {
				t.Errorf("ready: %v, and the log says %s", err, &h.out)
			}
		})
	}
}

func TestAClockThatIsPutRightIsBelievedAgain(t *testing.T) {
	h := &hours{}
	c := h.clock()
	look := func() error {
		h.elapsed += 3 * time.Second
		c.Look(t.Context())
		return c.Ready(t.Context())["clock"]
	}
	if err := look(); err != nil {
		t.Fatal(err)
	}
	h.off, h.theirs = time.Hour, time.Hour
	if look() == nil {
		t.Error("a step is not noticed")
	}
	h.off, h.theirs = 0, 0
	if err := look(); err != nil || !strings.Contains(h.out.String(), "right again") {
		t.Errorf("set back, it is still %v", err)
	}
	// One that nobody sets back, and that the log agrees with, was wrong before.
	h.newest = -2 * time.Hour
	h.off, h.theirs = -time.Hour, -time.Hour
	for range 3 {
		if look() == nil {
			t.Error("a step is forgotten at once")
		}
	}
	h.elapsed += 11 * time.Minute
	if err := look(); err != nil {
		t.Errorf("after ten minutes it is still %v", err)
	}
	if err := look(); err != nil {
		t.Errorf("and then %v", err)
	}
	// One that the log contradicts stays wrong for as long as it is.
	h.off = 0
	h.elapsed += time.Hour
	if look() == nil {
		t.Error("a clock that differs from the log's is believed")
	}
}
