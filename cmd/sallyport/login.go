package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

// The device authorization grant (RFC 8628), as the server knows it.
const (
	deviceGrant  = "urn:ietf:params:oauth:grant-type:device_code"
	deviceClient = "sallyport-cli"
)

func (a *app) login() *cobra.Command {
	return &cobra.Command{
		Use: "login", Short: "Log in as yourself, by confirming a code in the console",
		Long: `Prints an address and a code. Open the address in a browser, on this machine or
another, sign in and confirm the code: then this machine has an API token of yours with
all your roles, for eight hours. It is kept in sallyport/credentials.json below
$XDG_CONFIG_HOME or ~/.config (mode 0600), for this server and organisation;
SALLYPORT_TOKEN, where it is set, comes before it.`,
		Example: `  sallyport login --addr https://sallyport.example.com
  sallyport whoami`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.open()
			if err != nil {
				return err
			}
			if _, err := a.readLogins(); err != nil { // before somebody confirms for nothing
				return err
			}
			return a.logIn(c.Context(), client)
		},
	}
}

// waiting is RFC 8628 section 3.2.
type waiting struct {
	DeviceCode      string `json:"device_code"`
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
	Complete        string `json:"verification_uri_complete"`
	ExpiresIn       int    `json:"expires_in"`
	Interval        int    `json:"interval"`
}

func (a *app) logIn(ctx context.Context, c *client) error {
	got, err := c.form(ctx, "/device_authorization", url.Values{"client_id": {deviceClient}})
	if err != nil {
		return err
	}
	var w waiting
	if err := json.Unmarshal(got.body, &w); err != nil || w.DeviceCode == "" || w.UserCode == "" {
		return cli.Fail("check that SALLYPORT_ADDR names a Sallyport server of this version", "the server does not say how to log in")
	}
	a.Note("Open      %s", cli.Clean(w.Complete))
	a.Note("and confirm the code %s (or enter it at %s).", cli.Clean(w.UserCode), cli.Clean(w.VerificationURI))
	token, life, err := c.waitForToken(ctx, w)
	if err != nil {
		return err
	}
	c.token = token
	who, err := c.whoAmI(ctx)
	if err != nil {
		return err
	}
	kept := kept{Token: token, Person: who.Person, ExpiresAt: time.Now().Add(life).UTC().Truncate(time.Second)}
	if err := a.keepLogin(c.org, &kept); err != nil {
		return err
	}
	a.Note("Logged in as %s (%s), until %s.", who.Person, strings.Join(who.Roles, " "), kept.ExpiresAt.Format("15:04 MST"))
	if a.Getenv("SALLYPORT_TOKEN") != "" {
		a.Note("SALLYPORT_TOKEN is set, and commands use it: unset it to use this login.")
	}
	return nil
}

// form posts a form without a person's token.
func (c *client) form(ctx context.Context, path string, form url.Values) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.org+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.send(req, false)
}

// Bounds of how long to wait between two questions, whatever the server says.
const (
	minInterval = time.Second
	maxInterval = time.Minute
)

// waitForToken asks, as often as it may, until somebody confirmed the code.
func (c *client) waitForToken(ctx context.Context, w waiting) (token string, life time.Duration, err error) {
	every := min(max(time.Duration(w.Interval)*time.Second, minInterval), maxInterval)
	over := time.Now().Add(time.Duration(w.ExpiresIn) * time.Second)
	for {
		select {
		case <-ctx.Done():
			return "", 0, &cli.Error{Exit: cli.ExitFailed, Message: "interrupted", Next: "run it again; the code is worth nothing any more"}
		case <-time.After(every):
		}
		got, err := c.form(ctx, "/token", url.Values{"grant_type": {deviceGrant}, "client_id": {deviceClient}, "device_code": {w.DeviceCode}})
		var told *cli.Error
		switch {
		case err == nil:
			var t struct {
				AccessToken string `json:"access_token"`
				ExpiresIn   int    `json:"expires_in"`
			}
			if json.Unmarshal(got.body, &t) != nil || t.AccessToken == "" {
				return "", 0, cli.Fail("try again", "the server answered with no token")
			}
			return t.AccessToken, time.Duration(t.ExpiresIn) * time.Second, nil
		case !errors.As(err, &told) || ctx.Err() != nil:
			return "", 0, err
		case told.Code == "device.pending":
		case told.Code == "device.slow_down" || told.Code == "rate.limited":
			every = min(every+5*time.Second, maxInterval)
		case told.Exit == cli.ExitUnreachable && time.Now().Before(over): // it may be back in time
		default:
			return "", 0, err
		}
	}
}

