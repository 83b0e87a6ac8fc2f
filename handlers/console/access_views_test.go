package console

import (
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/request"
)

func viewedAccess() accessView {
	c := access.Checkout{Resource: web, Account: "shared", Method: shared, By: "alice", From: viewAt, Until: viewAt}
	return accessView{
		Rows:   []reachRow{{Name: "web-1", Kind: "server", Says: "the shop", URL: "/x", Project: "shop", Ways: []wayRow{{"log in as deploy", "open"}}, More: 2}},
		Search: "web", Kind: "server", Count: "7 in all", Next: "/n", First: "/f", Held: []heldRow{{c, "shared on web-1", "/x"}}, Any: true,
	}
}

// viewedReach is a server with every way that there is.
func viewedReach() reachView {
	way := func(n int, kind access.Kind, open bool, needs ...needView) wayView {
		return wayView{Method: access.Method{ID: "p/r/x", Kind: kind, Account: "deploy", Policy: "p", Rule: "r", Through: "group/g"}, Number: n, Ref: web, Does: "Log in", Open: open, Needs: needs}
	}
	need := func(met bool, request string, glass bool) needView {
		return needView{access.Requirement{Type: policy.AccessRequest, Met: met, Until: viewAt, BreakGlass: glass, Description: "Raise an access request."}, request}
	}
	v := reachView{Ref: web, Name: "web-1", Kind: "server", Says: "the shop", Project: "shop", Address: "192.0.2.1", More: 3, Ways: []wayView{
		way(0, access.SSH, true, need(true, "/r", false)), way(1, access.SecretReveal, true, need(true, "", true)),
		way(2, access.SSH, false, need(false, "", false)), way(3, access.SSH, false, need(false, "/r", false)), way(4, access.SSH, true, need(true, "", false)),
	}}
	v.Ways[0].Command = "sallyport ssh web-1 --account deploy"
	v.Ways[2].Ask, v.Ways[2].Glass, v.Ways[2].StepUp, v.Ways[2].Take, v.Ways[2].Longest = "/a", "/g", "/s", true, 1000
	v.Ways[4].Mine = true
	return v
}

func viewedAccessForm() accessFormView {
	return accessFormView{
		Ref: web, Method: deploy, Does: "Log in", Type: "prod-access", Says: "Production", Holds: time.Hour, Why: true, Steps: []string{"lead"},
		Asked: []fieldAsked{{Field: request.Field{Name: "kind", Type: request.Choice, Choices: []string{"fix"}}}}, Justification: "why", Back: "/b",
	}
}

func viewedGlass() glassView {
	g := access.Glass{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Resource: web, Method: admin1, Policy: "p", Rule: "r", RequestTypes: []domain.Name{"prod-access"}, By: "alice", Reason: "down", At: viewAt, Until: viewAt}
	return glassView{glassRow{g, "Log in", "down", true, true}, "seen"}
}

func viewedGlasses() glassesView {
	row := viewedGlass().glassRow
	reviewed := row
	reviewed.ReviewedBy, reviewed.ReviewedAt, reviewed.Comment, reviewed.Review = "carol", viewAt, "fine", false
	return glassesView{Review: []glassRow{row}, Mine: []glassRow{row, reviewed}, Others: []glassRow{row, reviewed}}
}
