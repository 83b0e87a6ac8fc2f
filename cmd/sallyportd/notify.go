package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notifier tells the service manager how we are (sd_notify(3)). Where there is
// none it does nothing.
type notifier struct {
	addr     *net.UnixAddr // nil: nobody wants to know
	watchdog time.Duration // after a silence of that length we are killed; 0: never
	log      *slog.Logger
}

// newNotifier reads what the service manager asks for in the environment.
func newNotifier(getenv func(string) string, pid int, log *slog.Logger) *notifier {
	n := &notifier{log: log}
	name := getenv("NOTIFY_SOCKET")
	if name == "" {
		return n
	}
	if rest, abstract := strings.CutPrefix(name, "@"); abstract {
		name = "\x00" + rest
	}
	n.addr = &net.UnixAddr{Name: name, Net: "unixgram"}
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if whom := getenv("WATCHDOG_PID"); err == nil && usec > 0 && (whom == "" || whom == strconv.Itoa(pid)) {
		n.watchdog = time.Duration(usec) * time.Microsecond
	}
	return n
}

func (n *notifier) tell(state string) {
	if n == nil || n.addr == nil {
		return
	}
	c, err := net.DialUnix("unixgram", nil, n.addr)
	if err == nil {
		defer c.Close()
		_, err = c.Write([]byte(state))
	}
	if err != nil {
		n.log.Warn("the service manager cannot be told", "state", state, "error", err)
	}
}

func (n *notifier) ready()    { n.tell("READY=1\nSTATUS=Serving.") }
func (n *notifier) stopping() { n.tell("STOPPING=1\nSTATUS=Stopping.") }

// reloading says that the certificate is read again; ready says that it was.
// Type=notify-reload wants to know when that began.
func (n *notifier) reloading() {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		n.tell("RELOADING=1")
		return
	}
	n.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", t.Nano()/1000))
}

// opening asks for more time until ctx ends, since a long log takes a while to
// check: a start that works is not taken for one that hangs.
func (n *notifier) opening(ctx context.Context) {
	if n == nil || n.addr == nil {
		return
	}
	for tick := time.NewTicker(10 * time.Second); ; {
		n.tell("EXTEND_TIMEOUT_USEC=60000000\nSTATUS=Opening the log.")
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

// watch feeds the watchdog until ctx ends: alive is asked at every third of its
// time, and each answer, whatever it is, is a beat. So a process that answers
// "the log is out of reach", "the disk is full" or "the log is damaged" lives: it
// recovers by itself, or a restart would not help. One in which a lock is never
// released, or nothing is scheduled any more, gives no answer and is killed,
// with its stacks in the journal.
func (n *notifier) watch(ctx context.Context, alive func(context.Context)) {
	if n == nil || n.watchdog == 0 {
		return
	}
	tick := time.NewTicker(n.watchdog / 3)
	defer tick.Stop()
	for {
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			alive(ctx)
		}()
		select {
		case <-answered:
			n.tell("WATCHDOG=1")
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
