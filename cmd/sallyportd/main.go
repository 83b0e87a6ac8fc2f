// Command sallyportd is the Sallyport server: `dev` with everything embedded
// for one developer, `serve` for production, and the operator's work on the
// host.
//
// It holds flags, configuration and wiring, and no rule: those are in domain,
// and what becomes of a request in handlers.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

func main() {
	tuneCollector()
	ctx, stop := context.WithCancel(context.Background())
	obey(stop)
	s := cli.Std()
	os.Exit(cli.Run(ctx, root(s), s, os.Args[1:]))
}

// obey has stop called at the first SIGTERM or SIGINT. Whoever asks a second time
// does not want to wait: that signal ends the process as if nobody had caught it.
func obey(stop func()) {
	asked := make(chan os.Signal, 2)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-asked
		stop()
		again := <-asked
		signal.Reset(again)
		_ = syscall.Kill(os.Getpid(), again.(syscall.Signal))
	}()
}

func root(s cli.IO) *cobra.Command {
	c := &cobra.Command{
		Use:   "sallyportd",
		Short: "The Sallyport server",
		Long: `sallyportd exchanges workloads' JWTs for tokens, by trusts that two people set up,
and records every decision.

Exit codes: 0 ok, 1 error, 2 usage, 3 denied or the log is damaged, 5 unreachable.`,
		Example: `  sallyportd dev --demo
  sallyportd serve --config /etc/sallyport/config.yaml
  sallyportd token create --person dana --role devops_admin --ttl 8h`,
	}
	var format cli.Format
	cli.FormatFlag(c, &format)
	c.AddCommand(dev(s), serve(s), configuration(s, &format), doctor(s, &format), tokens(s, &format), recovers(s, &format), keys(s, &format), clusters(s), backups(s, &format), restores(s, &format), logs(s, &format), cli.Version(s, "sallyportd", &format))
	return c
}
