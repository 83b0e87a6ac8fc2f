package e2e

import (
	"net/url"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/device"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/session"
)

// devices logs a program in, and out.
func (u *tour) devices(w *orgtest.World) {
	u.t.Helper()
	begin, token := u.issuer+"/device_authorization", u.issuer+"/token"
	asked := u.send(200, "POST", begin, url.Values{"client_id": {device.ClientID}})
	u.send(401, "POST", begin, url.Values{"client_id": {"another"}})
	u.send(400, "POST", begin, "{}")
	text := func(doc map[string]any, name string) string { s, _ := doc[name].(string); return s }
	poll := url.Values{"grant_type": {device.Grant}, "client_id": {device.ClientID}, "device_code": {text(asked, "device_code")}}
	u.send(400, "POST", token, poll)
	_, alice := w.SignedIn(session.Session{Person: "p-member", MFAAt: w.Now()})
	if err := w.Sessions().AnswerDevice(u.t.Context(), text(asked, "user_code"), session.Allowed, alice); err != nil {
		u.t.Fatal(err)
	}
	made := text(u.send(200, "POST", token, poll), "access_token")
	u.send(400, "POST", token, poll)
	u.send(204, "POST", u.issuer+"/v1/logout", nil, "Authorization", "Bearer "+made)
	u.send(401, "POST", u.issuer+"/v1/logout", nil, "Authorization", "Bearer "+made)
	u.as(domain.Member, 422, "POST", "/logout", map[string]any{"more": 1})
}
