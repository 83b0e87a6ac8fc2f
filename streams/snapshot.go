package streams

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats-server/v2/server/archive"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/domain"
)

// Record is one message of a stream as the server has it stored, byte for byte.
type Record struct {
	Sequence uint64
	Subject  string
	Time     time.Time // when it was stored, by the clock of the server that led the stream
	Header   []byte    // as on the wire, "NATS/1.0" and all; nil if it has none
	Body     []byte
}

// StreamState is which messages a stream has.
type StreamState struct {
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"` // as stored, uncompressed
	First    uint64 `json:"first_seq"`
	Last     uint64 `json:"last_seq"` // of all there ever were; a bucket has gaps before it
}

// LogStream is the stream that an organisation's log is.
func LogStream(org domain.Name) string { return streamName(org) }

// LogSubjects are the subjects of an organisation's log.
func LogSubjects(org domain.Name) []string {
	return []string{controlSubject(org), activitySubject(org)}
}

// BucketStreams lists the streams of the organisation's buckets, sorted: those
// named <PURPOSE>_<org> that are kept on disk for good. One in memory, or with
// an age, holds nothing that must survive.
func (c *Conn) BucketStreams(ctx context.Context, org domain.Name) ([]string, error) {
	var names []string
	for offset := 0; ; {
		var page struct {
			Total   int `json:"total"`
			Streams []struct {
				Config jetstream.StreamConfig `json:"config"`
			} `json:"streams"`
		}
		const list = "$JS.API.STREAM.LIST"
		if err := c.api(ctx, list, map[string]int{"offset": offset}, &page); err != nil {
			return nil, fmt.Errorf("listing the buckets of %s: %w", org, c.whyForbidden(list, err))
		}
		for _, s := range page.Streams {
			f := s.Config
			if strings.HasPrefix(f.Name, "KV_") && strings.HasSuffix(f.Name, "_"+string(org)) &&
				f.Storage == jetstream.FileStorage && f.MaxAge == 0 {
				names = append(names, f.Name)
			}
		}
		offset += len(page.Streams)
		if len(page.Streams) == 0 || offset >= page.Total {
			slices.Sort(names)
			return names, nil
		}
	}
}

// StreamState asks the leader which messages a stream has; found is false where
// there is no such stream.
func (c *Conn) StreamState(ctx context.Context, stream string) (s StreamState, found bool, err error) {
	var info struct {
		State StreamState `json:"state"`
	}
	err = c.api(ctx, "$JS.API.STREAM.INFO."+stream, struct{}{}, &info)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return StreamState{}, false, nil
	}
	if err != nil {
		return StreamState{}, false, fmt.Errorf("reading the state of stream %s: %w", stream, err)
	}
	return info.State, true, nil
}

// Snapshot is a stream as of the moment when [Conn.Snapshot] returned: what is
// written to it meanwhile is not in it. The caller must Close it.
type Snapshot struct {
	Config json.RawMessage // of the stream, as the server has it
	State  StreamState     // as of the moment

	ctx    context.Context
	stop   context.CancelFunc
	forget func() bool // ends the watch of the connection
	nc     *nats.Conn
	sub    *nats.Subscription
	left   []byte // of the chunk that was read last
	done   error  // why there are no more chunks; io.EOF after the last
}

// chunkWithin is how long the next part of a snapshot may take. The server
// itself gives up after five seconds in which nobody takes what it sends.
const chunkWithin = 30 * time.Second

