package admin

import (
	"errors"
	"net/http"
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/provider"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

func (h *Admin) list(c *api.Call) (api.Answer, error) {
	status, filtered := c.Query("status")
	if filtered && !slices.Contains([]connection.Status{connection.Drafted, connection.Active, connection.Inactive}, connection.Status(status)) {
		c.Refuse("/status", "status.unknown", "status is draft, active or inactive")
	}
	of, filtered := c.Query("provider")
	if filtered && !slices.Contains(provider.Kinds(), provider.Kind(of)) {
		c.Refuse("/provider", "provider.unknown", "provider is one of %v", provider.Kinds())
	}
	answer := struct {
		Connections []shown `json:"connections"`
	}{[]shown{}}
	h.org.Read(func(s *control.State, _ domain.Head) {
		for _, conn := range s.Connections() {
			if (status == "" || status == string(conn.Status)) && (of == "" || of == string(conn.Newest().Provider)) {
				answer.Connections = append(answer.Connections, show(conn, h.org.Issuer()))
			}
		}
	})
	return api.Answer{Body: answer}, nil
}

func (h *Admin) show(c *api.Call) (api.Answer, error) {
	var conn connection.State
	var err error
	h.org.Read(func(s *control.State, _ domain.Head) { conn, err = find(s, c) })
	if err != nil {
		return api.Answer{}, err
	}
	return api.Answer{Body: show(conn, h.org.Issuer()), Version: conn.Version}, nil
}

func (h *Admin) draft(c *api.Call, in draftRequest) (api.Answer, error) {
	pos, err := h.execute(c, in.name, connection.Draft{Name: in.name, Spec: in.spec, Issuer: h.org.Issuer()})
	if err != nil {
		return api.Answer{}, err
	}
	c.Echo.Response().Header().Set("Location", c.Echo.Request().URL.Path+"/"+in.name.String())
	return h.written(in.name, http.StatusCreated, pos)
}

func (h *Admin) edit(c *api.Call, in editRequest) (api.Answer, error) {
	if in.Name != "" && in.Name != c.Param("name") {
		return api.Answer{}, domain.ErrFields([]domain.FieldError{{Pointer: "/name", Code: "name.fixed", Detail: "the name of a connection never changes"}})
	}
	return h.change(c, connection.Edit{Version: c.Version(), Spec: in.spec, Issuer: h.org.Issuer()})
}

type activateRequest struct {
	Acknowledge []string `json:"acknowledge"`
}

func (h *Admin) activate(c *api.Call, in activateRequest) (api.Answer, error) {
	name := domain.Name(c.Param("name"))
	pos, err := execute(h.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		cmd := h.activation(s, c.Version())
		cmd.Acknowledge = in.Acknowledge
		return connection.Decide(s.Connection(name), cmd, m)
	})
	if err != nil {
		return api.Answer{}, err
	}
	return h.written(name, http.StatusOK, pos)
}

// activation is the command under the organisation's settings as they are.
func (h *Admin) activation(s *control.State, version uint64) connection.Activate {
	org := s.Organisation()
	return connection.Activate{
		Version: version, DualControl: string(org.DualControl), Issuer: h.org.Issuer(),
		LoosenedBy: org.UpdatedBy, // dual control is the one setting there is to update
	}
}

type deactivateRequest struct {
	RevokeTokens bool `json:"revoke_tokens"`
}

func (h *Admin) deactivate(c *api.Call, in deactivateRequest) (api.Answer, error) {
	return h.change(c, connection.Deactivate{Version: c.Version(), RevokeTokens: in.RevokeTokens})
}

func (h *Admin) delete(c *api.Call, _ struct{}) (api.Answer, error) {
	pos, err := h.execute(c, domain.Name(c.Param("name")), connection.Delete{Version: c.Version()})
	return api.Answer{Status: http.StatusNoContent, Position: &pos}, err
}

type testRequest struct {
	Token string `json:"token"`
}

func checkTest(in *testRequest) []domain.FieldError {
	if in.Token == "" {
		return []domain.FieldError{{Pointer: "/token", Code: "field.required", Detail: "token is the workload's JWT"}}
	}
	return nil
}

