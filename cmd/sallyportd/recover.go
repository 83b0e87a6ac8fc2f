package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
	"sallyport.dev/handlers/host"
)

// recovery is a link as it is printed.
type recovery struct {
	Link      string      `json:"link"` // a secret
	ID        string      `json:"id"`
	Person    domain.Name `json:"person"`
	ExpiresAt time.Time   `json:"expires_at"`
}

func recovers(s cli.IO, f *cli.Format) *cobra.Command {
	t := &site{IO: s, format: f}
	var person once
	c := &cobra.Command{
		Use: "recover", Short: "Print a one-time link that makes a person an owner",
		Long: `Prints a link by which a person registers a passkey in their browser, and signs in
as an owner: for the first owner, and for when nobody can sign in as one any more. They
are added where nobody has that name, and made owner where they are not, when they use
it. Nothing else of theirs changes.

The link works once, and for 15 minutes. Another link, of this command or of a first
start, takes its place. It is printed once, alone, on stdout; only a hash of it is stored.
It is made on the server's host, by whoever may read the server's data; whether the server
runs makes no difference, but it has to run when the link is opened. That a link was made,
and used, is in the audit trail.`,
		Example: `  sallyportd recover --config /etc/sallyport/config.yaml --person dana
  sallyportd recover --config /etc/sallyport/config.yaml --person dana --org acme -o json`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if person == "" {
				return cli.Usage(c, "--person is missing")
			}
			if _, err := domain.ParseName(string(person)); err != nil {
				return cli.Usage(c, "--person %q: %v", string(person), err)
			}
			m, err := t.server(c)
			if err != nil {
				return err
			}
			if err := t.needPasskeys(m.Config.BaseURL, string(person)); err != nil {
				return err
			}
			return t.doIn(c, m, func(ctx context.Context, o operator, org string) error {
				e, err := o.Recover(ctx, org, host.RecoveryRequest{Person: string(person)})
				if err != nil {
					return err
				}
				return t.printRecovery(recovery{enrolLink(m.Config.BaseURL, org, e), e.ID, e.Person, e.ExpiresAt})
			})
		},
	}
	t.flags(c)
	c.Flags().Var(&person, "person", "`NAME` of the person who is to be owner")
	return c
}

// needPasskeys refuses a server at which browsers have none.
func (t *site) needPasskeys(base, person string) error {
	ok, err := hasPasskeys(base)
	if ok || err != nil {
		return err
	}
	return cli.Fail(fmt.Sprintf("make an API token instead: sallyportd token create%s --person %s --role owner", t.flagsGiven(), person),
		"the base URL is %s, and browsers have passkeys at names alone, not at addresses", base)
}

func (t *site) printRecovery(r recovery) error {
	t.Note("Whoever opens this link before %s is %s from then on, an owner, with the passkey that they register.", r.ExpiresAt.UTC().Format(time.RFC3339), r.Person)
	t.Note("It works once, is shown this once, and took the place of any older one. Open it in their browser, or hand it over in person.")
	return cli.Print(t.Out, *t.format, r, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, r.Link)
		return err
	})
}
