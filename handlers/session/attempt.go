package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
)

// AttemptLife is how long somebody may take to prove who they are.
const AttemptLife = 10 * time.Minute

// ErrAttempt means that there is no such attempt: it took too long, was finished
// before, or was begun in another browser.
var ErrAttempt = &domain.Error{Kind: domain.KindUnknownUser, Code: "sign_in.expired",
	Message: "This sign-in was not begun in this browser, took longer than ten minutes, or is done already: begin again."}

// attempt is something begun in one browser that ends there, once.
type attempt struct {
	Kind  string          `json:"kind"`
	Until time.Time       `json:"until"`
	Data  json.RawMessage `json:"data"`
}

// Begin keeps what has to be known when somebody comes back with a proof of who
// they are, and gives the cookie by which their browser finds it again. The kind
// tells attempts of different methods apart.
func (m *Manager) Begin(ctx context.Context, kind string, data any) (cookie string, err error) {
	a := attempt{Kind: kind, Until: m.now().Add(AttemptLife)}
	if a.Data, err = json.Marshal(data); err != nil {
		return "", fmt.Errorf("encoding an attempt: %w", err)
	}
	b, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("encoding an attempt: %w", err)
	}
	cookie = newCookie()
	return cookie, m.bucket.Create(ctx, ofAttempts+"."+hash(cookie), b, AttemptLife)
}

// Finish reads what was kept under the cookie into data, a pointer, and ends the
// attempt, whatever comes of it: of all who come with the cookie one gets it, the
// others [ErrAttempt].
func (m *Manager) Finish(ctx context.Context, kind, cookie string, data any) error {
	if !cookieForm.MatchString(cookie) {
		return ErrAttempt
	}
	key := ofAttempts + "." + hash(cookie)
	b, revision, err := m.bucket.Get(ctx, key)
	if err == nil {
		err = m.bucket.Take(ctx, key, revision)
	}
	if errors.Is(err, streams.ErrNoKey) || errors.Is(err, streams.ErrKeyMoved) {
		return ErrAttempt
	}
	if err != nil {
		return err
	}
	var a attempt
	if err := json.Unmarshal(b, &a); err != nil {
		return fmt.Errorf("reading an attempt: %w", err)
	}
	if a.Kind != kind || !m.now().Before(a.Until) {
		return ErrAttempt
	}
	return json.Unmarshal(a.Data, data)
}
