package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

// policyDocument is what tables show of a policy.
type policyDocument struct {
	Name, Description, Status string
	Version                   uint64
	PublishedVersion          uint64 `json:"published_version"`
	Pending                   bool
	Missing                   []string
	Principals                struct{ Groups, Roles []string }
	Rules                     []policyRule
}

type policyRule struct {
	Name     string
	Resource struct {
		Server, Secret, Folder string
		Labels                 map[string]string
	}
	Privileges []struct {
		Type              string
		Accounts, Actions []string
	}
	Conditions []struct {
		Type            string
		RequestType     string `json:"request_type"`
		ApprovalSeconds int    `json:"approval_seconds"`
		FreshSeconds    *int   `json:"fresh_seconds"`
		MaxSeconds      int    `json:"max_seconds"`
	}
	Expression       string
	WorkloadsMayWait bool `json:"workloads_may_wait"`
	BreakGlass       *struct {
		AccessSeconds int `json:"access_seconds"`
	} `json:"break_glass"`
}

func (a *app) policy() *cobra.Command {
	n := noun{
		use: "policy", plural: "policies", path: "/v1/policies", short: "Say who may do what with which resource, and see who can",
		long: `A policy is for groups and workload roles, and has 1 to 30 rules: which resources, what
its principals may do there, what has to be met besides, and optionally an expression
that has to be true. It has no effect until it is published, and an edit has none until
that is published too. Only a security_admin writes and publishes policies.

Every field, and three policies that work: docs/policies.md.`,
		example: `  sallyport policy put -f - <<'END'
  name: web-admins
  principals: {groups: [web]}
  rules:
  - name: web-servers
    resource: {labels: {tier: web}}
    privileges: [{type: ssh, accounts: [me]}]
  END
  sallyport policy publish web-admins`,
		heading: []string{"NAME", "STATUS", "VERSION", "FOR", "RULES", "MISSING"}, row: policyRow, show: showPolicy,
	}
	return a.noun(n,
		a.nounAction(n, "publish", "Let the newest version of a policy decide",
			`It takes the place of what was published before, at once. When someone changes it between
its being read and this, nothing happens and the exit code is 1.`, "Published policy NAME: it decides from now on."),
		a.nounAction(n, "unpublish", "Let a policy decide nothing any more",
			"What was written stays, and can be published again.", "Unpublished policy NAME: it lets nobody in any more."),
		a.policySimulate())
}

func policyRow(doc json.RawMessage) []string {
	var p policyDocument
	if json.Unmarshal(doc, &p) != nil {
		return nil
	}
	return []string{p.Name, p.status(), strconv.FormatUint(p.Version, 10), p.principals(), strconv.Itoa(len(p.Rules)), strings.Join(pointedAt(doc, p.Missing), " ")}
}

func (p policyDocument) status() string {
	if p.Pending {
		return fmt.Sprintf("version %d published", p.PublishedVersion)
	}
	return p.Status
}

func (p policyDocument) principals() string {
	var all []string
	for _, g := range p.Principals.Groups {
		all = append(all, "group/"+g)
	}
	for _, r := range p.Principals.Roles {
		all = append(all, "role/"+r)
	}
	return strings.Join(all, ", ")
}

func showPolicy(w io.Writer, doc json.RawMessage) error {
	var p policyDocument
	if err := json.Unmarshal(doc, &p); err != nil {
		return fmt.Errorf("reading the policy: %w", err)
	}
	rows := cli.Rows{{"name", p.Name}, {"version", fmt.Sprintf("%d, %s", p.Version, p.status())}}
	if p.Description != "" {
		rows = append(rows, []string{"description", p.Description})
	}
	rows = append(rows, []string{"for", p.principals()})
	if len(p.Missing) > 0 {
		rows = append(rows, []string{"missing", strings.Join(pointedAt(doc, p.Missing), ", ") + ": gone, and let nobody in"})
	}
	for _, r := range p.Rules {
		rows = append(rows, []string{"rule", r.Name + ": " + r.about()})
		rows = append(rows, []string{"", "  may " + r.may()})
		for _, line := range r.needs() {
			rows = append(rows, []string{"", "  " + line})
		}
	}
	return rows.Write(w, nil)
}

// about is which resources a rule is about, in words.
func (r policyRule) about() string {
	switch {
	case r.Resource.Server != "":
		return "server " + r.Resource.Server
	case r.Resource.Secret != "":
		return "secret " + r.Resource.Secret
	case r.Resource.Folder != "":
		return "secrets below " + r.Resource.Folder
	}
	var labels []string
	for _, k := range slices.Sorted(maps.Keys(r.Resource.Labels)) {
		labels = append(labels, k+"="+r.Resource.Labels[k])
	}
	return "servers with " + strings.Join(labels, ", ")
}

// may is what a rule lets its principals do, in words.
func (r policyRule) may() string {
	var all []string
	for _, v := range r.Privileges {
		switch v.Type {
		case "ssh":
			all = append(all, "log in with "+strings.Join(v.Accounts, ", "))
		case "ssh_workload":
			all = append(all, "log in as the workload's own user")
		case "reveal_password":
			all = append(all, "read the password of "+strings.Join(v.Accounts, ", "))
		case "secret":
			all = append(all, strings.Join(v.Actions, ", "))
		}
	}
	return strings.Join(all, "; ")
}

