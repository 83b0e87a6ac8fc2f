package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

// sought is a value that is to be revealed.
type sought struct {
	resource string // secret/PATH or server/NAME
	account  string // of a server
	method   string // id of the access method; "" is the one that is open
	role     string // of a workload
	version  int    // 0 is the newest
}

// kind is the kind of access method that reveals it.
func (s sought) kind() string {
	if s.account != "" {
		return "reveal_password"
	}
	return "secret_reveal"
}

func (a *app) secretsReveal() *cobra.Command {
	var s sought
	var server string
	c := &cobra.Command{
		Use: "reveal PATH", Short: "Print the value of a secret, alone, on stdout",
		Long: `Prints the newest version, or with --version that one, alone and as it was put; on a
terminal a line break follows. With --server and --account it is the password of that
vaulted account. That it was revealed, to whom, is an event.

Exit code 3: no policy lets you reveal it, or not yet. Exit code 4: a request for it
waits for approval. With -o json or yaml the whole answer is printed.`,
		Example: `  PGPASSWORD=$(sallyport secrets reveal payments/db/password)
  sallyport secrets reveal --server db-1 --account dba`,
		Args: atMostOne("PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && server == "" && s.account == "":
				s.resource = "secret/" + args[0]
			case len(args) == 0 && server != "" && s.account != "":
				s.resource = "server/" + server
			default:
				return cli.Usage(c, "name a secret by its PATH, or a password by --server and --account")
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			body, value, err := a.reveal(c.Context(), client, s)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, body, func(w io.Writer) error {
				if terminal(a.Out) {
					value += "\n"
				}
				_, err := io.WriteString(w, value)
				return err
			})
		},
	}
	c.Flags().IntVar(&s.version, "version", 0, "this version instead of the newest")
	c.Flags().StringVar(&s.method, "method", "", "`ID` of the access method, as sallyport access resolve shows it")
	c.Flags().StringVar(&s.role, "role", "", "of a workload: the role to use")
	c.Flags().StringVar(&server, "server", "", "server whose account's password it is")
	c.Flags().StringVar(&s.account, "account", "", "vaulted account whose password it is")
	return c
}

// reveal has a value granted: by the one method that is open, or by the one that was named.
func (a *app) reveal(ctx context.Context, client *client, s sought) (body json.RawMessage, value string, err error) {
	if s.method == "" {
		if s.method, err = a.openMethod(ctx, client, s); err != nil {
			return nil, "", err
		}
	}
	ask := map[string]any{"resource": s.resource, "method": s.method}
	if s.role != "" {
		ask["role"] = s.role
	}
	if s.version != 0 {
		ask["version"] = s.version
	}
	got, err := client.call(ctx, http.MethodPost, "/v1/access/grants", nil, ask)
	if err != nil {
		return nil, "", err
	}
	var granted struct{ Value *string }
	if json.Unmarshal(got.body, &granted) != nil || granted.Value == nil { // the answer is not quoted: it may hold the value
		return nil, "", cli.Fail("check that SALLYPORT_ADDR names a Sallyport server", "the server's answer holds no value")
	}
	return got.body, *granted.Value, nil
}

// openMethod is the one access method by which the value can be revealed now.
func (a *app) openMethod(ctx context.Context, client *client, s sought) (string, error) {
	ask := map[string]any{"resource": s.resource}
	if s.role != "" {
		ask["role"] = s.role
	}
	got, err := client.call(ctx, http.MethodPost, "/v1/access/resolve", nil, ask)
	if err != nil {
		return "", err
	}
	var answer struct {
		Outcome string
		Methods []sshMethod
	}
	if err := json.Unmarshal(got.body, &answer); err != nil {
		return "", fmt.Errorf("reading the access methods: %w", err)
	}
	var fit, open []sshMethod
	for _, m := range answer.Methods {
		if m.Kind == s.kind() && m.Account == s.account {
			fit = append(fit, m)
			if m.Open {
				open = append(open, m)
			}
		}
	}
	switch {
	case len(open) == 1:
		return open[0].ID, nil
	case len(open) > 1:
		e := &cli.Error{Exit: cli.ExitUsage, Message: fmt.Sprintf("%d access methods reveal %s: say which one", len(open), s.resource), Next: "add --method ID"}
		for _, m := range open {
			e.Details = append(e.Details, "--method "+m.ID)
		}
		return "", e
	}
	return "", filtered(answer.Outcome, client.notRevealed(ctx, s, fit))
}

// notRevealed tells why none of the methods is open.
func (c *client) notRevealed(ctx context.Context, s sought, fit []sshMethod) error {
	e := &cli.Error{
		Exit: cli.ExitDenied, Message: "no policy lets you reveal " + s.resource,
		Next: "see what you may with: sallyport access resolve " + s.resource,
	}
	for _, m := range fit {
		e.Message = "what reveals " + s.resource + " is not open yet"
		e.Details = append(e.Details, "--method "+m.ID+": "+m.state())
		for _, u := range m.unmet() {
			switch {
			case e.Exit == cli.ExitWaiting:
			case u.Type == "access_request" && u.Request != "":
				e.Exit, e.Message, e.Next = cli.ExitWaiting, "request "+u.Request+" waits for approval", "run: sallyport request wait "+u.Request+" and repeat"
			case u.Type == "access_request":
				if typ := c.unusable(ctx, m); typ != "" {
					e.Next = noneApproves(typ)
					continue
				}
				e.Next = "ask for it: sallyport request create " + s.resource + " " + m.ID + " --justification TEXT"
			case u.Type == "checkout" && m.CheckedOut != nil: // by somebody else, or it would be met
				e.Next = "wait until " + m.CheckedOut.Until.UTC().Format(time.RFC3339) + ", or ask " + m.CheckedOut.By + " to release it"
			case u.Type == "checkout":
				e.Next = "take it first: sallyport checkout take " + s.resource
				if s.account != "" {
					e.Next += " --account " + s.account
				}
			}
		}
		if e.Exit != cli.ExitWaiting {
			e.Next += m.emergency(s.resource)
		}
	}
	return e
}
