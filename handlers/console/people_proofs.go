package console

import (
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// What people sign in with, as owners see it and take it away.

// proofDocument is what /v1 answers of that to owners, and to the person.
type proofDocument struct {
	Account  accountDocument   `json:"account"` // with which they are to sign in first
	Accounts []accountDocument `json:"accounts"`
	Unlinked []accountDocument `json:"unlinked"`
	Passkeys []struct {
		ID           string    `json:"id"`
		Name         string    `json:"name"`
		Synced       bool      `json:"synced"`
		RegisteredAt time.Time `json:"registered_at"`
		UsedAt       time.Time `json:"used_at"`
	} `json:"passkeys"`
}

type accountDocument struct {
	Issuer    string `json:"issuer"`
	Subject   string `json:"subject"`
	MayReturn bool   `json:"may_return,omitempty"`
}

// takeAwayPath is below a person's page.
const takeAwayPath = "/take-away"

func takeAwayScreen() screen {
	return screen{path: personNoun().path + "/:name" + takeAwayPath, roles: owners, get: askTakeAway, post: map[string]func(*page) error{"now": takeAway}}
}

// proofTables are the accounts and passkeys of a person, with what an owner may do
// about each.
func (d personDocument) proofTables(p *page) []sheetTable {
	if d.Passkeys == nil { // of others it is told to owners alone
		return nil
	}
	button := func(do, about string, what url.Values) cell {
		if n := personNoun(); !n.writes(p) {
			return textCell("")
		}
		return actionCell(sheetAction{Do: do, About: about, Path: p.url("/people/" + d.Name + takeAwayPath + "?" + what.Encode())})
	}
	accounts := sheetTable{Heading: "Accounts at identity providers", Caption: "Accounts", Columns: []string{"Account", "Identity provider", "State", "-Actions"},
		EmptyTitle: "No account yet", EmptyText: "The first sign-in with the address that they were added with links one, or with the account that is written of them. An address that is written later does not."}
	if !p.neverCame(d.Name) {
		accounts.EmptyTitle, accounts.EmptyText = "No account", "They have proved who they are in another way, so no sign-in with an address or a named account links one any more."
	}
	if p.console.opt.SignIn.Of(p.Org.Name()) == nil {
		accounts.EmptyTitle, accounts.EmptyText = "No account", "No identity provider is configured here: people sign in with passkeys."
	}
	if a := d.Account; a.Subject != "" {
		accounts.Rows = append(accounts.Rows, []cell{codeCell(a.Subject), textCell(a.Issuer), toneCell("info", "at their first sign-in"), textCell("")})
	}
	for _, a := range d.Accounts {
		accounts.Rows = append(accounts.Rows, []cell{codeCell(a.Subject), textCell(a.Issuer), badgeCell("linked"), button("Take away", a.Subject, a.query())})
	}
	for _, a := range d.Unlinked {
		state, do := toneCell("warn", "taken away"), cell{}
		if a.MayReturn {
			state, do = toneCell("info", "may return"), button("Keep away", a.Subject, a.query())
		} else {
			back := a
			back.MayReturn = true
			do = button("Let return", a.Subject, back.query())
		}
		accounts.Rows = append(accounts.Rows, []cell{codeCell(a.Subject), textCell(a.Issuer), state, do})
	}
	keys := sheetTable{Heading: "Passkeys", Caption: "Passkeys", Columns: []string{"Passkey", "Registered", "Last used", "-Actions"},
		EmptyTitle: "No passkeys", EmptyText: "People register their own. Who never signed in does it by a link that an owner makes."}
	if p.console.passkeys == nil {
		keys.EmptyText = "Browsers allow no passkeys at the address of this server, which is a number: give it a name (base_url; dev takes --listen localhost:PORT)."
	}
	for _, k := range d.Passkeys {
		used := textCell("never")
		if !k.UsedAt.IsZero() {
			used = timeCell(k.UsedAt)
		}
		keys.Rows = append(keys.Rows, []cell{textCell(k.Name), timeCell(k.RegisteredAt), used, button("Remove", k.Name, url.Values{"passkey": {k.ID}})})
	}
	return []sheetTable{accounts, keys}
}

// query names the account to the page that takes it away.
func (a accountDocument) query() url.Values {
	v := url.Values{"issuer": {a.Issuer}, "subject": {a.Subject}}
	if a.MayReturn {
		v.Set("may_return", "true")
	}
	return v
}

// taking is what an owner is about to take from a person: an account, or a passkey.
type taking struct {
	person  string
	passkey string
	account accountDocument
}

func takingOf(p *page, v url.Values) (taking, error) {
	who, err := p.name("name")
	if err != nil {
		return taking{}, err
	}
	t := taking{who.String(), v.Get("passkey"), accountDocument{Issuer: v.Get("issuer"), Subject: v.Get("subject")}}
	t.account.MayReturn, _ = strconv.ParseBool(v.Get("may_return"))
	if (t.passkey == "") == (t.account.Subject == "") {
		return taking{}, errNothing
	}
	return t, nil
}

// fields are those of a form that names it.
func (t taking) fields() map[string]string {
	if t.passkey != "" {
		return map[string]string{"passkey": t.passkey}
	}
	return map[string]string{"issuer": t.account.Issuer, "subject": t.account.Subject, "may_return": strconv.FormatBool(t.account.MayReturn)}
}

func askTakeAway(p *page) error {
	t, err := takingOf(p, p.Echo.QueryParams())
	if err != nil {
		return err
	}
	if ok, err := p.stepUp(); !ok || err != nil {
		return err
	}
	var d personDocument
	if err := p.API(http.MethodGet, "/people/"+t.person, nil, nil, &d); err != nil {
		return err
	}
	v := confirmView{Action: p.url("/people/" + t.person + takeAwayPath + "/now"), Danger: true, Cancel: p.url("/people/" + t.person), Hidden: t.fields()}
	ends := []string{"The sessions that were begun with it end at once, and so do the programs that " + t.person + " let in."}
	switch {
	case t.passkey != "":
		name := ""
		for _, k := range d.Passkeys {
			if k.ID == t.passkey {
				name = visible(k.Name)
			}
		}
		if name == "" {
			return errNothing
		}
		v.Heading, v.Do, v.Points = "Remove the passkey "+name+" of "+t.person+"?", "Remove", ends
		v.Text = "It opens nothing any more. Nobody but " + t.person + " can register another."
	case t.account.MayReturn:
		v.Heading, v.Do, v.Danger = "Let the account return to "+t.person+"?", "Let return", false
		v.Text = "The next sign-in with " + visible(t.account.Subject) + " may make it " + t.person + "'s again, by their address."
	default:
		v.Heading, v.Do, v.Points = "Take the account from "+t.person+"?", "Take away", ends
		v.Text = "Nobody signs in as " + t.person + " with " + visible(t.account.Subject) + " until an owner lets it return."
	}
	return p.render("confirm", v)
}

func takeAway(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	t, err := takingOf(p, form)
	if err != nil {
		return err
	}
	if p.now().Sub(p.Session.FreshAt) >= freshFor { // the page asks for a proof, and comes back to the same
		q := url.Values{}
		for k, v := range t.fields() {
			q.Set(k, v)
		}
		return p.redirect(p.url("/people/"+t.person+takeAwayPath) + "?" + q.Encode())
	}
	at, notice := "/people/"+t.person, "The account is taken away."
	switch {
	case t.passkey != "":
		notice = "The passkey is removed."
		err = p.API(http.MethodDelete, at+"/passkeys/"+url.PathEscape(t.passkey), nil, nil, nil)
	default:
		if t.account.MayReturn {
			notice = "The account may return."
		}
		err = p.API(http.MethodPost, at+"/unlink", nil, t.account, nil)
	}
	if err != nil {
		return err
	}
	return p.done(at, notice)
}
