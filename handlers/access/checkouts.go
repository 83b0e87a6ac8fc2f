package access

import (
	"net/http"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

// checkout is what somebody has to themself, as answered.
type checkout struct {
	Resource resource.Ref `json:"resource"`
	Account  domain.Name  `json:"account,omitempty"`
	Method   string       `json:"method"`
	By       string       `json:"by"`
	From     time.Time    `json:"from"`
	Until    time.Time    `json:"until"`
}

type takeRequest struct {
	Resource string `json:"resource"`
	Method   string `json:"method"`
	Seconds  int    `json:"seconds"`

	ref resource.Ref
}

func checkTake(in *takeRequest) []domain.FieldError {
	return append(parseRef(in.Resource, &in.ref), checkMethod(in.Method)...)
}

// errNoCheckout is the answer to a checkout that was taken under the same
// Idempotency-Key, and is over.
var errNoCheckout = &domain.Error{Kind: domain.KindNotFound, Code: "checkout.not_found",
	Message: "That checkout is over: take it again with a new Idempotency-Key."}

func (h *Access) take(c *api.Call, in takeRequest) (api.Answer, error) {
	var account domain.Name
	_, repeated := c.Done()
	pos, changed, err := h.command(c, func(v view) access.Command {
		_, answer, _ := v.resolve(in.ref)
		m, _ := access.Find(answer, in.Method)
		account = m.Account
		return access.TakeCheckout{World: v.world, Subject: v.subject, Resource: in.ref, Method: in.Method, Seconds: in.Seconds}
	})
	if err != nil {
		return api.Answer{}, err
	}
	answer := api.Answer{Position: &pos}
	if changed {
		answer.Status = http.StatusCreated
	}
	h.org.Read(func(s *control.State, _ domain.Head) {
		for _, one := range s.Access().Checkouts(s.Later(h.org.Now())) {
			// A repeated write was not decided again: then its method tells which account.
			if one.By == c.Meta.Actor.ID && one.Resource == in.ref && (one.Method == in.Method || !repeated && one.Account == account) {
				answer.Body = checkout(one)
			}
		}
	})
	if answer.Body == nil {
		return api.Answer{}, errNoCheckout
	}
	return answer, nil
}

func (h *Access) checkouts(c *api.Call) (api.Answer, error) {
	answer := struct {
		Checkouts []checkout `json:"checkouts"`
	}{[]checkout{}}
	h.org.Read(func(s *control.State, _ domain.Head) {
		for _, one := range s.Access().Checkouts(s.Later(h.org.Now())) {
			if one.By == c.Meta.Actor.ID || reads(c) {
				answer.Checkouts = append(answer.Checkouts, checkout(one))
			}
		}
	})
	return api.Answer{Body: answer}, nil
}

type releaseRequest struct {
	Resource string `json:"resource"`
	Account  string `json:"account"`

	ref     resource.Ref
	account domain.Name
}

func checkRelease(in *releaseRequest) []domain.FieldError {
	return append(parseRef(in.Resource, &in.ref), parseName("/account", in.Account, &in.account)...)
}

// release answers whether something was released, and to who has nothing there
// never whether somebody else has.
func (h *Access) release(c *api.Call, in releaseRequest) (api.Answer, error) {
	answer := struct {
		Resource resource.Ref `json:"resource"`
		Account  domain.Name  `json:"account,omitempty"`
		Released bool         `json:"released"`
	}{in.ref, in.account, false}
	pos, changed, err := h.command(c, func(view) access.Command {
		return access.ReleaseCheckout{Resource: in.ref, Account: in.account}
	})
	if err != nil {
		return api.Answer{}, err
	}
	_, before := c.Done()
	answer.Released = changed || before
	return api.Answer{Body: answer, Position: &pos}, nil
}
