package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
)

func (a *app) audit() *cobra.Command {
	c := &cobra.Command{
		Use: "audit", Short: "Read the audit trail: every decision, in order",
		Example: `  sallyport audit list --connection gitlab-ci --outcome denied --since 24h
  sallyport audit tail`,
	}
	c.AddCommand(a.auditList(), a.auditTail())
	return c
}

// filterFlags are the filters of the trail; all that are given must hold.
type filterFlags struct{ typ, actor, connection, workload, outcome, requestID, since, until, q string }

func (f *filterFlags) add(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.typ, "type", "", "types of events, such as token.denied, or families such as connection.*; several: token.denied,access.refused")
	s.StringVar(&f.actor, "actor", "", "who did it: a person's name or a workload:// name")
	s.StringVar(&f.connection, "connection", "", "name of the connection")
	s.StringVar(&f.workload, "workload", "", "identity of the workload")
	s.StringVar(&f.outcome, "outcome", "", "success, denied or failed")
	s.StringVar(&f.requestID, "request-id", "", "the request id of an answer")
	s.StringVar(&f.since, "since", "", "not before this time, such as 2026-11-22T13:00:00Z, or this long ago: 30m, 24h, 7d")
	s.StringVar(&f.until, "until", "", "before this time, or this long ago")
	s.StringVar(&f.q, "q", "", "words to look for")
	// An error here means the flag above does not exist.
	_ = c.RegisterFlagCompletionFunc("outcome", cobra.FixedCompletions([]string{"success", "denied", "failed"}, cobra.ShellCompDirectiveNoFileComp))
}

func (f *filterFlags) query(c *cobra.Command) (url.Values, error) {
	q := url.Values{}
	for name, v := range map[string]string{
		"type": f.typ, "actor": f.actor, "connection": f.connection, "workload": f.workload,
		"outcome": f.outcome, "request_id": f.requestID, "q": f.q,
	} {
		if v != "" {
			q.Set(name, v)
		}
	}
	for name, v := range map[string]string{"since": f.since, "until": f.until} {
		if v == "" {
			continue
		}
		t, _, err := domain.Moment(v, time.Now())
		if err != nil {
			return nil, cli.Usage(c, "--%s %q is no time. %s", name, v, err)
		}
		q.Set(name, t.Format(time.RFC3339Nano))
	}
	return q, nil
}

// event is what the client shows of a CloudEvent.
type event struct{ Time, Type, Position, Summary string }

