package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/domain/organisation"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

// thing is a body with a field of every kind.
type thing struct {
	base
	Name   string            `json:"name"`
	On     bool              `json:"on"`
	Amount int               `json:"amount"`
	Labels map[string]string `json:"labels"`
	Parts  []part            `json:"parts"`
	Inner  *part             `json:"inner"`
	Any    json.RawMessage   `json:"any"`
	//lint:ignore U1000 it is here to be out of reach
	hidden string
}

type base struct {
	Note string `json:"note"`
}

type part struct {
	ID string `json:"id"`
}

// bench is an organisation with a few routes that show what the edge does.
type bench struct {
	*orgtest.World
	url string
	t   testing.TB
	did int // how often a thing was made
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{World: orgtest.New(t), t: t}
	e := api.New(api.Options{Log: orgtest.Quiet()})
	security := []domain.Role{domain.SecurityAdmin, domain.Owner}
	api.Mount(e.Group("/v1"), b.World, []api.Route{
		{Method: "GET", Path: "/things/:name", Roles: security, Query: []string{"colour"}, Serve: api.Read(b.show)},
		{Method: "POST", Path: "/things", Roles: security, Serve: api.Write(nil, rules, b.make)},
		{Method: "PUT", Path: "/things/:name", Roles: security, Serve: api.Write(b.look, rules, b.make)},
		{Method: "PUT", Path: "/settings", Roles: []domain.Role{domain.Owner}, Serve: api.Write(b.lookSettings, nil, b.set)},
	})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	b.url = s.URL + "/v1"
	return b
}

func rules(in *thing) []domain.FieldError {
	if strings.HasPrefix(in.Name, "bad") {
		return []domain.FieldError{{Pointer: "/name", Code: "name.bad", Detail: "no name begins with bad"}}
	}
	return nil
}

func (b *bench) show(c *api.Call) (api.Answer, error) {
	if c.Param("name") != "lamp" {
		return api.Answer{}, &domain.Error{Kind: domain.KindNotFound, Code: "thing.not_found", Message: "There is no such thing."}
	}
	colour, _ := c.Query("colour")
	return api.Answer{Body: map[string]string{"colour": colour}, Version: 3}, nil
}

func (b *bench) look(c *api.Call) error {
	if _, err := b.show(c); err != nil {
		return err
	}
	return c.Match(3)
}

func (b *bench) make(c *api.Call, in thing) (api.Answer, error) {
	b.did++
	if in.Name == "taken" {
		return api.Answer{}, &domain.Error{Kind: domain.KindConflict, Code: "thing.taken", Message: "There is one."}
	}
	return api.Answer{Status: 201, Body: in, Version: 1, Position: &domain.Position{Sequence: 1}}, nil
}

func (b *bench) lookSettings(c *api.Call) (err error) {
	b.Read(func(s *control.State, _ domain.Head) { err = c.Match(s.Organisation().Version) })
	return err
}

func (b *bench) set(c *api.Call, in struct {
	DualControl organisation.DualControl `json:"dual_control"`
}) (api.Answer, error) {
	pos, err := b.Execute(c.Context(), c.Meta, func(s *control.State) ([]domain.Fact, error) {
		return organisation.Decide(s.Organisation(), organisation.SetDualControl{Version: c.Version(), DualControl: in.DualControl}, c.Meta)
	})
	return api.Answer{Body: map[string]string{}, Position: &pos}, err
}

