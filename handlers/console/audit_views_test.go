package console

import (
	"encoding/json"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/projections/trail"
)

func init() {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	row := eventRow{Position: "12.0", At: at, Type: "token.issued", Sentence: "issued a token", Outcome: trail.Success, URL: "/a", TypeURL: "/b"}
	chart := newHistogram("Events", "succeeded", "denied or failed", []bar{{Label: "10:00", Good: 1, URL: "/x"}, {Label: "11:00", Bad: 1, URL: "/y"}})
	views["overview"] = []any{
		overviewView{MayRead: true, Needs: []need{{Title: "1 request waits for you", URL: "/i", Do: "Open", Items: []needItem{{"Log in to web-1", "asked by alice", "/r"}}}}, Elsewhere: []domain.Name{"draft"}, More: 1,
			Open: []openRow{{What: "Log in to web-1", URL: "/r", Kind: "approved", Until: at, Soon: true}}, Mine: []requestRow{{ID: "01", What: "web", Status: "pending", RaisedAt: at}},
			Day: chart, Issued: 1, Denied: 2, Keys: []keyView{{Algorithm: "ES256", Since: at, By: at, Next: true, Late: true}, {Algorithm: "RS256", Since: at, By: at, Next: true, Ready: at}, {Algorithm: "none", Since: at, By: at}},
			Warnings: []warning{{Tone: "bad", Text: "The disk is nearly full."}, {Tone: "warn", Text: "ci", URL: "/c", Last: at}},
			Issuer:   "https://sallyport.example/orgs/default", Active: 1, Drafts: 1},
		overviewView{}, overviewView{MayRead: true, Day: chart},
	}
	views["audit"] = []any{
		auditView{Filter: filter{Q: "app"}, Outcomes: []option{{"", "Any"}}, Set: []chip{{Name: "q", Value: "app", URL: "/z"}}, Rows: []eventRow{row}, Pager: newPager("/p", "/n", "Newest first"),
			Total: "1 event", Facets: []facet{{Name: "Type", Values: []facetValue{{Label: "token.issued", Count: "1+", URL: "/t", Current: true}}}}, Chart: &chart},
		auditView{Live: true, More: true, Stream: "after=1.0", Rows: []eventRow{row}},
		auditView{},
	}
	views["event"] = []any{
		eventView{eventRow: row, Actor: "olga", Subject: "connection/ci", ID: "01", RequestID: "02", Connection: "ci", Workload: "repo:a", Fields: []dataField{{"a.0", "b"}}, Cut: true,
			JSON: json.RawMessage(`{}`), Text: "{}", WhyURL: "/d", Neighbours: []eventRow{row}, More: true},
		eventView{eventRow: row},
	}
	views["workload"] = []any{
		workloadView{}, workloadView{Asked: true, Identity: "repo:a"},
		workloadView{Asked: true, Identity: "repo:a", Connection: "ci", First: at, Last: at, Rows: []eventRow{row}, Counts: []workloadCount{{"token.issued", "1 token", "/t"}}},
	}
}