// needs is what has to be met, a line each.
func (r policyRule) needs() (lines []string) {
	for _, c := range r.Conditions {
		switch line := "needs " + c.Type; c.Type {
		case "access_request":
			lines = append(lines, fmt.Sprintf("%s %s, which holds for %s", line, c.RequestType, seconds(c.ApprovalSeconds)))
		case "mfa":
			fresh := 1800
			if c.FreshSeconds != nil {
				fresh = *c.FreshSeconds
			}
			if line += " every time"; fresh > 0 {
				line = fmt.Sprintf("needs mfa, not older than %s", seconds(fresh))
			}
			lines = append(lines, line)
		default:
			if c.MaxSeconds > 0 {
				line += ", for up to " + seconds(c.MaxSeconds)
			}
			lines = append(lines, line)
		}
	}
	if r.Expression != "" {
		lines = append(lines, "only if "+r.Expression)
	}
	if r.WorkloadsMayWait {
		lines = append(lines, "workloads may wait for the approval")
	}
	if r.BreakGlass != nil {
		lines = append(lines, "glass may be broken, for "+seconds(r.BreakGlass.AccessSeconds))
	}
	return lines
}

// seconds tells seconds as people do: 1h, 30m, 45s.
func seconds(n int) string {
	s := (time.Duration(n) * time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (a *app) policySimulate() *cobra.Command {
	var person, connection, identity, role, claims string
	var p proofFlags
	c := &cobra.Command{
		Use: "simulate RESOURCE", Short: "See what somebody else could do with a resource",
		Long: `Asks the one decision for a person, as they are now, or for a workload whose token,
issued now, carried the claims in a file, or those of a token of Sallyport: that stays
on this machine, and nobody checks its signature. It answers every access method,
which rule gives it, and what is still to be met. Nothing is recorded, and nothing
opens. For a security_admin or auditor.`,
		Example: `  sallyport policy simulate server/db-1 --person carol
  sallyport policy simulate secret/payments/db/password --connection gitlab-ci --identity acme/shop --claims claims.json
  sallyport policy simulate secret/payments/db/password --jwt-env JOB_TOKEN`,
		Args: cli.Args("RESOURCE"),
		RunE: func(c *cobra.Command, args []string) error {
			subject := map[string]any{}
			for name, v := range map[string]string{"person": person, "connection": connection, "identity": identity, "role": role} {
				if v != "" {
					subject[name] = v
				}
			}
			token := slices.ContainsFunc([]string{"jwt-env", "jwt-file", "jwt-cmd"}, c.Flags().Changed)
			if !token && (person == "") == (connection == "") || token && len(subject) > 0 {
				return cli.Usage(c, "give either --person, or --connection and --identity, or a token of Sallyport")
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			if token {
				if subject, err = p.bearer(c, a); err != nil {
					return err
				}
			}
			if claims != "" {
				b, err := a.readFile(claims)
				if err != nil {
					return err
				}
				if !json.Valid(b) {
					return cli.Fail("give the claims as one JSON object", "%s is not JSON", claims)
				}
				subject["claims"] = json.RawMessage(b)
			}
			got, err := client.call(c.Context(), http.MethodPost, "/v1/policies/simulate", nil, map[string]any{"subject": subject, "resource": args[0]})
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error { return simulated(w, got.body) })
		},
	}
	p.add(c)
	f := c.Flags()
	f.StringVar(&person, "person", "", "who would ask")
	f.StringVar(&connection, "connection", "", "connection of the workload that would ask")
	f.StringVar(&identity, "identity", "", "identity of that workload, as our token has it")
	f.StringVar(&claims, "claims", "", "file with the claims that our token carries, as a JSON object; - is stdin")
	f.StringVar(&role, "role", "", "workload role that it would ask as")
	return c
}

// bearer is the workload whose token of ours the flags name, as simulations take it.
func (p *proofFlags) bearer(c *cobra.Command, a *app) (map[string]any, error) {
	set, err := p.claims(c, a)
	if err != nil {
		return nil, err
	}
	var token struct {
		Sallyport struct {
			Connection, Identity string
			RoleHint             string `json:"role_hint"`
			Claims               json.RawMessage
		}
	}
	if json.Unmarshal(set, &token) != nil || token.Sallyport.Connection == "" || token.Sallyport.Claims == nil {
		return nil, cli.Fail("give one that `sallyport wl auth` printed, or --connection, --identity and --claims", "this is no token of Sallyport")
	}
	ours := token.Sallyport
	subject := map[string]any{"connection": ours.Connection, "identity": ours.Identity, "claims": ours.Claims}
	if ours.RoleHint != "" {
		subject["role"] = ours.RoleHint
	}
	return subject, nil
}

func simulated(w io.Writer, body json.RawMessage) error {
	type method struct {
		ID, Username, Through string
		Open                  bool
		Conditions            []struct {
			Type, Description string
			Met               bool
		}
	}
	var answer struct {
		Subject, Resource, Outcome string
		Methods                    []method
		LeftOut                    []method `json:"left_out"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("reading who can reach what: %w", err)
	}
	if _, err := fmt.Fprintf(w, "%s asking for %s: %s\n", answer.Subject, answer.Resource, answer.Outcome); err != nil {
		return err
	}
	rows := cli.Rows{{"METHOD", "THROUGH", "OPEN", "STILL TO BE MET"}}
	add := func(all []method, open func(method) string) {
		for _, m := range all {
			var unmet []string
			for _, c := range m.Conditions {
				if !c.Met {
					unmet = append(unmet, c.Type)
				}
			}
			rows = append(rows, []string{m.ID, m.Through, open(m), strings.Join(unmet, ", ")})
		}
	}
	add(answer.Methods, func(m method) string { return yesNo(m.Open) })
	add(answer.LeftOut, func(method) string { return "never, for a workload" })
	if len(rows) == 1 {
		return nil
	}
	return rows.Write(w, nil)
}
