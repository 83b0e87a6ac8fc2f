package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/cmd/internal/conjur"
	"sallyport.dev/domain"
	trust "sallyport.dev/domain/connection"
	"sallyport.dev/domain/role"
)

func (a *app) imports() *cobra.Command {
	c := &cobra.Command{
		Use: "import", Short: "Draft what another system was told",
		Example: "  sallyport import conjur policy.yml --variables variables.yml --service gitlab --dry-run",
	}
	c.AddCommand(a.importConjur())
	return c
}

// conjurFlags say what to import, and how.
type conjurFlags struct {
	variables, service, connection string
	names, branches                []string
	dryRun                         bool
}

func (a *app) importConjur() *cobra.Command {
	var f conjurFlags
	c := &cobra.Command{
		Use: "conjur FILE [FILE...]", Short: "Draft a connection and roles from Conjur's JWT authenticator",
		Long: `Reads Conjur policy files and the values of the variables of one authn-jwt service, and
drafts one connection and a workload role for each host that may authenticate. What
Conjur calls an error is one here, under its code; so is what a role cannot say.
Nothing is drafted unless all of it can be. Run again, it passes over what is there
already and says the same, and stops at what says something else.

The connection issues nothing until another person activates it, and a role opens
nothing until a policy names it.`,
		Example: `  sallyport import conjur authn.yml hosts.yml --variables variables.yml --service gitlab --dry-run
  sallyport import conjur policy.yml --variables variables.yml --service k8s --name apps/web/system:serviceaccount:web:app=web-app`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			if f.variables == "" || f.service == "" {
				return cli.Usage(c, "give --variables and --service")
			}
			return a.runImport(c, files, &f)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.variables, "variables", "", "YAML or JSON `FILE` with the values of the authenticator's variables by name, as conjur variable get prints them")
	fs.StringVar(&f.service, "service", "", "service id of the authenticator: gitlab of conjur/authn-jwt/gitlab")
	fs.StringVar(&f.connection, "connection", "", "name of the connection; made of the service id otherwise")
	fs.StringArrayVar(&f.names, "name", nil, "HOST=NAME, to call the role of a host otherwise; repeat it")
	fs.StringArrayVar(&f.branches, "branch", nil, "FILE=BRANCH, for a file that was loaded into another policy than root; repeat it")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print the plan and draft nothing; no server is asked")
	return c
}

func (a *app) runImport(c *cobra.Command, files []string, f *conjurFlags) error {
	names, err := assigned(f.names)
	if err != nil {
		return cli.Usage(c, "--name takes HOST=NAME")
	}
	branches, err := assigned(f.branches)
	if err != nil {
		return cli.Usage(c, "--branch takes FILE=BRANCH")
	}
	for file := range branches {
		if !slices.Contains(files, file) {
			return cli.Usage(c, "--branch names %s, which is none of the files", file)
		}
	}
	o := conjur.Options{Service: f.service, Connection: f.connection, Names: names}
	var client *client
	if !f.dryRun {
		if client, err = a.openAsPerson(); err != nil {
			return err
		}
		if err := client.mayImport(c.Context()); err != nil {
			return err
		}
		if o.Issuer, err = client.issuer(c.Context())(); err != nil {
			return err
		}
	}
	plan, err := a.readConjur(files, f.variables, branches, o)
	if err != nil {
		return err
	}
	for _, n := range plan.Notes {
		a.Note("Note: %s", n)
	}
	im := importer{client: client, documents: documentsOf(plan)}
	if !f.dryRun {
		if err := im.run(c.Context(), a); err != nil {
			return err
		}
	}
	if err := cli.Print(a.Out, a.format, im.printed(plan), func(w io.Writer) error { return im.table(w) }); err != nil || f.dryRun {
		return err
	}
	for _, r := range im.rolesLeft(c.Context(), plan.Connection.String()) {
		a.Note("Role %s asks for tokens of this connection, and no host of the policy has it any more: sallyport role delete %s", r, r)
	}
	if !im.active {
		a.Note("Next: another security_admin runs: sallyport connection activate %s", plan.Connection)
	}
	return nil
}

// assigned reads KEY=VALUE; the last = counts, for a key may have one.
func assigned(given []string) (map[string]string, error) {
	out := map[string]string{}
	for _, g := range given {
		at := strings.LastIndex(g, "=")
		if at < 1 {
			return nil, fmt.Errorf("%q has no =", g)
		}
		out[g[:at]] = g[at+1:]
	}
	return out, nil
}