// clock is a time of the API as all tables show it.
func clock(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return s
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// pageFlags say which page of the trail.
type pageFlags struct {
	after, order string
	limit        int
	all          bool
}

// newestPage is how many events are shown when nobody says.
const newestPage = 20

func (a *app) auditList() *cobra.Command {
	var f filterFlags
	var p pageFlags
	c := &cobra.Command{
		Use: "list", Short: "List the newest events of the trail, a page, or all",
		Long: `Lists events that all given filters admit: the newest ones, at most --limit (20),
the oldest of them first. With --order asc the page begins at the oldest event of
the trail, with --order desc the newest event comes first.

A page ends with the --after of the next one, on stderr; --all streams every event
from the oldest on (with -o json one a line).`,
		Example: `  sallyport audit list --connection gitlab-ci --limit 10
  sallyport audit list --request-id 01JD8Z3Y6T9V4K2M7Q5R1S0X8W
  sallyport audit list --type token.denied --since 24h --all -o json`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			q, err := f.query(c)
			if err != nil {
				return err
			}
			return a.listEvents(c, client, q, p)
		},
	}
	f.add(c)
	c.Flags().StringVar(&p.after, "after", "", "the next of an earlier page, with the same filters and order")
	c.Flags().StringVar(&p.order, "order", "", "asc or desc; without it the newest events, in the order they happened")
	c.Flags().IntVar(&p.limit, "limit", newestPage, "events of a page, 1 to 200")
	c.Flags().BoolVar(&p.all, "all", false, "all events instead of a page")
	// An error here means the flag above does not exist.
	_ = c.RegisterFlagCompletionFunc("order", cobra.FixedCompletions([]string{"asc", "desc"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) listEvents(c *cobra.Command, client *client, q url.Values, p pageFlags) error {
	switch {
	case p.order != "" && p.order != "asc" && p.order != "desc":
		return cli.Usage(c, "--order is asc or desc")
	case p.limit < 1 || p.limit > 200:
		return cli.Usage(c, "--limit is 1 to 200; --all has no limit")
	}
	for name, v := range map[string]string{"after": p.after, "order": p.order} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if p.all {
		return a.everything(c.Context(), client, q)
	}
	q.Set("limit", strconv.Itoa(p.limit))
	if p.order == "" {
		q.Set("order", "desc") // the newest, which are then turned round
	}
	return a.page(c.Context(), client, q, p.order == "")
}

// page prints one page. One that is turned round was asked for newest first
// and is shown in the order in which things happened.
func (a *app) page(ctx context.Context, client *client, q url.Values, turn bool) error {
	got, err := client.call(ctx, http.MethodGet, "/v1/audit?"+q.Encode(), nil, nil)
	if err != nil {
		return err
	}
	var doc struct {
		Events  []json.RawMessage `json:"events"`
		Next    string            `json:"next"`
		HasMore bool              `json:"has_more"`
		Last    string            `json:"last_position"`
	}
	if err := json.Unmarshal(got.body, &doc); err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	body := got.body
	if turn {
		slices.Reverse(doc.Events)
		body = text(doc)
	}
	if err := cli.Print(a.Out, a.format, body, func(w io.Writer) error { return eventTable(w, doc.Events) }); err != nil {
		return err
	}
	if len(doc.Events) == 0 {
		a.Note("No event fits.")
	}
	if doc.HasMore {
		a.Note("There is more: repeat with --after %s%s", doc.Next, sameTimes(q))
	}
	return nil
}

// sameTimes names the times that a page was asked for: a next is only good for
// the same ones, and an hour ago is another time by then.
func sameTimes(q url.Values) string {
	var b strings.Builder
	for _, name := range []string{"since", "until"} {
		if v := q.Get(name); v != "" {
			fmt.Fprintf(&b, " --%s %s", name, v)
		}
	}
	return b.String()
}

func eventTable(w io.Writer, events []json.RawMessage) error {
	rows := cli.Rows{{"TIME", "POSITION", "TYPE", "SUMMARY"}}
	for _, raw := range events {
		var e event
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("reading an event: %w", err)
		}
		rows = append(rows, []string{clock(e.Time), e.Position, e.Type, e.Summary})
	}
	return rows.Write(w, nil)
}

// everything streams the events, one JSON document a line.
func (a *app) everything(ctx context.Context, client *client, q url.Values) error {
	stream, err := client.stream(ctx, "/v1/audit?"+q.Encode(), http.Header{"Accept": {"application/x-ndjson"}})
	if err != nil {
		return err
	}
	defer stream.Close()
	lines := lineScanner(stream)
	for lines.Scan() {
		if err := a.printEvent(lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return client.unreachable(ctx, err)
	}
	return nil
}

// position is where an event stands in the trail: sequence and index.
var position = regexp.MustCompile(`\A[0-9]+\.[0-9]+\z`)

func (a *app) auditTail() *cobra.Command {
	var f filterFlags
	var after string
	var count int
	c := &cobra.Command{
		Use: "tail", Short: "Follow the trail as it grows",
		Long: `Prints events as they are recorded, until interrupted. When the connection breaks
it goes on at the event after the last one seen: none is lost, none comes twice.`,
		Example: `  sallyport audit tail --connection gitlab-ci
  sallyport audit tail --after 12.0 --count 1 -o json`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			q, err := f.query(c)
			if err != nil {
				return err
			}
			if after != "" && !position.MatchString(after) {
				return cli.Usage(c, "--after %q is no position of an event, such as 12.0", after)
			}
			return a.tail(c.Context(), client, q, after, count)
		},
	}
	f.add(c)
	c.Flags().StringVar(&after, "after", "", "begin after this position, such as 12.0, instead of now")
	c.Flags().IntVar(&count, "count", 0, "stop after so many events; 0 never stops")
	return c
}

// tail follows the stream and takes it up again where it broke. The first
// attempt must succeed: a wrong address is an error, not a wait.
func (a *app) tail(ctx context.Context, client *client, q url.Values, last string, count int) error {
	path := "/v1/audit/stream"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	if last == "" && !q.Has("since") { // with a time to begin at, that is where it begins again
		var err error
		if last, err = client.lastPosition(ctx); err != nil {
			return ended(ctx, err)
		}
	}
	for seen, connected := 0, false; ; connected = true {
		h := http.Header{"Accept": {"text/event-stream"}}
		if last != "" {
			h.Set("Last-Event-ID", last)
		}
		stream, err := client.stream(ctx, path, h)
		if err == nil {
			connected = true
			err = follow(stream, func(id string, data []byte) error {
				last = id
				if err := a.printEvent(data); err != nil {
					return err
				}
				if seen++; count > 0 && seen >= count {
					return errEnough
				}
				return nil
			})
			stream.Close()
		}
		var refused *cli.Error
		switch {
		case errors.Is(err, errEnough), ctx.Err() != nil:
			return nil
		case !connected, errors.As(err, &refused) && refused.Exit != cli.ExitUnreachable:
			return err
		}
		a.Note("The stream broke; going on after %s.", first(last, "the same time"))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second): // a server that restarts needs about that
		}
	}
}

