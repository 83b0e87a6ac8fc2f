package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

func (a *app) ssh() *cobra.Command {
	var f sshFlags
	var tty bool
	var as string
	c := &cobra.Command{
		Use: "ssh HOST [-- command...]", Short: "Log in to a server, or run a command there",
		Long: `Has a certificate of five minutes granted for a key that is made for it and kept in
memory, and runs ssh with both in a private agent. HOST is the name of a server as
"sallyport servers list" shows it; its account is the one whose conditions are met.
Are there several, a person at a terminal is asked, and everybody else says --account
or --method.

Input, output, signals and the exit code are those of ssh. Nothing is forwarded: the
certificate does not allow it. A terminal is asked for with -t, or without a command.
A session that is open goes on when the certificate ends.

Settings of ~/.ssh/config that have to do with the connection (ProxyJump, for
example) hold; those about keys, forwarding and known hosts are ours.`,
		Example: `  sallyport ssh web-1
  sallyport ssh web-1 --account pamadmin1 -- systemctl status app
  sallyport ssh web-1 --account pamadmin1 --request --justification 'INC-17' --wait
  tar c . | sallyport ssh web-1 --role deployer -- tar x -C /srv/app`,
		Args: func(c *cobra.Command, args []string) error {
			switch n := c.ArgsLenAtDash(); {
			case len(args) == 0 || n == 0:
				return cli.Usage(c, "HOST is missing")
			case n < 0 && len(args) > 1 || n > 1:
				return cli.Usage(c, "a command is given after --, such as: sallyport ssh %s -- %s", args[0], strings.Join(args[1:], " "))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			host, err := parseHost(c, args[0])
			if err == nil {
				err = f.check(c)
			}
			if err == nil && as != "" && !usernames.MatchString(as) {
				err = cli.Usage(c, "%q is not the name of a user", as)
			}
			if err != nil {
				return err
			}
			return a.runSSH(c, &f, host, as, tty || len(args) == 1 && terminal(a.In), args[1:])
		},
	}
	f.add(c)
	c.Flags().BoolVarP(&tty, "tty", "t", false, "ask for a terminal, though a command is given")
	c.Flags().StringVar(&as, "login", "", "log in as this user, where the server's AuthorizedPrincipalsFile lets the account in as another")
	return c
}

// runSSH runs ssh, with a folder of its own for the agent, which is gone when it has ended.
func (a *app) runSSH(c *cobra.Command, f *sshFlags, host, as string, tty bool, command []string) error {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		return cli.Fail("install it (Debian: openssh-client)", "ssh is not there")
	}
	l, err := a.grantSSH(c, f, host, tty)
	if err != nil {
		return err
	}
	dir, err := agentFolder()
	if err != nil {
		return cli.Fail("make room there, or set TMPDIR", "a folder for the agent could not be made: %v", err)
	}
	defer os.RemoveAll(dir)
	agent, err := serveAgent(filepath.Join(dir, "agent"), l.key, l.certificate)
	if err != nil {
		return err
	}
	defer agent.Close()
	options, err := l.options(dir, agent.socket, a.interactive())
	if err != nil {
		return err
	}
	cmd := exec.Command(ssh, append(options, l.arguments(first(as, l.username), tty, command)...)...)
	// Were this host one of `sallyport ssh-config`, its proxy need not ask again.
	cmd.Env = append(os.Environ(), proxyVariable+"="+host+"="+l.target())
	return a.runChild(cmd)
}

// agentFolder makes a folder that its owner alone can enter. The path of a socket
// has at most 107 bytes, which a long TMPDIR would exceed.
func agentFolder() (string, error) {
	in := os.TempDir()
	if len(in) > 70 {
		in = "/tmp"
	}
	return os.MkdirTemp(in, "sallyport-ssh-*")
}

// fixed are the options that hold whatever a configuration says: the first value
// that ssh meets counts, and it meets these first.
var fixed = []string{
	"IdentitiesOnly=no", "IdentityFile=none", "PKCS11Provider=none", "AddKeysToAgent=no",
	"PreferredAuthentications=publickey", "PubkeyAuthentication=yes", "PasswordAuthentication=no", "KbdInteractiveAuthentication=no",
	"ForwardAgent=no", "ForwardX11=no", "ForwardX11Trusted=no", "ClearAllForwardings=yes", "Tunnel=no", "PermitLocalCommand=no",
	"ControlMaster=no", "ControlPath=none", "ControlPersist=no", "RemoteCommand=none", "CheckHostIP=no",
}

// options is how ssh finds the key and knows the server.
func (l *login) options(dir, socket string, person bool) (options []string, err error) {
	all := append([]string{"IdentityAgent=" + quoted(socket), "HostKeyAlias=" + l.host}, fixed...)
	if len(l.hostKeys) > 0 {
		known := filepath.Join(dir, "known_hosts")
		if err := l.knownHosts(known); err != nil {
			return nil, err
		}
		all = append(all, "UserKnownHostsFile="+quoted(known), "GlobalKnownHostsFile=none", "StrictHostKeyChecking=yes", "UpdateHostKeys=no", "VerifyHostKeyDNS=no")
	}
	if !person {
		all = append(all, "BatchMode=yes")
	}
	for _, o := range all {
		options = append(options, "-o", o)
	}
	return options, nil
}

// quoted is a path as a value of an option: it is one word, and nothing in it is a token.
func quoted(path string) string { return `"` + strings.ReplaceAll(path, "%", "%%") + `"` }

// arguments are where to go, as whom, and what to run there. Nothing of them can
// be taken for an option: the address was read strictly, and stands after --.
func (l *login) arguments(user string, tty bool, command []string) []string {
	want := "-T"
	if tty {
		want = "-t"
	}
	return append([]string{want, "-l", user, "-p", strconv.Itoa(l.port), "--", l.address}, command...)
}
