package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sallyport.dev/handlers/host"
)

// kernelClock asks the kernel whether anybody keeps its clock right.
func kernelClock(d *clinic) {
	var t unix.Timex // asks, and sets nothing
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		d.add("clock", host.FoundUnknown, "", "the kernel does not say whether it is kept right: %v", err)
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		d.add("clock", host.FoundWarn, "run chrony or systemd-timesyncd on the host: proofs and tokens are judged by the clock",
			"the kernel says that nobody keeps it right")
	default:
		d.add("clock", host.FoundOK, "", "it is kept right, to %s", (time.Duration(t.Maxerror) * time.Microsecond).Round(time.Millisecond))
	}
}

// inMemory names the file system of a folder that is in memory, and is empty for any other.
func inMemory(dir string) string {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return ""
	}
	switch int64(s.Type) {
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.RAMFS_MAGIC:
		return "ramfs"
	}
	return ""
}

// syncCost writes and syncs a small file in dir some times, and removes it.
func syncCost(dir string) (middle, worst time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return 0, 0, fmt.Errorf("trying a sync: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []time.Duration
	block := make([]byte, 4096)
	for range syncTries {
		begun := time.Now()
		_, err := f.Write(block)
		if err := errors.Join(err, f.Sync()); err != nil {
			return 0, 0, fmt.Errorf("trying a sync: %w", err)
		}
		took = append(took, time.Since(begun).Round(time.Microsecond))
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)-1], nil
}

// syncsAlways asks the monitoring port of a NATS server whether it syncs every write.
func syncsAlways(ctx context.Context, monitor string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(monitor, "/")+"/jsz?config=1", nil)
	if err != nil {
		return false, err
	}
	res, err := (&http.Client{}).Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	var out struct {
		Config *struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 4<<20)).Decode(&out); err != nil {
		return false, fmt.Errorf("it answers %s, and no JSON: %w", res.Status, err)
	}
	if out.Config == nil {
		return false, errors.New("it tells of no JetStream")
	}
	return out.Config.SyncAlways, nil
}
