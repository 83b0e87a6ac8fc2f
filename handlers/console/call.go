package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/session"
)

// maxAnswer bounds what [page.API] takes of an answer, in bytes.
const maxAnswer = 4 << 20

// API asks /v1 in the name of who is signed in: path is below /orgs/{org}/v1,
// with its query. in is the body, nil for none; out, a pointer, gets the answer
// unless it is nil. A refusal is a *problem. What changes something is sent under
// the Idempotency-Key of the form.
func (p *page) API(method, path string, header http.Header, in, out any) error {
	r, err := p.request(method, path, header, in)
	if err != nil {
		return err
	}
	a := &answer{header: http.Header{}}
	p.console.opt.API.ServeHTTP(a, r)
	if a.full {
		return fmt.Errorf("the answer to %s %s is larger than %d bytes", method, path, maxAnswer)
	}
	if a.status >= 300 {
		return a.problem()
	}
	if v := a.header.Get("ETag"); v != "" {
		p.ETag = v
	}
	if v := a.header.Get(api.HeaderPosition); v != "" {
		p.Position = v
	}
	if out == nil || a.body.Len() == 0 {
		return nil
	}
	if err := json.Unmarshal(a.body.Bytes(), out); err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	return nil
}

// request is the browser's, but for what it asks.
func (p *page) request(method, path string, header http.Header, in any) (*http.Request, error) {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return nil, fmt.Errorf("encoding what %s %s sends: %w", method, path, err)
		}
	}
	ctx := api.WithRequestID(api.WithCaller(p.Context(), session.Caller{Session: p.Session}), api.RequestID(p.Echo))
	r, err := http.NewRequestWithContext(ctx, method, "/orgs/"+p.Org.Name().String()+"/v1"+path, &body)
	if err != nil {
		return nil, fmt.Errorf("asking %s %s: %w", method, path, err)
	}
	if header != nil {
		r.Header = header.Clone()
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.once != "" && method != http.MethodGet && r.Header.Get(api.HeaderIdempotencyKey) == "" {
		r.Header.Set(api.HeaderIdempotencyKey, p.onceMore())
	}
	// The log says from where somebody acted: from where their browser is.
	theirs := p.Echo.Request()
	r.RemoteAddr, r.Host = theirs.RemoteAddr, theirs.Host
	r.Header["X-Forwarded-For"] = theirs.Header["X-Forwarded-For"]
	return r, nil
}

// ifMatch is the header of a write to what was read with that ETag.
func ifMatch(etag string) http.Header { return http.Header{"If-Match": {etag}} }

// answer keeps what a handler answers.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	full   bool
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(b) > maxAnswer {
		a.full = true
		return 0, errors.New("the answer is too large")
	}
	return a.body.Write(b)
}

// problem is the refusal that was answered.
func (a *answer) problem() error {
	var told struct {
		Code, Detail string
		Errors       []struct{ Pointer, Detail string }
	}
	if err := json.Unmarshal(a.body.Bytes(), &told); err != nil {
		return fmt.Errorf("reading a refusal with status %d: %w", a.status, err)
	}
	p := &problem{Status: a.status, Code: told.Code, Detail: told.Detail, Fields: map[string]string{}}
	for _, e := range told.Errors {
		if e.Pointer == "" { // of no field, so that there is none to lead to
			p.Detail += " " + e.Detail + "."
			continue
		}
		p.add(e.Pointer, e.Detail)
	}
	return p
}