// Snapshot begins to copy a stream through its leader. Writing goes on, and
// nothing is locked. Its records must be read without a long pause: after
// five seconds in which none is, the server gives the copy up. A message that is
// damaged on the server's disk ends it with an error.
func (c *Conn) Snapshot(ctx context.Context, stream string) (*Snapshot, error) {
	ctx, stop := context.WithCancel(ctx)
	// A lost connection loses chunks: the copy ends.
	s := &Snapshot{ctx: ctx, stop: stop, nc: c.nc, forget: context.AfterFunc(c.link.current(), stop)}
	inbox := c.nc.NewInbox()
	var err error
	if s.sub, err = c.nc.SubscribeSync(inbox); err != nil {
		s.forget()
		stop()
		return nil, fmt.Errorf("copying stream %s: %w", stream, err)
	}
	answer := struct {
		Config *json.RawMessage `json:"config"`
		State  *StreamState     `json:"state"`
	}{&s.Config, &s.State}
	request := map[string]any{"deliver_subject": inbox, "no_consumers": true, "chunk_size": chunkBytes}
	err = s.sub.SetPendingLimits(-1, -1) // the server sends no more than its window ahead
	if err == nil {
		err = c.askOnce(ctx, "$JS.API.STREAM.SNAPSHOT."+stream, request, &answer)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("copying stream %s: %w", stream, err)
	}
	return s, nil
}

// askOnce asks the JetStream API a single time: what it asks for must not begin twice.
func (c *Conn) askOnce(ctx context.Context, subject string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding a request to %s: %w", subject, err)
	}
	ctx, cancel := context.WithTimeout(ctx, chunkWithin)
	defer cancel()
	defer context.AfterFunc(c.link.current(), cancel)()
	done := make(chan struct{})
	defer close(done)
	go c.cancelForbidden(subject, cancel, done)
	m, err := c.nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return c.whyForbidden(subject, fmt.Errorf("%w: asking %s: %w", ErrUnavailable, subject, err))
	}
	return answered(subject, m.Data, out)
}

// cancelForbidden ends the wait for an answer to what we may not ask.
func (c *Conn) cancelForbidden(subject string, cancel context.CancelFunc, done <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !c.forbids(subject) {
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
	cancel()
}

// whyForbidden says who may copy streams, where we may not.
func (c *Conn) whyForbidden(subject string, err error) error {
	if c.forbids(subject) {
		return fmt.Errorf("this user of the cluster may not copy streams: sign in as its administrator, such as by SALLYPORT_NATS__NKEY_SEED_FILE: %w", err)
	}
	return err
}

// chunkBytes is how much of a stream travels in one message.
const chunkBytes = 128 << 10

// Close ends the copy and may be called more than once.
func (s *Snapshot) Close() {
	s.forget()
	s.stop()
	_ = s.sub.Unsubscribe() // fails on a connection that is closed, and then there is nothing to end
}

// Read returns the server's archive, as [archive.Reader] takes it after decompression.
func (s *Snapshot) Read(p []byte) (int, error) {
	for len(s.left) == 0 {
		if s.done != nil {
			return 0, s.done
		}
		s.left, s.done = s.chunk()
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

func (s *Snapshot) chunk() ([]byte, error) {
	ctx, cancel := context.WithTimeout(s.ctx, chunkWithin)
	defer cancel()
	m, err := s.sub.NextMsgWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("waiting for the next part of the copy: %w", err)
	}
	if len(m.Data) == 0 {
		if status := m.Header.Get("Status"); status != "204" && status != "" {
			return nil, fmt.Errorf("the server gave the copy up: %s %s", status, m.Header.Get("Description"))
		}
		return nil, io.EOF
	}
	if m.Reply != "" { // the last chunk asks for none
		if err := s.nc.Publish(m.Reply, nil); err != nil {
			return nil, fmt.Errorf("asking for the next part of the copy: %w", err)
		}
	}
	return m.Data, nil
}

// ErrIncomplete is in what a copy ends with that lacks messages: of a bucket
// some were replaced or deleted while it was copied; of a log that is damage.
var ErrIncomplete = errors.New("the copy lacks messages")

// Records are the messages in order, whole: an error ends a copy that is
// truncated, or in which the counts and sequences are not those of [Snapshot.State].
// A record's bytes are the caller's.
func (s *Snapshot) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		ar := archive.NewReader(s2.NewReader(s))
		if err := skipState(ar); err != nil {
			yield(Record{}, err)
			return
		}
		var count, last uint64
		for {
			r, end, err := nextRecord(ar)
			switch {
			case err != nil:
			case end && count != s.State.Messages:
				err = fmt.Errorf("%w: it has %d of %d", ErrIncomplete, count, s.State.Messages)
			case end:
				return
			case r.Sequence <= last || r.Sequence > s.State.Last:
				err = fmt.Errorf("the copy has message %d after %d of %d", r.Sequence, last, s.State.Last)
			}
			if !yield(r, err) || err != nil {
				return
			}
			count, last = count+1, r.Sequence
		}
	}
}