// ended is the error of a tail, unless somebody ended it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// lastPosition is where the trail ends now. A stream that begins there and
// breaks before its first event is taken up there, not where the trail ends
// by then.
func (c *client) lastPosition(ctx context.Context) (string, error) {
	got, err := c.call(ctx, http.MethodGet, "/v1/audit?limit=1&order=desc", nil, nil)
	if err != nil {
		return "", err
	}
	var page struct {
		Last string `json:"last_position"`
	}
	if err := json.Unmarshal(got.body, &page); err != nil {
		return "", fmt.Errorf("reading the end of the trail: %w", err)
	}
	return page.Last, nil
}

var errEnough = errors.New("as many events as asked for")

// follow reads server-sent events until the stream ends.
func follow(r io.Reader, each func(id string, data []byte) error) error {
	var id string
	var data []byte
	lines := lineScanner(r)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if len(data) > 0 {
				if err := each(id, data); err != nil {
					return err
				}
			}
			data = nil
		case name == "id":
			id = value
		case name == "data" && data == nil:
			data = []byte(value)
		case name == "data":
			data = append(append(data, '\n'), value...)
		}
	}
	return lines.Err()
}

func lineScanner(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), 1<<20) // an event is at most 48 KiB
	return s
}

// stream starts a request whose answer has no end in sight, so only its
// beginning is bounded in time.
func (c *client) stream(ctx context.Context, path string, header http.Header) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.org+path, nil)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	endless := *c
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = c.http.Timeout
	endless.http = &http.Client{Transport: transport, CheckRedirect: c.http.CheckRedirect}
	res, err := endless.start(req, true)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		b, err := io.ReadAll(io.LimitReader(res.Body, maxFile))
		if err != nil {
			return nil, c.unreachable(ctx, err)
		}
		return nil, failure(res, b)
	}
	return res.Body, nil
}

// printEvent prints one event on one line, or as one YAML document.
func (a *app) printEvent(raw []byte) error {
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	switch a.format {
	case cli.JSON:
		_, err := fmt.Fprintf(a.Out, "%s\n", raw)
		return err
	case cli.YAML:
		if _, err := io.WriteString(a.Out, "---\n"); err != nil {
			return err
		}
		return cli.Print(a.Out, cli.YAML, json.RawMessage(raw), nil)
	}
	_, err := fmt.Fprintf(a.Out, "%s  %-8s  %-22s  %s\n", clock(e.Time), cli.Clean(e.Position), cli.Clean(e.Type), cli.Clean(e.Summary))
	return err
}
