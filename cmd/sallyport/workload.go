package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

func (a *app) workload() *cobra.Command {
	c := &cobra.Command{
		Use: "wl", Aliases: []string{"workload"},
		Short: "What workloads run: exchange a JWT for a token, sign as a bare host",
		Example: `  TOKEN=$(sallyport wl auth --connection gitlab-ci --jwt-env SALLYPORT_ID_TOKEN)
  sallyport wl test --connection gitlab-ci --jwt-file token.jwt`,
	}
	c.AddCommand(a.wlAuth(), a.wlExec(), a.wlTest(), a.wlKeygen(), a.wlSign())
	return c
}

const (
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeJWT       = "urn:ietf:params:oauth:token-type:jwt"
)

func (a *app) wlAuth() *cobra.Command {
	var p proofFlags
	var connection, roleHint, out string
	var audiences []string
	c := &cobra.Command{
		Use: "auth", Aliases: []string{"authenticate"},
		Short: "Exchange the platform's JWT for a token and print it, alone, on stdout",
		Long: `Exchanges the JWT that the platform gave this job for a short-lived token, which is
printed alone on stdout, or with --out written to a file that only its owner may
read (mode 0600, replaced in one step). There is no refresh: run it again.

Without --connection the one active connection that fits the JWT's issuer is used.
With -o json or yaml the whole answer is printed, expires_in among it.`,
		Example: `  TOKEN=$(sallyport wl auth --connection gitlab-ci --jwt-env SALLYPORT_ID_TOKEN)
  sallyport wl auth --connection k8s --jwt-file /var/run/secrets/tokens/sallyport --out /run/app/token
  sallyport wl auth --connection host --jwt-cmd 'sallyport wl sign --key host.key --issuer https://robots.example.com --subject robot/7 --audience https://sallyport.example.com/orgs/default'`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.open()
			if err != nil {
				return err
			}
			jwt, err := p.read(c, a)
			if err != nil {
				return err
			}
			form := exchangeForm(connection, jwt)
			for _, aud := range audiences {
				form.Add("audience", aud)
			}
			if roleHint != "" {
				form.Set("role_hint", roleHint)
			}
			return a.exchangeInto(c.Context(), client, form, out)
		},
	}
	p.add(c)
	c.Flags().StringVar(&connection, "connection", "", "name of the connection")
	c.Flags().StringArrayVar(&audiences, "audience", nil, "whom the token is for, when not Sallyport itself")
	c.Flags().StringVar(&roleHint, "role-hint", "", "role that the token is meant for; a hint, not a right")
	c.Flags().StringVar(&out, "out", "", "write the token to this file, mode 0600, instead of stdout")
	return c
}

func exchangeForm(connection, jwt string) url.Values {
	form := url.Values{"grant_type": {grantExchange}, "subject_token": {jwt}, "subject_token_type": {typeJWT}}
	if connection != "" {
		form.Set("connection", connection)
	}
	return form
}

// exchangeInto exchanges and prints the token, or writes it to the file out, if
// one is named: then no token is issued unless it can be written.
func (a *app) exchangeInto(ctx context.Context, client *client, form url.Values, out string) error {
	var file *cli.SecretFile
	if out != "" {
		var err error
		if file, err = cli.NewSecretFile(out); err != nil {
			return cli.Fail("check that its folder exists and may be written to", "no token was asked for, since it could not be written: %v", err)
		}
		defer file.Discard()
	}
	got, err := client.exchange(ctx, form)
	if err != nil {
		return err
	}
	return a.printToken(got.body, file, out)
}

// printToken prints the token, or writes it to file, if there is one. The answer
// is not quoted in an error: it holds a secret.
func (a *app) printToken(body json.RawMessage, file *cli.SecretFile, out string) error {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" {
		return cli.Fail("check that SALLYPORT_ADDR names a Sallyport server", "the server's answer holds no token")
	}
	if file == nil {
		return cli.Print(a.Out, a.format, body, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, answer.AccessToken)
			return err
		})
	}
	if err := file.Write([]byte(answer.AccessToken + "\n")); err != nil {
		return cli.Fail("make room on its disk", "the token was issued and could not be written: %v", err)
	}
	a.Note("The token is in %s.", out)
	return nil
}

