package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
)

// person is what the client shows of a person in a list.
type person struct {
	Name    string
	Roles   []string
	Email   string
	Manager string
	Missing bool `json:"manager_missing"`
	Groups  []struct {
		Group string
		Until string
	}
	Effective []string `json:"effective_roles"`
}

func people() noun {
	return noun{
		use: "person", plural: "people", path: "/v1/people",
		short: "Add, change and remove people, and see what they may",
		long: `People are who may call the API. Their admin roles are their own, or lent by a group
for as long as they are in it; EFFECTIVE is both, at this moment. Only an owner
changes people, and nobody gives themself a role. Tokens are made on the server's
host, with ` + "`sallyportd token create`" + `.

Who has an account at an identity provider comes with the address that it has verified,
email, or with the account itself, account, where it verifies none; who has no account
there comes by a link, which invite prints.

What people sign in with is theirs: show tells it to an owner and to themself, and an
owner takes it away, with unlink and remove-passkey.`,
		example: `  echo '{"name": "carol", "roles": ["member"], "email": "carol@example.com", "manager": "dana"}' | sallyport person put -f -
  echo '{"name": "dave", "roles": ["member"], "account": {"issuer": "https://login.example.com", "subject": "00u1a2b3"}}' | sallyport person put -f -
  sallyport person list
  sallyport person sign-out carol`,
		heading: []string{"NAME", "ROLES", "GROUPS", "EFFECTIVE", "EMAIL", "MANAGER"},
		row: func(doc json.RawMessage) []string {
			var p person
			_ = json.Unmarshal(doc, &p) // what is not as it should be shows as nothing
			var groups []string
			for _, g := range p.Groups {
				s := g.Group
				if g.Until != "" {
					s += " (until " + clock(g.Until) + ")"
				}
				groups = append(groups, s)
			}
			manager := p.Manager
			if p.Missing {
				manager += " (removed)"
			}
			return []string{p.Name, strings.Join(p.Roles, " "), strings.Join(groups, ", "), strings.Join(p.Effective, " "), p.Email, manager}
		},
	}
}

func (a *app) person() *cobra.Command {
	return a.noun(people(), a.personInvite(), a.personSignOut(), a.personUnlink(), a.personRemovePasskey())
}

func (a *app) personInvite() *cobra.Command {
	return &cobra.Command{
		Use: "invite NAME", Short: "Print a one-time link by which a person registers their first passkey",
		Long: `For people without an account at an identity provider; who has one is added with it, see
sallyport person --help. Whoever opens the link first registers a passkey, and signs in to
the console with it from then on. It works once, for a day, and is shown once, alone, on
stdout; another invitation takes its place. The person has to be there, and never to have
signed in.`,
		Example: "  sallyport person invite carol",
		Args:    nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodPost, people().one(args[0], "invite"), nil, nil)
			if err != nil {
				return err
			}
			var made struct {
				Link      string `json:"link"`
				ExpiresAt string `json:"expires_at"`
			}
			if err := json.Unmarshal(got.body, &made); err != nil {
				return fmt.Errorf("reading the invitation: %w", err)
			}
			a.Note("Hand this link to %s, and to nobody else: whoever opens it before %s is %s from then on.", args[0], clock(made.ExpiresAt), args[0])
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, made.Link)
				return err
			})
		},
	}
}

func (a *app) personSignOut() *cobra.Command {
	return &cobra.Command{
		Use: "sign-out NAME", Short: "Sign a person out of the console and of programs they let in",
		Long: `Ends every session that a person has in the console, and every program that they let in
with sallyport login, at once and on every replica. API tokens that were made on the host
go on (sallyportd token revoke). They may sign in again: to keep a lost device out, use
remove-passkey or unlink.`,
		Example: "  sallyport person sign-out carol",
		Args:    nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withdraw(c, http.MethodPost, people().one(args[0], "sign-out"), nil, args[0]+" is signed out")
		},
	}
}

func (a *app) personUnlink() *cobra.Command {
	var issuer, subject string
	var mayReturn bool
	c := &cobra.Command{
		Use: "unlink NAME --issuer URL --subject ID", Short: "Take an account at an identity provider from a person",
		Long: `Takes an account from a person: nobody signs in as them with it any more. The sessions
that were begun with it end, and so do the programs that the person let in. Nothing is
linked by it, which only a sign-in does.

With --may-return, now or later, the next sign-in with the account may make it theirs
again, by the address that is written of them.`,
		Example: `  sallyport person show carol
  sallyport person unlink carol --issuer https://login.example.com --subject 00u1a2b3
  sallyport person unlink carol --issuer https://login.example.com --subject 00u1a2b3 --may-return`,
		Args: nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if issuer == "" || subject == "" {
				return cli.Usage(c, "give --issuer and --subject, as sallyport person show %s tells them", args[0])
			}
			body := map[string]any{"issuer": issuer, "subject": subject, "may_return": mayReturn}
			done := "the account is " + args[0] + "'s no more"
			if mayReturn {
				done = "the account may be " + args[0] + "'s again, by a sign-in"
			}
			return a.withdraw(c, http.MethodPost, people().one(args[0], "unlink"), body, done)
		},
	}
	c.Flags().StringVar(&issuer, "issuer", "", "`URL` of the identity provider: iss of its tokens")
	c.Flags().StringVar(&subject, "subject", "", "`ID` of the account there: sub of its tokens")
	c.Flags().BoolVar(&mayReturn, "may-return", false, "let the next sign-in with it link it again")
	return c
}

func (a *app) personRemovePasskey() *cobra.Command {
	return &cobra.Command{
		Use: "remove-passkey NAME PASSKEY", Short: "Remove a person's passkey, such as that of a lost laptop",
		Long: `Removes a passkey, by its id: it opens nothing any more. The sessions that were begun
with it end, and so do the programs that the person let in. Nobody registers one for
somebody else. Put -- before an id that begins with a hyphen.`,
		Example: `  sallyport person show carol
  sallyport person remove-passkey carol AQIDBAUGBwg`,
		Args: cli.Args("NAME", "PASSKEY"),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := domain.ParseName(args[0]); err != nil {
				return badName(args[0], err)
			}
			return a.withdraw(c, http.MethodDelete, people().one(args[0], "passkeys", args[1]), nil, "the passkey opens nothing any more")
		},
	}
}

// withdraw has something of a person's ended, and tells what ended with it.
func (a *app) withdraw(c *cobra.Command, method, path string, body any, done string) error {
	client, err := a.openAsPerson()
	if err != nil {
		return err
	}
	got, err := client.call(c.Context(), method, path, nil, body)
	if err != nil {
		return err
	}
	var ended struct{ Sessions, Tokens int }
	if err := json.Unmarshal(got.body, &ended); err != nil {
		return fmt.Errorf("reading what ended: %w", err)
	}
	a.Note("Done: %s. %d sessions and %d API tokens ended.", done, ended.Sessions, ended.Tokens)
	return cli.Print(a.Out, a.format, got.body, func(io.Writer) error { return nil })
}
