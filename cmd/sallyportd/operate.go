package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/streams"
)

// operator does the operator's work: in the server that runs, or, where none
// runs, on its data.
type operator interface {
	CreateToken(ctx context.Context, org string, r host.TokenRequest) (host.NewToken, error)
	Tokens(ctx context.Context, org string) ([]host.TokenInfo, error)
	RevokeToken(ctx context.Context, org, id string) error
	Recover(ctx context.Context, org string, r host.RecoveryRequest) (host.Enrolment, error)
	RotateKeys(ctx context.Context, org string) error
	Keys(ctx context.Context, org string) ([]host.KeyInfo, error)
	Backup(ctx context.Context, version string, begin func(total int64), w io.Writer) error
}

// site says which server's data a command of the host is about.
type site struct {
	cli.IO
	config, data, org string
	format            *cli.Format
}

func (t *site) flags(c *cobra.Command) {
	f := c.PersistentFlags()
	t.siteFlags(f)
	f.StringVar(&t.org, "org", "", "organisation `NAME` (default: the one that the server has, of several \"default\")")
}

// siteFlags are those of a command that is about every organisation.
func (t *site) siteFlags(f *pflag.FlagSet) {
	f.StringVar(&t.config, "config", "", "the configuration `FILE` of sallyportd serve")
	f.StringVar(&t.data, "data", "", "the data directory `DIR` of sallyportd dev (default: where dev keeps it)")
}

// flagsGiven are those that name the site, as they were given, for a command
// that a person may repeat.
func (t *site) flagsGiven() string {
	var b strings.Builder
	for _, f := range [][2]string{{"--config", t.config}, {"--data", t.data}, {"--org", t.org}} {
		if f[1] != "" {
			b.WriteString(" " + f[0] + " " + quote(f[1]))
		}
	}
	return b.String()
}

// do finds the server, or opens its data, and does f.
func (t *site) do(c *cobra.Command, f func(ctx context.Context, o operator, org string) error) error {
	m, err := t.server(c)
	if err != nil {
		return err
	}
	return t.doIn(c, m, f)
}

// doIn is do in a server that was found already.
func (t *site) doIn(c *cobra.Command, m *Main, f func(ctx context.Context, o operator, org string) error) error {
	org := t.organisation(m.Config.Organisations)
	client, err := host.Dial(c.Context(), m.Config.DataDir)
	if err == nil {
		defer client.Close()
		return told(f(c.Context(), client, org))
	}
	if !errors.Is(err, host.ErrNoServer) {
		return err
	}
	if err := refuseOthers(m.Config.DataDir, os.Geteuid()); err != nil {
		return err
	}
	tenants, err := openTenants(c.Context(), m.Config, m.Sealer, m.Gate, m.Log)
	var inUse *streams.InUseError
	if errors.As(err, &inUse) {
		return cli.Fail(fmt.Sprintf("if process %s is a server that starts, wait; if it hangs, see its log", inUse.Process), "no server answers, but %v", inUse)
	}
	if err != nil {
		return whyClosed(fmt.Errorf("no server answers, and its data cannot be opened: %w", err), m.Config, "base_url", "data directory")
	}
	defer tenants.close()
	return told(f(c.Context(), host.New(tenants.orgs...), org))
}

// organisation is the one that is meant.
func (t *site) organisation(of []string) string {
	switch {
	case t.org != "":
		return t.org
	case len(of) == 1:
		return of[0]
	}
	return "default"
}

// server is the server that the flags name, not running.
func (t *site) server(c *cobra.Command) (*Main, error) {
	switch {
	case t.config != "" && t.data != "":
		return nil, cli.Usage(c, "--config and --data exclude each other")
	case t.config != "":
		m, err := production(t.config, t.IO)
		if err != nil {
			return nil, misconfigured(err)
		}
		m.Log = quiet(t.Err)
		return m, nil
	}
	dir, err := devData(t.data, t.Getenv)
	if err != nil {
		return nil, err
	}
	if err := refuseServes(dir); err != nil {
		return nil, err
	}
	kept, err := readCredentials(dir)
	if err != nil {
		return nil, err
	}
	if kept.BaseURL == "" {
		return nil, cli.Fail("start `sallyportd dev` once, or name the server by --config or --data", "there is no server's data in %s", dir)
	}
	sealer, err := devSealer(dir)
	if err != nil {
		return nil, err
	}
	return &Main{Config: devConfig(dir, kept.BaseURL), Sealer: sealer, Gate: jose.Gate{LoopbackHTTP: true}, Log: quiet(t.Err)}, nil
}

