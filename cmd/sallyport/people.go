package main

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"
)

// person is what the client shows of a person in a list.
type person struct {
	Name    string
	Roles   []string
	Email   string
	Manager string
	Missing bool `json:"manager_missing"`
	Groups  []struct {
		Group string
		Until string
	}
	Effective []string `json:"effective_roles"`
}

func (a *app) person() *cobra.Command {
	return a.noun(noun{
		use: "person", plural: "people", path: "/v1/people",
		short: "Add, change and remove people, and see what they may",
		long: `People are who may call the API. Their admin roles are their own, or lent by a group
for as long as they are in it; EFFECTIVE is both, at this moment. Only an owner
changes people, and nobody gives themself a role. Tokens are made on the server's
host, with ` + "`sallyportd token create`" + `.`,
		example: `  echo '{"name": "carol", "roles": ["member"], "email": "carol@example.com", "manager": "dana"}' | sallyport person put -f -
  sallyport person list`,
		heading: []string{"NAME", "ROLES", "GROUPS", "EFFECTIVE", "EMAIL", "MANAGER"},
		row: func(doc json.RawMessage) []string {
			var p person
			_ = json.Unmarshal(doc, &p) // what is not as it should be shows as nothing
			var groups []string
			for _, g := range p.Groups {
				s := g.Group
				if g.Until != "" {
					s += " (until " + clock(g.Until) + ")"
				}
				groups = append(groups, s)
			}
			manager := p.Manager
			if p.Missing {
				manager += " (removed)"
			}
			return []string{p.Name, strings.Join(p.Roles, " "), strings.Join(groups, ", "), strings.Join(p.Effective, " "), p.Email, manager}
		},
	})
}
