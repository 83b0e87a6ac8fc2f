package notify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sallyport.dev/domain"
	"sallyport.dev/domain/notification"
	"sallyport.dev/domain/request"
	"sallyport.dev/handlers/notify"
)

func TestTheWebhookIsToldWhatAnApproverHasToKnow(t *testing.T) {
	o, v := open(t), newReceiver(t)
	o.notify(notify.Options{Webhook: v.webhook()})
	id := o.raise("alice", "the disk of db-1 fills up")
	p := v.told(t, 1)[0]
	if err := verify(t, p); err != nil {
		t.Errorf("the signature: %v", err)
	}
	doc := p.doc(t)
	var until time.Time
	o.Read(requested(id, func(r request.Request) { until = r.Until }))
	want := notify.Data{
		Org: "default", Request: id, Requester: "alice", RequestType: "join-dba", Group: "dba", Justification: "the disk of db-1 fills up",
		Until: until, Step: 1, StepName: "first", ExpiresAt: doc.Data.ExpiresAt, Recipients: []domain.Name{"bob", "carol"},
		Link: "https://sallyport.example/console/orgs/default/requests/" + id, Command: "sallyport request approve " + id,
	}
	if diff := cmp.Diff(want, doc.Data); diff != "" {
		t.Errorf("-want +told:\n%s", diff)
	}
	if doc.Type != "request.raised" || doc.Timestamp.IsZero() || doc.Data.ExpiresAt.IsZero() {
		t.Errorf("told %s at %s, to be decided by %s", doc.Type, doc.Timestamp, doc.Data.ExpiresAt)
	}
	wait(t, "the outcome is recorded", func() bool { return slices.Equal(o.outcomes(), []string{"begun", "sent"}) })
	for _, e := range o.Events() {
		if b, ok := e.Event.(notification.WasBegun); ok && (b.Recipients != 2 || e.Actor != "system:notify") {
			t.Errorf("recorded is %+v by %s", b, e.Actor)
		}
		if strings.HasPrefix(e.Type, "notification.") && strings.Contains(string(e.Data), "disk") {
			t.Errorf("%s says what was told: %s", e.Type, e.Data)
		}
	}
}

// The signature is what the specification says, computed by hand.
func TestTheSignatureIsThatOfStandardWebhooks(t *testing.T) {
	o, v := open(t), newReceiver(t)
	o.notify(notify.Options{Webhook: v.webhook()})
	o.raise("alice", "because")
	p := v.told(t, 1)[0]
	id, at := p.header.Get("webhook-id"), p.header.Get("webhook-timestamp")
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "." + string(p.body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); p.header.Get("webhook-signature") != want {
		t.Errorf("signed %q, want %q", p.header.Get("webhook-signature"), want)
	}
	if len(p.body) > 20<<10 || p.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d bytes of %s", len(p.body), p.header.Get("Content-Type"))
	}
	for _, change := range []func(*post){
		func(p *post) { p.body = append([]byte(" "), p.body...) },
		func(p *post) { p.header.Set("webhook-id", "other") },
		func(p *post) { p.header.Set("webhook-timestamp", "1700000000") }, // replayed, years later
	} {
		forged := post{p.header.Clone(), slices.Clone(p.body)}
		change(&forged)
		if verify(t, forged) == nil {
			t.Errorf("verified though changed: %v %s", forged.header, forged.body)
		}
	}
}

