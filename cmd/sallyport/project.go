package main

import (
	"encoding/json"
	"strconv"

	"github.com/spf13/cobra"
)

func (a *app) project() *cobra.Command {
	return a.noun(noun{
		use: "project", plural: "projects", path: "/v1/projects", short: "Keep projects, in which servers and secrets are",
		long: `A project groups servers and secrets, and says whether their vaulted accounts and
values are used by one at a time: checkout.required, and how long one may have them,
checkout.max_seconds (900 to 604800, an hour if it is left out). Only a resource_admin
writes them; one that has resources is not deleted.`,
		example: `  sallyport project put -f - <<'END'
  name: payments
  checkout: {required: true, max_seconds: 3600}
  END`,
		heading: []string{"NAME", "VERSION", "RESOURCES", "CHECKOUT", "DESCRIPTION"},
		row: func(doc json.RawMessage) []string {
			var p struct {
				Name, Description string
				Version           uint64
				Resources         int
				Checkout          struct {
					Required   bool
					MaxSeconds int `json:"max_seconds"`
				}
			}
			_ = json.Unmarshal(doc, &p) // what is not as it should be shows as nothing
			checkout := "-"
			if p.Checkout.Required {
				checkout = "required, up to " + strconv.Itoa(p.Checkout.MaxSeconds) + " s"
			}
			return []string{p.Name, strconv.FormatUint(p.Version, 10), strconv.Itoa(p.Resources), checkout, p.Description}
		},
	})
}
