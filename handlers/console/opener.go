package console

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
)

// Somebody may sign in in another tab as somebody else: what was opened by the one
// must not be done in the name of the other, whom nobody asked. So a form says who
// opened it, in the field by which it is done once. That is against mistakes: what
// other sites send is refused before.

// openedBy is what [onceOf] makes for somebody who is signed in.
var openedBy = regexp.MustCompile(`^[A-Z2-7]{26}-([0-9a-f]{12})$`)

// onceOf is a new text for the hidden field by which a form that is sent twice does
// its work once, and that says who opened it; "" is nobody who is signed in.
func onceOf(person string) string {
	if person == "" {
		return rand.Text()
	}
	return rand.Text() + "-" + openerOf(person)
}

func openerOf(person string) string {
	sum := sha256.Sum256([]byte(person))
	return hex.EncodeToString(sum[:6])
}

// errOpener is of a form that somebody else opened.
var errOpener = errors.New("the form was opened by somebody else")

// opened refuses a form that another opened than who sends it. What asks and changes
// nothing is answered; so is a form that strangers may send.
func (p *page) opened() error {
	m := openedBy.FindStringSubmatch(p.once)
	if m == nil || m[1] == openerOf(p.Person.ID) || p.screen.open || asksForPart(p.Echo) {
		return nil
	}
	return errOpener
}

// openedByAnother answers a form that another opened: what was typed is kept, and is
// sent again by who typed it, or by who is signed in now if they say so.
func (p *page) openedByAnother() error {
	if p.action == "options" { // which a script asks for
		return p.tellScript(refusedOpener)
	}
	v, kept := keptOf(p.sent)
	if !kept {
		return refusedOpener
	}
	v.Action, v.SignIn, v.Now = p.Echo.Request().URL.Path, p.url("/"), p.Person.ID
	p.status = http.StatusConflict
	return p.render("over", v)
}

var refusedOpener = &problem{Status: http.StatusConflict, Code: "form.opened_by_another",
	Detail: "Nothing was done: this page was opened by somebody else, who was signed in in this browser before you. Load it again to do it yourself."}
