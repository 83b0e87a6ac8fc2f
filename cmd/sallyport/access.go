package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

func (a *app) access() *cobra.Command {
	c := &cobra.Command{
		Use: "access", Short: "See what you can reach, and what is still to be met",
		Long: `Shows what you can reach: servers and secrets, each by access methods that policies
give you, with the conditions of each. Works for people and, with the token of
"sallyport wl auth" in SALLYPORT_TOKEN, for workloads.`,
		Example: `  sallyport access resources
  sallyport access resolve server/web-1`,
	}
	c.AddCommand(a.accessResolve(), a.accessResources())
	return c
}

func (a *app) accessResolve() *cobra.Command {
	var role string
	c := &cobra.Command{
		Use: "resolve RESOURCE", Short: "Show every way to reach one server or secret",
		Example: "  sallyport access resolve server/web-1\n  sallyport access resolve secret/payments/db/password -o json",
		Args:    cli.Args("RESOURCE"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, methods, err := resolveMethods(c.Context(), client, args[0], role)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got, func(w io.Writer) error {
				rows := cli.Rows{{"METHOD", "AS", "STATE"}}
				for _, m := range methods {
					rows = append(rows, []string{m.ID, m.Username, m.state()})
				}
				return rows.Write(w, nil)
			})
		},
	}
	c.Flags().StringVar(&role, "role", "", "of a workload: the role to ask as")
	return c
}

// resolveMethods asks for every access method of a resource.
func resolveMethods(ctx context.Context, client *client, resource, role string) (json.RawMessage, []accessMethod, error) {
	body := map[string]any{"resource": resource}
	if role != "" {
		body["role"] = role
	}
	got, err := client.call(ctx, http.MethodPost, "/v1/access/resolve", nil, body)
	if err != nil {
		return nil, nil, err
	}
	var answer struct{ Methods []accessMethod }
	if err := json.Unmarshal(got.body, &answer); err != nil {
		return nil, nil, fmt.Errorf("reading the access methods: %w", err)
	}
	return got.body, answer.Methods, nil
}

// accessMethod is what the client understands of an access method.
type accessMethod struct{ sshMethod }

// needs tells whether the method has a condition of that type.
func (m accessMethod) needs(typ string) bool {
	return slices.ContainsFunc(m.Conditions, func(c sshCondition) bool { return c.Type == typ })
}

func (a *app) accessResources() *cobra.Command {
	var kind, role string
	c := &cobra.Command{
		Use: "resources", Short: "List what you can reach",
		Example: "  sallyport access resources --kind secret",
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			query := url.Values{}
			if kind != "" {
				query.Set("kind", kind)
			}
			if role != "" {
				query.Set("role", role)
			}
			path := "/v1/access/resources"
			if len(query) > 0 {
				path += "?" + query.Encode()
			}
			got, err := client.call(c.Context(), http.MethodGet, path, nil, nil)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error { return reachableTable(w, got.body) })
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "server or secret; left out, both")
	c.Flags().StringVar(&role, "role", "", "of a workload: the role to ask as")
	return c
}

func reachableTable(w io.Writer, body json.RawMessage) error {
	var page struct {
		Resources []struct {
			Resource, Project string
			Methods           []accessMethod
		}
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return fmt.Errorf("reading what can be reached: %w", err)
	}
	rows := cli.Rows{{"RESOURCE", "PROJECT", "METHOD", "AS", "STATE"}}
	for _, r := range page.Resources {
		for _, m := range r.Methods {
			rows = append(rows, []string{r.Resource, r.Project, m.ID, m.Username, m.state()})
		}
	}
	return rows.Write(w, nil)
}

// choose is the method that was named, or the one that the account and what is
// wanted of a method leave.
func choose(c *cobra.Command, client *client, resource, id, account, what string, wanted func(accessMethod) bool) (string, error) {
	if id != "" {
		return id, nil
	}
	_, methods, err := resolveMethods(c.Context(), client, resource, "")
	if err != nil {
		return "", err
	}
	var fit []accessMethod
	for _, m := range methods {
		if wanted(m) && (account == "" || m.Account == account) {
			fit = append(fit, m)
		}
	}
	switch {
	case len(fit) == 0:
		return "", cli.Fail("see `sallyport access resolve "+resource+"`", "no access method of yours for %s %s", resource, what)
	case len(fit) == 1:
		return fit[0].ID, nil
	}
	var ids []string
	for _, m := range fit {
		ids = append(ids, m.ID)
	}
	return "", cli.Usage(c, "say which one with --method: %s", strings.Join(ids, ", "))
}

