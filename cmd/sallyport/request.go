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
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

// accessRequest is what the client understands of an access request.
type accessRequest struct {
	ID, Status, Requester, Identity, Type string
	Resource, Method, Username, Group     string
	Policy, Rule                          string
	Until, Justification                  string
	ApprovalSeconds                       int `json:"approval_seconds"`
	Fields                                map[string]string
	RaisedAt                              string `json:"raised_at"`
	ValidUntil                            string `json:"valid_until"`
	MayDecide                             bool   `json:"may_decide"`
	Link                                  string
	Steps                                 []requestStep
}

type requestStep struct {
	Step      int
	Name      string
	Status    string
	Needed    int
	ExpiresAt string `json:"expires_at"`
	Approvers struct {
		Group         string
		People        []string
		Manager       bool
		ResourceOwner bool `json:"resource_owner"`
	}
	Decisions []struct {
		By, For, Decision, Comment, At string
		Escalated                      bool
		Fields                         map[string]string
	}
}

func (a *app) request() *cobra.Command {
	c := &cobra.Command{
		Use: "request", Short: "Ask for access that people have to approve, and decide what others ask for",
		Long: `Where a rule asks for an access request, its method opens once the steps of the request
type have their approvals, and closes again when their time is over. People may also ask
to be in a group until a time. Nobody decides their own request, and nobody twice in one.`,
		Example: `  sallyport request create server/web-1 production/admins/ssh:pamadmin1 --justification "disk of web-1 is full"
  sallyport request create --type production --group pam-linux --for 8h --justification "on call"
  sallyport request list --view inbox
  sallyport request approve 01K0R5T0000000000000000000 --comment "until the disk is swapped"`,
	}
	c.AddCommand(a.requestList(), a.requestShow(), a.requestCreate(),
		a.requestDecide("approve", "Say yes to the step that is open"), a.requestDecide("deny", "Say no, which ends the request"),
		a.requestCancel(), a.requestWait())
	return c
}

// requestPath is the path of a request and, after it, of something of it.
func requestPath(id string, more ...string) string {
	path := "/v1/access/requests/" + url.PathEscape(id)
	for _, m := range more {
		path += "/" + m
	}
	return path
}

func (a *app) requestList() *cobra.Command {
	var view, status string
	c := &cobra.Command{
		Use: "list", Short: "List requests: yours, what you may decide now, or all",
		Example: "  sallyport request list --view inbox\n  sallyport request list --view all --status pending -o json",
		Args:    cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			query := url.Values{"view": {view}}
			if status != "" {
				query.Set("status", status)
			}
			got, err := client.call(c.Context(), http.MethodGet, "/v1/access/requests?"+query.Encode(), nil, nil)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error { return requestTable(w, got.body) })
		},
	}
	c.Flags().StringVar(&view, "view", "mine", "mine, inbox (what you may decide now) or all")
	c.Flags().StringVar(&status, "status", "", "pending, approved, denied, cancelled or expired; left out, any")
	return c
}

func requestTable(w io.Writer, body json.RawMessage) error {
	var page struct {
		Requests []accessRequest
		More     bool
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return fmt.Errorf("reading the requests: %w", err)
	}
	rows := cli.Rows{{"ID", "STATUS", "REQUESTER", "FOR", "WAITS FOR", "RAISED"}}
	for _, r := range page.Requests {
		rows = append(rows, []string{r.ID, r.status(), r.who(), r.what(), r.waitsFor(), clock(r.RaisedAt)})
	}
	if page.More {
		rows = append(rows, []string{"older ones: see `sallyport audit list --type request.raised`"})
	}
	return rows.Write(w, nil)
}

func (r accessRequest) status() string {
	if r.Status == "approved" {
		if end, err := time.Parse(time.RFC3339, r.ValidUntil); err == nil && end.Before(time.Now()) {
			return "approved, over since " + clock(r.ValidUntil)
		}
		return "approved until " + clock(r.ValidUntil)
	}
	return r.Status
}

func (r accessRequest) who() string { return first(r.Identity, r.Requester) }

func (r accessRequest) what() string {
	if r.Group != "" {
		return "group " + r.Group + " until " + clock(r.Until)
	}
	return r.Resource + " by " + r.Method
}

// waitsFor is the step that is open, "" if none is.
func (r accessRequest) waitsFor() string {
	for _, s := range r.Steps {
		if s.Status == "open" {
			return fmt.Sprintf("%s (step %d of %d, %d of %d)", s.Name, s.Step, len(r.Steps), len(s.Decisions), s.Needed)
		}
	}
	return ""
}

