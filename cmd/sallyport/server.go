package main

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// serverNoun is how servers are kept; who may reach them sees them with `servers list`.
var serverNoun = noun{
	use: "server", plural: "servers", path: "/v1/servers", short: "Keep servers, their accounts and the accounts' passwords",
	long: `A server is an address in a project, with accounts: a personal one is each person's own
user, named like the person; a vaulted one is a user that is shared, whose password, if
it has one, is in the vault. Nobody reaches a server before a policy says so. Only a
resource_admin writes them. What you can reach yourself is in: sallyport servers list`,
	example: `  sallyport server put -f - <<'END'
  name: db-1
  project: payments
  address: db-1.internal.example
  labels: {env: prod}
  accounts:
  - {name: dba, kind: vaulted, username: postgres}
  END
  pwgen 40 1 | sallyport server password db-1 dba`,
	heading: []string{"NAME", "VERSION", "PROJECT", "ADDRESS", "ACCOUNTS", "LABELS"},
	row: func(doc json.RawMessage) []string {
		var s struct {
			Name, Project, Address string
			Version                uint64
			Port                   int
			Accounts               []struct{ Name, Kind, Username string }
			Labels                 map[string]string
		}
		_ = json.Unmarshal(doc, &s) // what is not as it should be shows as nothing
		var accounts []string
		for _, a := range s.Accounts {
			accounts = append(accounts, strings.TrimSuffix(a.Name+" ("+a.Kind+" "+a.Username, " ")+")")
		}
		return []string{s.Name, strconv.FormatUint(s.Version, 10), s.Project, net.JoinHostPort(s.Address, strconv.Itoa(s.Port)), strings.Join(accounts, ", "), strings.Join(pairs(s.Labels), " ")}
	},
}

func (a *app) server() *cobra.Command {
	c := a.noun(serverNoun, a.serverPassword())
	c.Aliases = nil // servers is a command of its own: what the caller can reach
	return c
}

func (a *app) serverPassword() *cobra.Command {
	var in valueFlags
	var destroy int
	c := &cobra.Command{
		Use: "password SERVER ACCOUNT", Short: "Put a version of a vaulted account's password, or destroy one",
		Long: `Reads the password from stdin, or with --file from a file; never from an argument. One
line break at its end is left out, unless --exact is given. Who manages servers cannot
read it back: a policy lets people and workloads reveal it, with

  sallyport secrets reveal --server SERVER --account ACCOUNT

The password on the server itself is not changed. With --destroy one version is made
unreadable for good instead.`,
		Example: `  pwgen 40 1 | sallyport server password db-1 dba
  sallyport server password db-1 dba --destroy 1`,
		Args: nameArgs("SERVER", "ACCOUNT"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			path := serverNoun.one(args[0], "accounts", args[1], "password")
			if c.Flags().Changed("destroy") {
				if _, err := client.call(c.Context(), http.MethodPost, path+"/destroy", nil, map[string]int{"version": destroy}); err != nil {
					return err
				}
				a.Note("Destroyed version %d of the password of %s on %s.", destroy, args[1], args[0])
				return nil
			}
			value, err := a.readValue(c, in)
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodPut, path, nil, map[string]string{"value": value})
			if err != nil {
				return err
			}
			var account struct{ Passwords []secretVersion }
			_ = json.Unmarshal(got.body, &account)
			a.Note("Put version %d of the password of %s on %s.", newest(account.Passwords), args[1], args[0])
			return nil
		},
	}
	in.add(c)
	c.Flags().IntVar(&destroy, "destroy", 0, "destroy this version instead")
	c.MarkFlagsMutuallyExclusive("destroy", "file")
	return c
}
