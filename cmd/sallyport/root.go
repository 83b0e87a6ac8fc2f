package main

import (
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

// app is what every command shares: the terminal and the global flags.
type app struct {
	cli.IO
	addr, org string
	format    cli.Format
	timeout   time.Duration
	plainHTTP bool
}

func root(s cli.IO) *cobra.Command {
	a := &app{IO: s}
	c := &cobra.Command{
		Use:   "sallyport",
		Short: "Exchange a platform's JWT for a token; manage who may, and see who did",
		Long: `sallyport talks to a Sallyport server.

  SALLYPORT_ADDR   where the server is, such as https://sallyport.example.com (or --addr)
  SALLYPORT_ORG    the organisation, "default" when unset (or --org)
  SALLYPORT_TOKEN  a person's API token, where "sallyport login" is not used; or for ssh,
                   secrets and access a workload's own, from "sallyport wl auth"

Exit codes: 0 ok, 1 error, 2 usage, 3 denied, 4 waiting for approval, 5 unreachable.`,
		Example: `  export SALLYPORT_ADDR=http://127.0.0.1:8420
  TOKEN=$(sallyport wl auth --connection gitlab-ci --jwt-env SALLYPORT_ID_TOKEN)`,
	}
	f := c.PersistentFlags()
	f.StringVar(&a.addr, "addr", "", "address of the server (SALLYPORT_ADDR)")
	f.StringVar(&a.org, "org", "", `organisation (SALLYPORT_ORG, otherwise "default")`)
	f.DurationVar(&a.timeout, "timeout", 30*time.Second, "how long one request may take")
	f.BoolVar(&a.plainHTTP, "allow-plain-http", false, "send tokens over http:// to another machine, readable by whoever is between")
	cli.FormatFlag(c, &a.format)
	c.AddCommand(a.login(), a.whoami(), a.logout(), a.access(), a.checkout(), a.breakGlass(), a.ssh(), a.sshConfig(), a.sshProxy(), a.sshCA(), a.servers(), a.connection(), a.role(), a.imports(), a.project(), a.server(), a.secrets(), a.policy(), a.request(), a.delegation(), a.requestType(), a.person(), a.group(), a.audit(), a.workload(), cli.Version(s, "sallyport", &a.format))
	return c
}
