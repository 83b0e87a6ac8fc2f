package console

import (
	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/projections/control"
)

func (c *Console) overview() []screen {
	return []screen{{path: "/", menu: "Overview", icon: "home", get: showOverview}}
}

// overviewView is what the first page shows.
type overviewView struct {
	Issuer           string
	Active, Inactive int // connections
	Drafts           int
	Position         uint64 // of the newest commit folded here
}

func showOverview(p *page) error {
	v := overviewView{Issuer: p.Org.Issuer()}
	p.Org.Read(func(s *control.State, at domain.Head) {
		v.Position = at.Stream
		for _, c := range s.Connections() {
			switch c.Status {
			case connection.Active:
				v.Active++
			case connection.Inactive:
				v.Inactive++
			default:
				v.Drafts++
			}
		}
	})
	return p.render("overview", v)
}