func (h *Admin) test(c *api.Call, in testRequest) (api.Answer, error) {
	if pos, ok := c.Done(); ok {
		return h.testedAt(c, pos)
	}
	report, err := h.org.Test(c.Context(), c.Meta, domain.Name(c.Param("name")), in.Token)
	if err == nil && c.Meta.Idempotency != nil {
		// The key is known here once the event is folded. If that is late, a
		// repetition is done again: a test changes nothing.
		_ = h.org.WaitFor(c.Context(), report.Position)
	}
	return api.Answer{Body: report, Position: &report.Position}, err
}

// What may be asked of a connection is judged before the body is read, and
// again, by the same rules, when the command is decided.

func (h *Admin) mayEdit(c *api.Call) error {
	return h.judge(c, func(s *control.State, conn connection.State) error {
		if err := connection.MayWrite(conn, c.Meta.Actor); err != nil {
			return err
		}
		return c.Match(conn.Version)
	})
}

func (h *Admin) mayTest(c *api.Call) error {
	return h.judge(c, func(s *control.State, conn connection.State) error {
		return connection.MayWrite(conn, c.Meta.Actor)
	})
}

func (h *Admin) mayActivate(c *api.Call) error {
	return h.judge(c, func(s *control.State, conn connection.State) error {
		return permitted(c, conn, h.activation(s, conn.Version))
	})
}

func (h *Admin) mayDeactivate(c *api.Call) error {
	return h.judge(c, func(_ *control.State, conn connection.State) error {
		return permitted(c, conn, connection.Deactivate{Version: conn.Version})
	})
}

func (h *Admin) mayDelete(c *api.Call) error {
	return h.judge(c, func(_ *control.State, conn connection.State) error {
		return permitted(c, conn, connection.Delete{Version: conn.Version})
	})
}

// permitted tells whether the caller may give the command at all, were
// everything else about it right, and then whether they saw the version that is.
func permitted(c *api.Call, conn connection.State, would connection.Command) error {
	_, err := connection.Decide(conn, would, c.Meta)
	var known *domain.Error
	if errors.As(err, &known) && known.Kind == domain.KindForbidden {
		return err
	}
	return c.Match(conn.Version)
}

// judge finds the connection in the path and lets rule judge the call on it.
func (h *Admin) judge(c *api.Call, rule func(*control.State, connection.State) error) error {
	return h.decide(c, func(s *control.State) error {
		conn, err := find(s, c)
		if err != nil {
			return err
		}
		return rule(s, conn)
	})
}

// decide is [decideOn] of the organisation.
func (h *Admin) decide(c *api.Call, rule func(*control.State) error) error {
	return decideOn(h.org, c, rule)
}

// find is the connection in the path. One that was deleted is not there.
func find(s *control.State, c *api.Call) (connection.State, error) {
	name, err := domain.ParseName(c.Param("name"))
	if err != nil {
		return connection.State{}, connection.ErrNotFound
	}
	conn := s.Connection(name)
	if conn.Status == connection.None || conn.Status == connection.Deleted {
		return connection.State{}, connection.ErrNotFound
	}
	return conn, nil
}

// execute gives a command to a connection.
func (h *Admin) execute(c *api.Call, name domain.Name, cmd connection.Command) (domain.Position, error) {
	return execute(h.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return connection.Decide(s.Connection(name), cmd, m)
	})
}

// change gives a command to the connection in the path and shows it as it is then.
func (h *Admin) change(c *api.Call, cmd connection.Command) (api.Answer, error) {
	name := domain.Name(c.Param("name"))
	pos, err := h.execute(c, name, cmd)
	if err != nil {
		return api.Answer{}, err
	}
	return h.written(name, http.StatusOK, pos)
}

// written shows a connection after a write.
func (h *Admin) written(name domain.Name, status int, pos domain.Position) (api.Answer, error) {
	var conn connection.State
	h.org.Read(func(s *control.State, _ domain.Head) { conn = s.Connection(name) })
	if conn.Status == connection.Deleted { // since, or before a write that was repeated
		return api.Answer{}, connection.ErrNotFound
	}
	return api.Answer{Status: status, Body: show(conn, h.org.Issuer()), Version: conn.Version, Position: &pos}, nil
}
