package events_test

import "sallyport.dev/domain/notification"

func examplesOfNotifications() map[string]example {
	const id = "01KASE0000000000000000000N"
	const subject, actor, about = "notification/" + id, "system:notify", "request/01KASE0000000000000000000R"
	return map[string]example{
		"notification.begun": {subject: subject, actor: actor,
			event:   notification.WasBegun{Notice: id, Of: "request.raised", About: about, Channel: notification.Email, Recipients: 2},
			summary: "system:notify begins to tell 2 people of request.raised of " + about + " by email"},
		"notification.sent": {subject: subject, actor: actor,
			event:   notification.WasSent{Notice: id, Of: "request.raised", About: about, Channel: notification.Webhook, Tries: 1},
			summary: "system:notify told people of request.raised of " + about + " by webhook"},
		"notification.failed": {subject: subject, actor: actor, outcome: "failed",
			event:   notification.HasFailed{Notice: id, Of: "request.raised", About: about, Channel: notification.Webhook, Tries: 5, Reason: "timeout"},
			summary: "system:notify gave up telling people of request.raised of " + about + " by webhook after 5 tries: timeout"},
	}
}
