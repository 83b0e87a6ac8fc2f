package faults

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
)

// write is a write of /v1 and what came of it.
type write struct {
	Key     string // Idempotency-Key
	Method  string
	Path    string // behind /v1
	Match   string // If-Match, without its quotes
	Body    []byte
	Name    string
	Status  int
	At      domain.Position
	Version string // the ETag, without its quotes
}

// ledger is the client's own record of every answer. It is safe for concurrent use.
type ledger struct {
	mu      sync.Mutex
	tokens  map[string]bool // jti of every token that was answered
	written []write         // acknowledged
	unclear []write         // sent, and not answered
	took    []time.Duration // of every answer 200 of /token
	status  map[int]int     // answers by status, refused and cut among them
	codes   map[string]int  // error codes of the answers that were no 2xx
	bare    int             // answers 429 and 503 without Retry-After
	serial  atomic.Int64
}

func newLedger() *ledger {
	return &ledger{tokens: map[string]bool{}, status: map[int]int{}, codes: map[string]int{}}
}

// answered is how many tokens and writes were acknowledged.
func (l *ledger) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.tokens) + len(l.written)
}

func (l *ledger) count(status int, code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status[status]++
	if code != "" {
		l.codes[code]++
	}
}

// statuses is what was answered, for people.
func (l *ledger) statuses() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return told(l.status)
}

func told(statuses map[int]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(statuses)) {
		name := map[int]string{refused: "nobody listened", cut: "cut off"}[k]
		if name == "" {
			name = fmt.Sprint(k)
		}
		if statuses[k] > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", name, statuses[k]))
		}
	}
	return strings.Join(parts, ", ")
}

// quantiles of how long answers 200 took since it was last asked, and how many there were.
func (l *ledger) quantiles() (p50, p99 time.Duration, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := l.took
	l.took = nil
	if len(took) == 0 {
		return 0, 0, 0
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100], len(took)
}

// caller asks a server as a workload and as a person, and writes down what is answered.
type caller struct {
	s      *server
	l      *ledger
	http   *http.Client
	name   string // of the connection
	proof  func() string
	writes int // one request of so many is a write; 0: none
}

// newClient keeps connections for so many callers. d bounds one request.
func newClient(callers int, d time.Duration) *http.Client {
	return &http.Client{Timeout: d, Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
}

// proofs signs proofs of one workload, each with a jti of its own.
func proofs(key *jose.HostKey, issuer, audience string) func() string {
	return func() string {
		now := time.Now()
		jwt, err := key.Sign(map[string]any{
			"iss": issuer, "sub": "job", "aud": audience, "iat": now.Unix(), "nbf": now.Unix(),
			"exp": now.Add(5 * time.Minute).Unix(), "jti": fmt.Sprint(rand.Uint64()),
		})
		if err != nil {
			panic(err)
		}
		return jwt
	}
}

// shared signs a proof at most once in a minute, for load whose own cost should be small.
func shared(sign func() string) func() string {
	var mu sync.Mutex
	var proof string
	var at time.Time
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(at) > time.Minute {
			proof, at = sign(), time.Now()
		}
		return proof
	}
}

// from is one of 4,096 addresses: rate limits for each address are not what is
// tried, and what they remember of each must not look like growth.
func from() string {
	n := rand.Uint32()
	return fmt.Sprintf("10.0.%d.%d", byte(n>>8)&0xf, byte(n))
}

// errNoAnswer is a request that was sent, perhaps, and not answered.
var errNoAnswer = errors.New("no answer")

