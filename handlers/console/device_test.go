package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/device"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

func init() {
	views["device"] = []any{
		deviceView{TTL: time.Hour},
		deviceView{Code: "BCDF-GHJK", Device: session.Device{Program: "sallyport/1", Source: "192.0.2.7", AskedAt: viewAt}, TTL: time.Hour},
		deviceView{Code: "BCDF-GHJK", Device: session.Device{Source: "192.0.2.7", AskedAt: viewAt}, TTL: time.Hour, Far: true},
	}
}

// terminal is a program that logs in at a site.
type terminal struct {
	*site
	exchange *exchange.Exchange
}

func newTerminal(t *testing.T) terminal {
	s := newSite(t)
	waiting := device.New(s.world.Organisation, nil)
	g := s.handler.Group("/orgs/" + s.world.Name().String())
	waiting.Mount(g)
	x := exchange.New(s.world.Organisation, exchange.Options{Grants: map[string]exchange.Grant{device.Grant: waiting.Token}})
	t.Cleanup(x.Close)
	x.Mount(g)
	s.signIn("alice", domain.Member)
	return terminal{s, x}
}

// ask sends a form to an endpoint of the issuer, and reads the answer.
func (s terminal) ask(endpoint string, form url.Values) (int, map[string]any) {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/orgs/"+s.world.Name().String()+endpoint, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", echo.MIMEApplicationForm)
	r.Header.Set("User-Agent", "sallyport/test <b>")
	w := s.as("", r)
	var doc map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		s.t.Fatalf("%s answered %d: %s", endpoint, w.Code, w.Body)
	}
	return w.Code, doc
}

// begin is a program that waits, and its codes.
func (s terminal) begin() (deviceCode, userCode string) {
	s.t.Helper()
	status, doc := s.ask("/device_authorization", url.Values{"client_id": {device.ClientID}})
	if status != http.StatusOK || doc["interval"] != 5.0 || doc["expires_in"] != 600.0 {
		s.t.Fatalf("got %d %v", status, doc)
	}
	deviceCode, _ = doc["device_code"].(string)
	userCode, _ = doc["user_code"].(string)
	return deviceCode, userCode
}

// poll is what the token endpoint answers: a token, or the error.
func (s terminal) poll(deviceCode string) (token, refusal string) {
	s.t.Helper()
	_, doc := s.ask("/token", url.Values{"grant_type": {device.Grant}, "client_id": {device.ClientID}, "device_code": {deviceCode}})
	token, _ = doc["access_token"].(string)
	refusal, _ = doc["error"].(string)
	return token, refusal
}

func (s terminal) answer(who domain.Name, action, userCode string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.post(who, s.path("/device/"+action), url.Values{"user_code": {userCode}}.Encode())
}

func TestWhatAProgramCallsItselfIsNoMoreThanThat(t *testing.T) {
	s := newTerminal(t)
	_, userCode, err := s.world.Sessions().AskIn(context.Background(), session.Device{Program: "sallyport/1 (\u202eTI yb deifirev)" + strings.Repeat("x", 300), Source: "198.51.100.7"})
	if err != nil {
		t.Fatal(err)
	}
	body := s.wants(http.StatusOK, s.get("alice", s.path("/device?user_code="+userCode)), "Calls itself", "“sallyport/1 (\\u202e", "which nobody checked", "from another network")
	if strings.Contains(body, "\u202e") || strings.Contains(body, strings.Repeat("x", 200)) {
		t.Error("what it calls itself is shown as it is")
	}
	_, near := s.begin()
	if body := s.get("alice", s.path("/device?user_code="+near)).Body.String(); strings.Contains(body, "from another network") {
		t.Error("a program of the same network is warned of")
	}
}

