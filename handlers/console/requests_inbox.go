package console

import (
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/projections/control"
)

// requestRow is a request in a list.
type requestRow struct {
	ID, What, Requester, Why string
	Status                   request.Status
	RaisedAt                 time.Time
	Holds                    time.Duration // of access, from the approval; zero of a membership
	Until                    time.Time     // of a membership
	Decide                   time.Time     // when it is too late to; zero once it is over
	ValidUntil, EndedAt      time.Time
	Waits                    bool // for whoever looks
}

// maxWhy is how much of a justification a list shows, in characters.
const maxWhy = 240

// shortWhy is as much of a reason as lists show.
func shortWhy(text string) string {
	why := []rune(visible(text))
	if len(why) > maxWhy {
		why = append(why[:maxWhy], '…')
	}
	return string(why)
}

func requestRowOf(r request.Request) requestRow {
	row := requestRow{
		ID: r.ID, What: whatIsAsked(r), Requester: visible(r.Requester), Why: shortWhy(r.Justification), Status: r.Status, RaisedAt: r.RaisedAt,
		Holds: time.Duration(r.ApprovalSeconds) * time.Second, Until: r.Until, ValidUntil: r.ValidUntil, EndedAt: r.EndedAt,
	}
	if r.Status == request.Pending && len(r.Steps) > 0 {
		row.Decide = r.Steps[len(r.Steps)-1].ExpiresAt
	}
	return row
}

// How many rows lists have at most.
const (
	maxInbox = 50
	maxDone  = 20
)

// inboxView is what waits for somebody, and what they decided lately.
type inboxView struct {
	Waiting   []requestRow // oldest first
	More      int          // that wait, beside those shown
	Done      []requestRow // newest first
	From      []domain.Name
	Meanwhile meanwhileView
}

// countInbox is how many requests wait for the person.
func countInbox(p *page) (n int) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		n = s.CountFor(domain.Name(p.Person.ID), s.Later(p.now()))
	})
	return n
}

func showInbox(p *page) error {
	var v inboxView
	me := domain.Name(p.Person.ID)
	p.Org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(p.now())
		waiting := s.WaitingFor(me, now)
		for _, id := range waiting[:min(len(waiting), maxInbox)] {
			r, _ := s.Requests().Request(id)
			v.Waiting = append(v.Waiting, requestRowOf(r))
		}
		v.More = len(waiting) - len(v.Waiting)
		for _, d := range s.Requests().DelegatedTo(me, now) {
			v.From = append(v.From, d.From)
		}
		for r := range s.Requests().Requests() {
			if len(v.Done) == maxDone {
				break
			}
			if spoke(r, p.Person.ID) {
				v.Done = append(v.Done, requestRowOf(r.At(now)))
			}
		}
	})
	var same bool
	v.Meanwhile, same = p.stillSo("/inbox", v.shown(), func() string {
		return waits(len(v.Waiting)+v.More, "request", "requests") + " for you now."
	})
	if same {
		return p.nothingNew()
	}
	p.counted = map[string]int{"/inbox": len(v.Waiting) + v.More}
	return p.render("inbox", v)
}
