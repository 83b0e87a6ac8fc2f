package console

import (
	"net/url"
	"time"

	"sallyport.dev/domain/access"
	"sallyport.dev/domain/token"
	"sallyport.dev/projections/trail"
)

// workloadView is what the trail says of one workload. There is no list of them,
// and nothing is kept of one but its events.
type workloadView struct {
	Connection, Identity string
	Asked                bool // for one
	First, Last          time.Time
	Counts               []workloadCount
	Rows                 []eventRow
	AllURL               string
}

// workloadCount is how often something happened to a workload.
type workloadCount struct{ Name, Count, URL string }

// How many events of a workload its page shows, and how many of each kind are counted.
const workloadRows, workloadCounted = 20, 100

// workloadFilter is the filter of a workload: of its connection, or of every one.
func (p *page) workloadFilter(connection, identity string) string {
	if connection == "" {
		return identity
	}
	return "workload://" + p.Org.Name().String() + "/" + connection + "/" + url.PathEscape(identity)
}

func (p *page) workloadURL(connection, identity string) string {
	return p.at("/workloads", url.Values{"connection": {connection}, "identity": {identity}})
}

func showWorkload(p *page) error {
	v := workloadView{Connection: p.query("connection"), Identity: p.query("identity")}
	if v.Asked = v.Identity != ""; !v.Asked {
		return p.render("workload", v)
	}
	workload := p.workloadFilter(v.Connection, v.Identity)
	v.AllURL = p.at("/audit", url.Values{"workload": {workload}})
	p.Org.Settle(p.Context())
	newest, err := p.Org.Trail().Query(p.Context(), trail.Query{Workload: workload, Limit: workloadRows, Order: trail.Descending, Bare: true})
	if err != nil {
		return p.refused("workload", workloadView{Connection: v.Connection, Identity: v.Identity}, refusal(err))
	}
	oldest, err := p.Org.Trail().Query(p.Context(), trail.Query{Workload: workload, Limit: 1, Bare: true})
	if err != nil {
		return err
	}
	if v.Rows = p.eventRows(newest.Events); len(v.Rows) > 0 && len(oldest.Events) > 0 {
		v.First, v.Last = oldest.Events[0].Time, newest.Events[0].Time
	}
	for _, of := range []struct{ title, name, typ string }{
		{"Tokens", "token", token.WasIssued{}.EventType()}, {"Denials", "denial", token.WasDenied{}.EventType()}, {"Access granted", "grant", access.WasGranted{}.EventType()},
	} {
		s, err := p.Org.Trail().Summarize(p.Context(), trail.Query{Workload: workload, Type: of.typ}, workloadCounted, 0)
		if err != nil {
			return err
		}
		v.Counts = append(v.Counts, workloadCount{
			Name: of.title, Count: counted(s.Counted, s.More, of.name), URL: p.at("/audit", url.Values{"workload": {workload}, "type": {of.typ}}),
		})
	}
	return p.render("workload", v)
}
