package streams_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

func TestCommitIsTheRecord(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx := withTimeout(t)
	m := meta
	m.Idempotency = &domain.Idempotency{Key: "k", Request: "r"}
	facts := append(switched(true), domain.Fact{Subject: "toy/switch", Event: wasSwitched{On: false}, Actor: "somebody-else"})
	at := must[domain.Position](t)(f.Journal.Commit(ctx, 0, m, facts))
	if want := (domain.Position{Sequence: 1, Index: 1}); at != want {
		t.Fatalf("Commit = %v, want %v", at, want)
	}
	all := streamstest.All(t, f.Journal)
	if len(all) != 1 || !all[0].Control || all[0].Sequence != 1 || len(all[0].Events) != 2 {
		t.Fatalf("the log has %+v, want one control commit of two events", all)
	}
	first, second := all[0].Events[0], all[0].Events[1]
	if first.Event != (wasSwitched{On: true}) || second.Event != (wasSwitched{On: false}) {
		t.Errorf("events = %v, %v", first.Event, second.Event)
	}
	if first.Actor != "tess" || second.Actor != "somebody-else" || first.RequestID != "r1" || first.Source != streamstest.Source || !first.Time.Equal(meta.Now) {
		t.Errorf("first = %+v, second = %+v", first, second)
	}
	if first.Idempotency == nil || *first.Idempotency != *m.Idempotency {
		t.Errorf("idempotency = %v, want %v", first.Idempotency, m.Idempotency)
	}
	if first.ID >= second.ID || first.CommitID != all[0].ID || first.CommitID >= first.ID {
		t.Errorf("ids do not rise: commit %s, events %s %s", all[0].ID, first.ID, second.ID)
	}
	if first.Position != (domain.Position{Sequence: 1}) || second.Position != at {
		t.Errorf("positions = %v, %v", first.Position, second.Position)
	}
}

// What has to name its event before that is recorded brings the event's id.
func TestAFactMayBringTheIDOfItsEvent(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx := withTimeout(t)
	const id = "01KASE00000000000000000000"
	must[domain.Position](t)(f.Journal.Commit(ctx, 0, meta, []domain.Fact{{Event: wasSwitched{On: true}, ID: id}, {Event: wasSwitched{On: false}}}))
	if all := streamstest.All(t, f.Journal); len(all) != 1 || all[0].Events[0].ID != id || len(all[0].Events[1].ID) != 26 || all[0].Events[1].ID == id {
		t.Errorf("the log has %+v", all)
	}
}

func TestCommitRefused(t *testing.T) {
	big := wasIssued{Name: strings.Repeat("x", domain.MaxEventBytes)}
	half := domain.Fact{Event: wasIssued{Name: strings.Repeat("x", domain.MaxEventBytes-1000)}}
	var many []domain.Fact
	for range 12 {
		many = append(many, half)
	}
	for _, tt := range []struct {
		name  string
		after uint64
		meta  domain.Meta
		facts []domain.Fact
		is    error
		kind  domain.Kind
	}{
		{name: "behind the log", after: 0, meta: meta, facts: switched(true), is: streams.ErrConflict},
		{name: "ahead of the log", after: 2, meta: meta, facts: switched(true), is: streams.ErrConflict},
		{name: "an event too large", after: 1, meta: meta, facts: []domain.Fact{{Event: big}}, kind: domain.KindInvalid},
		{name: "a commit too large", after: 1, meta: meta, facts: many, kind: domain.KindInvalid},
		{name: "no facts", after: 1, meta: meta},
		{name: "no actor", after: 1, meta: domain.Meta{Now: meta.Now}, facts: switched(true)},
		{name: "an id that is no ULID", after: 1, meta: meta, facts: []domain.Fact{{Event: wasSwitched{On: true}, ID: "mine"}}},
		{name: "an id in another case", after: 1, meta: meta, facts: []domain.Fact{{Event: wasSwitched{On: true}, ID: "01kase00000000000000000000"}}},
		{name: "an id beyond its time", after: 1, meta: meta, facts: []domain.Fact{{Event: wasSwitched{On: true}, ID: "81KASE00000000000000000000"}}},
		{name: "no time", after: 1, meta: domain.Meta{Actor: meta.Actor}, facts: switched(true)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := streamstest.New(t, toys{})
			ctx := withTimeout(t)
			must[domain.Position](t)(f.Journal.Commit(ctx, 0, meta, switched(true)))
			_, err := f.Journal.Commit(ctx, tt.after, tt.meta, tt.facts)
			if err == nil {
				t.Fatal("Commit was not refused")
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("err = %v, want %v", err, tt.is)
			}
			var de *domain.Error
			if tt.kind != 0 && (!errors.As(err, &de) || de.Kind != tt.kind) {
				t.Errorf("err = %v, want kind %d", err, tt.kind)
			}
			if n := len(streamstest.All(t, f.Journal)); n != 1 {
				t.Errorf("the log has %d commits, want 1", n)
			}
		})
	}
}

