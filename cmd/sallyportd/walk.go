package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport.dev/cmd/internal/cli"
)

// walk is the main job on screen: each step asks the running server over HTTP,
// as any client would, and shows what it answered. It stops at the first answer
// that is not what the step is about.
type walk struct {
	cli.IO
	credentials
	file   string // where the credentials are
	http   *http.Client
	colour bool
	step   int
	name   string // of the connection
	etag   string
	jwt    string // a proof that satisfies the connection
	token  string // what it was exchanged for
}

// walkThrough shows the main job, from a draft to the audit trail, on a
// connection of its own.
func walkThrough(ctx context.Context, s cli.IO, c credentials, file string) error {
	w := &walk{IO: s, credentials: c, file: file, http: &http.Client{Timeout: 30 * time.Second}, colour: cli.Colour(s.Out, s.Getenv)}
	steps := []func(context.Context) error{
		w.draft, w.test, w.testNearMiss, w.refuseDrafter, w.refuseAuthor, w.activate, w.exchange, w.introspect, w.deny, w.trail,
	}
	for _, step := range steps {
		err := step(ctx)
		if ctx.Err() != nil {
			return nil // asked to stop in the middle
		}
		if err != nil {
			return fmt.Errorf("the demo, step %d: %w", w.step, err)
		}
	}
	w.next()
	return nil
}

func (w *walk) title(format string, args ...any) {
	w.step++
	text := fmt.Sprintf("%d. %s", w.step, fmt.Sprintf(format, args...))
	if w.colour {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintf(w.Out, "\n%s\n", text)
}

// say prints one line of text, indented.
func (w *walk) say(format string, args ...any) {
	fmt.Fprintf(w.Out, "   %s\n", cli.Clean(fmt.Sprintf(format, args...)))
}

// reply is an answer of the server.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a JSON body (nil for none) to a path of the organisation as a person.
func (w *walk) ask(ctx context.Context, person, method, path, ifMatch string, body any, want int, into any) (reply, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return reply{}, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.url()+path, r)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+w.Tokens[person])
	req.Header.Set("Content-Type", "application/json")
	if ifMatch != "" {
		req.Header.Set("If-Match", ifMatch)
	}
	return w.do(req, want, into)
}

// url is the organisation's URL.
func (w *walk) url() string { return w.BaseURL + "/orgs/" + w.Org }

func (w *walk) form(ctx context.Context, path, bearer string, form url.Values, want int, into any) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return w.do(req, want, into)
}

var errUnexpected = errors.New("the server answered otherwise")

func (w *walk) do(req *http.Request, want int, into any) (reply, error) {
	res, err := w.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return reply{}, err
	}
	r := reply{res.StatusCode, res.Header, b}
	if r.status != want && want != 0 {
		return r, fmt.Errorf("%w: %s %s: %d instead of %d: %s", errUnexpected, req.Method, req.URL.Path, r.status, want, b)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			return r, fmt.Errorf("reading the answer of %s: %w", req.URL.Path, err)
		}
	}
	return r, nil
}

// mint has the demo provider sign a GitLab job's claims.
func (w *walk) mint(ctx context.Context, ref string) (string, error) {
	claims := jobClaims(w.Issuer, ref)
	b, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.Provider.MintURL+"/gitlab", bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	var minted struct{ Token string }
	_, err = w.do(req, http.StatusOK, &minted)
	return minted.Token, err
}

// jobClaims is what of GitLab's claims the demo sets for a job on a branch.
func jobClaims(issuer, ref string) map[string]string {
	return map[string]string{
		"aud": issuer, "ref": ref, "ref_path": "refs/heads/" + ref,
		"sub": "project_path:my-group/my-project:ref_type:branch:ref:" + ref,
	}
}

// stands is a connection as answered.
type stands struct {
	Version    uint64
	Conditions []struct{ Claim, Operator, Value string }
	Pending    json.RawMessage
	Warnings   []struct {
		Code, Message string
		Blocks        bool
	}
	Status string
}