// ask sends a request; headers come in pairs, an empty value removes one.
func (b *bench) ask(method, path, token, body string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Del(headers[i])
		if headers[i+1] != "" {
			req.Header[http.CanonicalHeaderKey(headers[i])] = strings.Split(headers[i+1], "|")
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(answer)
}

func TestABodyIsReadStrictlyAndEveryFaultIsNamed(t *testing.T) {
	b := newBench(t)
	token := b.Token("security", domain.SecurityAdmin)
	deep := strings.Repeat(`{"any":`, 17) + "1" + strings.Repeat("}", 17)
	for _, tc := range []struct {
		name   string
		body   string
		header string // Content-Type
		status int
		code   string
		fields []string // "pointer code"
	}{
		{"every field", `{"note":"n","name":"a","on":true,"amount":-3,"labels":{"a":"b"},"parts":[{"id":"x"}],"inner":{"id":"y"},"any":{"x":[1]}}`, "", 201, "", nil},
		{"null is absent", `{"name":null,"on":null,"amount":null,"labels":null,"parts":null,"inner":null}`, "", 201, "", nil},
		{"utf-8 by name", `{}`, "application/json; charset=UTF-8", 201, "", nil},
		{"unknown members, at any depth", `{"nmae":"a","parts":[{"id":"x"},{"idd":1}],"inner":{"a/b~c":1}}`, "", 422, "request.invalid",
			[]string{"/inner/a~1b~0c field.unknown", "/nmae field.unknown", "/parts/1/idd field.unknown"}},
		{"a member in another case is another member", `{"Name":"a"}`, "", 422, "request.invalid", []string{"/Name field.unknown"}},
		{"an unexported field is no member", `{"hidden":"a"}`, "", 422, "request.invalid", []string{"/hidden field.unknown"}},
		{"an embedded type is no member", `{"base":{}}`, "", 422, "request.invalid", []string{"/base field.unknown"}},
		{"wrong types", `{"name":1,"on":"true","amount":1.0,"labels":{"a":1,"b":"c"},"parts":{},"inner":[]}`, "", 422, "request.invalid",
			[]string{"/amount field.type", "/inner field.type", "/labels/a field.type", "/name field.type", "/on field.type", "/parts field.type"}},
		{"a number that does not fit", `{"amount":9223372036854775808}`, "", 422, "request.invalid", []string{"/amount field.type"}},
		{"unknown members and broken rules together", `{"name":"bad one","nope":1}`, "", 422, "request.invalid", []string{"/nope field.unknown", "/name name.bad"}},
		{"a member twice", `{"name":"a","name":"b"}`, "", 422, "request.invalid", []string{" field.duplicate"}},
		{"a member twice, once by escape", `{"name":"a","n\u0061me":"b"}`, "", 422, "request.invalid", []string{" field.duplicate"}},
		{"a member twice, deep inside", `{"any":{"x":[{"k":1,"k":2}]}}`, "", 422, "request.invalid", []string{" field.duplicate"}},
		{"a name as long as an essay is not sent back", `{"` + strings.Repeat("x", 5000) + `":1}`, "", 422, "request.invalid", []string{" field.unknown"}},
		{"trailing data", `{} {}`, "", 400, "json.malformed", nil},
		{"half a document", `{"name":`, "", 400, "json.malformed", nil},
		{"a list", `[]`, "", 400, "json.malformed", nil},
		{"no JSON at all", `name: a`, "", 400, "json.malformed", nil},
		{"bytes that are not UTF-8", "{\"name\":\"\xff\"}", "", 400, "json.malformed", nil},
		{"half a surrogate pair", `{"name":"\ud800"}`, "", 400, "json.malformed", nil},
		{"a byte order mark", "\xef\xbb\xbf{}", "", 400, "json.malformed", nil},
		{"nested too deeply", deep, "", 400, "json.malformed", nil},
		{"white space alone", " ", "", 400, "json.malformed", nil},
		{"a form", `name=a`, "application/x-www-form-urlencoded", 415, "content_type.unsupported", nil},
		{"XML", `<name>a</name>`, "application/xml", 415, "content_type.unsupported", nil},
		{"JSON called text", `{}`, "text/plain", 415, "content_type.unsupported", nil},
		{"JSON called a kind of JSON", `{}`, "application/merge-patch+json", 415, "content_type.unsupported", nil},
		{"another charset", `{}`, "application/json; charset=utf-16", 415, "content_type.unsupported", nil},
		{"two media types", `{}`, "application/json|text/plain", 415, "content_type.unsupported", nil},
		{"no media type", `{}`, " ", 415, "content_type.unsupported", nil},
		{"two MiB", `{"name":"` + strings.Repeat("a", 2<<20) + `"}`, "", 413, "body.too_large", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var headers []string
			if tc.header != "" {
				headers = []string{"Content-Type", strings.TrimSpace(tc.header)}
			}
			b.did = 0
			res, body := b.ask("POST", "/things", token, tc.body, headers...)
			if res.StatusCode != tc.status {
				t.Fatalf("got %d, want %d: %.300s", res.StatusCode, tc.status, body)
			}
			if done := b.did == 1; done != (tc.status == 201) {
				t.Errorf("the handler was called %d times", b.did)
			}
			if tc.status == 201 {
				return
			}
			p := readProblem(t, res, body)
			var fields []string
			for _, f := range p.Errors {
				fields = append(fields, f.Pointer+" "+f.Code)
			}
			if diff := cmp.Diff(tc.fields, fields); p.Code != tc.code || diff != "" {
				t.Errorf("code %s, want %s; fields (-want +got):\n%s", p.Code, tc.code, diff)
			}
			if len(body) > 4096 {
				t.Errorf("the answer has %d bytes", len(body))
			}
		})
	}
}