func TestPositionsThroughTheLeader(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx := withTimeout(t)
	check := func(control, last uint64) {
		t.Helper()
		if got := must[uint64](t)(f.Journal.LastControl(ctx)); got != control {
			t.Errorf("LastControl = %d, want %d", got, control)
		}
		if got := must[uint64](t)(f.Journal.Last(ctx)); got != last {
			t.Errorf("Last = %d, want %d", got, last)
		}
	}
	check(0, 0)
	w := follow(t, f.Journal)
	w.turn(t, true)
	must[domain.Position](t)(w.committer.Record(ctx, meta, issue("a", "")))
	check(1, 2)

	all := streamstest.All(t, f.Journal)
	if all[0].Control != true || all[1].Control != false {
		t.Errorf("the log has %+v, want control, then activity", all)
	}
	if got := must[uint64](t)(f.Journal.SequenceAt(ctx, time.Now().Add(time.Hour))); got != 2 {
		t.Errorf("SequenceAt in an hour = %d, want 2", got)
	}
	if got := must[uint64](t)(f.Journal.SequenceAt(ctx, time.Now().Add(-time.Hour))); got != 0 {
		t.Errorf("SequenceAt an hour ago = %d, want 0", got)
	}
}

func TestSequenceAtATimeBetweenCommits(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx := withTimeout(t)
	if got := must[uint64](t)(f.Journal.SequenceAt(ctx, time.Now())); got != 0 {
		t.Errorf("in an empty log: %d, want 0", got)
	}
	fill(t, f.Journal, 5)
	stored := rawMessage(t, f, 3).Time
	for _, tt := range []struct {
		name string
		at   time.Time
		want uint64
	}{
		{"when the third was stored", stored, 2},
		{"just after the third was stored", stored.Add(time.Nanosecond), 3},
		{"elsewhere in the world", stored.Add(time.Nanosecond).In(time.FixedZone("", 7200)), 3},
	} {
		if got := must[uint64](t)(f.Journal.SequenceAt(ctx, tt.at)); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestReplayControlLeavesActivityOut(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx := withTimeout(t)
	if head := must[domain.Head](t)(f.Journal.ReplayControl(ctx, nil)); head != (domain.Head{}) {
		t.Errorf("head of an empty log = %v", head)
	}
	w := follow(t, f.Journal)
	after := uint64(0)
	for range 300 {
		after = must[domain.Position](t)(f.Journal.Commit(ctx, after, meta, switched(true))).Sequence
	}
	ok(t, w.state.Wait(ctx, after))
	must[domain.Position](t)(w.committer.Record(ctx, meta, issue("a", "")))
	after = must[domain.Position](t)(f.Journal.Commit(ctx, after, meta, switched(false))).Sequence
	must[domain.Position](t)(f.Journal.Commit(ctx, after, meta, switched(true)))
	ok(t, w.state.Wait(ctx, 303))
	must[domain.Position](t)(w.committer.Record(ctx, meta, issue("b", "")))

	var got []uint64
	head := must[domain.Head](t)(f.Journal.ReplayControl(ctx, func(cs []domain.Commit) error {
		for _, c := range cs {
			got = append(got, c.Sequence)
		}
		return nil
	}))
	if want := (domain.Head{Control: 303, Stream: 304}); head != want {
		t.Errorf("head = %v, want %v", head, want)
	}
	if len(got) != 302 || got[299] != 300 || got[300] != 302 || got[301] != 303 {
		t.Errorf("replayed %d commits, the last of them %v", len(got), got[max(0, len(got)-3):])
	}
	stop := errors.New("enough")
	if _, err := f.Journal.ReplayControl(ctx, func([]domain.Commit) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("err = %v, want %v", err, stop)
	}
}

func TestReplayActivityReadsOnlyWhatIsWanted(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx := withTimeout(t)
	w := follow(t, f.Journal)
	w.turn(t, true)
	for i := range 300 { // in commits of their own: each waits for the one before
		must[domain.Position](t)(w.committer.Record(ctx, meta, issue("token-"+strconv.Itoa(i), "")))
	}
	w.turn(t, false)
	last := must[uint64](t)(f.Journal.Last(ctx))
	for _, tt := range []struct {
		name        string
		after, upTo uint64
		of          string
		want        []uint64
	}{
		{"one of all", 0, last, "token-7\"", []uint64{9}},
		{"some", 0, last, "token-29", []uint64{31, 292, 293, 294, 295, 296, 297, 298, 299, 300, 301}},
		{"those behind a place", 292, last, "token-29", []uint64{293, 294, 295, 296, 297, 298, 299, 300, 301}},
		{"those before a place", 0, 292, "token-29", []uint64{31, 292}},
		{"never control", 0, last, "toy.switched", nil},
		{"nothing of nothing", last, last, "", nil},
		{"nothing that is over", last, 3, "", nil},
	} {
		var got []uint64
		err := f.Journal.ReplayActivity(ctx, tt.after, tt.upTo,
			func(body []byte) bool { return bytes.Contains(body, []byte(tt.of)) },
			func(cs []domain.Commit) error {
				for _, c := range cs {
					got = append(got, c.Sequence)
				}
				return nil
			})
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
	stop := errors.New("enough")
	if err := f.Journal.ReplayActivity(ctx, 0, last, func([]byte) bool { return true }, func([]domain.Commit) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("err = %v, want %v", err, stop)
	}
}

func TestBuckets(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx := withTimeout(t)
	b := must[*streams.Bucket](t)(f.Conn.Bucket(ctx, "KEYS_default"))
	if keys := must[[]string](t)(b.Keys(ctx)); len(keys) != 0 {
		t.Errorf("keys of a new bucket = %v", keys)
	}
	for _, k := range []string{"b", "a"} {
		ok(t, b.Put(ctx, k, []byte("first "+k)))
		ok(t, b.Put(ctx, k, []byte("value "+k)))
	}
	f.Restart(t)
	b = must[*streams.Bucket](t)(f.Conn.Bucket(ctx, "KEYS_default"))
	if got := must[[]byte](t)(b.Get(ctx, "a")); string(got) != "value a" {
		t.Errorf("Get = %q", got)
	}
	if keys := must[[]string](t)(b.Keys(ctx)); len(keys) != 2 || keys[0] != "a" {
		t.Errorf("keys = %v, want a and b", keys)
	}
	for _, k := range []string{"a", "never-there"} {
		ok(t, b.Delete(ctx, k))
		if v, err := b.Get(ctx, k); !errors.Is(err, streams.ErrNoKey) {
			t.Errorf("Get of a deleted key = %q, %v, want ErrNoKey", v, err)
		}
	}
	if _, err := b.Get(ctx, "unknown"); !errors.Is(err, streams.ErrNoKey) {
		t.Errorf("err = %v, want ErrNoKey", err)
	}
}

func TestIDsRiseAcrossConcurrentCommits(t *testing.T) {
	f := streamstest.New(t, toys{})
	w := follow(t, f.Journal)
	ctx := withTimeout(t)
	w.turn(t, true)
	each(t, 200, func(i int) error {
		_, err := w.committer.Record(ctx, meta, issue("x", ""))
		return err
	})
	last := ""
	for _, c := range streamstest.All(t, f.Journal) {
		for _, e := range c.Events {
			if e.ID <= last {
				t.Fatalf("event id %s at %s does not rise above %s", e.ID, e.Position, last)
			}
			last = e.ID
		}
	}
}

// A person with the nats tool and none of our code can read the log: the bytes are CloudEvents.
func TestBodyIsACloudEventsBatch(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx := withTimeout(t)
	must[domain.Position](t)(f.Journal.Commit(ctx, 0, meta, switched(true)))
	m := rawMessage(t, f, 1)
	if got := m.Header.Get("Content-Type"); got != "application/cloudevents-batch+json" {
		t.Errorf("content type = %q", got)
	}
	var batch []map[string]any
	dec := json.NewDecoder(bytes.NewReader(m.Data))
	if err := dec.Decode(&batch); err != nil {
		t.Fatal(err)
	}
	e := batch[0]
	for attr, want := range map[string]any{"specversion": "1.0", "type": "toy.switched", "source": streamstest.Source,
		"subject": "toy/switch", "actor": "tess", "requestid": "r1", "time": "2026-11-22T12:00:00Z", "commitid": m.Header.Get("Nats-Msg-Id")} {
		if e[attr] != want {
			t.Errorf("%s = %v, want %v", attr, e[attr], want)
		}
	}
}

func TestAContextThatHasEndedStoresNothing(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx, cancel := context.WithCancel(withTimeout(t))
	cancel()
	if _, err := f.Journal.Commit(ctx, 0, meta, switched(true)); !errors.Is(err, streams.ErrUnavailable) {
		t.Errorf("err = %v, want ErrUnavailable", err)
	}
	if n := len(streamstest.All(t, f.Journal)); n != 0 {
		t.Errorf("the log has %d commits, want none", n)
	}
}
