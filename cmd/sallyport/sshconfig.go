package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
)

// reachable is a server that the caller can reach, as answered.
type reachable struct {
	Name, Address string
	Port          int
	HostKeys      []string `json:"host_keys"`
	Methods       []sshMethod
}

// usernames of the methods for SSH, each once, in the order of the methods.
func (r reachable) usernames() (names []string) {
	for _, m := range r.Methods {
		if m.Kind == "ssh" && !slices.Contains(names, m.Username) {
			names = append(names, m.Username)
		}
	}
	return names
}

// defaultUser is whom to log in as where nobody says: the only user, or the only
// one whose method is open; "" if that is not one.
func (r reachable) defaultUser() string {
	names := r.usernames()
	if len(names) == 1 {
		return names[0]
	}
	var open []string
	for _, m := range r.Methods {
		if m.Kind == "ssh" && m.Open && !slices.Contains(open, m.Username) {
			open = append(open, m.Username)
		}
	}
	if len(open) == 1 {
		return open[0]
	}
	return ""
}

// accounts of the methods for SSH that are called otherwise than any user.
func (r reachable) accounts() (names []string) {
	users := r.usernames()
	for _, m := range r.Methods {
		if m.Kind == "ssh" && m.Account != "" && !slices.Contains(users, m.Account) && !slices.Contains(names, m.Account) {
			names = append(names, m.Account)
		}
	}
	return names
}

// reachableServers asks for the servers that the caller can reach.
func (a *app) reachableServers(ctx context.Context, role string) (json.RawMessage, []reachable, error) {
	client, err := a.openAsPerson()
	if err != nil {
		return nil, nil, err
	}
	query := url.Values{"kind": {"server"}}
	if role != "" {
		query.Set("role", role)
	}
	got, err := client.call(ctx, http.MethodGet, "/v1/access/resources?"+query.Encode(), nil, nil)
	if err != nil {
		return nil, nil, err
	}
	var answer struct{ Resources []reachable }
	if err := json.Unmarshal(got.body, &answer); err != nil {
		return nil, nil, fmt.Errorf("reading the servers: %w", err)
	}
	return got.body, answer.Resources, nil
}

func (a *app) servers() *cobra.Command {
	c := &cobra.Command{
		Use: "servers", Short: "The servers that you can reach",
		Long:    "What you can reach. Who manages servers uses `sallyport server`.",
		Example: "  sallyport servers list",
	}
	var role string
	list := &cobra.Command{
		Use: "list", Short: "List the servers that you can reach, by which method, with what is still to be met",
		Example: "  sallyport servers list\n  sallyport servers list --role deployer -o json",
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			body, servers, err := a.reachableServers(c.Context(), role)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, body, func(w io.Writer) error {
				if len(servers) == 0 {
					a.Note("You reach no server: ask a security_admin for a policy. Who keeps servers sees them with `sallyport server list`.")
				}
				rows := cli.Rows{{"NAME", "ADDRESS", "USER", "METHOD", "STATE"}}
				for _, s := range servers {
					name, address := s.Name, net.JoinHostPort(s.Address, strconv.Itoa(s.Port))
					for _, m := range s.Methods {
						rows = append(rows, []string{name, address, m.Username, m.ID, m.state()})
						name, address = "", "" // once a server
					}
				}
				return rows.Write(w, nil)
			})
		},
	}
	list.Flags().StringVar(&role, "role", "", "of a workload: the role to use")
	c.AddCommand(list)
	return c
}

