package console

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport.dev/handlers/session"
)

// What happens to a form that comes when its session is over. Nothing is done by it,
// and nothing of it is stored: what was typed is in the answer, to be sent again by
// whoever typed it, once they have signed in. What is secret is not in it.

// overView is the page that keeps what was typed.
type overView struct {
	Action string // where the form is sent again
	SignIn string // in another tab
	Hidden []sentField
	Typed  []sentField
	Secret []string // what has to be typed again
	Now    string   // who is signed in now, where somebody else opened the form; "": nobody is
}

// sentField is one value of a form.
type sentField struct {
	ID, Name, Label, Value string
	Lines                  bool // it is more than a line
}

// Fields whose values no page of ours repeats; those that nobody types; and those that
// are of no use in another session: the answer of an authenticator, and the code of a
// program, which is compared on its own page.
var (
	secretFields = []string{"value", "token", "secret", "password"}
	givenFields  = []string{"etag", onceField, "step", "version", "session", "program", "passkey", "issuer", "may_return"}
	deadFields   = []string{"credential", codeField}
)

// maxSent bounds how many values are kept.
const maxSent = 200

// overParameter has the page where one signs in say that a session is over, and that
// nothing was done.
const overParameter = "over"

// sessionOver answers an action that nobody is signed in for any more, before it did
// anything.
func (p *page) sessionOver() error {
	if p.action == "options" { // which a script asks for
		return p.tellScript(session.ErrNone)
	}
	if asksForPart(p.Echo) { // by itself, of a form that somebody fills in
		return p.Echo.String(http.StatusUnauthorized, "Your session is over. Sign in in another tab, then go on here: what you typed is still in the form.")
	}
	sent, err := p.sent, error(nil)
	if sent == nil {
		sent, err = p.readForm(maxLargeForm)
	}
	back := p.returnPath()
	if strings.HasPrefix(p.screen.path, stepUpPath) { // who signs in need not prove it once more
		back = cmp.Or(local(sent.Get("return")), p.url("/"))
	}
	again := p.url(signInPath) + "?" + url.Values{"return": {back}, overParameter: {"yes"}}.Encode()
	v, kept := keptOf(sent)
	if err != nil || !kept || strings.HasPrefix(p.screen.path, stepUpPath) {
		return p.redirect(again)
	}
	v.Action, v.SignIn = p.Echo.Request().URL.Path, p.url(signInPath)+"?return="+url.QueryEscape(p.url(provedPath))
	nobody := p.console.stranger(p.Echo)
	nobody.Org, nobody.screen, nobody.action, nobody.status = p.Org, p.screen, p.action, http.StatusUnauthorized
	return nobody.render("over", v)
}

// keptOf is what of a form is kept; kept is false where nothing in it was typed, or
// where it is of no use in another session.
func keptOf(sent url.Values) (v overView, kept bool) {
	for i, name := range slices.Sorted(maps.Keys(sent)) {
		switch {
		case slices.Contains(deadFields, name), len(v.Typed)+len(v.Hidden)+len(sent[name]) > maxSent:
			return v, false
		case slices.Contains(secretFields, name):
			v.Secret = append(v.Secret, fieldLabel(name))
			continue
		}
		for j, value := range sent[name] {
			f := sentField{fmt.Sprintf("f-%d-%d", i, j), name, fieldLabel(name), value, strings.Contains(value, "\n") || len(value) > 100}
			if value == "" || slices.Contains(givenFields, name) {
				v.Hidden = append(v.Hidden, f)
			} else {
				v.Typed = append(v.Typed, f)
			}
		}
	}
	return v, len(v.Typed) > 0
}

// isOver tells whether an error means that nobody is signed in.
func isOver(err error) bool {
	told := (*problem)(nil)
	return errors.Is(err, session.ErrNone) || errors.As(err, &told) && told.Status == http.StatusUnauthorized
}

// fieldLabel names a field in words.
func fieldLabel(name string) string {
	words := strings.TrimSpace(strings.NewReplacer("_", " ", ".", " ").Replace(name))
	if words == "" {
		return "A field without a name"
	}
	return upper(words)
}