func TestAProgramIsLetInAsWhoConfirmsItsCode(t *testing.T) {
	s := newTerminal(t)
	deviceCode, userCode := s.begin()
	if _, refusal := s.poll(deviceCode); refusal != "authorization_pending" {
		t.Errorf("before anybody confirmed: %q", refusal)
	}
	shown := s.get("alice", s.path("/device?user_code="+strings.ToLower(strings.ReplaceAll(userCode, "-", ""))))
	if !strings.Contains(shown.Body.String(), ">"+userCode+"<") { // which is compared
		t.Errorf("the code is not shown as the program shows it, %s", userCode)
	}
	if shown.Code != http.StatusOK || !strings.Contains(shown.Body.String(), "sallyport/test &lt;b&gt;") || !strings.Contains(shown.Body.String(), "192.0.2.1") {
		t.Errorf("the page does not say what asks: %d %s", shown.Code, shown.Body)
	}
	checkAnswer(t, "device", shown)
	if w := s.answer("alice", "allow", userCode); w.Code != http.StatusSeeOther {
		t.Fatalf("confirming: %d %s", w.Code, w.Body)
	}
	token, refusal := s.poll(deviceCode)
	if token == "" {
		t.Fatalf("refused: %s", refusal)
	}
	r := httptest.NewRequest(http.MethodGet, "/orgs/"+s.world.Name().String()+"/v1/whoami", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	if w := s.as("", r); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"alice"`) {
		t.Errorf("the token opens %d %s", w.Code, w.Body)
	}
	s.world.Read(func(state *control.State, _ domain.Head) {
		tokens := state.People().Tokens()
		if made := tokens[len(tokens)-1]; made.CreatedBy != "alice" || made.MFAAt.IsZero() || !slices.Equal(made.Roles, []domain.Role{domain.Member}) {
			t.Errorf("the token is %+v", made)
		}
	})
	if _, refusal := s.poll(deviceCode); refusal != "expired_token" {
		t.Errorf("the code a second time: %q", refusal)
	}
	if w := s.answer("alice", "allow", userCode); w.Code != http.StatusNotFound {
		t.Errorf("confirming a second time: %d", w.Code)
	}
}

func TestAProgramThatIsRefusedGetsNothing(t *testing.T) {
	s := newTerminal(t)
	deviceCode, userCode := s.begin()
	s.answer("alice", "refuse", userCode)
	if token, refusal := s.poll(deviceCode); token != "" || refusal != "access_denied" {
		t.Errorf("got %q, %q", token, refusal)
	}
	if _, refusal := s.poll(deviceCode); refusal != "expired_token" {
		t.Errorf("a second time: %q", refusal)
	}
}

func TestAProgramThatAsksTooOftenIsSlowedDown(t *testing.T) {
	s := newTerminal(t)
	deviceCode, userCode := s.begin()
	s.poll(deviceCode)
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{time.Second, "slow_down"}, {6 * time.Second, "slow_down"}, {16 * time.Second, "authorization_pending"}} {
		s.world.Advance(step.after)
		if _, refusal := s.poll(deviceCode); refusal != step.want {
			t.Errorf("after %s: %q, want %q", step.after, refusal, step.want)
		}
	}
	s.world.Advance(session.DeviceLife)
	if _, refusal := s.poll(deviceCode); refusal != "expired_token" {
		t.Errorf("after its time: %q", refusal)
	}
	if w := s.answer("alice", "allow", userCode); w.Code == http.StatusOK || strings.Contains(w.Header().Get("Location"), "/device?at") {
		t.Errorf("confirming after its time: %d %s", w.Code, w.Header().Get("Location"))
	}
}

// An attacker who has somebody confirm a code of theirs (RFC 8628 section 5.4)
// needs more than a link that is opened: a fresh proof, and a form of our own page.
func TestACodeIsConfirmedByWhoJustProvedWhoTheyAre(t *testing.T) {
	s := newTerminal(t)
	deviceCode, userCode := s.begin()
	s.world.Advance(freshFor + time.Second)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"a link":     s.get("alice", s.path("/device?user_code="+userCode)),
		"a form":     s.answer("alice", "allow", userCode),
		"a stranger": s.answer("", "allow", userCode),
	} {
		if w.Code != http.StatusSeeOther {
			t.Errorf("%s: %d, want to be led elsewhere", name, w.Code)
		}
	}
	if w := s.get("alice", s.path("/device?user_code="+userCode)); !strings.Contains(w.Header().Get("Location"), stepUpPath+"?return=") {
		t.Errorf("led to %q, want a proof", w.Header().Get("Location"))
	}
	if _, refusal := s.poll(deviceCode); refusal != "authorization_pending" {
		t.Errorf("the program is told %q", refusal)
	}
}

func TestOnlyTheCommandLineIsAClient(t *testing.T) {
	s := newTerminal(t)
	deviceCode, _ := s.begin()
	for name, form := range map[string]url.Values{
		"none": {}, "another": {"client_id": {"evil"}},
	} {
		if status, doc := s.ask("/device_authorization", form); status != http.StatusUnauthorized || doc["error"] != "invalid_client" {
			t.Errorf("client %s: %d %v", name, status, doc)
		}
		form.Set("grant_type", device.Grant)
		form.Set("device_code", deviceCode)
		if status, doc := s.ask("/token", form); status != http.StatusUnauthorized || doc["error"] != "invalid_client" {
			t.Errorf("client %s at the token endpoint: %d %v", name, status, doc)
		}
	}
	for _, code := range []string{"", "x", strings.Repeat("a", 43)} {
		if token, refusal := s.poll(code); token != "" || refusal != "expired_token" && refusal != "invalid_request" {
			t.Errorf("the code %q: %q %q", code, token, refusal)
		}
	}
}

func TestANetworkHasOnlySoManyProgramsWait(t *testing.T) {
	s := newTerminal(t)
	for range 20 {
		s.begin()
	}
	if status, doc := s.ask("/device_authorization", url.Values{"client_id": {device.ClientID}}); status != http.StatusTooManyRequests {
		t.Errorf("the 21st: %d %v", status, doc)
	}
}