// quiet logs what a person at a terminal must know.
func quiet(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// told is an error as a person is told it.
func told(err error) error {
	var d *domain.Error
	if !errors.As(err, &d) {
		return err
	}
	e := &cli.Error{Exit: cli.ExitFailed, Message: d.Message, Code: d.Code, Next: "correct it and repeat"}
	switch d.Kind {
	case domain.KindUnavailable:
		e.Exit, e.Next = cli.ExitUnreachable, "try again in a moment"
	case domain.KindConflict:
		e.Next = "it contradicts what is; look with `list`, then repeat"
	}
	for _, f := range d.Fields {
		e.Details = append(e.Details, fmt.Sprintf("%s: %s", f.Pointer, f.Detail))
	}
	return e
}

func tokens(s cli.IO, f *cli.Format) *cobra.Command {
	t := &site{IO: s, format: f}
	c := &cobra.Command{
		Use: "token", Short: "People's API tokens: create, list, revoke",
		Long: `People's API tokens are made on the server's host, by whoever may read its data.
Whether the server runs makes no difference.`,
		Example: `  sallyportd token create --person dana --role devops_admin --ttl 8h
  sallyportd token list
  sallyportd token revoke 01JD8Z3Y6T9V4K2M7Q5R1S0X8W`,
	}
	t.flags(c)
	c.AddCommand(t.create(), t.list(), t.revoke())
	return c
}

func (t *site) create() *cobra.Command {
	var person, role once
	var ttl time.Duration
	c := &cobra.Command{
		Use: "create", Short: "Make a person's API token and print it, once, on stdout",
		Long: `Makes an API token for a person, who is added where nobody has that name, and is
granted the role where they lack it: for good, only the token ends. The token is printed once, alone, on stdout, and
stored as a hash. It is an event of the audit trail.`,
		Example: `  export SALLYPORT_TOKEN=$(sallyportd token create --person dana --role devops_admin --ttl 8h)
  sallyportd token create --config /etc/sallyport/config.yaml --person sam --role security_admin --ttl 24h`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkPersonAndRole(c, string(person), domain.Role(role)); err != nil {
				return err
			}
			r := host.TokenRequest{Person: string(person), Role: domain.Role(role), TTL: ttl}
			return t.do(c, func(ctx context.Context, o operator, org string) error {
				made, err := o.CreateToken(ctx, org, r)
				if err != nil {
					return err
				}
				t.Note("With this token %s is %s until %s. It is shown this once; revoke it with: sallyportd token revoke%s %s",
					made.Person, made.Role, made.ExpiresAt.UTC().Format(time.RFC3339), t.flagsGiven(), made.ID)
				if made.Granted {
					t.Note("%s did not have the role %s and was granted it for good: only the token ends. An owner takes it back with `sallyport person put`.", made.Person, made.Role)
				}
				return cli.Print(t.Out, *t.format, made, func(w io.Writer) error {
					_, err := fmt.Fprintln(w, made.Token)
					return err
				})
			})
		},
	}
	c.Flags().Var(&person, "person", "`NAME` of the person whose token it is")
	c.Flags().Var(&role, "role", "`ROLE` that the token bears: "+joinRoles(domain.Roles()))
	c.Flags().DurationVar(&ttl, "ttl", 8*time.Hour, "how long it is good for, 1m to 2160h")
	return c
}

// once is the value of a flag that is given once: of two the last would win in
// silence, and a token would bear a role that was not meant.
type once string

// Set, String and Type make once a flag.
func (o *once) Set(s string) error {
	if *o != "" {
		return errors.New("it is given twice")
	}
	*o = once(s)
	return nil
}

func (o *once) String() string { return string(*o) }

// Type names the value in help where the usage does not.
func (o *once) Type() string { return "string" }

