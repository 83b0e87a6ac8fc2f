package main

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

// workloadRole is what tables show of a workload role.
type workloadRole struct {
	Name, Description   string
	LinuxServerUsername string `json:"linux_server_username"`
	Version             uint64
	Requirements        []struct {
		Connection string
		Missing    bool
		Conditions json.RawMessage
	}
}

func (a *app) role() *cobra.Command {
	return a.noun(noun{
		use: "role", plural: "roles", path: "/v1/roles", short: "Keep workload roles, and see which a workload bears",
		long: `A workload role says which workloads are meant: 1 to 20 requirements, each a connection
and 0 to 20 conditions on the claims that its tokens carry. One requirement has to be
met, and of it every condition. Roles are worked out when a token is used, so a change
holds for tokens that are out already. Only a security_admin writes them.`,
		example: `  sallyport role put -f - <<'END'
  name: shop-deployers
  requirements:
  - connection: gitlab-ci
    conditions:
    - {claim: project_path, operator: equals, value: acme/shop}
  END`,
		heading: []string{"NAME", "VERSION", "LINUX USER", "TOKENS OF"}, row: roleRow, show: showRole,
	}, a.roleMatch())
}

func roleRow(doc json.RawMessage) []string {
	var r workloadRole
	if json.Unmarshal(doc, &r) != nil {
		return nil
	}
	var of []string
	for _, q := range r.Requirements {
		if q.Missing {
			q.Connection += " (missing)"
		}
		of = append(of, q.Connection)
	}
	return []string{r.Name, strconv.FormatUint(r.Version, 10), r.LinuxServerUsername, strings.Join(of, ", ")}
}

func showRole(w io.Writer, doc json.RawMessage) error {
	var r workloadRole
	if err := json.Unmarshal(doc, &r); err != nil {
		return fmt.Errorf("reading the workload role: %w", err)
	}
	rows := cli.Rows{{"name", r.Name}, {"version", strconv.FormatUint(r.Version, 10)}, {"linux user", r.LinuxServerUsername}}
	if r.Description != "" {
		rows = append(rows, []string{"description", r.Description})
	}
	for i, q := range r.Requirements {
		label, of := "borne by", "tokens of "+q.Connection
		if i > 0 {
			label = "or by"
		}
		if q.Missing {
			of += ", which was deleted: nobody"
		}
		rows = append(rows, []string{label, of})
		for _, line := range conditionLines(q.Conditions) {
			rows = append(rows, []string{"", "  " + strings.Join(line, " ")})
		}
	}
	return rows.Write(w, nil)
}

func (a *app) roleMatch() *cobra.Command {
	var p proofFlags
	var connection, claims string
	c := &cobra.Command{
		Use: "match", Short: "See which roles a workload bears, and why not the others",
		Long: `Tells which roles a workload would bear, and each condition of every role that asks for
tokens of its connection. Give a token of Sallyport, or with --connection a token of the
platform or a file of claims. A token stays on this machine: its claims alone are sent,
and nobody checks its signature.`,
		Example: `  sallyport role match --jwt-env WORKLOAD_TOKEN
  sallyport role match --connection gitlab-ci --claims claims.json`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			var set json.RawMessage
			if claims != "" {
				set, err = a.readFile(claims)
			} else {
				set, err = p.claims(c, a)
			}
			if err != nil {
				return err
			}
			question, err := matchQuestion(c, connection, set)
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodPost, "/v1/roles/match", nil, question)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error { return matchTable(w, got.body) })
		},
	}
	p.add(c)
	c.Flags().StringVar(&connection, "connection", "", "whose token it would be; a token of Sallyport says it")
	c.Flags().StringVar(&claims, "claims", "", "file with the claims as a JSON object, - for stdin, instead of a token")
	c.MarkFlagsMutuallyExclusive("claims", "jwt-env", "jwt-file", "jwt-cmd")
	return c
}

// claims is the payload of the JWT that the flags name, unverified.
func (p *proofFlags) claims(c *cobra.Command, a *app) (json.RawMessage, error) {
	jwt, err := p.read(c, a)
	if err != nil {
		return nil, err
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(jwt, ".")[1])
	if err != nil {
		return nil, cli.Fail("take it from the platform unchanged", "the JWT has no payload that can be read")
	}
	return payload, nil
}

// matchQuestion is the question to send: of a token of ours what it carries, of
// any other set of claims all of them.
func matchQuestion(c *cobra.Command, connection string, set json.RawMessage) (map[string]any, error) {
	var claims struct {
		Sallyport *struct {
			Connection, Identity string
			Claims               json.RawMessage
		}
	}
	if !bytes.HasPrefix(bytes.TrimSpace(set), []byte("{")) || json.Unmarshal(set, &claims) != nil {
		return nil, cli.Fail("give the claims as one JSON object", "these are no claims")
	}
	if ours := claims.Sallyport; ours != nil && ours.Claims != nil {
		return map[string]any{"connection": cmp.Or(connection, ours.Connection), "identity": ours.Identity, "claims": ours.Claims}, nil
	}
	if connection == "" {
		return nil, cli.Usage(c, "give --connection: only a token of Sallyport says which it is of")
	}
	return map[string]any{"connection": connection, "claims": set}, nil
}

func matchTable(w io.Writer, body json.RawMessage) error {
	var m struct {
		Connection, Status string
		Explained          []struct {
			Role         string
			Matches      bool
			Requirements []struct {
				Met        bool
				Conditions []struct {
					Claim, Operator, Expected, Actual, Message string
					Met                                        bool
				}
			}
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("reading which roles match: %w", err)
	}
	rows := cli.Rows{{"ROLE", "BORNE", "CONDITION", "HOLDS", "WHY"}}
	for _, e := range m.Explained {
		for i, r := range e.Requirements {
			role, borne := e.Role, yesNo(e.Matches)
			if i > 0 {
				role, borne = "", "or"
			}
			if len(r.Conditions) == 0 {
				rows = append(rows, []string{role, borne, "every token of " + m.Connection, "yes", ""})
			}
			for j, c := range r.Conditions {
				if j > 0 {
					role, borne = "", ""
				}
				why := ""
				if !c.Met {
					why = strings.TrimSpace(c.Message + " " + was(c.Actual))
				}
				condition := strings.TrimSpace(c.Claim + " " + c.Operator + " " + c.Expected)
				rows = append(rows, []string{role, borne, condition, yesNo(c.Met), why})
			}
		}
	}
	if err := rows.Write(w, nil); err != nil || m.Status == "active" {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s is %s: its tokens bear no role until it is active.\n", m.Connection, cmp.Or(m.Status, "not there"))
	return err
}

func was(actual string) string {
	if actual == "" {
		return ""
	}
	return "It is " + actual + "."
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
