package probe

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation"
)

// How full the disk of the data directory may be, as df counts. What is written
// last is what undoes harm: see [Disk.Room].
const (
	DiskWarn      = 0.85 // said in the log
	DiskCommands  = 0.95 // nobody changes anything any more
	DiskExchanges = 0.98 // no tokens
)

// diskEvery is how often the disk is looked at.
const diskEvery = 2 * time.Second

// Disk watches the room there is. It recovers by itself when there is some again.
// Safe for concurrent use.
type Disk struct {
	// Measure tells how many bytes there are, and how many of them are free for us.
	Measure func() (free, total uint64, err error)
	Log     *slog.Logger

	used  atomic.Int64 // in millionths
	level atomic.Int64 // what was said last
}

var errDisk = &domain.Error{Kind: domain.KindUnavailable, Code: "log.unavailable",
	Message: "The server's disk is nearly full, so this is not done: its operator has to make room."}

// Run looks again and again until ctx ends; it has looked once when started.
func (d *Disk) Run(ctx context.Context) {
	tick := time.NewTicker(diskEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.Look()
		}
	}
}

// Look measures now, and says in the log what has changed for the worse or the better.
func (d *Disk) Look() {
	free, total, err := d.Measure()
	if err != nil || total == 0 {
		d.Log.Warn("the disk cannot be measured", "error", err)
		return
	}
	used := 1 - float64(free)/float64(total)
	d.used.Store(int64(used * 1e6))
	level := int64(0)
	for _, at := range []float64{DiskWarn, DiskCommands, DiskExchanges} {
		if used >= at {
			level++
		}
	}
	if was := d.level.Swap(level); was != level {
		d.say(level, was, used, free)
	}
}

func (d *Disk) say(level, was int64, used float64, free uint64) {
	log, text := d.Log.Error, "the disk is nearly full: no tokens are issued and nothing can be changed, but trust can be taken away"
	switch level {
	case 0:
		log, text = d.Log.Info, "there is room on the disk again"
	case 1:
		log, text = d.Log.Warn, "the disk fills up"
	case 2:
		text = "the disk is nearly full: nothing can be changed, but trust can be taken away; tokens are still issued"
	}
	log(text, "used", fmt.Sprintf("%.1f%%", 100*used), "free_bytes", free, "better", level < was)
}

// Used is the share of the disk that is used, 0 to 1.
func (d *Disk) Used() float64 { return float64(d.used.Load()) / 1e6 }

// Room tells whether there is room for a write, as organisation.Options asks:
// tokens until 98 %, commands until 95 %. What takes trust away is refused by the
// disk alone: it is small, and who must stop a workload must not be kept from it.
func (d *Disk) Room(w organisation.Writes) error {
	used := d.Used()
	switch {
	case w == organisation.Endings:
		return nil
	case used >= DiskExchanges, used >= DiskCommands && w == organisation.Commands:
		return errDisk
	}
	return nil
}

// Ready is red once tokens are not issued any more.
func (d *Disk) Ready(context.Context) map[string]error {
	if used := d.Used(); used >= DiskExchanges {
		return map[string]error{"disk": fmt.Errorf("%.1f%% of the disk are used", 100*used)}
	}
	return map[string]error{"disk": nil}
}