func (a *app) wlTest() *cobra.Command {
	var p proofFlags
	var connection string
	c := &cobra.Command{
		Use: "test", Short: "Try the platform's JWT against a connection; nothing is issued",
		Long: `Tries the JWT against a connection. With SALLYPORT_TOKEN (a person's, who may edit
the connection) every check is printed. Without one the server answers with a code
alone: connection.draft means that the JWT satisfies the draft (exit code 0); any
other is the first check that failed (exit code 3). For a connection that is already
active, connection.active is printed where the JWT satisfies it.

It takes the flags of wl auth, so that one word can be changed; --audience and
--role-hint are not part of a test.`,
		Example: `  sallyport wl test --connection gitlab-ci --jwt-env SALLYPORT_ID_TOKEN`,
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.open()
			if err != nil {
				return err
			}
			if connection == "" {
				return cli.Usage(c, "--connection is missing")
			}
			jwt, err := p.read(c, a)
			if err != nil {
				return err
			}
			if client.token != "" {
				return a.report(c.Context(), client, connection, jwt)
			}
			return a.tryDraft(c.Context(), client, connection, jwt)
		},
	}
	p.add(c)
	c.Flags().StringVar(&connection, "connection", "", "name of the connection")
	c.Flags().StringArray("audience", nil, "taken for the sake of wl auth; not part of a test")
	c.Flags().String("role-hint", "", "taken for the sake of wl auth; not part of a test")
	return c
}

// testReport is the answer to a test.
type testReport struct {
	Verdict, Identity string
	Checks            []cli.Check
	Warnings          []struct {
		Code, Message string
		Blocks        bool
	}
}

// report tests a JWT as a person and prints the table of checks. A failed
// check is a denial.
func (a *app) report(ctx context.Context, client *client, connection, jwt string) error {
	got, err := client.call(ctx, http.MethodPost, connectionPath(connection)+"/test", nil, map[string]string{"token": jwt})
	if err != nil {
		return err
	}
	var r testReport
	if err := json.Unmarshal(got.body, &r); err != nil {
		return fmt.Errorf("reading the report: %w", err)
	}
	colour := cli.Colour(a.Out, a.Getenv)
	if err := cli.Print(a.Out, a.format, got.body, func(w io.Writer) error { return r.write(w, colour) }); err != nil {
		return err
	}
	if r.Verdict != "pass" {
		return &cli.Error{Exit: cli.ExitDenied, Message: "the token does not satisfy " + connection, Next: "see the checks that say fail"}
	}
	return nil
}

func (r testReport) write(w io.Writer, colour bool) error {
	if err := cli.CheckRows("", r.Checks).Write(w, cli.PaintResult("", colour)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "verdict: %s\n", cli.Clean(r.Verdict))
	if err == nil && r.Identity != "" {
		_, err = fmt.Fprintf(w, "identity: %s\n", cli.Clean(r.Identity))
	}
	for _, x := range r.Warnings {
		if err == nil {
			_, err = fmt.Fprintf(w, "warning: %s: %s\n", cli.Clean(x.Code), cli.Clean(x.Message))
		}
	}
	return err
}

// tryDraft exchanges for an audience that nobody can have listed, since it is
// made up now: a draft tells that it is satisfied before audiences are looked
// at, and an active connection issues nothing for it.
func (a *app) tryDraft(ctx context.Context, client *client, connection, jwt string) error {
	form := exchangeForm(connection, jwt)
	form.Set("audience", "urn:sallyport:test:"+rand.Text())
	_, err := client.exchange(ctx, form)
	var e *cli.Error
	switch {
	case err == nil:
		return cli.Fail("tell the server's operator", "the server issued a token for an audience that was made up; it is dropped")
	case !errors.As(err, &e) || e.Exit != cli.ExitDenied:
		return err
	}
	code := e.Code
	if code == "audience.not_allowed" {
		code = "connection.active"
	}
	satisfied := code == "connection.draft" || code == "connection.active"
	doc := map[string]any{"code": code, "satisfied": satisfied, "request_id": e.RequestID}
	if err := cli.Print(a.Out, a.format, doc, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, cli.Clean(code))
		return err
	}); err != nil {
		return err
	}
	switch code {
	case "connection.draft":
		a.Note("The token satisfies the draft. Nothing was issued.")
	case "connection.active":
		a.Note("The connection is active and takes the token. Nothing was issued.")
	default:
		return e
	}
	return nil
}