func checkPersonAndRole(c *cobra.Command, person string, role domain.Role) error {
	if person == "" || role == "" {
		return cli.Usage(c, "--person and --role are needed")
	}
	if _, err := domain.ParseName(person); err != nil {
		return cli.Usage(c, "--person %q: %v", person, err)
	}
	if !slices.Contains(domain.Roles(), role) {
		return cli.Usage(c, "--role %q is none; the roles are %s", role, joinRoles(domain.Roles()))
	}
	return nil
}

func joinRoles(roles []domain.Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

func (t *site) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the API tokens there are and were, without the tokens",
		Example: "  sallyportd token list -o json",
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			return t.do(c, func(ctx context.Context, o operator, org string) error {
				all, err := o.Tokens(ctx, org)
				if err != nil {
					return err
				}
				return cli.Print(t.Out, *t.format, all, func(w io.Writer) error {
					rows := cli.Rows{{"ID", "PERSON", "ROLES", "STATUS", "CREATED", "EXPIRES"}}
					for _, x := range all {
						rows = append(rows, []string{x.ID, x.Person.String(), joinRoles(x.Roles), x.Status, clock(x.CreatedAt), clock(x.ExpiresAt)})
					}
					return rows.Write(w, nil)
				})
			})
		},
	}
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

func (t *site) revoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End an API token at once",
		Example: "  sallyportd token revoke 01JD8Z3Y6T9V4K2M7Q5R1S0X8W",
		Args:    cli.Args("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return t.do(c, func(ctx context.Context, o operator, org string) error {
				if err := o.RevokeToken(ctx, org, args[0]); err != nil {
					return err
				}
				t.Note("Revoked.")
				return nil
			})
		},
	}
}

func keys(s cli.IO, f *cli.Format) *cobra.Command {
	t := &site{IO: s, format: f}
	c := &cobra.Command{
		Use: "keys", Short: "The keys that sign our tokens, and the key that seals those",
		Example: `  sallyportd keys list --config /etc/sallyport/config.yaml
  sallyportd keys rotate --config /etc/sallyport/config.yaml`,
	}
	t.flags(c)
	c.AddCommand(t.rotate(), t.keyList(), t.kek())
	return c
}

func (t *site) rotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Sign with the next keys from now on, and publish new next ones",
		Long: `Makes the next key of each algorithm the one that signs. The one that signed stays
published for as long as its tokens live. A next key is not taken into use before
verifiers had time to learn of it.`,
		Example: "  sallyportd keys rotate",
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			return t.do(c, func(ctx context.Context, o operator, org string) error {
				if err := o.RotateKeys(ctx, org); err != nil {
					return err
				}
				return t.printKeys(ctx, o, org)
			})
		},
	}
}

func (t *site) keyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the signing keys there are and were",
		Example: "  sallyportd keys list",
		Args:    cli.Args(),
		RunE:    func(c *cobra.Command, _ []string) error { return t.do(c, t.printKeys) },
	}
}

func (t *site) printKeys(ctx context.Context, o operator, org string) error {
	all, err := o.Keys(ctx, org)
	if err != nil {
		return err
	}
	return cli.Print(t.Out, *t.format, all, func(w io.Writer) error {
		rows := cli.Rows{{"KID", "ALGORITHM", "STATUS", "CREATED", "PUBLISHED UNTIL"}}
		for _, k := range all {
			until := ""
			if k.PublishedUntil != nil {
				until = clock(*k.PublishedUntil)
			}
			rows = append(rows, []string{k.KeyID, k.Algorithm, k.Status, clock(k.CreatedAt), until})
		}
		return rows.Write(w, nil)
	})
}

func (t *site) kek() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "kek", Short: "Make a key-encryption key for `sallyportd serve`",
		Long: `Makes the key that seals our signing keys. Keep a copy where the data's backup is
not: without it the signing keys cannot be opened. A file that exists is not replaced.`,
		Example: "  sallyportd keys kek --out /etc/sallyport/kek.json",
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return cli.Usage(c, "--out is missing")
			}
			b, err := jose.NewKEK()
			if err != nil {
				return err
			}
			err = cli.WriteNewSecret(out, b)
			if errors.Is(err, fs.ErrExist) {
				return cli.Fail("choose another name", "%s exists and is not replaced", out)
			}
			if err != nil {
				return cli.Fail("check that its folder exists and may be written to", "writing the key: %v", err)
			}
			t.Note("The key-encryption key is in %s (only you may read it).", out)
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "`FILE` for the key")
	return c
}