func (w *walk) draft(ctx context.Context) error {
	w.title("devops drafts a connection: trust GitLab jobs of my-group/my-project on the branch main")
	doc := map[string]any{
		"description": "deploys of my-project", "provider": "gitlab",
		"settings": map[string]string{"domain": "gitlab.example.com", "group": "my-group", "project": "my-project"},
		"jwks_url": w.Provider.JWKSURL,
	}
	for n := 1; ; n++ {
		w.name = "demo-gitlab"
		if n > 1 {
			w.name = fmt.Sprintf("demo-gitlab-%d", n)
		}
		doc["name"] = w.name
		r, err := w.ask(ctx, "devops", http.MethodPost, "/v1/connections", "", doc, 0, nil)
		if err != nil {
			return err
		}
		if r.status == http.StatusConflict {
			continue // of an earlier demo on this data
		}
		if r.status != http.StatusCreated {
			return fmt.Errorf("%w: %d: %s", errUnexpected, r.status, r.body)
		}
		w.say("POST /orgs/default/v1/connections -> 201: %s is a draft; it issues nothing.", w.name)
		return w.tighten(ctx)
	}
}

// tighten adds the branch to the conditions that the preset filled in.
func (w *walk) tighten(ctx context.Context) error {
	w.say("The preset filled in the issuer, the audience and the project. devops adds the branch:")
	doc, r, err := w.read(ctx, "devops")
	if err != nil {
		return err
	}
	var conditions []json.RawMessage
	if err := json.Unmarshal(doc["conditions"], &conditions); err != nil {
		return err
	}
	conditions = append(conditions, json.RawMessage(`{"claim":"ref","operator":"equals","value":"main"}`))
	if doc["conditions"], err = json.Marshal(conditions); err != nil {
		return err
	}
	var now stands
	r, err = w.ask(ctx, "devops", http.MethodPut, w.path(), r.header.Get("ETag"), doc, http.StatusOK, &now)
	w.etag = r.header.Get("ETag")
	if err != nil {
		return err
	}
	return w.showConditions(now)
}

func (w *walk) showConditions(now stands) error {
	rows := cli.Rows{{"  ", "CLAIM", "OPERATOR", "VALUE"}}
	for _, c := range now.Conditions {
		rows = append(rows, []string{"  ", c.Claim, c.Operator, c.Value})
	}
	return rows.Write(w.Out, nil)
}

func (w *walk) path() string { return "/v1/connections/" + w.name }

// read gets the connection whole, to be changed and sent back.
func (w *walk) read(ctx context.Context, person string) (map[string]json.RawMessage, reply, error) {
	var doc map[string]json.RawMessage
	r, err := w.ask(ctx, person, http.MethodGet, w.path(), "", nil, http.StatusOK, &doc)
	w.etag = r.header.Get("ETag")
	return doc, r, err
}

func (w *walk) test(ctx context.Context) (err error) {
	w.title("devops tests the draft with the token of a job on main: every check holds, nothing is issued")
	if w.jwt, err = w.mint(ctx, "main"); err != nil {
		return err
	}
	return w.report(ctx, w.jwt, "pass")
}

func (w *walk) testNearMiss(ctx context.Context) error {
	w.title("... and with one of a branch called Main: the check that fails says why")
	jwt, err := w.mint(ctx, "Main")
	if err != nil {
		return err
	}
	return w.report(ctx, jwt, "fail")
}

func (w *walk) report(ctx context.Context, jwt, verdict string) error {
	var got struct {
		Verdict, Identity string
		Checks            []cli.Check
	}
	if _, err := w.ask(ctx, "devops", http.MethodPost, w.path()+"/test", "", map[string]string{"token": jwt}, http.StatusOK, &got); err != nil {
		return err
	}
	const indent = "   "
	if err := cli.CheckRows(indent, got.Checks).Write(w.Out, cli.PaintResult(indent, w.colour)); err != nil {
		return err
	}
	if got.Verdict != verdict {
		return fmt.Errorf("%w: the verdict is %s, not %s", errUnexpected, got.Verdict, verdict)
	}
	w.say("verdict: %s", got.Verdict)
	return nil
}

