package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

func (a *app) connection() *cobra.Command {
	c := &cobra.Command{
		Use: "connection", Aliases: []string{"connections"},
		Short: "Draft, test, activate and read connections",
		Long: `A connection is a trust in one issuer of JWTs: where its keys are, which
conditions its tokens must meet, how long ours live. One person drafts and tests
it, another activates it.`,
		Example: `  sallyport connection draft gitlab-ci --provider gitlab --setting domain=gitlab.com --setting group=acme
  sallyport connection test gitlab-ci --jwt-env SALLYPORT_ID_TOKEN
  sallyport connection activate gitlab-ci`,
	}
	c.AddCommand(a.draft(), a.edit(), a.connectionTest(), a.activate(), a.deactivate(), a.delete(), a.list(), a.show())
	return c
}

func (a *app) draft() *cobra.Command {
	var f specFlags
	c := &cobra.Command{
		Use: "draft NAME", Short: "Create a connection, as a draft that issues nothing",
		Long: `Creates a connection as a draft. With --setting the provider's preset fills in the
key source and the conditions. --condition adds to them, or takes the place of
those on the same claim; with --replace-conditions only those given are left.
Nothing is fetched, and no token is issued until another person activates it.`,
		Example: `  sallyport connection draft gitlab-ci --provider gitlab --setting domain=gitlab.com --setting group=acme --ttl 15m
  sallyport connection draft gitlab-main --provider gitlab --setting domain=gitlab.com --setting group=acme --condition 'ref one_of main, release'
  sallyport connection draft robots --provider generic_jwt --jwks-file host.jwks --condition 'iss equals https://robots.example.com' --condition 'aud equals https://sallyport.example.com/orgs/default' --condition 'sub starts_with robot/'
  sallyport connection show gitlab-ci -o yaml | sallyport connection draft gitlab-staging --from-file -`,
		Args: nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if !anySource(c) {
				return cli.Usage(c, "give --provider (%s), or where the keys are: --jwks-url, --issuer-url or --jwks-file", strings.Join(providers(), ", "))
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			doc, err := f.document(a, c, client.issuer(c.Context()), nil)
			if err != nil {
				return err
			}
			doc["name"] = text(args[0])
			got, err := client.call(c.Context(), http.MethodPost, "/v1/connections", nil, doc)
			if err != nil {
				return withConditions(err, doc)
			}
			if err := a.printConnection(got.body); err != nil {
				return err
			}
			a.Note("Drafted. Next: test it with a token of the platform: sallyport connection test %s --jwt-file FILE", args[0])
			return nil
		},
	}
	f.add(c)
	return c
}

// anySource tells whether the flags say where a new connection's keys are.
func anySource(c *cobra.Command) bool {
	return slices.ContainsFunc([]string{"from-file", "provider", "jwks-url", "issuer-url", "jwks-file"}, c.Flags().Changed)
}

func (a *app) edit() *cobra.Command {
	var f specFlags
	c := &cobra.Command{
		Use: "edit NAME", Short: "Change a connection; once it was activated, as a pending version",
		Long: `Changes a connection. Flags change what they name and leave the rest: --condition
changes the condition on that claim or adds it, --remove-condition takes it away,
--setting changes that setting and the conditions it fills in. --from-file replaces
the whole. A connection that was ever activated gets a pending version: the
activated one goes on deciding until another person activates the pending one.

A "version" in the file says which version it was made from: when someone has
changed the connection since, nothing is changed and the exit code is 1.`,
		Example: `  sallyport connection edit gitlab-ci --ttl 10m
  sallyport connection edit gitlab-ci --condition 'ref equals main' --remove-condition environment
  sallyport connection show gitlab-ci -o yaml > c.yaml && $EDITOR c.yaml && sallyport connection edit gitlab-ci --from-file c.yaml`,
		Args: nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error { return a.runEdit(c, args[0], &f) },
	}
	f.add(c)
	return c
}

