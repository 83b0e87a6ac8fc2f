package notify

import (
	"context"
	"time"

	"github.com/wneessen/go-mail"

	"sallyport.dev/handlers/jose"
)

// Compose is the message for one person.
func Compose(to Mail, m Message, p Person) (*mail.Msg, error) {
	mailer, err := newMailer(to)
	if err != nil {
		return nil, err
	}
	return mailer.compose(m, p)
}

// Post posts a message once.
func Post(ctx context.Context, to Webhook, g jose.Gate, r jose.Resolver, m Message) error {
	w, err := newWebhook(to, g, r, time.Now)
	if err != nil {
		return err
	}
	return w.post(ctx, m)
}