func (a *app) sshConfig() *cobra.Command {
	var role, dir string
	var noTTY bool
	c := &cobra.Command{
		Use: "ssh-config [HOST...]", Short: "Print what makes plain ssh, scp and rsync use Sallyport",
		Long: `Prints blocks for ~/.ssh/config, for the named servers or all that you can reach. With
them "ssh web-1", "scp" and "rsync" have a certificate granted each time, by
"sallyport ssh-proxy". Where several accounts lead to a server, say which one by its
user there: ssh postgres@web-1. Without a user it is the only one, or the only one that
is open while this is printed.

SALLYPORT_TOKEN is read from the environment when ssh runs; the server's address and
the organisation are written into the blocks. Print them anew when servers or accounts
changed.`,
		Example: `  sallyport ssh-config > ~/.ssh/sallyport.conf   # and once: Include ~/.ssh/sallyport.conf
  scp app.tar web-1:/tmp/`,
		RunE: func(c *cobra.Command, args []string) error {
			for _, host := range args {
				if _, err := parseHost(c, host); err != nil {
					return err
				}
			}
			_, servers, err := a.reachableServers(c.Context(), role)
			if err != nil {
				return err
			}
			for _, host := range args {
				if !slices.ContainsFunc(servers, func(s reachable) bool { return s.Name == host }) {
					return &cli.Error{Exit: cli.ExitDenied, Message: "no access method on " + host + " is yours", Next: "see `sallyport servers list`"}
				}
			}
			p, err := a.proxyLine(dir, role, noTTY)
			if err != nil {
				return err
			}
			if len(servers) == 0 {
				a.Note("You reach no server, so there is nothing to write: ask a security_admin for a policy.")
			}
			for _, s := range servers {
				if len(args) == 0 || slices.Contains(args, s.Name) {
					if err := p.write(a.Out, s); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&role, "role", "", "of a workload: the role to use")
	c.Flags().StringVar(&dir, "dir", "", "folder for agents and host keys, yours alone (~/.sallyport/ssh)")
	c.Flags().BoolVar(&noTTY, "no-tty", false, "certificates that allow no terminal, for scp and rsync alone")
	return c
}

// proxyLine is what the blocks have in common.
type proxyLine struct {
	command string // up to the host, quoted for the shell and for ssh
	dir     string
}

// proxyLine makes the command with which ssh calls us again, wherever it runs.
func (a *app) proxyLine(dir, role string, noTTY bool) (p proxyLine, err error) {
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return p, cli.Fail("give --dir", "there is no home folder: %v", err)
		}
		dir = filepath.Join(home, ".sallyport", "ssh")
	}
	if p.dir, err = filepath.Abs(dir); err != nil || strings.ContainsAny(p.dir, "\"\n\r") {
		return p, cli.Fail("give --dir another folder", "ssh cannot be told of the folder %q", dir)
	}
	self, err := os.Executable()
	if err != nil {
		return p, fmt.Errorf("finding this program: %w", err)
	}
	words := []string{self, "--addr", first(a.addr, a.Getenv("SALLYPORT_ADDR")), "--org", first(a.org, a.Getenv("SALLYPORT_ORG"), "default")}
	if a.plainHTTP {
		words = append(words, "--allow-plain-http")
	}
	words = append(words, "ssh-proxy")
	if role != "" {
		words = append(words, "--role", role)
	}
	if !noTTY {
		words = append(words, "--tty")
	}
	p.command = shellWords(words)
	return p, nil
}

// shellWords quotes words for a shell, and what ssh would take for its tokens.
func shellWords(words []string) string {
	var out []string
	for _, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool { return !strings.ContainsRune(plainInShell, r) }) || w == "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		out = append(out, strings.ReplaceAll(w, "%", "%%"))
	}
	return strings.Join(out, " ")
}

const plainInShell = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,"

// write writes the blocks of one server. What the answer calls it goes into a
// command line, so that nothing else than a name does: one that is none is left out.
func (p proxyLine) write(w io.Writer, s reachable) error {
	names := s.usernames()
	_, err := domain.ParseName(s.Name)
	if err != nil || len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return !usernames.MatchString(n) }) {
		return nil
	}
	socket := func(user string) string { return filepath.Join(p.dir, s.Name+"."+user+".agent") }
	var b strings.Builder
	fmt.Fprintf(&b, "Host %s\n", s.Name)
	if user := s.defaultUser(); user != "" {
		fmt.Fprintf(&b, "    User %s\n", user)
	}
	fmt.Fprintf(&b, "    HostKeyAlias %s\n", s.Name)
	for _, o := range append([]string{"ControlMaster no", "ControlPath none"}, inConfig...) {
		fmt.Fprintf(&b, "    %s\n", o)
	}
	for _, user := range names {
		fmt.Fprintf(&b, "Match originalhost %s user %s\n    ProxyCommand %s\n    IdentityAgent %s\n",
			s.Name, user, p.command+" "+shellWords([]string{"--user", user, "--agent", socket(user), s.Name}), quoted(socket(user)))
		if len(s.HostKeys) > 0 {
			fmt.Fprintf(&b, "    UserKnownHostsFile %s\n    GlobalKnownHostsFile none\n    StrictHostKeyChecking yes\n    UpdateHostKeys no\n", quoted(knownHostsAt(socket(user))))
		}
	}
	for _, account := range s.accounts() { // it is told which user that is
		if _, err := domain.ParseName(account); err == nil {
			fmt.Fprintf(&b, "Match originalhost %s user %s\n    ProxyCommand %s\n",
				s.Name, account, p.command+" "+shellWords([]string{"--user", account, "--agent", socket("none"), s.Name}))
		}
	}
	// As anybody else one is told whom to name, and nothing is granted.
	fmt.Fprintf(&b, "Match originalhost %s\n    ProxyCommand %s\n\n", s.Name, p.command+" "+shellWords([]string{"--user=-", "--agent", socket("none"), s.Name}))
	_, err = io.WriteString(w, b.String())
	return err
}

// inConfig are the options of every block.
var inConfig = []string{
	"IdentityFile none", "IdentitiesOnly no", "PreferredAuthentications publickey", "AddKeysToAgent no",
	"ForwardAgent no", "ForwardX11 no", "CheckHostIP no",
}
