package notify

import (
	"context"
	"time"

	"github.com/wneessen/go-mail"

	"sallyport.dev/domain"
	"sallyport.dev/domain/notification"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation"
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

// Stuck is a notifier whose one channel never returns before released, whatever
// becomes of its context. Each send is told on asked.
func Stuck(asked chan<- struct{}, released <-chan struct{}) *Notifier {
	return &Notifier{opt: Options{Pauses: pauses}, channels: []channel{stuck{asked, released}}}
}

type stuck struct {
	asked    chan<- struct{}
	released <-chan struct{}
}

func (stuck) name() notification.Channel               { return notification.Webhook }
func (stuck) reaches(people []Person) ([]Person, bool) { return people, true }

func (s stuck) send(context.Context, Message) ([]domain.Name, error) {
	s.asked <- struct{}{}
	<-s.released
	return nil, nil
}

// Leave ends a notifier that has sent a notice and not recorded it.
func Leave(ctx context.Context, o *organisation.Organisation, sent notification.Notice) {
	d := (&Notifier{opt: Options{Pauses: pauses}}).desk(o, stuck{})
	d.outcomes <- notification.Finish{Notice: sent, Channel: notification.Webhook, Tries: 1}
	d.run(ctx)
}

// Period is how messages tell seconds.
func Period(seconds int) string { return period(seconds) }