func (a *app) requestShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show who asks for what, why, for how long and by which rule, and who said what",
		Example: "  sallyport request show 01K0R5T0000000000000000000",
		Args:    idArgs(),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodGet, requestPath(args[0]), nil, nil)
			if err != nil {
				return err
			}
			return a.printRequest(got.body)
		},
	}
}

func (a *app) printRequest(body json.RawMessage) error {
	return cli.Print(a.Out, a.format, body, func(w io.Writer) error {
		var r accessRequest
		if err := json.Unmarshal(body, &r); err != nil {
			return fmt.Errorf("reading the request: %w", err)
		}
		return r.rows().Write(w, nil)
	})
}

// rows is a request for people.
func (r accessRequest) rows() cli.Rows {
	rows := cli.Rows{{"id", r.ID}, {"status", r.status()}, {"requester", r.Requester}, {"for", r.what()}}
	if r.Username != "" {
		rows = append(rows, []string{"as", r.Username})
	}
	if r.ApprovalSeconds > 0 {
		rows = append(rows, []string{"for how long", seconds(r.ApprovalSeconds) + " from the approval"}, []string{"by rule", r.Policy + "/" + r.Rule})
	}
	rows = append(rows, []string{"type", r.Type}, []string{"why", r.Justification})
	for _, name := range slices.Sorted(maps.Keys(r.Fields)) {
		rows = append(rows, []string{name, r.Fields[name]})
	}
	for _, s := range r.Steps {
		line := fmt.Sprintf("%d %s: %s, needs %d of %s", s.Step, s.Name, s.Status, s.Needed, s.approvers())
		if s.Status == "open" {
			line += ", until " + clock(s.ExpiresAt)
		}
		rows = append(rows, []string{"step", line})
		for _, d := range s.Decisions {
			line := "  " + d.By
			if d.For != "" {
				line += ", for " + d.For
			}
			line += ": " + d.Decision + " at " + clock(d.At)
			if d.Comment != "" {
				line += ": " + d.Comment
			}
			rows = append(rows, []string{"", line})
		}
	}
	return append(rows, []string{"look at it", r.Link})
}

func (s requestStep) approvers() string {
	switch {
	case s.Approvers.Group != "":
		return "group " + s.Approvers.Group
	case s.Approvers.Manager:
		return "the requester's manager"
	case s.Approvers.ResourceOwner:
		return "the resource's owner"
	}
	return strings.Join(s.Approvers.People, ", ")
}

// raising is what the flags of request create say.
type raising struct {
	typ, group, until, role, justification string
	span                                   time.Duration
	fields                                 []string
}

func (a *app) requestCreate() *cobra.Command {
	var f raising
	c := &cobra.Command{
		Use: "create [RESOURCE METHOD]", Short: "Ask for access by a method, or to be in a group until a time",
		Long: `With a resource and the id of an access method, as "sallyport access resolve" shows them,
asks for access; with --type, --group and --until or --for, to be in a group. It answers
at once with the id of the request; while that is pending, the same again answers the
same id.`,
		Example: `  sallyport request create server/web-1 production/admins/ssh:pamadmin1 --justification "disk of web-1 is full"
  sallyport request create --type production --group pam-linux --until 2026-12-01T18:00:00Z --justification "on call"`,
		Args: cobra.ArbitraryArgs, // body says what is wrong with them
		RunE: func(c *cobra.Command, args []string) error {
			body, err := f.body(c, args)
			if err != nil {
				return err
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodPost, "/v1/access/requests", nil, body)
			if err != nil {
				return err
			}
			if got.status == http.StatusOK { // not 201: nothing new
				fmt.Fprintln(a.Err, "You asked for this before, and it still waits, as it was asked then. To ask otherwise, cancel it first: sallyport request cancel ID")
			}
			return a.printRequest(got.body)
		},
	}
	c.Flags().StringVar(&f.justification, "justification", "", "why, for those who decide and for the audit trail")
	c.Flags().StringArrayVar(&f.fields, "field", nil, "NAME=VALUE of a field that the request type asks for; repeat it for more")
	c.Flags().StringVar(&f.typ, "type", "", "request type; needed with --group")
	c.Flags().StringVar(&f.group, "group", "", "group to be in")
	c.Flags().StringVar(&f.until, "until", "", "with --group, until when, such as 2026-12-01T18:00:00Z")
	c.Flags().DurationVar(&f.span, "for", 0, "with --group, for how long, such as 8h, in place of --until")
	c.Flags().StringVar(&f.role, "role", "", "of a workload: the role to ask as")
	return c
}