func (a *app) checkout() *cobra.Command {
	c := &cobra.Command{
		Use: "checkout", Short: "Have an account or a secret to yourself for a while",
		Long: `Where a rule or a project asks for a checkout, an account or a secret is used by one
person at a time: who took it uses it until they release it or its time is over.`,
		Example: `  sallyport checkout take server/web-1 --account deploy --for 30m
  sallyport checkout release server/web-1 --account deploy`,
	}
	c.AddCommand(a.checkoutTake(), a.checkoutRelease(), a.checkoutList())
	return c
}

// checkedOut is what the client understands of a checkout.
type checkedOut struct{ Resource, Account, By, From, Until string }

func (o checkedOut) row() []string {
	return []string{o.Resource, o.Account, o.By, clock(o.From), clock(o.Until)}
}

var checkoutHeading = []string{"RESOURCE", "ACCOUNT", "BY", "FROM", "UNTIL"}

func (a *app) checkoutTake() *cobra.Command {
	var method, account string
	var span time.Duration
	c := &cobra.Command{
		Use: "take RESOURCE", Short: "Check out an account or a secret",
		Long: `Checks out what an access method is for, for as long as its rule or project allows
unless --for says less. Taking what you have already changes nothing and does not
prolong it.`,
		Example: "  sallyport checkout take server/web-1 --account deploy --for 30m\n  sallyport checkout take secret/payments/db/password",
		Args:    cli.Args("RESOURCE"),
		RunE: func(c *cobra.Command, args []string) error {
			if span != 0 && span < time.Minute {
				return cli.Usage(c, "--for is at least 1m")
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			method, err := choose(c, client, args[0], method, account, "asks for a checkout", func(m accessMethod) bool { return m.needs("checkout") })
			if err != nil {
				return err
			}
			body := map[string]any{"resource": args[0], "method": method}
			if span > 0 {
				body["seconds"] = int(span.Round(time.Second) / time.Second)
			}
			got, err := client.call(c.Context(), http.MethodPost, "/v1/access/checkouts", nil, body)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error {
				var o checkedOut
				if err := json.Unmarshal(got.body, &o); err != nil {
					return fmt.Errorf("reading the checkout: %w", err)
				}
				return cli.Rows{checkoutHeading, o.row()}.Write(w, nil)
			})
		},
	}
	c.Flags().StringVar(&method, "method", "", "id of the access method, where several ask for a checkout")
	c.Flags().StringVar(&account, "account", "", "account on the server")
	c.Flags().DurationVar(&span, "for", 0, "how long, such as 30m; left out, as long as may be")
	return c
}

func (a *app) checkoutRelease() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use: "release RESOURCE", Short: "Give back what you checked out",
		Long:    "Gives back what you checked out; a resource_admin gives back anybody's.",
		Example: "  sallyport checkout release server/web-1 --account deploy",
		Args:    cli.Args("RESOURCE"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			body := map[string]any{"resource": args[0]}
			if account != "" {
				body["account"] = account
			}
			got, err := client.call(c.Context(), http.MethodPost, "/v1/access/checkouts/release", nil, body)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error {
				var r struct{ Released bool }
				if err := json.Unmarshal(got.body, &r); err != nil {
					return fmt.Errorf("reading the answer: %w", err)
				}
				said := "released"
				switch {
				case !r.Released && account == "" && strings.HasPrefix(args[0], "server/"):
					said = "you have nothing checked out there; for a server give --account"
				case !r.Released:
					said = "you have nothing checked out there: see `sallyport checkout list`"
				}
				_, err := fmt.Fprintln(w, said)
				return err
			})
		},
	}
	c.Flags().StringVar(&account, "account", "", "account on the server")
	return c
}

func (a *app) checkoutList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List what is checked out: yours, or for admins and auditors everybody's",
		Example: "  sallyport checkout list",
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodGet, "/v1/access/checkouts", nil, nil)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error {
				var page struct{ Checkouts []checkedOut }
				if err := json.Unmarshal(got.body, &page); err != nil {
					return fmt.Errorf("reading the checkouts: %w", err)
				}
				rows := cli.Rows{checkoutHeading}
				for _, o := range page.Checkouts {
					rows = append(rows, o.row())
				}
				return rows.Write(w, nil)
			})
		},
	}
}