func TestABodyThatIsSentInPiecesIsCutOffAtOneMebibyte(t *testing.T) {
	b := newBench(t)
	req, _ := http.NewRequest("POST", b.url+"/things", io.MultiReader(strings.NewReader(`{"name":"`), strings.NewReader(strings.Repeat("a", 2<<20))))
	req.Header.Set("Authorization", "Bearer "+b.Token("security", domain.SecurityAdmin))
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req) // no Content-Length: chunked
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 413 {
		t.Errorf("got %d, want 413", res.StatusCode)
	}
}

func TestAllOfAHundredThousandUnknownMembersAreNotSentBack(t *testing.T) {
	b := newBench(t)
	var doc strings.Builder
	doc.WriteString(`{"x0":0`)
	for i := range 15_000 {
		fmt.Fprintf(&doc, `,"y%d":0`, i)
	}
	doc.WriteString("}")
	res, body := b.ask("POST", "/things", b.Token("security", domain.SecurityAdmin), doc.String())
	if p := readProblem(t, res, body); p.Status != 422 || len(p.Errors) != 100 {
		t.Errorf("got %d with %d errors, want 422 with 100", p.Status, len(p.Errors))
	}
}

func TestOnlyOneBearerTokenInTheHeaderLetsIn(t *testing.T) {
	b := newBench(t)
	good := b.Token("security", domain.SecurityAdmin)
	for _, tc := range []struct {
		name    string
		headers []string
		query   string
		status  int
	}{
		{"the token", []string{"Authorization", "Bearer " + good}, "", 200},
		{"the scheme in another case", []string{"Authorization", "bearer " + good}, "", 200},
		{"nothing", nil, "", 401},
		{"an empty header", []string{"Authorization", " "}, "", 401},
		{"no scheme", []string{"Authorization", good}, "", 401},
		{"another scheme", []string{"Authorization", "Basic " + good}, "", 401},
		{"a token nobody has", []string{"Authorization", "Bearer " + good + "x"}, "", 401},
		{"two spaces", []string{"Authorization", "Bearer  " + good}, "", 401},
		{"two tokens in a header", []string{"Authorization", "Bearer " + good + ", Bearer " + good}, "", 401},
		{"two headers", []string{"Authorization", "Bearer " + good + "|Bearer " + good}, "", 401},
		{"the hash of the token", []string{"Authorization", "Bearer " + strings.Repeat("a", 64)}, "", 401},
		{"in the query", nil, "?access_token=" + good, 401},
		{"in the query and in the header", []string{"Authorization", "Bearer " + good}, "?access_token=" + good, 422},
		{"in a cookie", []string{"Cookie", "token=" + good}, "", 401},
		{"in a header of another name", []string{"X-Api-Key", good}, "", 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res, body := b.ask("GET", "/things/lamp"+tc.query, "", "", tc.headers...)
			if res.StatusCode != tc.status {
				t.Errorf("got %d, want %d: %s", res.StatusCode, tc.status, body)
			}
			if tc.status == 401 && !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Error("401 does not say how to authenticate")
			}
			if strings.Contains(body, good) {
				t.Error("the token is sent back")
			}
		})
	}
}

func TestATokenLetsInNoLongerThanItLives(t *testing.T) {
	b := newBench(t)
	token := b.Token("security", domain.SecurityAdmin) // for an hour
	b.Advance(time.Hour - time.Minute)
	if res, _ := b.ask("GET", "/things/lamp", token, ""); res.StatusCode != 200 {
		t.Fatalf("a minute before its end: %d", res.StatusCode)
	}
	b.Advance(time.Minute)
	if res, body := b.ask("GET", "/things/lamp", token, ""); res.StatusCode != 401 {
		t.Errorf("at its end: %d %s", res.StatusCode, body)
	}
}

