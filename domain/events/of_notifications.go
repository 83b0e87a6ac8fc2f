package events

import (
	"fmt"

	"sallyport.dev/domain"
	"sallyport.dev/domain/notification"
)

// ofNotifications is the types of what people were told.
func ofNotifications() []definition {
	return []definition{
		control("notification.begun", func(e notification.WasBegun, v domain.Envelope) string {
			return fmt.Sprintf("%s begins to tell %s of %s of %s by %s", v.Actor, people(e.Recipients), e.Of, e.About, e.Channel)
		}),
		control("notification.sent", func(e notification.WasSent, v domain.Envelope) string {
			return fmt.Sprintf("%s told people of %s of %s by %s", v.Actor, e.Of, e.About, e.Channel)
		}),
		control("notification.failed", func(e notification.HasFailed, v domain.Envelope) string {
			return fmt.Sprintf("%s gave up telling people of %s of %s by %s after %d tries: %s", v.Actor, e.Of, e.About, e.Channel, e.Tries, e.Reason)
		}).outcome(func(domain.Event) string { return Failed }),
	}
}

// people counts them.
func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}
