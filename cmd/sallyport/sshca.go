package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

func (a *app) sshCA() *cobra.Command {
	c := &cobra.Command{
		Use: "ssh-ca", Short: "The keys that sign SSH certificates",
		Long: `Servers trust the key that signs and the one that will after the next rotation. They
get both without a token from the address that "sallyport ssh-ca show" tells.`,
		Example: "  sallyport ssh-ca show\n  sallyport ssh-ca rotate",
	}
	c.AddCommand(
		a.sshCACommand("show", "Show the keys", http.MethodGet, "/v1/ssh/ca"),
		a.sshCACommand("rotate", "Let the next key sign, and retire the one that did", http.MethodPost, "/v1/ssh/ca/rotate"),
	)
	return c
}

func (a *app) sshCACommand(use, short, method, path string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: "  sallyport ssh-ca " + use, Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), method, path, nil, nil)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error { return sshCATable(w, got.body) })
		},
	}
}

func sshCATable(w io.Writer, body json.RawMessage) error {
	var answer struct {
		URL  string
		Keys []struct {
			Fingerprint, State string
			CreatedAt          string `json:"created_at"`
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	rows := cli.Rows{{"STATE", "FINGERPRINT", "CREATED"}}
	for _, k := range answer.Keys {
		rows = append(rows, []string{k.State, k.Fingerprint, k.CreatedAt})
	}
	if err := rows.Write(w, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "servers fetch what they trust from", cli.Clean(answer.URL))
	return err
}
