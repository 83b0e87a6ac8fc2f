package streams_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// copied is a stream read whole.
func copied(t testing.TB, c *streams.Conn, stream string) (*streams.Snapshot, []streams.Record) {
	t.Helper()
	s, err := c.Snapshot(t.Context(), stream)
	ok(t, err)
	t.Cleanup(s.Close)
	return s, collect(t, s.Records())
}

func collect(t testing.TB, records iter.Seq2[streams.Record, error]) (all []streams.Record) {
	t.Helper()
	for r, err := range records {
		ok(t, err)
		all = append(all, r)
	}
	return all
}

func yields(records []streams.Record, end error) iter.Seq2[streams.Record, error] {
	return func(yield func(streams.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
		if end != nil {
			yield(streams.Record{}, end)
		}
	}
}

func sameRecords(t testing.TB, got, want []streams.Record) {
	t.Helper()
	same := func(a, b streams.Record) bool {
		return a.Sequence == b.Sequence && a.Subject == b.Subject && a.Time.Equal(b.Time) &&
			bytes.Equal(a.Header, b.Header) && bytes.Equal(a.Body, b.Body)
	}
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("got %d messages that are not the %d wanted", len(got), len(want))
	}
}

// stock commits n times and puts keys into a bucket, some in place of others.
func stock(t testing.TB, j *streams.Journal, c *streams.Conn, n int) {
	t.Helper()
	ctx := t.Context()
	after, err := j.LastControl(ctx)
	ok(t, err)
	for range n {
		p, err := j.Commit(ctx, after, meta, issued("x"))
		ok(t, err)
		after = p.Sequence
	}
	b, err := c.Bucket(ctx, "KEYS_default")
	ok(t, err)
	for _, key := range []string{"a", "b", "a", "c"} {
		ok(t, b.Put(ctx, key, []byte("sealed "+key)))
	}
	ok(t, b.Delete(ctx, "b"))
}

func TestACopyOfALogIsTheSameLog(t *testing.T) {
	t.Parallel()
	from := streamstest.New(t, toys{})
	stock(t, from.Journal, from.Conn, 300)
	names, err := from.Conn.BucketStreams(t.Context(), streamstest.Org)
	ok(t, err)
	if !slices.Equal(names, []string{"KV_KEYS_default"}) {
		t.Fatalf("the buckets are %v", names)
	}

	for _, test := range []struct {
		name string
		to   func(t *testing.T) *streams.Conn
		copy int
	}{
		{"on one server", func(t *testing.T) *streams.Conn { return empty(t) }, 0},
		{"on three servers", func(t *testing.T) *streams.Conn { return streamstest.Dial(t, streamstest.StartCluster(t).Nodes[0].URL) }, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			to := test.to(t)
			for _, name := range append(names, streams.LogStream(streamstest.Org)) {
				s, want := copied(t, from.Conn, name)
				ok(t, to.Restore(t.Context(), s.Config, test.copy, s.State, yields(want, nil)))
				s2, got := copied(t, to, name)
				sameRecords(t, got, want)
				if s2.State != s.State {
					t.Errorf("%s: the state is %+v, want %+v", name, s2.State, s.State)
				}
				if err := to.Restore(t.Context(), s.Config, test.copy, s.State, yields(want, nil)); !errors.Is(err, streams.ErrStreamExists) {
					t.Errorf("restoring %s over itself: %v", name, err)
				}
			}
			j := streamstest.Open(t, to, toys{})
			if got := len(streamstest.All(t, j)); got != 300 {
				t.Errorf("the log has %d commits, want 300", got)
			}
			after, err := j.LastControl(t.Context())
			ok(t, err)
			_, err = j.Commit(t.Context(), after, meta, issued("x"))
			ok(t, err)
			b, err := to.Bucket(t.Context(), "KEYS_default")
			ok(t, err)
			if v, err := b.Get(t.Context(), "a"); err != nil || string(v) != "sealed a" {
				t.Errorf("the key is %q, %v", v, err)
			}
			if _, err := b.Get(t.Context(), "b"); !errors.Is(err, streams.ErrNoKey) {
				t.Errorf("the deleted key: %v", err)
			}
		})
	}
}

// empty is a connection to a server that has nothing.
func empty(t testing.TB) *streams.Conn {
	t.Helper()
	s, err := streams.StartServer(t.Context(), streams.ServerOptions{Dir: t.TempDir(), Log: streamstest.Log(t)})
	ok(t, err)
	t.Cleanup(s.Close)
	c, err := s.Connect()
	ok(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestACopyIsOfAMomentWhileWritingGoesOn(t *testing.T) {
	t.Parallel()
	f := streamstest.New(t, toys{})
	stock(t, f.Journal, f.Conn, 50)
	s, err := f.Conn.Snapshot(t.Context(), streams.LogStream(streamstest.Org))
	ok(t, err)
	defer s.Close()
	stock(t, f.Journal, f.Conn, 50)
	if got := collect(t, s.Records()); len(got) != 50 || s.State.Last != 50 {
		t.Errorf("the copy has %d commits of %d, want 50", len(got), s.State.Last)
	}
}

func TestARestoreThatIsBrokenOffLeavesNothing(t *testing.T) {
	t.Parallel()
	from := streamstest.New(t, toys{})
	stock(t, from.Journal, from.Conn, 20)
	s, all := copied(t, from.Conn, streams.LogStream(streamstest.Org))
	broken := errors.New("the file ends here")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name    string
		ctx     context.Context
		records iter.Seq2[streams.Record, error]
	}{
		{"a record that cannot be read", t.Context(), yields(all[:10], broken)},
		{"too few records", t.Context(), yields(all[:10], nil)},
		{"a caller that went away", gone, yields(all, nil)},
		{"records out of order", t.Context(), yields(append(slices.Clone(all[1:]), all[0]), nil)},
	} {
		t.Run(test.name, func(t *testing.T) {
			to := empty(t)
			if err := to.Restore(test.ctx, s.Config, 0, s.State, test.records); err == nil {
				t.Fatal("it was restored")
			}
			if _, found, err := to.StreamState(t.Context(), streams.LogStream(streamstest.Org)); err != nil || found {
				t.Errorf("a part of the log is left: %v, %v", found, err)
			}
			ok(t, to.Restore(t.Context(), s.Config, 0, s.State, yields(all, nil)))
		})
	}
}

func TestAnEmptyStreamIsCopied(t *testing.T) {
	t.Parallel()
	f := streamstest.New(t, toys{})
	s, none := copied(t, f.Conn, streams.LogStream(streamstest.Org))
	if len(none) != 0 {
		t.Fatalf("%d records", len(none))
	}
	to := empty(t)
	ok(t, to.Restore(t.Context(), s.Config, 0, s.State, yields(nil, nil)))
	streamstest.Open(t, to, toys{})
}
