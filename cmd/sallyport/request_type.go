package main

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// requestTypes is the noun of request types.
func requestTypes() noun {
	return noun{
		use: "request-type", plural: "request-types", path: "/v1/request-types",
		short: "Say who approves access requests, in which steps",
		long: `A request type has 1 to 10 steps, one after the other. Each is for a group, for named
people, for the requester's manager or for the owner of the resource, and needs one or
more of them to say yes; a no anywhere ends the request. A policy's rule names a type of
kind access; a type of kind group lets people ask to be in one of its groups until a time.

It has no effect until it is published, and an edit has none until that is published too.
Requests under way keep the version that they were raised under. A security_admin writes
and publishes request types; one that lists a group with admin roles, an owner publishes.

How it goes together: docs/howto-access-requests.md.`,
		example: `  sallyport request-type put -f - <<'END'
  name: server-access
  kind: access
  steps:
  - name: server-managers
    approvers: {group: server-managers}
  END
  sallyport request-type publish server-access`,
		heading: []string{"NAME", "KIND", "STATUS", "VERSION", "STEPS", "MISSING"},
		row: func(doc json.RawMessage) []string {
			var t struct {
				Name, Kind, Status string
				Version            uint64
				PublishedVersion   uint64 `json:"published_version"`
				Steps              []struct{ Name string }
				Missing            []string
			}
			_ = json.Unmarshal(doc, &t) // what is not as it should be shows as nothing
			if t.Status == "published" && t.PublishedVersion != t.Version {
				t.Status = "version " + strconv.FormatUint(t.PublishedVersion, 10) + " published"
			}
			var steps []string
			for _, s := range t.Steps {
				steps = append(steps, s.Name)
			}
			return []string{t.Name, t.Kind, t.Status, strconv.FormatUint(t.Version, 10), strings.Join(steps, ", then "), strings.Join(pointedAt(doc, t.Missing), " ")}
		},
	}
}

func (a *app) requestType() *cobra.Command {
	n := requestTypes()
	return a.noun(n,
		a.nounAction(n, "publish", "Have requests raised under the newest version",
			`Requests under way keep theirs. When someone changes the type between its being read and
this, nothing happens and the exit code is 1.`, "Published request type NAME: requests are raised under it from now on."),
		a.nounAction(n, "disable", "Let no more requests be raised",
			"Requests under way take their course, and what was approved holds until its time.", "Disabled request type NAME: no more requests are raised under it."))
}
