package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
)

// noun is a kind of document that people keep on the server, each under a name:
// list, show, put and delete work the same for every kind.
type noun struct {
	use, plural string // "group", "groups"; the second is also what the list answers with, with _ for -
	path        string // "/v1/groups"
	short, long string
	example     string // of the whole; put shows it as well

	heading []string                                     // of the table of a list
	row     func(doc json.RawMessage) []string           // one line of it
	show    func(w io.Writer, doc json.RawMessage) error // for people; nil is YAML
}

// noun makes the command of a noun, with more of its own.
func (a *app) noun(n noun, more ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: n.use, Aliases: []string{n.plural}, Short: n.short, Long: n.long, Example: n.example}
	c.AddCommand(a.nounList(n), a.nounShow(n), a.nounPut(n), a.nounDelete(n))
	c.AddCommand(more...)
	return c
}

// one is the path of a document and, after it, of something of it.
func (n noun) one(name string, more ...string) string {
	path := n.path + "/" + url.PathEscape(name)
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path
}

// member is what a list has the documents in.
func (n noun) member() string { return strings.ReplaceAll(n.plural, "-", "_") }

func (a *app) nounList(n noun) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the " + n.plural, Example: "  sallyport " + n.use + " list -o json",
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodGet, n.path, nil, nil)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error { return n.table(w, got.body) })
		},
	}
}

func (n noun) table(w io.Writer, body json.RawMessage) error {
	var page map[string]json.RawMessage
	var docs []json.RawMessage
	if json.Unmarshal(body, &page) != nil || json.Unmarshal(page[n.member()], &docs) != nil {
		return fmt.Errorf("reading the list of %s: it is none", n.plural)
	}
	rows := cli.Rows{n.heading}
	for _, d := range docs {
		rows = append(rows, n.row(d))
	}
	return rows.Write(w, nil)
}

func (a *app) nounShow(n noun) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show one " + n.use + " whole",
		Example: "  sallyport " + n.use + " show NAME -o yaml > " + n.use + ".yaml",
		Args:    nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodGet, n.one(args[0]), nil, nil)
			if err != nil {
				return err
			}
			return a.printNoun(n, got.body)
		},
	}
}

// printNoun prints one document.
func (a *app) printNoun(n noun, body json.RawMessage) error {
	return cli.Print(a.Out, a.format, body, func(w io.Writer) error {
		if n.show == nil {
			return cli.Print(w, cli.YAML, body, nil)
		}
		return n.show(w, body)
	})
}

func (a *app) nounPut(n noun) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "put -f FILE", Short: "Create a " + n.use + ", or replace the one of that name",
		Long: `Reads one document or a list of them, as JSON or YAML, and creates or replaces each
by its name; what the server says of it, such as who wrote it, is ignored.

A "version" in the file says which version it was made from: when someone has
changed that since, nothing is changed and the exit code is 1. Without one, what is
there is read first and replaced unless someone changes it in between. The first
document that is refused ends it; those before it are done.`,
		Example: "  sallyport " + n.use + " put -f " + n.use + ".yaml\n  sallyport " + n.use + " list -o json | sallyport " + n.use + " put -f -",
		Args:    atMostOne("-f FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if file == "" {
				return cli.Usage(c, "give -f with a file, or - for stdin%s", strings.Join(append([]string{""}, args...), ": -f "))
			}
			if len(args) > 0 {
				return cli.Usage(c, "%q is not looked at: a file is named by -f", args[0])
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			docs, err := a.readDocuments(n, file)
			if err != nil {
				return err
			}
			for _, doc := range docs { // all of them, before the first is written
				if _, err := domain.ParseName(short(doc["name"])); err != nil {
					return badName(short(doc["name"]), err)
				}
			}
			put := make([]json.RawMessage, len(docs))
			for i, doc := range docs {
				if put[i], err = a.putOne(c.Context(), client, n, doc); err != nil {
					return err
				}
			}
			return a.printPut(put)
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "JSON or YAML file with one "+n.use+" or a list; - is stdin")
	return c
}

// printPut prints what was put for programs; people were told already.
func (a *app) printPut(put []json.RawMessage) error {
	var doc any = put
	if len(put) == 1 {
		doc = put[0]
	}
	return cli.Print(a.Out, a.format, doc, func(io.Writer) error { return nil })
}

// putOne creates or replaces one document, and gives it as the server has it then.
func (a *app) putOne(ctx context.Context, client *client, n noun, doc map[string]json.RawMessage) (json.RawMessage, error) {
	name := short(doc["name"])
	now, err := client.call(ctx, http.MethodGet, n.one(name), nil, nil)
	var refused *cli.Error
	switch {
	case errors.As(err, &refused) && (strings.HasSuffix(refused.Code, ".not_found") && refused.Code != "route.not_found" || refused.Code == roleMissing):
		// Who may not even read is told who writes.
		got, err := client.call(ctx, http.MethodPost, n.path, nil, doc)
		if err != nil {
			return nil, named(name, err)
		}
		a.Note("Created %s %s.", n.use, name)
		a.noteAll(publicationOf(got.body).unpublished(n, name))
		return got.body, nil
	case err != nil:
		return nil, named(name, err)
	}
	match := http.Header{"If-Match": {now.etag}}
	if v := versionOf(doc); v != 0 {
		match = ifMatch(v)
	}
	got, err := client.call(ctx, http.MethodPut, n.one(name), match, doc)
	switch {
	case err != nil:
		return nil, named(name, err)
	case got.etag == now.etag:
		a.Note("Nothing was changed: %s %s says so already.", n.use, name)
	default:
		a.Note("Changed %s %s, now version %s.", n.use, name, strings.Trim(got.etag, `"`))
	}
	a.noteAll(publicationOf(got.body).unpublished(n, name))
	return got.body, nil
}