// Who has a token that does not hold is told why, since it takes the token to ask.
func TestATokenThatDoesNotHoldIsToldWhy(t *testing.T) {
	b := newBench(t)
	made := func(life time.Duration) (id, secret string) {
		m := domain.Meta{Actor: domain.System("host"), Now: b.Now()}
		made, err := b.CreateToken(t.Context(), m, "security", domain.SecurityAdmin, life)
		if err != nil {
			t.Fatal(err)
		}
		return made.ID, made.Secret
	}
	_, short := made(time.Minute)
	id, revoked := made(time.Hour)
	m := domain.Meta{Actor: domain.System("host"), Now: b.Now()}
	if _, err := b.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) {
		return person.Decide(s.People(), person.RevokeToken{ID: id}, m)
	}); err != nil {
		t.Fatal(err)
	}
	b.Advance(time.Minute)
	for token, want := range map[string]string{"": "auth.required", short + "x": "api_token.unknown", short: "api_token.expired", revoked: "api_token.revoked"} {
		if res, body := b.ask("GET", "/things/lamp", token, ""); res.StatusCode != 401 || !strings.Contains(body, `"code":"`+want+`"`) {
			t.Errorf("got %d %s, want %s", res.StatusCode, body, want)
		}
	}
}

// TestChecksComeInOneOrder takes away one fault after another from a request
// that has all of them.
func TestChecksComeInOneOrder(t *testing.T) {
	b := newBench(t)
	auditor, security := b.Token("auditor", domain.Auditor), b.Token("security", domain.SecurityAdmin)
	big := strings.Repeat("a", 2<<20)
	for _, tc := range []struct {
		name, method, path, token, body string
		headers                         []string
		status                          int
		code                            string
	}{
		{"no token, wrong method, on a path that is not there", "PATCH", "/nothing", "", big, nil, 401, "auth.required"},
		{"wrong method", "PATCH", "/things/none", auditor, big, []string{"Content-Type", "text/plain"}, 405, "method.not_allowed"},
		{"a path that is not there", "PATCH", "/nothing", auditor, big, nil, 404, "route.not_found"},
		{"lacks the role", "PUT", "/things/none?x=1", auditor, big, []string{"Content-Type", "text/plain"}, 403, "role.missing"},
		{"is not there", "PUT", "/things/none?x=1", security, big, []string{"Content-Type", "text/plain"}, 404, "thing.not_found"},
		{"no If-Match", "PUT", "/things/lamp?x=1", security, big, []string{"Content-Type", "text/plain"}, 428, "version.required"},
		{"stale", "PUT", "/things/lamp?x=1", security, big, []string{"Content-Type", "text/plain", "If-Match", `"2"`}, 412, "version.stale"},
		{"not JSON by its media type", "PUT", "/things/lamp?x=1", security, big, []string{"Content-Type", "text/plain", "If-Match", `"3"`}, 415, "content_type.unsupported"},
		{"too large", "PUT", "/things/lamp?x=1", security, big, []string{"If-Match", `"3"`}, 413, "body.too_large"},
		{"not JSON", "PUT", "/things/lamp?x=1", security, "nope", []string{"If-Match", `"3"`}, 400, "json.malformed"},
		{"fields", "PUT", "/things/lamp?x=1", security, `{"name":"bad","x":1}`, []string{"If-Match", `"3"`, "Idempotency-Key", "a|b"}, 422, "request.invalid"},
		{"conflict", "PUT", "/things/lamp", security, `{"name":"taken"}`, []string{"If-Match", `"3"`}, 409, "thing.taken"},
		{"nothing is wrong", "PUT", "/things/lamp", security, `{"name":"a"}`, []string{"If-Match", `"3"`}, 201, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res, body := b.ask(tc.method, tc.path, tc.token, tc.body, tc.headers...)
			if res.StatusCode != tc.status {
				t.Fatalf("got %d, want %d: %.300s", res.StatusCode, tc.status, body)
			}
			if tc.code == "" {
				return
			}
			p := readProblem(t, res, body)
			if p.Code != tc.code {
				t.Errorf("got %s, want %s", p.Code, tc.code)
			}
			if tc.status == 403 && !strings.Contains(p.Detail, "security_admin or owner") {
				t.Errorf("the role is not named: %s", p.Detail)
			}
			if tc.status == 405 && res.Header.Get("Allow") != "GET, HEAD, PUT" {
				t.Errorf("Allow is %q", res.Header.Get("Allow"))
			}
			if tc.name == "fields" && len(p.Errors) != 4 {
				t.Errorf("not every fault of query, header and body is told: %v", p.Errors)
			}
		})
	}
}