func skipState(ar *archive.Reader) error {
	h, err := ar.Next()
	if err != nil {
		return fmt.Errorf("reading the beginning of the copy: %w", err)
	}
	if h.Name != "state.json" {
		return fmt.Errorf("the copy begins with %q: this server writes another format of copies", h.Name)
	}
	return nil
}

// nextRecord reads one message; end is the server's word that it was the last.
func nextRecord(ar *archive.Reader) (r Record, end bool, err error) {
	h, err := ar.Next()
	if err != nil {
		return r, false, fmt.Errorf("the copy ends before its end: %w", err)
	}
	if h.Sequence == 0 && h.Name == "" {
		return r, true, nil
	}
	b, err := io.ReadAll(ar)
	if err != nil {
		return r, false, fmt.Errorf("reading message %d of the copy: %w", h.Sequence, err)
	}
	r = Record{Sequence: h.Sequence, Subject: h.Name, Time: time.Unix(0, h.Timestamp).UTC(), Body: b[h.HeaderSize:]}
	if h.HeaderSize > 0 {
		r.Header = b[:h.HeaderSize:h.HeaderSize]
	}
	return r, false, nil
}

// ErrStreamExists is returned by [Conn.Restore] where there is such a stream already.
var ErrStreamExists = errors.New("the stream exists already")

// Restore makes a stream of records: each at its sequence, with its time and
// its bytes. state says which they are. config is the stream's, as [Snapshot]
// gave it; replicas takes the place of the number of copies in it, unless 0; a
// log gets the configuration that this version gives to logs. It
// returns once the leader has stored all. A stream that exists is left alone
// ([ErrStreamExists]); one that could not be finished is removed again.
func (c *Conn) Restore(ctx context.Context, config json.RawMessage, replicas int, state StreamState, records iter.Seq2[Record, error]) error {
	name, config, err := restorable(config, replicas)
	if err != nil {
		return err
	}
	if _, found, err := c.StreamState(ctx, name); err != nil || found {
		return fmt.Errorf("restoring stream %s: %w", name, errors.Join(err, existing(found)))
	}
	var begun struct {
		Deliver string `json:"deliver_subject"`
	}
	request := map[string]any{"config": config, "state": state}
	if err := c.askOnce(ctx, "$JS.API.STREAM.RESTORE."+name, request, &begun); err != nil {
		return fmt.Errorf("restoring stream %s: %w", name, err)
	}
	w := &restoring{ctx: ctx, c: c, to: begun.Deliver}
	err = writeArchive(w, state, records)
	if err == nil {
		err = w.finish()
	}
	if err == nil {
		return nil
	}
	w.abandon()
	if undone := c.remove(name); undone != nil {
		return fmt.Errorf("restoring stream %s, of which a part is left that has to be removed before it is tried again (%w): %w", name, undone, err)
	}
	return fmt.Errorf("restoring stream %s: %w", name, err)
}

func existing(found bool) error {
	if found {
		return ErrStreamExists
	}
	return nil
}