// While the secret is changed both sign, so that a receiver may change over at any moment.
func TestTwoSecretsBothSign(t *testing.T) {
	o, v := open(t), newReceiver(t)
	other := notify.NewSecret()
	to := v.webhook()
	to.Secret = domain.NewSecret(other.Reveal() + "\n" + secret + "\n")
	o.notify(notify.Options{Webhook: to})
	o.raise("alice", "because")
	p := v.told(t, 1)[0]
	if err := verify(t, p); err != nil {
		t.Errorf("by the old one: %v", err)
	}
	w, err := standardwebhooks.NewWebhook(other.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Verify(p.body, p.header); err != nil {
		t.Errorf("by the new one: %v", err)
	}
	if got := strings.Fields(p.header.Get("webhook-signature")); len(got) != 2 {
		t.Errorf("signatures are %q", got)
	}
	to.Secret = domain.NewSecret(secret + " " + secret + " " + secret)
	if _, err := notify.New(notify.Options{Webhook: to}, time.Now); err == nil || strings.Contains(err.Error(), "whsec_MfKQ") {
		t.Errorf("three secrets: %v", err)
	}
}

// Each fact reaches those whom it concerns, once, in the order of things.
func TestEveryStepOfARequestIsToldToThoseItConcerns(t *testing.T) {
	o, v := open(t), newReceiver(t)
	o.notify(notify.Options{Webhook: v.webhook()})
	id := o.raise("alice", "because")
	v.told(t, 1)
	o.answer("bob", id, request.Approved, "")
	v.told(t, 2)
	o.answer("dan", id, request.Approved, "go on")
	v.told(t, 3)
	second := o.raise("bob", "me too")
	v.told(t, 4)
	o.answer("carol", second, request.Denied, "not today")
	posts := v.told(t, 5)
	type told struct {
		Type, By, Comment string
		To                []domain.Name
	}
	var got []told
	for _, p := range posts {
		d := p.doc(t)
		got = append(got, told{d.Type, d.Data.DecidedBy, d.Data.Comment, d.Data.Recipients})
	}
	want := []told{
		{"request.raised", "", "", []domain.Name{"bob", "carol"}},
		{"request.step_opened", "", "", []domain.Name{"dan"}},
		{"request.approved", "dan", "go on", []domain.Name{"alice"}},
		{"request.raised", "", "", []domain.Name{"carol"}},
		{"request.denied", "carol", "not today", []domain.Name{"bob"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +told:\n%s", diff)
	}
	wait(t, "all outcomes are recorded", func() bool { return len(o.outcomes()) == 10 })
}

func TestATryThatFailsIsMadeAgainAndSignedAnew(t *testing.T) {
	o, v := open(t), newReceiver(t)
	v.say = func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 0 {
			o.Advance(time.Minute) // so that the time of the second signature is another
		}
		w.WriteHeader([]int{500, 429, 302, 204}[n])
	}
	o.notify(notify.Options{Webhook: v.webhook(), Pauses: quick})
	o.raise("alice", "because")
	posts := v.told(t, 4)
	for i, p := range posts {
		if verify(t, p) != nil || p.header.Get("webhook-id") != posts[0].header.Get("webhook-id") {
			t.Errorf("try %d: %v", i, p.header)
		}
	}
	if posts[0].header.Get("webhook-timestamp") == posts[1].header.Get("webhook-timestamp") {
		t.Error("the second try has the time of the first")
	}
	wait(t, "the outcome is recorded", func() bool { return slices.Equal(o.outcomes(), []string{"begun", "sent"}) })
}

func TestAfterFiveTriesItIsGivenUp(t *testing.T) {
	for name, tt := range map[string]struct {
		say    func(int, http.ResponseWriter, *http.Request)
		reason string
	}{
		"a server in trouble": {func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "status_502"},
		"a redirect": {func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "redirect"},
		"one that hangs up": {func(_ int, w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, "unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			o, v := open(t), newReceiver(t)
			v.say = tt.say
			o.notify(notify.Options{Webhook: v.webhook(), Pauses: quick})
			o.raise("alice", "because")
			wait(t, "it is given up", func() bool { return slices.Equal(o.outcomes(), []string{"begun", "failed " + tt.reason}) })
			if v.count() != 5 {
				t.Errorf("it was tried %d times, want 5", v.count())
			}
		})
	}
}

func TestSlackAndTeamsAreToldInTheirOwnForm(t *testing.T) {
	const nasty = "<!channel> *bold* [here](https://evil.example)\r\nWho: bob"
	for _, format := range []notify.Format{notify.Slack, notify.Teams} {
		t.Run(string(format), func(t *testing.T) {
			o, v := open(t), newReceiver(t)
			to := v.webhook()
			to.Format, to.Secret = format, domain.Secret{}
			o.notify(notify.Options{Webhook: to})
			id := o.raise("alice", nasty)
			p := v.told(t, 1)[0]
			if p.header.Get("webhook-signature") != "" {
				t.Error("it is signed with nothing")
			}
			var doc map[string]any
			if err := json.Unmarshal(p.body, &doc); err != nil {
				t.Fatal(err)
			}
			markup := map[string]bool{"mrkdwn": true, "TextBlock": true}
			var texts []string
			walk(doc, func(m map[string]any) {
				typ, _ := m["type"].(string)
				if text, ok := m["text"].(string); ok {
					if texts = append(texts, text); markup[typ] && strings.Contains(text, "evil") {
						t.Errorf("what somebody wrote is read as markup: %v", m)
					}
				}
			})
			all := strings.Join(texts, "\n")
			for _, want := range []string{"alice asks for membership of group dba", `[here](https://evil.example)\r\nWho: bob`, "bob, carol", "sallyport request approve " + id} {
				if !strings.Contains(all, want) {
					t.Errorf("nothing says %q:\n%s", want, all)
				}
			}
			if !strings.Contains(string(p.body), "/console/orgs/default/requests/"+id) {
				t.Error("there is no link")
			}
			if format == notify.Slack && (doc["text"] != "alice asks for membership of group dba" || doc["blocks"] == nil) {
				t.Errorf("Slack is told %v", doc["text"])
			}
			if format == notify.Teams && doc["type"] != "message" {
				t.Errorf("Teams is told %v", doc["type"])
			}
		})
	}
}

// walk visits every object of a document.
func walk(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, x := range v {
			walk(x, f)
		}
	case []any:
		for _, x := range v {
			walk(x, f)
		}
	}
}

func TestDurationsAreToldAsPeopleDo(t *testing.T) {
	for seconds, want := range map[int]string{45: "45s", 60: "1m", 3600: "1h", 5400: "1h30m", 3661: "1h1m1s", 86400: "24h"} {
		if got := notify.Period(seconds); got != want {
			t.Errorf("%d seconds are %s, want %s", seconds, got, want)
		}
	}
}