func TestIfMatchIsOneVersionExactlyAsWeGaveIt(t *testing.T) {
	b := newBench(t)
	token := b.Token("security", domain.SecurityAdmin)
	for _, tc := range []struct {
		value  string
		status int
	}{
		{`"3"`, 201}, {`"2"`, 412}, {`"4"`, 412}, {`"18446744073709551619"`, 422},
		{`3`, 422}, {`*`, 422}, {`W/"3"`, 422}, {`"3", "2"`, 422}, {`"3"|"3"`, 422}, {`"03"`, 422}, {`"3.0"`, 422}, {`"+3"`, 422}, {`"0"`, 422}, {`""`, 422},
	} {
		res, body := b.ask("PUT", "/things/lamp", token, `{}`, "If-Match", tc.value)
		if res.StatusCode != tc.status {
			t.Errorf("If-Match: %s got %d, want %d: %s", tc.value, res.StatusCode, tc.status, body)
		}
	}
}

func TestTheQueryHoldsWhatTheRouteListsAndEachOnce(t *testing.T) {
	b := newBench(t)
	token := b.Token("security", domain.SecurityAdmin)
	for _, tc := range []struct {
		path   string
		status int
		fields []string
	}{
		{"/things/lamp?colour=red", 200, nil},
		{"/things/lamp?", 200, nil},
		{"/things/lamp?color=red&page=2", 422, []string{"/color query.unknown", "/page query.unknown"}},
		{"/things/lamp?colour=red&colour=blue", 422, []string{"/colour query.repeated"}},
		{"/things/lamp?Colour=red", 422, []string{"/Colour query.unknown"}},
		{"/things/lamp?colour=%zz", 422, []string{" query.malformed"}},
		{"/things/lamp?colour=a;b=c", 422, []string{" query.malformed"}},
		{"/things/lamp?min_position=12", 422, []string{"/min_position position.invalid"}},
		{"/things/lamp?min_position=01.0", 422, []string{"/min_position position.invalid"}},
		{"/things/lamp?min_position=1.0", 200, nil},
		{"/things/none?color=red", 404, nil},
	} {
		res, body := b.ask("GET", tc.path, token, "")
		var fields []string
		if tc.status == 422 {
			for _, f := range readProblem(t, res, body).Errors {
				fields = append(fields, f.Pointer+" "+f.Code)
			}
		}
		if res.StatusCode != tc.status || !slices.Equal(fields, tc.fields) {
			t.Errorf("%s got %d %v, want %d %v", tc.path, res.StatusCode, fields, tc.status, tc.fields)
		}
	}
}

func TestAReadWaitsForThePositionItNames(t *testing.T) {
	b := newBench(t)
	token := b.Token("security", domain.SecurityAdmin)
	here := b.Last().String()
	for _, tc := range []struct {
		name, header, param string
		status              int
	}{
		{"what is there, by header", here, "", 200},
		{"what is there, by query", "", here, 200},
		{"the later of the two counts", here, "99999.0", 503},
		{"what never comes", "99999.0", "", 503},
		{"no position", "soon", "", 422},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // the wait is five seconds
			path := "/things/lamp"
			if tc.param != "" {
				path += "?min_position=" + tc.param
			}
			res, body := b.ask("GET", path, token, "", "Sallyport-Min-Position", tc.header)
			if res.StatusCode != tc.status {
				t.Errorf("got %d, want %d: %s", res.StatusCode, tc.status, body)
			}
		})
	}
}