// restorable is a configuration with another number of copies and without what
// the server says about itself. A log gets the one that it has to have there,
// whatever it had where it comes from.
func restorable(config json.RawMessage, replicas int) (name string, out json.RawMessage, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(config, &fields); err != nil {
		return "", nil, fmt.Errorf("reading the configuration of a stream: %w", err)
	}
	if err := json.Unmarshal(fields["name"], &name); err != nil || name == "" {
		return "", nil, errors.New("the configuration of a stream names none")
	}
	if replicas != 0 {
		fields["num_replicas"] = fmt.Append(nil, replicas)
	}
	if org, isLog := strings.CutPrefix(name, streamName("")); isLog {
		if err := json.Unmarshal(fields["num_replicas"], &replicas); err != nil {
			return "", nil, fmt.Errorf("reading the configuration of %s: %w", name, err)
		}
		out, err = json.Marshal(wantedConfig(domain.Name(org), replicas))
		return name, out, err
	}
	delete(fields, "metadata")
	delete(fields, "placement")
	out, err = json.Marshal(fields)
	return name, out, err
}

// remove deletes a stream that this process made and could not finish.
func (c *Conn) remove(stream string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out struct{}
	err := c.api(ctx, "$JS.API.STREAM.DELETE."+stream, struct{}{}, &out)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return err
}

// writeArchive writes the server's form of a copy.
func writeArchive(w io.Writer, state StreamState, records iter.Seq2[Record, error]) error {
	enc := s2.NewWriter(w, s2.WriterBlockSize(chunkBytes), s2.WriterConcurrency(1))
	out := bufio.NewWriterSize(enc, chunkBytes)
	ar := archive.NewWriter(out)
	b, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	if err := put(ar, &archive.Header{Name: "state.json", PayloadSize: int64(len(b))}, b); err != nil {
		return err
	}
	var count uint64
	for r, err := range records {
		if err != nil {
			return err
		}
		if r.Sequence == 0 || r.Sequence > math.MaxInt64 || r.Subject == "" {
			return fmt.Errorf("message %d of subject %q is none", r.Sequence, r.Subject)
		}
		h := &archive.Header{
			Name: r.Subject, Timestamp: r.Time.UnixNano(), Sequence: r.Sequence,
			HeaderSize: int64(len(r.Header)), PayloadSize: int64(len(r.Body)),
		}
		if err := put(ar, h, r.Header, r.Body); err != nil {
			return err
		}
		count++
	}
	if count != state.Messages {
		return fmt.Errorf("there are %d of %d messages", count, state.Messages)
	}
	if err := put(ar, &archive.Header{}); err != nil { // the end
		return err
	}
	return errors.Join(out.Flush(), enc.Close())
}

func put(ar *archive.Writer, h *archive.Header, parts ...[]byte) error {
	if err := ar.WriteHeader(h); err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := ar.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// restoring sends a copy to the server, a chunk at a time: each is answered.
type restoring struct {
	ctx context.Context
	c   *Conn
	to  string
}

// Write sends p in chunks and waits for each to be taken.
func (w *restoring) Write(p []byte) (int, error) {
	for chunk := range slices.Chunk(p, chunkBytes) {
		if err := w.send(chunk); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// finish says that this was all, and waits until it is stored.
func (w *restoring) finish() error { return w.send(nil) }

// abandon has the server stop to wait for more.
func (w *restoring) abandon() {
	w.ctx = context.WithoutCancel(w.ctx)
	_ = w.send(nil) // what it then says of the part it has is of no interest
}

func (w *restoring) send(chunk []byte) error {
	ctx, cancel := context.WithTimeout(w.ctx, chunkWithin)
	defer cancel()
	defer context.AfterFunc(w.c.link.current(), cancel)()
	m, err := w.c.nc.RequestWithContext(ctx, w.to, chunk)
	// A server that has just begun to listen is not known to the others at once:
	// nobody got the part, so it is sent again.
	for try := 0; errors.Is(err, nats.ErrNoResponders) && pause(ctx, backoff(try)) == nil; try++ {
		m, err = w.c.nc.RequestWithContext(ctx, w.to, chunk)
	}
	if err != nil {
		return fmt.Errorf("sending a part of the copy: %w", err)
	}
	if len(m.Data) == 0 {
		return nil
	}
	return answered(w.to, m.Data, &struct{}{})
}

// Clustered tells whether the log is on one of several servers that replicate.
func (c *Conn) Clustered() bool { return c.clustered() }
