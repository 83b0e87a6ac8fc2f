package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

// groups is the noun of groups.
func groups() noun {
	return noun{
		use: "group", plural: "groups", path: "/v1/groups",
		short: "Keep groups of people, and who is in them until when",
		long: `Policies let groups in, request types have groups approve, and a group may lend its
members admin roles for as long as they are in it. An owner says who is in a group
that lends roles, is named by a policy or a request type, or owns a resource (NAMED);
in any other, a security_admin as well. Nobody adds themself.`,
		example: `  echo '{"name": "on-call", "description": "Who is called at night"}' | sallyport group put -f -
  sallyport group add on-call carol --for 8h
  sallyport group members on-call`,
		heading: []string{"NAME", "MEMBERS", "ROLES", "NAMED", "VERSION", "UPDATED", "BY"},
		row: func(doc json.RawMessage) []string {
			var g struct {
				Name      string
				Members   int
				Roles     []string
				Named     bool
				Version   uint64
				UpdatedAt string `json:"updated_at"`
				UpdatedBy string `json:"updated_by"`
			}
			_ = json.Unmarshal(doc, &g) // what is not as it should be shows as nothing
			named := ""
			if g.Named {
				named = "yes"
			}
			return []string{g.Name, strconv.Itoa(g.Members), strings.Join(g.Roles, " "), named, strconv.FormatUint(g.Version, 10), clock(g.UpdatedAt), g.UpdatedBy}
		},
	}
}

func (a *app) group() *cobra.Command {
	return a.noun(groups(), a.groupMembers(), a.groupAdd(), a.groupRemove())
}

// member is what the client shows of a person in a group.
type member struct {
	Person  string
	Until   string
	Source  string
	Request string
	AddedAt string `json:"added_at"`
	AddedBy string `json:"added_by"`
}

func (m member) row() []string {
	until := "for good"
	if m.Until != "" {
		until = clock(m.Until)
	}
	return []string{m.Person, until, m.Source, m.Request, clock(m.AddedAt), m.AddedBy}
}

var memberHeading = []string{"PERSON", "UNTIL", "SOURCE", "REQUEST", "ADDED", "BY"}

func (a *app) groupMembers() *cobra.Command {
	return &cobra.Command{
		Use: "members GROUP", Short: "List who is in a group now",
		Example: "  sallyport group members on-call",
		Args:    nameArgs("GROUP"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodGet, groups().one(args[0], "members"), nil, nil)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error {
				var page struct{ Members []member }
				if err := json.Unmarshal(got.body, &page); err != nil {
					return fmt.Errorf("reading the members: %w", err)
				}
				rows := cli.Rows{memberHeading}
				for _, m := range page.Members {
					rows = append(rows, m.row())
				}
				return rows.Write(w, nil)
			})
		},
	}
}

func (a *app) groupAdd() *cobra.Command {
	var until string
	var span time.Duration
	c := &cobra.Command{
		Use: "add GROUP PERSON", Short: "Put a person in a group, for good or until a moment",
		Long: `Puts a person in a group. With --until or --for the membership ends by itself, at
that very moment and within 365 days; of who is in the group already, the end is
changed. Nobody adds themself.`,
		Example: `  sallyport group add on-call carol
  sallyport group add on-call carol --for 8h
  sallyport group add on-call carol --until 2026-12-24T18:00:00+01:00`,
		Args: nameArgs("GROUP", "PERSON"),
		RunE: func(c *cobra.Command, args []string) error {
			body := map[string]any{"person": args[1]}
			switch {
			case until != "" && span != 0:
				return cli.Usage(c, "give --until or --for, not both")
			case span < 0:
				return cli.Usage(c, "--for is longer than nothing")
			case span != 0:
				body["until"] = time.Now().Add(span).UTC().Format(time.RFC3339)
			case until != "":
				body["until"] = until
			}
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			got, err := client.call(c.Context(), http.MethodPost, groups().one(args[0], "members"), nil, body)
			if err != nil {
				return err
			}
			return cli.Print(a.Out, a.format, got.body, func(w io.Writer) error {
				var m member
				if err := json.Unmarshal(got.body, &m); err != nil {
					return fmt.Errorf("reading the membership: %w", err)
				}
				return cli.Rows{memberHeading, m.row()}.Write(w, nil)
			})
		},
	}
	c.Flags().StringVar(&until, "until", "", "when the membership ends, as in RFC 3339")
	c.Flags().DurationVar(&span, "for", 0, "how long it lasts, such as 8h")
	return c
}

func (a *app) groupRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove GROUP PERSON", Short: "Take a person out of a group at once",
		Example: "  sallyport group remove on-call carol",
		Args:    nameArgs("GROUP", "PERSON"),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.openAsPerson()
			if err != nil {
				return err
			}
			if _, err := client.call(c.Context(), http.MethodDelete, groups().one(args[0], "members", args[1]), nil, nil); err != nil {
				return err
			}
			a.Note("%s is not in %s any more.", args[1], args[0])
			return nil
		},
	}
}