func (a *app) breakGlass() *cobra.Command {
	c := &cobra.Command{
		Use: "break-glass", Short: "Let yourself in in an emergency, and review who did",
		Long: `Where a rule allows it, breaking glass opens an access method at once, without the
approval that it asks for. Everybody who was skipped is told; until somebody else
has reviewed it, you break no other glass.`,
		Example: `  sallyport break-glass use server/web-1 --account deploy --reason "the shop is down"
  sallyport break-glass review 01KASE00000000000000000009 --comment "seen, ticket 4711"`,
	}
	c.AddCommand(a.glassUse(), a.glassList(), a.glassReview())
	return c
}

// broken is what the client understands of a broken glass.
type broken struct {
	ID, Resource, Method, By, At, Until, Reason string
	ReviewedBy                                  string `json:"reviewed_by"`
}

func (g broken) row() []string {
	return []string{g.ID, g.Resource, g.Method, g.By, clock(g.At), clock(g.Until), cmp.Or(g.ReviewedBy, "unreviewed"), g.Reason}
}

var glassHeading = []string{"ID", "RESOURCE", "METHOD", "BY", "AT", "UNTIL", "REVIEWED BY", "REASON"}

// printGlass prints one broken glass.
func (a *app) printGlass(body json.RawMessage) error {
	return cli.Print(a.Out, a.format, body, func(w io.Writer) error {
		var g broken
		if err := json.Unmarshal(body, &g); err != nil {
			return fmt.Errorf("reading the broken glass: %w", err)
		}
		return cli.Rows{glassHeading, g.row()}.Write(w, nil)
	})
}

func (a *app) glassUse() *cobra.Command {
	var method, account, reason string
	c := &cobra.Command{
		Use: "use RESOURCE --reason TEXT", Short: "Open an access method at once",
		Example: `  sallyport break-glass use server/web-1 --account deploy --reason "the shop is down and nobody answers"`,
		Args:    cli.Args("RESOURCE"),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return cli.Usage(c, "give --reason: everybody who is skipped reads it")
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			method, err := choose(c, client, args[0], method, account, "has break-glass", func(m accessMethod) bool { return m.BreakGlassSeconds > 0 })
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodPost, "/v1/access/break-glass", nil,
				map[string]any{"resource": args[0], "method": method, "reason": reason})
			if err != nil {
				return err
			}
			return a.printGlass(got.body)
		},
	}
	c.Flags().StringVar(&method, "method", "", "id of the access method, where several have break-glass")
	c.Flags().StringVar(&account, "account", "", "account on the server")
	c.Flags().StringVar(&reason, "reason", "", "why, up to 2048 bytes")
	return c
}

func (a *app) glassList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List where glass was broken: yours, what you may review, or for admins and auditors all of it",
		Example: "  sallyport break-glass list -o json",
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodGet, "/v1/access/break-glass", nil, nil)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error {
				var page struct {
					Glasses []broken `json:"break_glass"`
				}
				if err := json.Unmarshal(got.body, &page); err != nil {
					return fmt.Errorf("reading the broken glasses: %w", err)
				}
				rows := cli.Rows{glassHeading}
				for _, g := range page.Glasses {
					rows = append(rows, g.row())
				}
				return rows.Write(w, nil)
			})
		},
	}
}

func (a *app) glassReview() *cobra.Command {
	var comment string
	c := &cobra.Command{
		Use: "review ID", Short: "Say that you have looked at why somebody broke glass",
		Long: `Says that you have looked at why somebody else broke glass. For who could have
approved the request that was skipped, and for security admins.`,
		Example: `  sallyport break-glass review 01KASE00000000000000000009 --comment "seen, ticket 4711"`,
		Args:    idArgs(),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			body := map[string]any{}
			if comment != "" {
				body["comment"] = comment
			}
			got, err := client.call(c.Context(), http.MethodPost, "/v1/access/break-glass/"+url.PathEscape(args[0])+"/review", nil, body)
			if err != nil {
				return err
			}
			return a.printGlass(got.body)
		},
	}
	c.Flags().StringVar(&comment, "comment", "", "what you say about it, up to 2048 bytes")
	return c
}