func (w *walk) refuseDrafter(ctx context.Context) error {
	w.title("devops tries to activate it alone: refused, that takes another role")
	return w.refused(ctx, "devops", "role.missing")
}

func (w *walk) refuseAuthor(ctx context.Context) error {
	w.title("security shortens the tokens' life, then tries to activate: refused too, nobody activates what they wrote")
	doc, r, err := w.read(ctx, "security")
	if err != nil {
		return err
	}
	doc["token_ttl"] = json.RawMessage(`{"amount":10,"unit":"minutes"}`)
	if r, err = w.ask(ctx, "security", http.MethodPut, w.path(), r.header.Get("ETag"), doc, http.StatusOK, nil); err != nil {
		return err
	}
	w.etag = r.header.Get("ETag")
	return w.refused(ctx, "security", "connection.same_person")
}

func (w *walk) refused(ctx context.Context, person, code string) error {
	var p struct{ Code, Detail string }
	if _, err := w.ask(ctx, person, http.MethodPost, w.path()+"/activate", w.etag, map[string]any{}, http.StatusForbidden, &p); err != nil {
		return err
	}
	if p.Code != code {
		return fmt.Errorf("%w: the code is %s, not %s", errUnexpected, p.Code, code)
	}
	w.say("403 %s: %s", p.Code, p.Detail)
	return nil
}

func (w *walk) activate(ctx context.Context) error {
	w.title("security2, who wrote none of it, reads it and activates it: the second door opens")
	var now stands
	r, err := w.ask(ctx, "security2", http.MethodGet, w.path(), "", nil, http.StatusOK, &now)
	if err != nil {
		return err
	}
	w.say("version %d, tokens live 10 minutes, all of these must hold:", now.Version)
	if err := w.showConditions(now); err != nil {
		return err
	}
	acknowledge := []string{}
	for _, x := range now.Warnings {
		w.say("warning: %s: %s", x.Code, x.Message)
		if x.Blocks {
			acknowledge = append(acknowledge, x.Code)
		}
	}
	body := map[string]any{"acknowledge": acknowledge}
	if _, err := w.ask(ctx, "security2", http.MethodPost, w.path()+"/activate", r.header.Get("ETag"), body, http.StatusOK, &now); err != nil {
		return err
	}
	w.say("POST %s/activate -> 200: %s is %s.", w.path(), w.name, now.Status)
	return nil
}

func (w *walk) exchangeForm(jwt string) url.Values {
	return url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "connection": {w.name},
		"subject_token": {jwt}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
	}
}

func (w *walk) exchange(ctx context.Context) error {
	w.title("the GitLab job exchanges its JWT for a token; it has no stored secret")
	var got struct {
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"`
	}
	if _, err := w.form(ctx, "/token", "", w.exchangeForm(w.jwt), http.StatusOK, &got); err != nil {
		return err
	}
	w.token = got.Token
	w.say("POST /orgs/default/token -> 200, expires in %d s. The token, decoded:", got.Expires)
	parts := strings.Split(w.token, ".")
	for _, part := range parts[:len(parts)-1] {
		if err := w.showJSON(base64.RawURLEncoding.DecodeString(part)); err != nil {
			return err
		}
	}
	return nil
}

// showJSON prints a document, indented.
func (w *walk) showJSON(raw []byte, err error) error {
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "     ", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w.Out, "     %s\n", b.Bytes())
	return err
}