// readConjur makes the plan, or one error of all its problems.
func (a *app) readConjur(files []string, variables string, branches map[string]string, o conjur.Options) (conjur.Plan, error) {
	var read []conjur.File
	for _, name := range append(slices.Clone(files), variables) {
		b, err := a.readFile(name)
		if err != nil {
			return conjur.Plan{}, err
		}
		read = append(read, conjur.File{Name: name, Branch: branches[name], Text: b})
	}
	plan, found := conjur.Read(read[:len(files)], read[len(files)], o)
	if len(found) == 0 {
		return plan, nil
	}
	e := cli.Fail("correct what is named and repeat; nothing was drafted", "the policy cannot be imported (%s)", counted(len(found), "problem"))
	for _, p := range found[:min(len(found), domain.MaxFields)] {
		e.Details = append(e.Details, p.String())
	}
	return conjur.Plan{}, e
}

// counted is a number of things, in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// mayImport tells before anything is written whether the token's roles do for all of it.
func (c *client) mayImport(ctx context.Context) error {
	got, err := c.call(ctx, http.MethodGet, "/v1/whoami", nil, nil)
	if err != nil {
		return err
	}
	var who struct {
		Person string
		Roles  []domain.Role
	}
	if err := json.Unmarshal(got.body, &who); err != nil {
		return fmt.Errorf("reading who asks: %w", err)
	}
	if slices.Contains(who.Roles, domain.SecurityAdmin) {
		return nil
	}
	drafts := "neither drafts the connection nor creates roles"
	if slices.Contains(who.Roles, domain.DevOpsAdmin) {
		drafts = "drafts the connection, and does not create roles"
	}
	return &cli.Error{
		Exit: cli.ExitDenied, Message: fmt.Sprintf("%s, as this token has it, %s: nothing was drafted", who.Person, drafts),
		Next: "use the token of a security_admin, and have another one activate the connection",
	}
}

// imported is one document to draft, and what became of it.
type imported struct {
	kind, path, name, host string
	doc                    map[string]json.RawMessage
	same                   func(there json.RawMessage) bool
	done                   string // "", "drafted" or "there already"
}

// documentsOf is the documents of a plan: the connection, then the roles, which need it.
func documentsOf(p conjur.Plan) []*imported {
	out := []*imported{{
		kind: "connection", path: "/v1/connections", name: p.Connection.String(), doc: documentOf(p.Connection, p.Spec),
		same: func(there json.RawMessage) bool { return sameConnection(there, p.Spec) },
	}}
	for _, r := range p.Roles {
		out = append(out, &imported{
			kind: "role", path: "/v1/roles", name: r.Name.String(), host: r.Host, doc: documentOf(r.Name, r.Spec),
			same: func(there json.RawMessage) bool { return sameRole(there, r.Spec) },
		})
	}
	return out
}

// documentOf is a specification under its name.
func documentOf(name domain.Name, spec any) map[string]json.RawMessage {
	doc := map[string]json.RawMessage{}
	if json.Unmarshal(text(spec), &doc) != nil {
		return nil // a specification is an object
	}
	doc["name"] = text(name)
	return doc
}

// sameConnection tells whether a connection says what the plan does: its newest
// version, and each key of the plan without members that the server left out.
func sameConnection(there json.RawMessage, want trust.Spec) bool {
	var doc struct {
		trust.Spec
		Pending *trust.Spec
	}
	if json.Unmarshal(there, &doc) != nil {
		return false
	}
	got := doc.Spec
	if doc.Pending != nil {
		got = *doc.Pending
	}
	keys := sameKeys(got.JWKS, want.JWKS)
	got.JWKS, want.JWKS = nil, nil
	if len(got.Settings) == 0 {
		got.Settings = nil
	}
	if len(got.Audiences)+len(got.AudienceClaims) == 0 {
		got.Audiences, got.AudienceClaims = nil, nil
	}
	return keys && got.Equal(want)
}

func sameKeys(got, want json.RawMessage) bool {
	var g, w struct{ Keys []map[string]any }
	if (got == nil) != (want == nil) {
		return false
	}
	if got == nil {
		return true
	}
	if json.Unmarshal(got, &g) != nil || json.Unmarshal(want, &w) != nil || len(g.Keys) != len(w.Keys) {
		return false
	}
	for i, key := range g.Keys {
		for name, v := range key {
			if !reflect.DeepEqual(w.Keys[i][name], v) {
				return false
			}
		}
	}
	return true
}

