package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// manager is a service manager's socket, and what it was told.
func manager(t *testing.T) (path string, told chan string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sp-*") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path, told = filepath.Join(dir, "n"), make(chan string, 1000)
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 1024)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			told <- string(b[:n])
		}
	}()
	return path, told
}

func heard(t *testing.T, told chan string) string {
	t.Helper()
	select {
	case s := <-told:
		return s
	case <-time.After(time.Minute):
		t.Fatal("the service manager was told nothing")
		return ""
	}
}

func environment(pairs ...string) func(string) string {
	return func(name string) string { return lookup(pairs, name) }
}

func TestTheWatchdogIsFedByAnswersAlone(t *testing.T) {
	path, told := manager(t)
	n := newNotifier(environment("NOTIFY_SOCKET="+path, "WATCHDOG_USEC=30000", "WATCHDOG_PID=7"), 7, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	asked, answer, ended := make(chan bool), make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		n.watch(ctx, func(context.Context) { asked <- true; <-answer })
	}()
	for range 3 {
		<-asked
		select {
		case s := <-told:
			t.Fatalf("a beat without an answer: %q", s)
		default:
		}
		answer <- true
		if got := heard(t, told); got != "WATCHDOG=1" {
			t.Fatalf("got %q", got)
		}
	}
	<-asked
	stop() // while it hangs: the watchdog does not wait for it
	<-ended
	select {
	case s := <-told:
		t.Errorf("one that never answered was called alive: %q", s)
	default:
	}
	close(answer)
}

func TestTheServiceManagerIsTold(t *testing.T) {
	path, told := manager(t)
	n := newNotifier(environment("NOTIFY_SOCKET="+path), 1, slog.New(slog.DiscardHandler))
	for _, tt := range []struct {
		do   func()
		want string
	}{{n.ready, "READY=1\n"}, {n.reloading, "RELOADING=1\nMONOTONIC_USEC="}, {n.stopping, "STOPPING=1\n"}} {
		tt.do()
		if got := heard(t, told); !strings.HasPrefix(got, tt.want) {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	ctx, opened := context.WithCancel(t.Context())
	go n.opening(ctx)
	if got := heard(t, told); !strings.HasPrefix(got, "EXTEND_TIMEOUT_USEC=") {
		t.Errorf("got %q", got)
	}
	opened()
}

func TestWithoutAServiceManagerNothingIsTold(t *testing.T) {
	log := &lines{}
	for _, env := range [][]string{nil, {"NOTIFY_SOCKET=/nowhere/socket"}, {"NOTIFY_SOCKET=@nobody", "WATCHDOG_USEC=x"}, {"NOTIFY_SOCKET=@nobody", "WATCHDOG_USEC=5", "WATCHDOG_PID=9"}} {
		n := newNotifier(environment(env...), 1, slog.New(slog.NewTextHandler(log, nil)))
		n.ready()
		if n.watchdog != 0 {
			t.Errorf("%q: a watchdog that is not ours is fed every %s", env, n.watchdog)
		}
		n.watch(t.Context(), func(context.Context) { t.Error("asked for nobody") })
	}
	if got := strings.Count(log.String(), "cannot be told"); got != 3 {
		t.Errorf("%d failures are in the log:\n%s", got, log)
	}
}