func (w *walk) introspect(ctx context.Context) error {
	w.title("whoever is shown the token asks whether it holds (RFC 7662)")
	var got struct {
		Active bool
		Sub    string
		Exp    int64
	}
	if _, err := w.form(ctx, "/introspect", w.Tokens["resource"], url.Values{"token": {w.token}}, http.StatusOK, &got); err != nil {
		return err
	}
	if !got.Active {
		return fmt.Errorf("%w: the token is not active", errUnexpected)
	}
	w.say("active: true, sub: %s, until %s", got.Sub, time.Unix(got.Exp, 0).UTC().Format(time.RFC3339))
	return nil
}

func (w *walk) deny(ctx context.Context) error {
	w.title("a job on another branch is denied; it learns which check failed, not what was expected")
	jwt, err := w.mint(ctx, "feature")
	if err != nil {
		return err
	}
	var got struct {
		Code      string `json:"error_code"`
		RequestID string `json:"request_id"`
	}
	if _, err := w.form(ctx, "/token", "", w.exchangeForm(jwt), http.StatusBadRequest, &got); err != nil {
		return err
	}
	w.say("400 %s, request id %s", got.Code, got.RequestID)
	return w.await(ctx, got.RequestID)
}

// await returns when the event of a request is in the trail.
func (w *walk) await(ctx context.Context, requestID string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var page struct{ Events []json.RawMessage }
		if _, err := w.ask(ctx, "auditor", http.MethodGet, "/v1/audit?request_id="+url.QueryEscape(requestID), "", nil, http.StatusOK, &page); err != nil {
			return err
		}
		if len(page.Events) > 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the event of request %s: %w", requestID, ctx.Err())
		}
	}
}

func (w *walk) trail(ctx context.Context) error {
	w.title("the auditor reads it all in the audit trail: what is not there did not happen")
	var page struct {
		Events []struct{ Position, Type, Actor, Summary string }
	}
	if _, err := w.ask(ctx, "auditor", http.MethodGet, "/v1/audit?limit=200&connection="+w.name, "", nil, http.StatusOK, &page); err != nil {
		return err
	}
	rows := cli.Rows{{"  ", "POSITION", "TYPE", "SUMMARY"}}
	for _, e := range page.Events {
		rows = append(rows, []string{"  ", e.Position, e.Type, e.Summary})
	}
	return rows.Write(w.Out, nil)
}

// next prints lines that can be pasted into another shell as they are.
func (w *walk) next() {
	client := clientPath()
	claims, _ := json.Marshal(jobClaims(w.Issuer, "main")) // a map of text always marshals
	fmt.Fprintf(w.Out, "\nTry next, in another shell:\n\n")
	for _, line := range []string{
		"export SALLYPORT_ADDR=" + w.BaseURL,
		`token_of() { sed -n 's/.*"'"$1"'": "\(sallyport_[^"]*\)".*/\1/p' ` + quote(w.file) + `; }`,
		"export SALLYPORT_TOKEN=$(token_of auditor)",
		client + " connection show " + w.name,
		"curl -s -d " + quote(string(claims)) + " " + w.Provider.MintURL + `/gitlab | sed 's/.*"token":"\([^"]*\)".*/\1/' > proof.jwt`,
		"TOKEN=$(" + client + " wl auth --connection " + w.name + " --jwt-file proof.jwt)",
		`curl -s -H "Authorization: Bearer $SALLYPORT_TOKEN" -d token="$TOKEN" ` + w.url() + "/introspect",
		client + " audit list --connection " + w.name + " --order desc --limit 5",
	} {
		fmt.Fprintln(w.Out, line)
	}
	fmt.Fprintf(w.Out, "\nThe server keeps running; Ctrl-C ends it.\n")
}

// clientPath is how to call the client: by its place beside this program.
func clientPath() string {
	self, err := os.Executable()
	if err != nil {
		return "sallyport"
	}
	path := filepath.Join(filepath.Dir(self), "sallyport")
	if _, err := os.Stat(path); err != nil {
		return "sallyport"
	}
	return quote(path)
}

// quote is s as one word of a shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
