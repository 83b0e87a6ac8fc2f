// Command load measures a real sallyportd: what a token costs, how soon it is
// ready over a long log. It is a tool for developers and starts everything it needs.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var f filling
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.StringVar(&f.dir, "dir", "", "data directory to fill")
	flags.StringVar(&f.baseURL, "base-url", "http://127.0.0.1:8420", "base URL")
	flags.IntVar(&f.events, "events", 1_000_000, "tokens issued")
	flags.IntVar(&f.connections, "connections", 10_000, "active connections")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return f.run(ctx)
}
