// Command load measures a real `sallyportd serve`, as its own process with its
// own data directory: what a token costs beside the least that it could cost on
// this machine (load tokens), and how soon the server is ready over a long log
// (load ready). It starts all that it needs: the server, a thousand identity
// providers, the people who trust them. It exits with 1 where a goal is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

const usage = "usage: load tokens|ready|fill [flags]; load tokens -h lists them"

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	switch args[0] {
	case "tokens":
		return runTokens(ctx, args[1:])
	case "ready":
		return runReady(ctx, args[1:])
	case "fill":
		return runFill(ctx, args[1:])
	case "echo": // a child of ours: the bare server of the floor
		return serveEcho(ctx)
	}
	return errors.New(usage)
}

func runTokens(ctx context.Context, args []string) error {
	b := bench{callers: list{1, 16, 64, 256}}
	f := flag.NewFlagSet("load tokens", flag.ContinueOnError)
	f.StringVar(&b.bin, "bin", "bin/sallyportd", "the `program` to measure")
	f.StringVar(&b.dir, "dir", "", "`folder` for the data, on the disk to measure (default: a temporary one)")
	f.Var(&b.callers, "callers", "how many ask at once, one run for each")
	f.DurationVar(&b.duration, "duration", 10*time.Second, "of each run")
	f.IntVar(&b.providers, "providers", 1000, "connections, each with a provider of its own")
	f.IntVar(&b.proofs, "proofs", 2000, "how many proofs are signed ahead")
	f.BoolVar(&b.profile, "profile", true, "take a profile of each run, to count the trail's fold apart")
	f.StringVar(&b.profiles, "profiles", "", "`folder` to keep the profiles in")
	f.StringVar(&b.unsynced, "unsynced", "/dev/shm", "`folder` in memory, for the rate without syncing; empty: not measured")
	f.StringVar(&b.json, "json", "", "`file` for the figures as JSON")
	if err := f.Parse(args); err != nil {
		return err
	}
	return b.run(ctx)
}

func runReady(ctx context.Context, args []string) error {
	r := readiness{}
	f := flag.NewFlagSet("load ready", flag.ContinueOnError)
	f.StringVar(&r.bin, "bin", "bin/sallyportd", "the `program` to measure")
	f.StringVar(&r.dir, "dir", "", "`folder` of an earlier fill (default: one is filled, and removed afterwards)")
	f.IntVar(&r.events, "events", 1_000_000, "tokens issued")
	f.IntVar(&r.connections, "connections", 10_000, "active connections")
	f.StringVar(&r.json, "json", "", "`file` for the figures as JSON")
	if err := f.Parse(args); err != nil {
		return err
	}
	return r.run(ctx)
}

func runFill(ctx context.Context, args []string) error {
	var l filling
	f := flag.NewFlagSet("load fill", flag.ContinueOnError)
	f.StringVar(&l.dir, "dir", "", "data `folder` to fill")
	f.StringVar(&l.baseURL, "base-url", readyURL, "base URL")
	f.IntVar(&l.events, "events", 1_000_000, "tokens issued")
	f.IntVar(&l.connections, "connections", 10_000, "active connections")
	if err := f.Parse(args); err != nil {
		return err
	}
	if l.dir == "" {
		return errors.New("--dir is missing: name the data folder to fill")
	}
	l.log = quiet()
	return l.run(ctx)
}

func quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// list is numbers separated by commas.
type list []int

// String implements flag.Value.
func (l *list) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(*l)), " ", ","), "[]")
}

// Set implements flag.Value.
func (l *list) Set(s string) error {
	*l = nil
	for _, part := range strings.Split(s, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number of callers", part)
		}
		*l = append(*l, n)
	}
	return nil
}