func (a *app) runEdit(c *cobra.Command, name string, f *specFlags) error {
	client, got, now, err := a.look(c.Context(), name)
	if err != nil {
		return err
	}
	doc, err := f.document(a, c, client.issuer(c.Context()), now.newest())
	if err != nil {
		return err
	}
	version := now.Version
	if f.version != 0 {
		version = f.version
	}
	got, err = client.call(c.Context(), http.MethodPut, connectionPath(name), ifMatch(version), doc)
	if err != nil {
		return withConditions(err, doc)
	}
	var edited connection
	if err := json.Unmarshal(got.body, &edited); err != nil {
		return fmt.Errorf("reading the connection: %w", err)
	}
	if err := a.printConnection(got.body); err != nil {
		return err
	}
	if edited.Version == now.Version {
		a.Note("Nothing was changed: %s says so already.", name)
	}
	if edited.Pending != nil {
		a.Note("Version %d waits. Another security admin runs: sallyport connection activate %s", edited.Version, name)
	}
	return nil
}

func (a *app) connectionTest() *cobra.Command {
	var p proofFlags
	c := &cobra.Command{
		Use: "test NAME", Short: "Hold a platform's JWT against a connection and see every check",
		Long: `Sends a JWT to the connection and prints each check: keys, signature, times, every
condition with what was expected and what the token says. Nothing is issued; the
test is an event of the audit trail. Exit code 3 when a check fails.`,
		Example: `  sallyport connection test gitlab-ci --jwt-env SALLYPORT_ID_TOKEN
  sallyport connection test gitlab-ci --jwt-file token.jwt -o json`,
		Args: nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			jwt, err := p.read(c, a)
			if err != nil {
				return err
			}
			return a.report(c.Context(), client, args[0], jwt)
		},
	}
	p.add(c)
	return c
}

func (a *app) activate() *cobra.Command {
	var acknowledge []string
	var version uint64
	c := &cobra.Command{
		Use: "activate NAME", Short: "Let a connection issue tokens, or make its pending version count",
		Long: `Reads the connection, shows on stderr what is about to be trusted (version, keys,
conditions or the difference that is pending, warnings), and activates exactly that:
when someone changes it in between, nothing happens. Nobody activates what they
wrote. Warnings that block are acknowledged one by one, by code.`,
		Example: `  sallyport connection activate gitlab-ci
  sallyport connection activate gitlab-ci --version 3 --acknowledge tenant.not_pinned`,
		Args: nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			client, _, now, err := a.look(c.Context(), args[0])
			if err != nil {
				return err
			}
			if version != 0 && version != now.Version {
				return cli.Fail("review it again: `sallyport connection show "+args[0]+"`", "%s is at version %d, not %d", args[0], now.Version, version)
			}
			if err := now.brief(a.Err, acknowledge); err != nil {
				return err
			}
			body := map[string]any{"acknowledge": append([]string{}, acknowledge...)}
			got, err := client.call(c.Context(), http.MethodPost, connectionPath(args[0])+"/activate", ifMatch(now.Version), body)
			if err != nil {
				return err
			}
			if now.Status == "active" && now.Pending == nil {
				a.Note("Nothing was changed: %s was active already.", args[0])
			}
			return a.printStatus(got.body)
		},
	}
	c.Flags().StringArrayVar(&acknowledge, "acknowledge", nil, "code of a warning that is accepted for this version; repeat it")
	c.Flags().Uint64Var(&version, "version", 0, "refuse unless the connection is at this version, the one that was reviewed")
	return c
}

// look opens the server as a person and reads a connection as it is now.
func (a *app) look(ctx context.Context, name string) (*client, answer, connection, error) {
	client, err := a.openAsPerson()
	if err != nil {
		return nil, answer{}, connection{}, err
	}
	got, now, err := client.read(ctx, name)
	return client, got, now, err
}

