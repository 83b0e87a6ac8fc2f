package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

func (a *app) secrets() *cobra.Command {
	c := &cobra.Command{
		Use: "secrets", Aliases: []string{"secret"}, Short: "List, reveal, put and destroy secrets",
		Long: `A secret is a value at a path, such as payments/db/password, with its versions. People
and workloads see and reveal what policies let them. A resource_admin puts and destroys
values and cannot reveal any.

A value is text in UTF-8 of up to 64 KiB. It comes from stdin or a file, never from an
argument. Other bytes are put as base64.`,
		Example: `  sallyport secrets list payments
  PGPASSWORD=$(sallyport secrets reveal payments/db/password)
  pwgen 40 1 | sallyport secrets put payments/db/password --project payments`,
	}
	c.AddCommand(a.secretsList(), a.secretsReveal(), a.secretsPut(), a.secretsDestroy(), a.secretsDelete())
	return c
}

// secretVersion is what the client understands of a version.
type secretVersion struct {
	Version     int
	DestroyedAt string `json:"destroyed_at"`
}

// newest is the number of the newest version, 0 if there is none.
func newest(all []secretVersion) int {
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].Version
}

// atMostOne wants one argument or none.
func atMostOne(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return cli.Usage(c, "%d arguments are given, wanted %s alone", len(args), name)
		}
		return nil
	}
}

func (a *app) secretsList() *cobra.Command {
	var role string
	c := &cobra.Command{
		Use: "list [FOLDER]", Short: "List the secrets that you may list, or those below a folder; never a value",
		Example: "  sallyport secrets list\n  sallyport secrets list payments -o json",
		Args:    atMostOne("FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			q := url.Values{}
			if len(args) > 0 {
				q.Set("folder", args[0])
			}
			if role != "" {
				q.Set("role", role)
			}
			got, err := client.call(c.Context(), http.MethodGet, "/v1/secrets?"+q.Encode(), nil, nil)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error { return secretTable(w, got.body) })
		},
	}
	c.Flags().StringVar(&role, "role", "", "of a workload: the role to use")
	return c
}

func secretTable(w io.Writer, body json.RawMessage) error {
	var page struct {
		Secrets []struct {
			Path, Project, Description string
			Labels                     map[string]string
			Versions                   []secretVersion
		}
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return fmt.Errorf("reading the list of secrets: %w", err)
	}
	rows := cli.Rows{{"PATH", "VERSIONS", "PROJECT", "LABELS", "DESCRIPTION"}}
	for _, s := range page.Secrets {
		var stand []string
		for _, v := range s.Versions {
			if v.DestroyedAt == "" {
				stand = append(stand, strconv.Itoa(v.Version))
			}
		}
		rows = append(rows, []string{s.Path, strings.Join(stand, " "), s.Project, strings.Join(pairs(s.Labels), " "), s.Description})
	}
	return rows.Write(w, nil)
}

// valueFlags say where a value comes from.
type valueFlags struct {
	file  string
	exact bool
}

func (f *valueFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "file", "f", "-", "file that the value is in; - is stdin")
	c.Flags().BoolVar(&f.exact, "exact", false, "keep a line break at the end of the value")
}

// maxValue is the most bytes that a value has, and a line break behind it.
const maxValue = 64<<10 + 2

// readValue reads a value, and never shows it.
func (a *app) readValue(c *cobra.Command, f valueFlags) (string, error) {
	r := a.In
	if f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return "", cli.Fail("check the path", "%v", err)
		}
		defer file.Close()
		r = file
	} else if terminal(a.In) {
		return "", cli.Usage(c, "a value is read from a file or a pipe: give --file, or < FILE")
	}
	b, err := io.ReadAll(io.LimitReader(r, maxValue+1))
	if err != nil {
		return "", cli.Fail("check the path", "the value could not be read: %v", err)
	}
	value := string(b)
	if !f.exact {
		value = strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
	}
	switch {
	case value == "":
		return "", cli.Fail("check where it comes from", "the value is empty")
	case len(value) > maxValue-2:
		return "", cli.Fail("put it into several secrets, or keep it elsewhere", "the value is larger than 64 KiB")
	case !utf8.ValidString(value):
		return "", cli.Fail("put it as base64, as in: base64 -w0 FILE | sallyport secrets put PATH", "the value is not text in UTF-8")
	}
	return value, nil
}