func TestAWriteUnderAKeyIsDoneOnce(t *testing.T) {
	b := newBench(t)
	owner, other := b.Token("owner", domain.Owner), b.Token("other", domain.Owner)
	at := b.Last()
	put := func(token, key, body, etag string) (*http.Response, string) {
		return b.ask("PUT", "/settings", token, body, "Idempotency-Key", key, "If-Match", etag)
	}
	const roles = `{"dual_control":"roles"}`
	first, body := put(owner, "k1", roles, `"1"`)
	if first.StatusCode != 200 {
		t.Fatalf("the first write got %d: %s", first.StatusCode, body)
	}
	for _, tc := range []struct {
		name, token, key, body, etag string
		status                       int
		code                         string
	}{
		{"the same again is answered, though its version is old", owner, "k1", roles, `"1"`, 200, ""},
		{"another body under the key", owner, "k1", `{"dual_control":"strict"}`, `"2"`, 422, "idempotency.mismatch"},
		{"another spelling is another body", owner, "k1", ` ` + roles, `"2"`, 422, "idempotency.mismatch"},
		{"another caller's key is another key", other, "k1", roles, `"1"`, 412, "version.stale"},
		{"no key, no memory", owner, "", roles, `"1"`, 412, "version.stale"},
		{"a key of spaces", owner, " ", roles, `"2"`, 422, "request.invalid"},
		{"a key with a line end's remains", owner, "a\tb", roles, `"2"`, 422, "request.invalid"},
		{"a key that is not ASCII", owner, "schlüssel", roles, `"2"`, 422, "request.invalid"},
		{"a key of 256 characters", owner, strings.Repeat("k", 256), roles, `"2"`, 422, "request.invalid"},
		{"a key of 255 characters, for what is so already", owner, strings.Repeat("k", 255), roles, `"2"`, 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res, body := put(tc.token, tc.key, tc.body, tc.etag)
			if res.StatusCode != tc.status {
				t.Fatalf("got %d, want %d: %s", res.StatusCode, tc.status, body)
			}
			if tc.code != "" {
				if p := readProblem(t, res, body); p.Code != tc.code {
					t.Errorf("got %s, want %s", p.Code, tc.code)
				}
			}
			if tc.key == "k1" && tc.status == 200 && res.Header.Get("Sallyport-Position") != first.Header.Get("Sallyport-Position") {
				t.Errorf("the position is %s, was %s", res.Header.Get("Sallyport-Position"), first.Header.Get("Sallyport-Position"))
			}
		})
	}
	b.Advance(25 * time.Hour)
	owner = b.Token("owner", domain.Owner)
	if res, body := put(owner, "k1", `{"dual_control":"strict"}`, `"2"`); res.StatusCode != 200 {
		t.Errorf("a day later the key is still taken: %d %s", res.StatusCode, body)
	}
	types := map[string]int{}
	for _, typ := range b.Types(at) {
		types[typ]++
	}
	if want := map[string]int{"organisation.dual_control_changed": 2, "api_token.created": 1}; !maps.Equal(types, want) {
		t.Errorf("the log has %v, want %v", types, want)
	}
}

// cutOff is an organisation that cannot reach its log.
type cutOff struct{ *orgtest.World }

func (cutOff) Fresh(context.Context) error {
	return &domain.Error{Kind: domain.KindUnavailable, Code: "log.unavailable", Message: "The log cannot be reached."}
}

func TestNobodyIsLetInOnAStateThatMayBeStale(t *testing.T) {
	b := newBench(t)
	token := b.Token("security", domain.SecurityAdmin)
	e := api.New(api.Options{Log: orgtest.Quiet()})
	api.Mount(e.Group("/v1"), cutOff{b.World}, []api.Route{
		{Method: "GET", Path: "/things/:name", Roles: domain.Roles(), Serve: api.Read(b.show)},
	})
	s := httptest.NewServer(e)
	defer s.Close()
	b.url = s.URL + "/v1"
	res, body := b.ask("GET", "/things/lamp", token, "")
	if p := readProblem(t, res, body); p.Status != 503 || p.Code != "log.unavailable" {
		t.Errorf("a good token got %d %s", p.Status, p.Code)
	}
	if res, _ := b.ask("GET", "/things/lamp", "", ""); res.StatusCode != 401 {
		t.Errorf("without a token it answers %d", res.StatusCode)
	}
}

func TestARouteForNobodyIsNotServed(t *testing.T) {
	b := newBench(t)
	defer func() {
		if recover() == nil {
			t.Error("a route without roles was mounted")
		}
	}()
	api.Mount(api.New(api.Options{Log: orgtest.Quiet()}).Group("/v1"), b.World, []api.Route{{Method: "GET", Path: "/x"}})
}
