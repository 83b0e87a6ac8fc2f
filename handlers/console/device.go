package console

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/session"
)

// device is where a person lets a program log in as them (RFC 8628).
func (c *Console) device() []screen {
	return []screen{{path: "/device", get: showDevice, post: map[string]func(*page) error{
		"allow":  func(p *page) error { return answerDevice(p, session.Allowed) },
		"refuse": func(p *page) error { return answerDevice(p, session.Refused) },
	}}}
}

// deviceView is the program that waits; without a code it is asked for.
type deviceView struct {
	Code   string
	Device session.Device
	TTL    time.Duration // of what it gets
	Far    bool          // it asked from another network than the person's browser
}

// maxProgram is how many characters are shown of what a program calls itself.
const maxProgram = 120

// Program is what it calls itself, which is whatever it likes.
func (v deviceView) Program() string { return firstLine(visible(v.Device.Program), maxProgram) }

// codeField is the parameter of RFC 8628 section 3.3.1.
const codeField = "user_code"

// showDevice asks for the code, and tells what waits with it. Whoever is to
// answer proves first who they are, so that they come back to the code.
func showDevice(p *page) error {
	v := deviceView{Code: session.ShownCode(p.query(codeField)), TTL: person.LoginTTL}
	if v.Code == "" {
		return p.render("device", v)
	}
	if ok, err := p.stepUp(); !ok || err != nil {
		return err
	}
	var err error
	if v.Device, err = p.Org.Sessions().Waiting(p.Context(), v.Code); err != nil {
		return p.noDevice(err)
	}
	v.Far = v.Device.Source != limit.Source(p.Echo.RealIP())
	return p.render("device", v)
}

// noDevice asks for the code once more, if it was wrong.
func (p *page) noDevice(err error) error {
	if !errors.Is(err, session.ErrUserCode) {
		return err
	}
	return p.refused("device", deviceView{TTL: person.LoginTTL}, &problem{
		Status: http.StatusNotFound, Code: session.ErrUserCode.Code, Detail: session.ErrUserCode.Message,
		Fields: map[string]string{"/" + codeField: "no program waits with it"}, Order: []string{"/" + codeField},
	})
}

func answerDevice(p *page, a session.Answer) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	code := form.Get(codeField)
	if ok := p.now().Sub(p.Session.FreshAt) < freshFor; !ok {
		return p.redirect(p.url("/device") + "?" + url.Values{codeField: {code}}.Encode()) // which asks who they are
	}
	if err := p.Org.Sessions().AnswerDevice(p.Context(), code, a, p.Session); err != nil {
		return p.noDevice(err)
	}
	if a == session.Refused {
		return p.done("/device", "The program was refused.")
	}
	return p.done("/device", "The program is let in. You can close this page.")
}
