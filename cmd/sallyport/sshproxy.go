package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

// proxyVariable tells a proxy that `sallyport ssh` has a grant for the host
// already, and where it is: HOST=ADDRESS:PORT.
const proxyVariable = "SALLYPORT_SSH_TARGET"

func (a *app) sshProxy() *cobra.Command {
	var f sshFlags
	var socket string
	var tty bool
	c := &cobra.Command{
		Use: "ssh-proxy HOST", Short: "Be the ProxyCommand of ssh: fetch a certificate, connect",
		Long: `Has a certificate granted, serves it with its key at the socket that ssh reads as its
IdentityAgent, and then passes bytes between ssh and the server. ssh asks the agent
only after the server has answered, so that the certificate is there by then.

"sallyport ssh-config" writes what makes ssh, scp and rsync call it. It asks nothing
and prints nothing but errors.`,
		Example: `  sallyport ssh-config web-1 >> ~/.ssh/config && scp app.tar postgres@web-1:/tmp/`,
		Args:    cli.Args("HOST"),
		RunE: func(c *cobra.Command, args []string) error {
			host, err := parseHost(c, args[0])
			if err == nil {
				err = f.check(c)
			}
			if err == nil && !filepath.IsAbs(socket) {
				err = cli.Usage(c, "--agent is the whole path of a socket")
			}
			if err != nil {
				return err
			}
			return a.proxySSH(c, &f, host, socket, tty)
		},
	}
	f.add(c)
	c.Flags().StringVar(&f.user, "user", "", "user to log in as, which chooses the access method")
	c.Flags().StringVar(&socket, "agent", "", "socket to serve the certificate at; its folder must be yours alone")
	c.Flags().BoolVar(&tty, "tty", false, "have a certificate that allows a terminal")
	return c
}

func (a *app) proxySSH(c *cobra.Command, f *sshFlags, host, socket string, tty bool) error {
	ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGHUP) // how ssh ends its proxy
	defer stop()
	c.SetContext(ctx)
	if target, ok := strings.CutPrefix(a.Getenv(proxyVariable), host+"="); ok {
		return a.pump(ctx, target)
	}
	if err := privateFolder(filepath.Dir(socket)); err != nil {
		return cli.Fail("name another folder with `sallyport ssh-config --dir`", "the agent's folder is not safe: %v", err)
	}
	quiet := *a
	quiet.In, quiet.Out = nil, a.Err // both are ssh's
	l, err := quiet.grantSSH(c, f, host, tty)
	if err != nil {
		return err
	}
	agent, err := shareAgent(socket, l.key, l.certificate)
	if err != nil {
		return err
	}
	defer agent.Close()
	if len(l.hostKeys) > 0 {
		if err := l.knownHosts(knownHostsAt(socket)); err != nil {
			return cli.Fail("make room there", "the server's keys could not be written for ssh: %v", err)
		}
	}
	return a.pump(ctx, l.target())
}

// knownHostsAt is the file beside an agent's socket in which ssh finds the server's keys.
func knownHostsAt(socket string) string { return strings.TrimSuffix(socket, ".agent") + ".known_hosts" }

// pump passes bytes between ssh and the server until either side ends.
func (a *app) pump(ctx context.Context, target string) error {
	conn, err := (&net.Dialer{Timeout: a.timeout}).DialContext(ctx, "tcp", target)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return &cli.Error{Exit: cli.ExitUnreachable, Message: target + " is unreachable: " + err.Error(), Next: "check that the server runs and that this machine may reach it"}
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	go func() {
		_, _ = io.Copy(conn, a.In) // ssh sees what became of it by the other direction
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(a.Out, conn)
	if err != nil && ctx.Err() == nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, net.ErrClosed) {
		return &cli.Error{Exit: cli.ExitUnreachable, Message: "the connection to " + target + " broke: " + err.Error(), Next: "try again"}
	}
	return nil
}