func (a *app) secretsPut() *cobra.Command {
	var in valueFlags
	var project, description, role string
	var labels map[string]string
	c := &cobra.Command{
		Use: "put PATH", Short: "Put a version of a secret; with --project make the secret if there is none",
		Long: `Reads the value from stdin, or with --file from a file; never from an argument. One
line break at its end is left out, unless --exact is given. It is the newest version
from then on, and those before it can be revealed until they are destroyed.`,
		Example: `  pwgen 40 1 | sallyport secrets put payments/db/password --project payments --label env=prod
  sallyport secrets put payments/tls/key --file key.pem --exact`,
		Args: cli.Args("PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			if project == "" && (description != "" || len(labels) > 0) {
				return cli.Usage(c, "--description and --label are for a new secret: give --project")
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			value, err := a.readValue(c, in)
			if err != nil {
				return err
			}
			return a.putSecret(c.Context(), client, map[string]any{"path": args[0], "value": value}, role,
				map[string]any{"project": project, "description": description, "labels": labels})
		},
	}
	in.add(c)
	c.Flags().StringVar(&project, "project", "", "make the secret in this project if there is none at the path")
	c.Flags().StringVar(&description, "description", "", "of a secret that is made")
	c.Flags().StringToStringVar(&labels, "label", nil, "of a secret that is made, `key=value`; repeat it for more")
	c.Flags().StringVar(&role, "role", "", "of a workload: the role to use")
	return c
}

// putSecret puts a version, or makes the secret with its first one.
func (a *app) putSecret(ctx context.Context, client *client, version map[string]any, role string, about map[string]any) error {
	if role != "" {
		version["role"] = role
	}
	post := func(path string, body map[string]any) (answer, error) {
		return client.call(ctx, http.MethodPost, path, nil, body)
	}
	if about["project"] != "" {
		created := maps.Clone(about)
		maps.Copy(created, version)
		_, err := post("/v1/secrets", created)
		var refused *cli.Error
		if err == nil {
			a.Note("Created %s, version 1.", version["path"])
			return nil
		}
		if !errors.As(err, &refused) || refused.Code != "secret.taken" {
			return err
		}
	}
	got, err := post("/v1/secrets/versions", version)
	if err != nil {
		return err
	}
	var secret struct{ Versions []secretVersion }
	_ = json.Unmarshal(got.body, &secret)
	a.Note("Put version %d of %s.", newest(secret.Versions), version["path"])
	return nil
}

func (a *app) secretsDestroy() *cobra.Command {
	var version int
	var role string
	c := &cobra.Command{
		Use: "destroy PATH --version N", Short: "Make one version unreadable for good",
		Long: `Overwrites the key of one version, so that nobody can reveal it again. Backups that were
made before still have it. To take the secret away whole: sallyport secrets delete`,
		Example: "  sallyport secrets destroy payments/db/password --version 1",
		Args:    cli.Args("PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			if version < 1 {
				return cli.Usage(c, "--version is missing: `sallyport secrets list` shows them")
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			body := map[string]any{"path": args[0], "version": version}
			if role != "" {
				body["role"] = role
			}
			if _, err := client.call(c.Context(), http.MethodPost, "/v1/secrets/destroy", nil, body); err != nil {
				return err
			}
			a.Note("Destroyed version %d of %s.", version, args[0])
			return nil
		},
	}
	c.Flags().IntVar(&version, "version", 0, "which one")
	c.Flags().StringVar(&role, "role", "", "of a workload: the role to use")
	return c
}

func (a *app) secretsDelete() *cobra.Command {
	var role string
	c := &cobra.Command{
		Use: "delete PATH", Short: "Delete a secret and destroy all its versions; its path is never given again",
		Example: "  sallyport secrets delete payments/db/password",
		Args:    cli.Args("PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			body := map[string]any{"path": args[0]}
			if role != "" {
				body["role"] = role
			}
			if _, err := client.call(c.Context(), http.MethodPost, "/v1/secrets/delete", nil, body); err != nil {
				return err
			}
			a.Note("Deleted %s and destroyed its versions. Its path is not given again.", args[0])
			return nil
		},
	}
	c.Flags().StringVar(&role, "role", "", "of a workload: the role to use")
	return c
}