// body is what to send, or what of the command is wrong.
func (f raising) body(c *cobra.Command, args []string) (map[string]any, error) {
	fields, err := fieldFlags(c, f.fields)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"justification": f.justification}
	for name, value := range map[string]string{"type": f.typ, "role": f.role} {
		if value != "" {
			body[name] = value
		}
	}
	if len(fields) > 0 {
		body["fields"] = fields
	}
	switch {
	case f.until != "" && f.span != 0:
		return nil, cli.Usage(c, "give --until or --for, not both")
	case f.span < 0:
		return nil, cli.Usage(c, "--for is a time from now, such as 8h")
	case f.span > 0:
		f.until = time.Now().Add(f.span).UTC().Format(time.RFC3339)
	}
	switch {
	case len(args) == 2 && f.group == "" && f.until == "":
		body["resource"], body["method"] = args[0], args[1]
	case len(args) == 0 && f.group != "" && f.typ != "" && f.until != "":
		body["group"], body["until"] = f.group, f.until
	case len(args) == 1:
		return nil, cli.Usage(c, "METHOD is missing: `sallyport access resolve %s` shows them", args[0])
	case len(args) == 2:
		return nil, cli.Usage(c, "--group, --until and --for are for being in a group: leave out RESOURCE and METHOD, or the flags")
	case len(args) > 2:
		return nil, cli.Usage(c, "%d arguments are given, wanted RESOURCE and METHOD; why is said with --justification", len(args))
	case f.group != "" && f.typ == "":
		return nil, cli.Usage(c, "--type is missing: the request type under which one asks to be in a group")
	case f.group != "":
		return nil, cli.Usage(c, "--until or --for is missing: until when to be in the group")
	default:
		return nil, cli.Usage(c, "give a RESOURCE and a METHOD, or --type, --group and --until")
	}
	return body, nil
}

// fieldFlags reads NAME=VALUE flags.
func fieldFlags(c *cobra.Command, flags []string) (map[string]string, error) {
	fields := map[string]string{}
	for _, f := range flags {
		name, value, ok := strings.Cut(f, "=")
		if !ok || name == "" {
			return nil, cli.Usage(c, "--field is NAME=VALUE")
		}
		fields[name] = value
	}
	return fields, nil
}

func (a *app) requestDecide(word, short string) *cobra.Command {
	var comment string
	var fields []string
	var step int
	c := &cobra.Command{
		Use: word + " ID", Short: short,
		Long: short + `. Look first at who asks for what and why:
"sallyport request show ID". Your word on a request is spoken once.`,
		Example: "  sallyport request " + word + " 01K0R5T0000000000000000000 --comment \"see OPS-17\"",
		Args:    idArgs(),
		RunE: func(c *cobra.Command, args []string) error {
			body := map[string]any{"comment": comment}
			given, err := fieldFlags(c, fields)
			if err != nil {
				return err
			}
			if len(given) > 0 {
				body["fields"] = given
			}
			if step > 0 {
				body["step"] = step
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodPost, requestPath(args[0], word), nil, body)
			if err != nil {
				return err
			}
			return a.printRequest(got.body)
		},
	}
	c.Flags().StringVar(&comment, "comment", "", "what to say about it")
	c.Flags().StringArrayVar(&fields, "field", nil, "NAME=VALUE of a field that the request type asks approvers for")
	c.Flags().IntVar(&step, "step", 0, "decide this step only, if it is open; left out, whichever is")
	return c
}

func (a *app) requestCancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel ID", Short: "Withdraw your request, before anybody has decided",
		Example: "  sallyport request cancel 01K0R5T0000000000000000000",
		Args:    idArgs(),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			if _, err := client.call(c.Context(), http.MethodPost, requestPath(args[0], "cancel"), nil, struct{}{}); err != nil {
				return err
			}
			a.Note("Cancelled request %s.", args[0])
			return nil
		},
	}
}

func (a *app) requestWait() *cobra.Command {
	var most time.Duration
	c := &cobra.Command{
		Use: "wait ID", Short: "Wait until a request is decided",
		Long: `Asks every 5 seconds how the request goes, and tells on stderr which step is open. Exit
codes: 0 it is approved, 3 it was denied or cancelled, or it expired, 4 it still waits
when --timeout is over.`,
		Example: "  sallyport request wait 01K0R5T0000000000000000000 --timeout 15m && sallyport ssh web-1",
		Args:    idArgs(),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			ctx := c.Context()
			if most > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, most)
				defer cancel()
			}
			got, err := a.waitFor(ctx, client, args[0])
			if err != nil {
				return err
			}
			return a.printRequest(got)
		},
	}
	c.Flags().DurationVar(&most, "timeout", 0, "how long to wait, such as 15m; 0 is for as long as it takes")
	return c
}

