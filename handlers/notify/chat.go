package notify

import (
	"encoding/json"
	"strings"
)

// maxChatText is how much of one thing that somebody wrote a chat is shown: Slack
// refuses a field of more than 2000 characters, and escapes make it longer.
const maxChatText = 1200

// slackText keeps Slack from reading markup, mentions and links into text that
// somebody wrote: its three control characters are escaped, as its documentation asks.
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// obj is a JSON object of somebody else's making.
type obj map[string]any

// slack is the body for an incoming webhook of Slack: text for the notification,
// blocks for the message. What people wrote is plain_text, which has no markup.
func slack(m Message) ([]byte, error) {
	plain := func(s string) obj { return obj{"type": "plain_text", "text": s, "emoji": false} }
	var lines []string
	for _, f := range m.facts() {
		lines = append(lines, f.name+": "+shortened(f.value, maxChatText))
	}
	blocks := []obj{
		{"type": "section", "text": plain(m.Title)},
		{"type": "section", "text": plain(shortened(strings.Join(lines, "\n"), 2900))},
	}
	if to := m.names(); to != "" {
		blocks = append(blocks, obj{"type": "context", "elements": []obj{plain(shortened("For "+to, 1900))}})
	}
	if m.Data.Command != "" {
		blocks = append(blocks, obj{"type": "context", "elements": []obj{plain(m.Data.Command)}})
	}
	if m.Data.Link != "" {
		blocks = append(blocks, obj{"type": "actions", "elements": []obj{
			{"type": "button", "text": plain("Open"), "url": m.Data.Link},
		}})
	}
	return json.Marshal(obj{"text": slackText.Replace(m.Title), "blocks": blocks})
}

// teams is the body for a workflow of Microsoft Teams: a message with one
// Adaptive Card. All text is in runs of a RichTextBlock, which have no markup.
func teams(m Message) ([]byte, error) {
	var runs []obj
	for i, f := range m.facts() {
		name := f.name
		if i > 0 {
			name = "\n" + name
		}
		runs = append(runs, obj{"type": "TextRun", "text": name + ": ", "weight": "Bolder"}, obj{"type": "TextRun", "text": shortened(f.value, maxChatText)})
	}
	body := []obj{
		{"type": "RichTextBlock", "inlines": []obj{{"type": "TextRun", "text": m.Title, "weight": "Bolder"}}},
		{"type": "RichTextBlock", "inlines": runs},
	}
	if to := m.names(); to != "" {
		body = append(body, obj{"type": "RichTextBlock", "inlines": []obj{{"type": "TextRun", "text": shortened("For "+to, 1900), "isSubtle": true}}})
	}
	if m.Data.Command != "" {
		body = append(body, obj{"type": "RichTextBlock", "inlines": []obj{{"type": "TextRun", "text": m.Data.Command, "fontType": "Monospace"}}})
	}
	card := obj{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body}
	if m.Data.Link != "" {
		card["actions"] = []obj{{"type": "Action.OpenUrl", "title": "Open", "url": m.Data.Link}}
	}
	return json.Marshal(obj{"type": "message", "attachments": []obj{
		{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": card},
	}})
}