// exchange asks for a token once and writes down the answer; it returns the status.
func (c *caller) exchange(ctx context.Context) (int, error) {
	form := url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"subject_token":      {c.proof()}, "connection": {c.name},
	}
	begun := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.s.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Forwarded-For", from())
	status, body, header, err := c.do(req)
	if err != nil {
		return 0, err
	}
	took := time.Since(begun)
	var doc struct {
		AccessToken string `json:"access_token"`
		ErrorCode   string `json:"error_code"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return status, fmt.Errorf("/token answered %d and %q", status, body)
	}
	c.l.count(status, doc.ErrorCode)
	if status != http.StatusOK {
		c.shed(status, header)
		return status, nil
	}
	jti, err := jtiOf(doc.AccessToken)
	if err != nil {
		return status, err
	}
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.l.tokens[jti] {
		return status, fmt.Errorf("the token %s was answered twice", jti)
	}
	c.l.tokens[jti] = true
	c.l.took = append(c.l.took, took)
	return status, nil
}

func (c *caller) shed(status int, h http.Header) {
	if (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && h.Get("Retry-After") == "" {
		c.l.mu.Lock()
		c.l.bare++
		c.l.mu.Unlock()
	}
}

// do sends a request and reads the whole answer; half an answer is none.
func (c *caller) do(req *http.Request) (int, []byte, http.Header, error) {
	res, err := c.http.Do(req)
	if err == nil {
		defer res.Body.Close()
		var body []byte
		if body, err = io.ReadAll(res.Body); err == nil {
			return res.StatusCode, body, res.Header, nil
		}
	}
	if req.Context().Err() == nil { // otherwise it is we who left
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			c.l.count(refused, "")
		} else {
			c.l.count(cut, "")
		}
	}
	return 0, nil, nil, fmt.Errorf("%w: %w", errNoAnswer, err)
}

// What stands for a status where there was none: nobody listened, or the
// connection ended, or stayed silent, after a request was sent.
const refused, cut = -1, 0

func jtiOf(jwt string) (string, error) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("%d parts of a token", len(parts))
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	var claims struct {
		JTI string `json:"jti"`
	}
	if err := json.Unmarshal(b, &claims); err != nil || claims.JTI == "" {
		return "", fmt.Errorf("a token without jti: %w", err)
	}
	return claims.JTI, nil
}

// draft is the write that makes a connection of a new name.
func (c *caller) draft() write {
	name := fmt.Sprintf("w-%d-%d", c.l.serial.Add(1), rand.Uint32())
	body, _ := json.Marshal(map[string]any{
		"name": name, "provider": "generic_jwt", "issuer_url": "https://idp.example.com/" + name,
		"conditions": []map[string]any{
			{"claim": "aud", "operator": "equals", "value": c.s.issuer}, {"claim": "sub", "operator": "equals", "value": "job"},
		},
	})
	return write{Key: "draft-" + name, Method: http.MethodPost, Path: "/connections", Body: body, Name: name}
}

// edit is a write on a connection that a draft was acknowledged for.
func (c *caller) edit(w write) write {
	var spec map[string]any
	_ = json.Unmarshal(w.Body, &spec)
	spec["description"] = "edited"
	body, _ := json.Marshal(spec)
	return write{Key: "edit-" + w.Name, Method: http.MethodPut, Path: "/connections/" + w.Name, Match: w.Version, Body: body, Name: w.Name}
}

// send sends a write once. A write that is not answered is unclear: it is kept to be repeated.
func (c *caller) send(ctx context.Context, w write) (write, error) {
	req, err := http.NewRequestWithContext(ctx, w.Method, c.s.issuer+"/v1"+w.Path, bytes.NewReader(w.Body))
	if err != nil {
		return w, err
	}
	req.Header.Set("Authorization", "Bearer "+c.s.tokens["dana"])
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", w.Key)
	req.Header.Set("X-Forwarded-For", from())
	if w.Match != "" {
		req.Header.Set("If-Match", `"`+w.Match+`"`)
	}
	status, body, header, err := c.do(req)
	var doc struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(body, &doc)
	w.Status = status
	c.l.mu.Lock()
	if err != nil || status == http.StatusServiceUnavailable {
		c.l.unclear = append(c.l.unclear, w)
	}
	c.l.mu.Unlock()
	if err != nil {
		return w, err
	}
	c.l.count(status, doc.Code)
	if status >= 300 {
		c.shed(status, header)
		if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
			return w, fmt.Errorf("%s %s answered %d: %s", w.Method, w.Path, status, body)
		}
		return w, nil
	}
	if w.At, err = domain.ParsePosition(header.Get("Sallyport-Position")); err != nil {
		return w, fmt.Errorf("%s %s answered no position: %w", w.Method, w.Path, err)
	}
	w.Version = strings.Trim(header.Get("ETag"), `"`)
	c.l.mu.Lock()
	c.l.written = append(c.l.written, w)
	c.l.mu.Unlock()
	return w, nil
}

// work asks from so many callers, each as fast as it is answered, until ctx
// ends; what is on its way then is waited for. An answer that must not be is an
// error; no answer and 503 are not.
func (c *caller) work(ctx context.Context, callers int) error {
	errs := make(chan error, callers)
	for range callers {
		go func() { errs <- c.loop(ctx) }()
	}
	var all error
	for range callers {
		all = errors.Join(all, <-errs)
	}
	return all
}

func (c *caller) loop(until context.Context) error {
	ctx := context.WithoutCancel(until)
	for n := 1; until.Err() == nil; n++ {
		var status int
		var err error
		if c.writes > 0 && n%c.writes == 0 {
			var w write
			if w, err = c.send(ctx, c.draft()); err == nil && w.Status == http.StatusCreated {
				w, err = c.send(ctx, c.edit(w))
			}
			status = w.Status
		} else {
			status, err = c.exchange(ctx)
		}
		switch {
		case errors.Is(err, errNoAnswer), status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
			breathe(until, 10*time.Millisecond)
		case err != nil:
			return err
		case status >= 400:
			return fmt.Errorf("an exchange was answered %d: %v", status, c.l.statuses())
		}
	}
	return nil
}

// breathe lets time pass, or ctx end.
func breathe(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// repeat sends every unclear write again under its key until it is answered,
// and returns how many of them had been stored before: those whose event is not
// after the end that the log had.
func (c *caller) repeat(ctx context.Context, end domain.Position) (stored, all int, err error) {
	c.l.mu.Lock()
	unclear := c.l.unclear
	c.l.unclear = nil
	c.l.mu.Unlock()
	for _, w := range unclear {
		w.At, w.Version = domain.Position{}, ""
		for {
			got, err := c.send(ctx, w)
			if err == nil && got.Status < 300 {
				if !end.Less(got.At) {
					stored++
				}
				break
			}
			if ctx.Err() != nil || err != nil && !errors.Is(err, errNoAnswer) {
				return stored, len(unclear), fmt.Errorf("repeating %s: %w", w.Key, errors.Join(err, ctx.Err()))
			}
			c.l.mu.Lock()
			c.l.unclear = nil // it is this one, and is sent again now
			c.l.mu.Unlock()
			breathe(ctx, 50*time.Millisecond)
		}
	}
	return stored, len(unclear), nil
}