func sameRole(there json.RawMessage, want role.Spec) bool {
	var got role.Spec
	if json.Unmarshal(there, &got) != nil {
		return false
	}
	for i := range got.Requirements {
		if len(got.Requirements[i].Conditions) == 0 {
			got.Requirements[i].Conditions = nil
		}
	}
	return reflect.DeepEqual(got, want)
}

// importer drafts documents, all of which were looked for first.
type importer struct {
	client    *client
	documents []*imported
	active    bool // the connection says what the plan does, and issues tokens by it
}

// rolesLeft is the roles that ask for tokens of the connection and are not in the
// plan: their hosts are gone from the policy. Where they cannot be read it names none.
func (im *importer) rolesLeft(ctx context.Context, connection string) (left []string) {
	got, err := im.client.call(ctx, http.MethodGet, "/v1/roles", nil, nil)
	var page struct {
		Roles []struct {
			Name         string
			Requirements []struct{ Connection string }
		}
	}
	if err != nil || json.Unmarshal(got.body, &page) != nil {
		return nil
	}
	for _, r := range page.Roles {
		planned := slices.ContainsFunc(im.documents, func(d *imported) bool { return d.kind == "role" && d.name == r.Name })
		for _, q := range r.Requirements {
			if q.Connection == connection && !planned {
				left = append(left, r.Name)
				break
			}
		}
	}
	return left
}

// isActive tells whether the newest version of a connection is what issues tokens.
func isActive(there json.RawMessage) bool {
	var doc struct {
		Status  string
		Pending json.RawMessage
	}
	return json.Unmarshal(there, &doc) == nil && doc.Status == "active" && (doc.Pending == nil || string(doc.Pending) == "null")
}

func (im *importer) run(ctx context.Context, a *app) error {
	var differ []string
	for _, d := range im.documents {
		got, err := im.client.call(ctx, http.MethodGet, d.path+"/"+d.name, nil, nil)
		var refused *cli.Error
		switch {
		case errors.As(err, &refused) && refused.Code == d.kind+".not_found":
		case err != nil:
			return err
		case d.same(got.body):
			d.done = "there already"
			im.active = im.active || d.kind == "connection" && isActive(got.body)
		default:
			differ = append(differ, fmt.Sprintf("%s %s says something else", d.kind, d.name))
		}
	}
	if len(differ) > 0 {
		e := cli.Fail("compare them with what --dry-run -o yaml prints; edit or delete them, or choose other names", "what is there differs from the plan, and nothing was drafted")
		e.Details = differ
		return e
	}
	for _, d := range im.documents {
		if d.done != "" {
			continue
		}
		if _, err := im.client.call(ctx, http.MethodPost, d.path, nil, d.doc); err != nil {
			return im.halfway(d, err)
		}
		d.done = "drafted"
		a.Note("Drafted %s %s.", d.kind, d.name)
	}
	return nil
}

// halfway says what an error leaves: running it again goes on from there.
func (im *importer) halfway(at *imported, err error) error {
	var refused *cli.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("%s %s: %w", at.kind, at.name, err)
	}
	e := *refused
	e.Message = fmt.Sprintf("%s %s: %s", at.kind, at.name, e.Message)
	e.Next = strings.TrimSuffix(cmp.Or(e.Next, "correct it"), ".") + "; then run the import again, which goes on here"
	return &e
}

func (im *importer) printed(p conjur.Plan) any {
	docs := struct {
		Connection map[string]json.RawMessage   `json:"connection"`
		Roles      []map[string]json.RawMessage `json:"roles"`
		Notes      []string                     `json:"notes"`
	}{Connection: im.documents[0].doc, Notes: p.Notes}
	for _, d := range im.documents[1:] {
		docs.Roles = append(docs.Roles, d.doc)
	}
	return docs
}

func (im *importer) table(w io.Writer) error {
	rows := cli.Rows{{"KIND", "NAME", "FOR", "STATE"}}
	for _, d := range im.documents {
		of := "host " + d.host
		if d.host == "" {
			of = "every host"
		}
		rows = append(rows, []string{d.kind, d.name, of, cmp.Or(d.done, "planned")})
	}
	return rows.Write(w, nil)
}