// waitFor is the request once it is approved.
func (a *app) waitFor(ctx context.Context, client *client, id string) (json.RawMessage, error) {
	every, said := pollEvery, ""
	for {
		got, err := client.call(ctx, http.MethodGet, requestPath(id, "poll"), nil, nil)
		var told *cli.Error
		switch {
		case err == nil:
			return got.body, nil
		case ctx.Err() != nil:
			return nil, stillWaiting(id)
		case !errors.As(err, &told):
			return nil, err
		}
		switch told.Code {
		case "request.slow_down":
			every += pollEvery
		case "request.pending":
			said = a.tellStep(ctx, client, id, said)
		case "request.denied", "request.cancelled", "request.expired", "request.lapsed":
			told.Exit = cli.ExitDenied
			return nil, told
		default:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, stillWaiting(id)
		case <-time.After(every):
		}
	}
}

func stillWaiting(id string) error {
	return &cli.Error{Exit: cli.ExitWaiting, Message: "request " + id + " still waits for approval", Next: "run it again: sallyport request wait " + id}
}

// tellStep says which step is open, unless that was said last.
func (a *app) tellStep(ctx context.Context, client *client, id, said string) string {
	got, err := client.call(ctx, http.MethodGet, requestPath(id), nil, nil)
	var r accessRequest
	if err != nil || json.Unmarshal(got.body, &r) != nil {
		return said // it is asked again in a moment, and told then
	}
	if now := r.waitsFor(); now != said {
		a.Note("Waiting for %s.", now)
		return now
	}
	return said
}

func (a *app) delegation() *cobra.Command {
	c := &cobra.Command{
		Use: "delegation", Short: "Let one other person decide access requests for you, until a time",
		Long: `Your delegate decides what you may decide, in your place: a decision by either uses up
both. They do not pass it on, and never decide what they asked for themselves.`,
		Example: "  sallyport delegation set carol --for 72h",
	}
	c.AddCommand(a.delegationSet(), a.delegationShow(), a.delegationEnd())
	return c
}

const delegationPath = "/v1/access/delegation"

func (a *app) delegationSet() *cobra.Command {
	var until string
	var span time.Duration
	c := &cobra.Command{
		Use: "set PERSON", Short: "Let somebody decide for you", Long: "Takes the place of the delegation that you have.",
		Example: "  sallyport delegation set carol --for 72h\n  sallyport delegation set carol --until 2026-12-01T18:00:00Z",
		Args:    nameArgs("PERSON"),
		RunE: func(c *cobra.Command, args []string) error {
			if (until == "") == (span <= 0) {
				return cli.Usage(c, "give --until or --for")
			}
			if span > 0 {
				until = time.Now().Add(span).UTC().Format(time.RFC3339)
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodPut, delegationPath, nil, map[string]string{"to": args[0], "until": until})
			if err != nil {
				return err
			}
			return a.printDelegation(got.body)
		},
	}
	c.Flags().StringVar(&until, "until", "", "until when, within 90 days, such as 2026-12-01T18:00:00Z")
	c.Flags().DurationVar(&span, "for", 0, "for how long, such as 72h, in place of --until")
	return c
}

func (a *app) delegationShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show who decides for you, and for whom you do", Example: "  sallyport delegation show",
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodGet, delegationPath, nil, nil)
			if err != nil {
				return err
			}
			return a.printDelegation(got.body)
		},
	}
}

func (a *app) delegationEnd() *cobra.Command {
	return &cobra.Command{
		Use: "end", Short: "Decide for yourself alone again", Example: "  sallyport delegation end",
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			if _, err := client.call(c.Context(), http.MethodDelete, delegationPath, nil, nil); err != nil {
				return err
			}
			a.Note("Nobody decides for you.")
			return nil
		},
	}
}

func (a *app) printDelegation(body json.RawMessage) error {
	return cli.Print(a.Out, a.format, body, func(w io.Writer) error {
		var d struct {
			To, Until string
			Received  []struct{ From, Until string }
		}
		if err := json.Unmarshal(body, &d); err != nil {
			return fmt.Errorf("reading the delegation: %w", err)
		}
		rows := cli.Rows{{"decides for you", "nobody"}}
		if d.To != "" {
			rows = cli.Rows{{"decides for you", d.To + ", until " + clock(d.Until)}}
		}
		for _, r := range d.Received {
			rows = append(rows, []string{"you decide for", r.From + ", until " + clock(r.Until)})
		}
		return rows.Write(w, nil)
	})
}
