package access

import (
	"net/http"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

// glass is access that somebody gave themself, as answered.
type glass struct {
	ID           string        `json:"id"`
	Resource     resource.Ref  `json:"resource"`
	Method       string        `json:"method"`
	Account      domain.Name   `json:"account,omitempty"`
	RequestTypes []domain.Name `json:"request_types"`
	By           string        `json:"by"`
	Reason       string        `json:"reason"`
	At           time.Time     `json:"at"`
	Until        time.Time     `json:"until"`
	Reviewed     bool          `json:"reviewed"`
	ReviewedBy   string        `json:"reviewed_by,omitempty"`
	ReviewedAt   *time.Time    `json:"reviewed_at,omitempty"`
	Comment      string        `json:"comment,omitempty"`
}

func showGlass(g access.Glass) glass {
	shown := glass{
		ID: g.ID, Resource: g.Resource, Method: g.Method, Account: g.Account, RequestTypes: append([]domain.Name{}, g.RequestTypes...),
		By: g.By, Reason: g.Reason, At: g.At, Until: g.Until, Reviewed: g.ReviewedBy != "", ReviewedBy: g.ReviewedBy, Comment: g.Comment,
	}
	if shown.Reviewed {
		shown.ReviewedAt = &g.ReviewedAt
	}
	return shown
}

type breakRequest struct {
	Resource string `json:"resource"`
	Method   string `json:"method"`
	Reason   string `json:"reason"`

	ref resource.Ref
}

func checkBreak(in *breakRequest) []domain.FieldError {
	return append(parseRef(in.Resource, &in.ref), checkMethod(in.Method)...)
}

func (h *Access) breakGlass(c *api.Call, in breakRequest) (api.Answer, error) {
	id := ulid.Make().String()
	pos, _, err := h.command(c, func(v view) access.Command {
		return access.BreakGlass{World: v.world, Subject: v.subject, Resource: in.ref, Method: in.Method, Reason: in.Reason, ID: id}
	})
	if err != nil {
		return api.Answer{}, err
	}
	var broken glass
	h.org.Read(func(s *control.State, _ domain.Head) {
		for g := range s.Access().Newest() { // the newest of them is the one, also where the write was repeated
			if g.By == c.Meta.Actor.ID && g.Resource == in.ref && g.Method == in.Method {
				broken = showGlass(*g)
				return
			}
		}
	})
	return api.Answer{Status: http.StatusCreated, Body: broken, Position: &pos}, nil
}

// maxGlasses is how many broken glasses a list has, the newest.
const maxGlasses = 1000

func (h *Access) glasses(c *api.Call) (api.Answer, error) {
	answer := struct {
		Glasses []glass `json:"break_glass"`
	}{[]glass{}}
	h.org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(h.org.Now())
		for g := range s.Access().Newest() {
			if len(answer.Glasses) == maxGlasses {
				return
			}
			// Whoever could have approved is looked for while a review is missing, of one glass for each person.
			if reads(c) || g.By == c.Meta.Actor.ID || g.ReviewedBy == c.Meta.Actor.ID || g.ReviewedBy == "" && mayReview(c, s, *g, now) {
				answer.Glasses = append(answer.Glasses, showGlass(*g))
			}
		}
	})
	return api.Answer{Body: answer}, nil
}

type reviewRequest struct {
	Comment string `json:"comment"`
}

func (h *Access) review(c *api.Call, in reviewRequest) (api.Answer, error) {
	id := c.Param("id")
	var broken glass
	pos, err := h.org.Execute(c.Context(), c.Meta, func(s *control.State) ([]domain.Fact, error) {
		v, err := h.still(c, s, "")
		if err != nil {
			return nil, err
		}
		m, err := c.MetaOn(s)
		if err != nil {
			return nil, err
		}
		m.Now = v.now
		g, known := s.Access().Glass(id)
		may := known && mayReview(c, s, g, v.now)
		if known && !may && g.By != m.Actor.ID && !reads(c) {
			return nil, access.ErrNoGlass // who may not see it is not told that it is there
		}
		return access.Decide(s.Access(), access.Review{ID: id, Comment: in.Comment, Approver: may}, m)
	})
	if err != nil {
		return api.Answer{}, err
	}
	h.org.Read(func(s *control.State, _ domain.Head) {
		g, _ := s.Access().Glass(id)
		broken = showGlass(g)
	})
	return api.Answer{Body: broken, Position: &pos}, nil
}

// mayReview tells whether the caller could have approved what the glass was
// broken for.
func mayReview(c *api.Call, s *control.State, g access.Glass, now time.Time) bool {
	return s.Reviews(domain.Name(c.Meta.Actor.ID), g, now)
}
