package streams_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

func TestAValueIsReplacedByOneOfAllWhoTry(t *testing.T) {
	f := streamstest.New(t, toys{})
	b := must[*streams.ExpiringBucket](t)(f.Conn.ExpiringBucket(t.Context(), "SESSIONS_default"))
	again := must[*streams.ExpiringBucket](t)(f.Conn.ExpiringBucket(t.Context(), "SESSIONS_default")) // there is one
	if _, _, err := again.Get(t.Context(), "s.1"); !errors.Is(err, streams.ErrNoKey) {
		t.Fatalf("nothing: %v", err)
	}
	if err := b.Create(t.Context(), "s.1", []byte("a"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := b.Create(t.Context(), "s.1", []byte("b"), time.Hour); !errors.Is(err, streams.ErrKeyMoved) {
		t.Errorf("a key was made twice: %v", err)
	}
	_, at, err := again.Get(t.Context(), "s.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Replace(t.Context(), "s.1", []byte("c"), at, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := again.Replace(t.Context(), "s.1", []byte("d"), at, time.Hour); !errors.Is(err, streams.ErrKeyMoved) {
		t.Errorf("an old value was replaced: %v", err)
	}
	if err := again.Take(t.Context(), "s.1", at); !errors.Is(err, streams.ErrKeyMoved) {
		t.Errorf("an old value was taken: %v", err)
	}
	v, at, err := b.Get(t.Context(), "s.1")
	if err != nil || string(v) != "c" {
		t.Fatalf("%s, %v", v, err)
	}
	if err := b.Take(t.Context(), "s.1", at); err != nil {
		t.Fatal(err)
	}
	if err := b.Replace(t.Context(), "s.1", []byte("e"), at, time.Hour); !errors.Is(err, streams.ErrKeyMoved) {
		t.Errorf("what was taken came back: %v", err)
	}
	if _, _, err := b.Get(t.Context(), "s.1"); !errors.Is(err, streams.ErrNoKey) {
		t.Errorf("what was taken is there: %v", err)
	}
	if err := b.Delete(t.Context(), "s.never"); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
}

func TestKeysAreListedBelowTheirPrefix(t *testing.T) {
	f := streamstest.New(t, toys{})
	b := must[*streams.ExpiringBucket](t)(f.Conn.ExpiringBucket(t.Context(), "SESSIONS_default"))
	for _, k := range []string{"s.2", "a.1", "s.1", "s.3"} {
		if err := b.Create(t.Context(), k, []byte("x"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Delete(t.Context(), "s.3"); err != nil {
		t.Fatal(err)
	}
	if keys, err := b.Keys(t.Context(), "s"); err != nil || !slices.Equal(keys, []string{"s.1", "s.2"}) {
		t.Errorf("got %v, %v", keys, err)
	}
}

func TestAValueEndsByItself(t *testing.T) {
	f := streamstest.New(t, toys{})
	b := must[*streams.ExpiringBucket](t)(f.Conn.ExpiringBucket(t.Context(), "SESSIONS_default"))
	begun := time.Now()
	if err := b.Create(t.Context(), "s.1", []byte("x"), 0); err != nil { // a second
		t.Fatal(err)
	}
	gone := func() bool {
		_, _, err := b.Get(t.Context(), "s.1")
		return errors.Is(err, streams.ErrNoKey)
	}
	if gone() && time.Since(begun) < time.Second {
		t.Fatal("it is gone at once")
	}
	until := time.Now().Add(60 * time.Second)
	for !gone() {
		if time.Now().After(until) {
			t.Fatal("it never ends")
		}
	}
	if keys, err := b.Keys(t.Context(), "s"); err != nil || len(keys) > 0 {
		t.Errorf("it is listed: %v, %v", keys, err)
	}
}

func TestABucketThatSomebodyChangedIsNotAsItMustBe(t *testing.T) {
	f := streamstest.New(t, toys{})
	b := must[*streams.ExpiringBucket](t)(f.Conn.ExpiringBucket(t.Context(), "SESSIONS_default"))
	if err := b.Check(t.Context()); err != nil {
		t.Fatalf("as it was made: %v", err)
	}
	js := must[nats.JetStreamContext](t)(streams.RawConn(f.Conn).JetStream())
	made := must[*nats.StreamInfo](t)(js.StreamInfo("KV_SESSIONS_default")).Config
	for says, change := range map[string]func(*nats.StreamConfig){
		"keeps 5 values": func(c *nats.StreamConfig) { c.MaxMsgsPerSubject = 5 },
		"limit of its":   func(c *nats.StreamConfig) { c.MaxMsgs = 10 },
		"limit of it":    func(c *nats.StreamConfig) { c.MaxAge, c.Duplicates = time.Hour, time.Minute },
	} {
		changed := made
		change(&changed)
		must[*nats.StreamInfo](t)(js.UpdateStream(&changed))
		if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("it says %v, want %q", err, says)
		}
		must[*nats.StreamInfo](t)(js.UpdateStream(&made))
	}
	if err := js.DeleteStream("KV_SESSIONS_default"); err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); err == nil {
		t.Error("a bucket that is gone is as it must be")
	}
	for says, c := range map[string]nats.KeyValueConfig{
		"not on disk": {Bucket: "SESSIONS_a", Storage: nats.MemoryStorage},
		"have no end": {Bucket: "SESSIONS_b", Storage: nats.FileStorage},
	} {
		must[nats.KeyValue](t)(js.CreateKeyValue(&c))
		b := must[*streams.ExpiringBucket](t)(f.Conn.ExpiringBucket(t.Context(), c.Bucket))
		if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