// me is what the server says of the caller.
type me struct {
	Person    string
	Roles     []string
	Subject   string    // of a workload
	Expiry    time.Time `json:"expires_at"`
	Effective []string  `json:"effective_roles"`
}

func (c *client) whoAmI(ctx context.Context) (who me, err error) {
	got, err := c.call(ctx, http.MethodGet, "/v1/whoami", nil, nil)
	if err != nil {
		return me{}, err
	}
	if err := json.Unmarshal(got.body, &who); err != nil {
		return me{}, fmt.Errorf("reading who you are: %w", err)
	}
	return who, nil
}

func (a *app) whoami() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show whom the server takes you for, and what you may",
		Long: `Shows who the token speaks for that commands use here, which roles it has now, and
until when.`,
		Example: `  sallyport whoami
  sallyport whoami -o json`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodGet, "/v1/whoami", nil, nil)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error {
				var who me
				if err := json.Unmarshal(got.body, &who); err != nil {
					return fmt.Errorf("reading who you are: %w", err)
				}
				rows := cli.Rows{{"PERSON", "ROLES", "UNTIL"}, {first(who.Person, who.Subject), strings.Join(who.Roles, " "), clock(who.Expiry.Format(time.RFC3339))}}
				return rows.Write(w, nil)
			})
		},
	}
}

func (a *app) logout() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "End the token that login keeps here",
		Long: `Revokes the API token that "sallyport login" keeps for this server and organisation,
and removes it from this machine. SALLYPORT_TOKEN is left alone.`,
		Example: "  sallyport logout --addr https://sallyport.example.com",
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.open()
			if err != nil {
				return err
			}
			all, err := a.readLogins()
			if err != nil {
				return err
			}
			one, known := all[client.org]
			if !known {
				a.Note("You are not logged in at %s.", client.org)
				return nil
			}
			client.token = one.Token
			_, err = client.call(c.Context(), http.MethodPost, "/v1/logout", nil, nil)
			var told *cli.Error
			if errors.As(err, &told) && strings.HasPrefix(told.Code, "api_token.") {
				err = nil // it has ended already
			}
			if err != nil {
				return err // the token still opens the door, so it stays to be revoked
			}
			if err := a.keepLogin(client.org, nil); err != nil {
				return err
			}
			a.Note("Logged out of %s.", client.org)
			return nil
		},
	}
}

// kept is a token that login keeps.
type kept struct {
	Token     string    `json:"token"`
	Person    string    `json:"person"`
	ExpiresAt time.Time `json:"expires_at"`
}

// loginsFile is where tokens are kept; "" where there is no home directory.
func (a *app) loginsFile() string {
	if config := a.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(config) {
		return filepath.Join(config, "sallyport", "credentials.json")
	}
	if home := a.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", "sallyport", "credentials.json")
	}
	return ""
}

// readLogins is what is kept, by the URL of the organisation.
func (a *app) readLogins() (map[string]kept, error) {
	all, path := map[string]kept{}, a.loginsFile()
	if path == "" {
		return all, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		return nil, cli.Fail("correct it, or remove it and log in again", "the tokens kept in %s cannot be read: %v", path, err)
	}
	return all, nil
}

// keepLogin keeps a token for an organisation, or none any more. Those that have
// ended are removed.
func (a *app) keepLogin(org string, one *kept) error {
	path := a.loginsFile()
	if path == "" {
		return cli.Fail("set HOME, or XDG_CONFIG_HOME", "there is no home directory to keep the token in")
	}
	all, err := a.readLogins()
	if err != nil {
		return err
	}
	for name, k := range all {
		if name == org || !time.Now().Before(k.ExpiresAt) {
			delete(all, name)
		}
	}
	if one != nil {
		all[org] = *one
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the tokens: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the folder for the token: %w", err)
	}
	if err := cli.WriteSecret(path, append(b, '\n')); err != nil {
		return fmt.Errorf("keeping the token: %w", err)
	}
	return nil
}

// loggedIn is the token that is kept for an organisation and has not ended, or "".
// A file that cannot be read counts as none: who needs a token is told to log in.
func (a *app) loggedIn(org string) string {
	all, err := a.readLogins()
	one, known := all[org]
	if err != nil || !known || !time.Now().Before(one.ExpiresAt) {
		return ""
	}
	return one.Token
}
