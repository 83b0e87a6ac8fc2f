package notify

import "github.com/wneessen/go-mail"

// Compose is the message for one person.
func Compose(to Mail, m Message, p Person) (*mail.Msg, error) {
	mailer, err := newMailer(to)
	if err != nil {
		return nil, err
	}
	return mailer.compose(m, p)
}
