// Command sallyport is the client of a Sallyport server: people draft, test and
// activate connections with it and read the audit trail; workloads turn their
// platform's JWT into a token.
//
// It is a plain HTTP client of the published interface. Secrets come from the
// environment, files and commands, never from arguments; data goes to stdout,
// everything else to stderr.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"sallyport.dev/cmd/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	s := cli.Std()
	code := cli.Run(ctx, root(s), s, os.Args[1:])
	stop()
	os.Exit(code)
}
