package console

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
)

// problem is a refusal as people are told of it.
type problem struct {
	Status int
	Code   string            // stable, such as connection.same_person
	Detail string            // one sentence: what is wrong and what to do next
	Fields map[string]string // what is wrong with a field, by its pointer, such as /conditions/0/value
	Order  []string          // pointers, as they were told
	// Do is what to do first, at URL in another tab, and Then what comes after; "": nothing.
	Do, URL, Then string
}

func (p *problem) Error() string { return p.Detail }

func (p *problem) add(pointer, detail string) {
	if was, twice := p.Fields[pointer]; twice {
		detail = was + "; " + detail
	} else {
		p.Order = append(p.Order, pointer)
	}
	p.Fields[pointer] = detail
}

// Refusals of the console itself.
var (
	errNothing   = &problem{Status: http.StatusNotFound, Code: "page.not_found", Detail: "There is nothing at this address. It may have been removed, or the link may be incomplete."}
	errForm      = &problem{Status: http.StatusBadRequest, Code: "form.malformed", Detail: "The form could not be read. Go back and send it again."}
	errElsewhere = &problem{Status: http.StatusForbidden, Code: "form.cross_origin", Detail: "This was sent by a page of another site, so nothing was done. Open the console itself and do it there."}
)

// errRoles names who may open a screen.
func errRoles(roles []domain.Role, a domain.Actor) error {
	has := "you have no role"
	if len(a.Roles) > 0 {
		has = "you have " + listRoles(a.Roles, " and ")
	}
	return &problem{Status: http.StatusForbidden, Code: "role.missing",
		Detail: "This page needs the role " + listRoles(roles, " or ") + "; " + has + ". An owner can give you a role."}
}

// listRoles names roles in a sentence.
func listRoles(roles []domain.Role, last string) string {
	var names []string
	for _, r := range roles {
		names = append(names, strings.ReplaceAll(string(r), "_", " "))
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + last + names[n-1]
	}
	return strings.Join(names, "")
}

// fail shows an error as a page. One that is not the person's is logged, once.
func (c *Console) fail(ec echo.Context, err error) error {
	if ec.Response().Committed {
		return err // a stream that broke off: the browser sees the end
	}
	var told *problem
	if !errors.As(err, &told) {
		status, e := api.Explain(err)
		told = &problem{Status: status, Code: e.Code, Detail: e.Message}
	}
	if told.Code == "internal" {
		c.log.ErrorContext(ec.Request().Context(), "a page could not be shown", "error", err, "route", ec.Path(), "request_id", api.RequestID(ec))
	}
	h := ec.Response().Header()
	if told.Status == http.StatusServiceUnavailable || told.Status == http.StatusTooManyRequests {
		h.Set("Retry-After", "1")
	}
	p, signedIn := ec.Get(pageKey).(*page)
	if !signedIn {
		p = c.stranger(ec)
	}
	if asksForPart(ec) {
		return ec.String(told.Status, told.Detail)
	}
	p.status, p.problem = told.Status, nil
	return p.render("error", errorView{problem: told, RequestID: api.RequestID(ec)})
}

// errorView is an error as its page shows it.
type errorView struct {
	*problem
	RequestID string
}

// Heading says what kind of error it is.
func (v errorView) Heading() string {
	if strings.HasPrefix(v.Code, "sign_in.") && v.Status < http.StatusInternalServerError {
		return "This sign-in did not work"
	}
	switch v.Status {
	case http.StatusForbidden:
		return "You may not do this"
	case http.StatusNotFound:
		return "Nothing here"
	case http.StatusTooManyRequests:
		return "Too many requests"
	case http.StatusServiceUnavailable:
		return "Not available right now"
	case http.StatusInternalServerError:
		return "Something went wrong on our side"
	case http.StatusPreconditionFailed:
		return "Somebody changed this meanwhile"
	}
	return "This did not work"
}

// Again tells whether the same may work in a moment.
func (v errorView) Again() bool {
	return v.Status == http.StatusServiceUnavailable || v.Status == http.StatusTooManyRequests
}