// noteAll notes what there is to say.
func (a *app) noteAll(some ...string) {
	for _, s := range some {
		if s != "" {
			a.Note("%s", s)
		}
	}
}

// named says which of several documents an error is about.
func named(name string, err error) error {
	var refused *cli.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("%s: %w", name, err)
	}
	e := *refused
	e.Message = name + ": " + e.Message
	return &e
}

func (a *app) nounDelete(n noun) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a " + n.use + "; its name is never given again",
		Example: "  sallyport " + n.use + " delete NAME",
		Args:    nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			now, err := client.newest(c.Context(), n.one(args[0]))
			if err != nil {
				return err
			}
			still := client.namers(c.Context(), n.use, args[0])
			if _, err := client.call(c.Context(), http.MethodDelete, n.one(args[0]), http.Header{"If-Match": {now.etag}}, nil); err != nil {
				return err
			}
			a.Note("Deleted %s %s. Its name is not given again.", n.use, args[0])
			a.noteNamers(still)
			return nil
		},
	}
}

// noteNamers says what still names what was deleted.
func (a *app) noteNamers(still []string) {
	if len(still) > 0 {
		a.Note("It is still named by %s: there it counts as missing, and lets nobody in.", strings.Join(still, ", "))
	}
}

// roleMissing is the code of a refusal for want of a role.
const roleMissing = "role.missing"

// newest reads a document that is about to be written. Who may not read it is to
// learn which roles write it, not which ones read: its version is then one that
// nothing has, so that the write is refused either way.
func (c *client) newest(ctx context.Context, path string) (answer, error) {
	got, err := c.call(ctx, http.MethodGet, path, nil, nil)
	var refused *cli.Error
	if errors.As(err, &refused) && refused.Code == roleMissing {
		return answer{etag: `"0"`}, nil
	}
	return got, err
}

// nounAction is a command that reads a document and posts to a word of it, such
// as publish: exactly the version that was read.
func (a *app) nounAction(n noun, word, short, long, done string) *cobra.Command {
	return &cobra.Command{
		Use: word + " NAME", Short: short, Long: long, Example: "  sallyport " + n.use + " " + word + " NAME",
		Args: nameArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			now, err := client.newest(c.Context(), n.one(args[0]))
			if err != nil {
				return err
			}
			if _, err := client.call(c.Context(), http.MethodPost, n.one(args[0], word), http.Header{"If-Match": {now.etag}}, struct{}{}); err != nil {
				return err
			}
			p := publicationOf(now.body)
			if word == "publish" && p.Status == "published" && p.PublishedVersion == p.Version {
				done = "Nothing was changed: version " + strconv.FormatUint(p.Version, 10) + " of " + n.use + " NAME is published already."
			}
			a.Note("%s", strings.ReplaceAll(done, "NAME", args[0]))
			if word == "publish" {
				for _, typ := range client.unusableTypes(c.Context(), p.Rules) {
					a.Note("Nobody can ask for what it gives by request type %s, which is not published or not there: sallyport request-type publish %s", typ, typ)
				}
			}
			return nil
		},
	}
}

// maxDocuments bounds what one file is read as.
const maxDocuments = 1000

// readDocuments reads one document, a list of them, or what list -o json prints.
func (a *app) readDocuments(n noun, path string) ([]map[string]json.RawMessage, error) {
	b, err := a.readFile(path)
	if err != nil {
		return nil, err
	}
	raw, err := toJSON(b)
	if err != nil {
		return nil, cli.Fail("correct the file", "%s is neither JSON nor YAML that can be read: %v", path, err)
	}
	var one map[string]json.RawMessage
	if json.Unmarshal(raw, &one) == nil && one["name"] == nil && one[n.member()] != nil {
		raw = one[n.member()]
	}
	var docs []map[string]json.RawMessage
	if json.Unmarshal(raw, &docs) != nil {
		docs = []map[string]json.RawMessage{one}
	}
	for i, d := range docs {
		var name string
		if json.Unmarshal(d["name"], &name) != nil || name == "" {
			return nil, cli.Fail("see `sallyport "+n.use+" show NAME -o yaml` for one", "the %s document in %s has no name", ordinal(i+1), path)
		}
	}
	if len(docs) > maxDocuments {
		return nil, cli.Fail("split it", "%s holds more than %s documents", path, strconv.Itoa(maxDocuments))
	}
	return docs, nil
}
