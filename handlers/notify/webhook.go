package notify

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sallyport.dev/domain"
	"sallyport.dev/domain/notification"
	"sallyport.dev/handlers/jose"
)

// Format is what the body of a webhook looks like.
type Format string

const (
	JSON  Format = "json"  // our own, see docs/howto-notifications.md
	Slack Format = "slack" // what Slack's incoming webhooks take
	Teams Format = "teams" // what Microsoft Teams' workflows take
)

// Formats lists every format.
func Formats() []Format { return []Format{JSON, Slack, Teams} }

// Webhook is one address that is told of every notice.
type Webhook struct {
	// URL is where notices are posted. It may itself be a secret, as Slack's and
	// Teams' are, and is in no log, event or metric.
	URL string
	// Secret signs, as "whsec_" and base64 of 24 to 64 bytes. While it is changed
	// there are two, separated by white space, and both sign. The zero value signs
	// nothing, which Slack and Teams do not look at anyway.
	Secret domain.Secret
	Format Format
}

// signers are of each secret. The error does not quote any.
func signers(s domain.Secret) (all []*standardwebhooks.Webhook, err error) {
	for _, one := range strings.Fields(s.Reveal()) {
		text, prefixed := strings.CutPrefix(one, "whsec_")
		key, err := base64.StdEncoding.DecodeString(text)
		if !prefixed || err != nil || len(key) < 24 || len(key) > 64 || len(all) == 2 {
			return nil, errors.New("the secret of the webhook is not whsec_ and the base64 of 24 to 64 random bytes, once or twice; `printf whsec_; openssl rand -base64 32` makes one")
		}
		w, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, errors.New("the secret of the webhook cannot be used")
		}
		all = append(all, w)
	}
	return all, nil
}

// NewSecret is a new secret for a webhook.
func NewSecret() domain.Secret {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return domain.NewSecret("whsec_" + base64.StdEncoding.EncodeToString(key))
}

const (
	// webhookTimeout is how long an address may take to answer.
	webhookTimeout = 10 * time.Second
	// maxAnswer is how much of an answer is read, for the sake of good manners. It is shown nowhere.
	maxAnswer = 4 << 10
	// maxRetryAfter bounds what an address may ask for.
	maxRetryAfter = 2 * time.Minute
)

// webhook posts notices.
type webhook struct {
	to      Webhook
	gate    jose.Gate
	client  *http.Client
	signers []*standardwebhooks.Webhook // none: it is not signed
	now     func() time.Time
}

func newWebhook(to Webhook, g jose.Gate, r jose.Resolver, now func() time.Time) (*webhook, error) {
	client, err := jose.NewClient(g, r, webhookTimeout)
	if err != nil {
		return nil, err
	}
	by, err := signers(to.Secret)
	if err != nil {
		return nil, err
	}
	return &webhook{to: to, gate: g, client: client, signers: by, now: now}, nil
}

func (w *webhook) name() notification.Channel { return notification.Webhook }

// reaches is whoever is named, and the address itself where nobody is.
func (w *webhook) reaches(people []Person) (to []Person, somebody bool) { return people, true }

// send posts the message once, signed anew. An answer that is not 2xx is a
// failure, a redirect too.
func (w *webhook) send(ctx context.Context, m Message) (told []domain.Name, err error) {
	if err := w.post(ctx, m); err != nil {
		return nil, err
	}
	return m.Data.Recipients, nil
}

func (w *webhook) post(ctx context.Context, m Message) error {
	body, err := w.body(m)
	if err != nil {
		return problem{reason: "encoding", cause: err}
	}
	if err := w.gate.CheckURL(w.to.URL); err != nil {
		return problem{reason: "address_refused", cause: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.to.URL, bytes.NewReader(body))
	if err != nil {
		return problem{reason: "address_refused"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "sallyport")
	at := w.now()
	req.Header.Set(standardwebhooks.HeaderWebhookID, m.ID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	var signatures []string
	for _, signer := range w.signers {
		signature, err := signer.Sign(m.ID, at, body)
		if err != nil {
			return problem{reason: "signing"}
		}
		signatures = append(signatures, signature)
	}
	if len(signatures) > 0 {
		req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return unreached(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // what it says is nobody's business
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return problem{reason: "status_" + strconv.Itoa(resp.StatusCode), after: retryAfter(resp)}
	}
	return nil
}

// body is the message in the webhook's format.
func (w *webhook) body(m Message) ([]byte, error) {
	switch w.to.Format {
	case Slack:
		return slack(m)
	case Teams:
		return teams(m)
	}
	return document(m)
}

// problem is why a try failed, as a code that may be recorded.
type problem struct {
	reason string
	after  time.Duration // not before that is it to be tried again
	cause  error         // for the log; it never names the address
}

func (p problem) Error() string {
	if p.cause != nil {
		return p.reason + ": " + p.cause.Error()
	}
	return p.reason
}

// unreached is why there was no answer. The error of net/http names the URL,
// which is why it is not passed on.
func unreached(err error) error {
	var refused *jose.Refusal
	var network interface{ Timeout() bool }
	switch {
	case errors.As(err, &refused) && refused.Reason == "redirect_refused":
		return problem{reason: "redirect"}
	case errors.As(err, &refused):
		return problem{reason: "address_refused", cause: errors.New(refused.Message)}
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return problem{reason: "timeout"}
	}
	var named *url.Error
	if errors.As(err, &named) {
		err = named.Err
	}
	return problem{reason: "unreachable", cause: err}
}

// retryAfter is how long a busy address asks us to wait, in seconds, within reason.
func retryAfter(r *http.Response) time.Duration {
	if r.StatusCode != http.StatusTooManyRequests && r.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	n, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(min(n, 3600))*time.Second, maxRetryAfter)
}