func (a *app) deactivate() *cobra.Command {
	var revoke bool
	c := &cobra.Command{
		Use: "deactivate NAME", Short: "Stop a connection from issuing tokens",
		Long: `Once this returns, no further token is issued, on any replica. Tokens already out
are inactive at introspection until the connection is activated again; with
--revoke-tokens they are dead for good.`,
		Example: "  sallyport connection deactivate gitlab-ci --revoke-tokens",
		Args:    nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			client, _, now, err := a.look(c.Context(), args[0])
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodPost, connectionPath(args[0])+"/deactivate", ifMatch(now.Version), map[string]any{"revoke_tokens": revoke})
			if err != nil {
				return err
			}
			if !revoke {
				a.Note("Tokens that are out work again if it is activated before they end; to end them for good, repeat with --revoke-tokens.")
			}
			return a.printStatus(got.body)
		},
	}
	c.Flags().BoolVar(&revoke, "revoke-tokens", false, "tokens already issued are dead for good")
	return c
}

func (a *app) delete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a draft or an inactive connection; its name is never given again",
		Example: "  sallyport connection delete gitlab-ci",
		Args:    nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			client, _, now, err := a.look(c.Context(), args[0])
			if err != nil {
				return err
			}
			still := client.namers(c.Context(), "connection", args[0])
			if _, err := client.call(c.Context(), http.MethodDelete, connectionPath(args[0]), ifMatch(now.Version), nil); err != nil {
				return err
			}
			a.Note("Deleted %s. Its name is not given again.", args[0])
			a.noteNamers(still)
			return nil
		},
	}
}

func (a *app) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the connections of the organisation",
		Example: "  sallyport connection list -o json",
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodGet, "/v1/connections", nil, nil)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error { return listTable(w, got.body) })
		},
	}
}

func listTable(w io.Writer, body json.RawMessage) error {
	var page struct{ Connections []connection }
	if err := json.Unmarshal(body, &page); err != nil {
		return fmt.Errorf("reading the list of connections: %w", err)
	}
	rows := cli.Rows{{"NAME", "STATUS", "VERSION", "PROVIDER", "UPDATED", "BY", "WARNINGS"}}
	for _, c := range page.Connections {
		rows = append(rows, []string{c.Name, c.statusLine(), strconv.FormatUint(c.Version, 10), c.Provider, clock(c.UpdatedAt), c.UpdatedBy, strings.Join(c.codes(), " ")})
	}
	return rows.Write(w, nil)
}

func (a *app) show() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show one connection whole, with its pending version and warnings",
		Example: `  sallyport connection show gitlab-ci
  sallyport connection show gitlab-ci -o yaml > gitlab-ci.yaml`,
		Args: nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			_, got, _, err := a.look(c.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printConnection(got.body)
		},
	}
}

// read gets one connection, both as the server wrote it and understood.
func (c *client) read(ctx context.Context, name string) (answer, connection, error) {
	got, err := c.call(ctx, http.MethodGet, connectionPath(name), nil, nil)
	if err != nil {
		return answer{}, connection{}, err
	}
	var now connection
	if err := json.Unmarshal(got.body, &now); err != nil {
		return answer{}, connection{}, fmt.Errorf("reading the connection: %w", err)
	}
	return got, now, nil
}

func (a *app) printConnection(body json.RawMessage) error {
	return cli.Print(a.Out, a.format, body, func(w io.Writer) error {
		var c connection
		if err := json.Unmarshal(body, &c); err != nil {
			return fmt.Errorf("reading the connection: %w", err)
		}
		return c.review(w)
	})
}

// printStatus is printConnection for who has just seen the rest.
func (a *app) printStatus(body json.RawMessage) error {
	return cli.Print(a.Out, a.format, body, func(w io.Writer) error {
		var c connection
		if err := json.Unmarshal(body, &c); err != nil {
			return fmt.Errorf("reading the connection: %w", err)
		}
		return cli.Rows{c.heading()}.Write(w, nil)
	})
}

func connectionPath(name string) string { return "/v1/connections/" + url.PathEscape(name) }

// ifMatch names the version that a change is made from; the ETag of a
// connection is its version in quotes.
func ifMatch(version uint64) http.Header {
	return http.Header{"If-Match": {strconv.Quote(strconv.FormatUint(version, 10))}}
}
