package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"sallyport.dev/domain"
)

// DialOptions says where an external NATS cluster is and who we are there.
type DialOptions struct {
	URL             string // nats:// or tls://, several separated by commas
	CredentialsFile string // NATS .creds file; empty: none
	// Credentials are the text of such a file, and NkeySeed and NkeySeedFile the
	// seed of a user's key: one of the four at most says who we are.
	Credentials  domain.Secret
	NkeySeed     domain.Secret
	NkeySeedFile string
	CACertFile   string // PEM file of the authorities that may sign the cluster's certificates; empty: the system's
	CertFile     string // PEM file of the certificate that we show the cluster; empty: none
	KeyFile      string // PEM file of its key
	TLSFirst     bool   // make the TLS handshake before the cluster says anything
	// Dir is this process's data directory. One that holds a log written
	// standalone is refused, since the cluster knows nothing of it. Empty: not looked at.
	Dir            string
	BucketReplicas int          // copies of each bucket; 0: three on a cluster, one otherwise
	Log            *slog.Logger // nil: slog.Default
}

// Conn is a connection to NATS. It reconnects by itself for as long as it is
// open, and is safe for concurrent use.
type Conn struct {
	nc             *nats.Conn
	js             jetstream.JetStream
	bucketReplicas int
	log            *slog.Logger
	link           link
	disk           *disk     // of the embedded server; nil: on a cluster
	presence       *presence // nil on a log of this process's own
	closing        sync.Once
}

// link ends a context whenever the connection is lost, so that nobody waits for
// an answer, or for messages, of a connection that is no more.
type link struct {
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
}

func newLink() link {
	ctx, cancel := context.WithCancel(context.Background())
	return link{ctx: ctx, cancel: cancel}
}

// current is done when the connection that stands now is lost.
func (l *link) current() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

func (l *link) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
	l.ctx, l.cancel = context.WithCancel(context.Background())
}

// request sends a message and waits for the answer: two seconds at most, and no
// longer than the connection stands.
func (c *Conn) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	return c.requestWithin(ctx, m, tryWithin)
}

func (c *Conn) requestWithin(ctx context.Context, m *nats.Msg, d time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	defer context.AfterFunc(c.link.current(), cancel)()
	return c.nc.RequestMsgWithContext(ctx, m)
}

// storeWithin is how long to wait until a commit is stored, before it is sent
// again. Nothing is lost on the way to an embedded server, and its disk, which
// may just be slow, it watches itself.
func (c *Conn) storeWithin() time.Duration {
	if c.disk != nil {
		return slowWithin
	}
	return tryWithin
}

// Bounds of single requests. Whoever calls may give less time by the context.
const (
	connectWithin = 5 * time.Second
	tryWithin     = 2 * time.Second // one request, before it is sent again
	slowWithin    = 10 * time.Second
	patience      = 8 * time.Second // a log that cannot be reached, before the caller is told; a leader's loss takes 5 to 9 s
)

// Dial connects to an external cluster, or fails within five seconds for each address.
func Dial(ctx context.Context, o DialOptions) (*Conn, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Dir != "" {
		if err := refuseStandalone(o.Dir); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	opts, err := o.identity()
	if err != nil {
		return nil, err
	}
	c, err := connect(o.URL, o.Log, o.BucketReplicas, opts...)
	if err == nil {
		c.presence = announce(c.nc, o.Log)
	}
	return c, err
}

// identity says who we are to the cluster and whom we believe. Files are read at
// every connect, so that a renewed certificate is shown at the next one.
func (o DialOptions) identity() (opts []nats.Option, err error) {
	if o.CredentialsFile != "" {
		opts = append(opts, nats.UserCredentials(o.CredentialsFile))
	}
	if !o.Credentials.IsZero() {
		opts = append(opts, nats.UserCredentialBytes([]byte(o.Credentials.Reveal())))
	}
	if o.NkeySeedFile != "" {
		opt, err := nats.NkeyOptionFromSeed(o.NkeySeedFile)
		if err != nil {
			return nil, fmt.Errorf("reading the nkey seed in %s: %w", o.NkeySeedFile, err)
		}
		opts = append(opts, opt)
	}
	if !o.NkeySeed.IsZero() {
		opt, err := nkey(o.NkeySeed)
		if err != nil {
			return nil, err
		}
		opts = append(opts, opt)
	}
	if o.CACertFile != "" {
		opts = append(opts, nats.RootCAs(o.CACertFile))
	}
	if o.CertFile != "" {
		opts = append(opts, nats.ClientCert(o.CertFile, o.KeyFile))
	}
	if o.TLSFirst {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	return opts, nil
}

// nkey signs in with a user's key; an error does not quote the seed.
func nkey(seed domain.Secret) (nats.Option, error) {
	pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(seed.Reveal())))
	if err != nil {
		return nil, fmt.Errorf("reading the nkey seed: %w", err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("reading the nkey seed: %w", err)
	}
	return nats.Nkey(public, pair.Sign), nil
}

func connect(url string, log *slog.Logger, bucketReplicas int, extra ...nats.Option) (*Conn, error) {
	c := &Conn{bucketReplicas: bucketReplicas, log: log, link: newLink()}
	opts := append([]nats.Option{
		nats.Name("sallyportd"),
		nats.Timeout(connectWithin),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		// Nothing is kept back to be sent after a reconnect: a commit that its
		// caller was told is not stored must not turn up later.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(2 * time.Second), // a server that says nothing is left for another after six
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			c.link.lost()
			if err != nil {
				log.Warn("the connection to the log was lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("the connection to the log is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("the connection to the log reports an error", "error", err)
		}),
	}, extra...)
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("setting up JetStream: %w", err)
	}
	c.nc, c.js = nc, js
	if c.bucketReplicas == 0 {
		c.bucketReplicas = c.copies()
	}
	return c, nil
}

// Close ends the connection; what uses it fails from then on. It may be called more than once.
func (c *Conn) Close() {
	c.closing.Do(func() {
		if c.presence != nil {
			c.presence.stop()
		}
		c.nc.Close()
	})
}

// Shared tells whether other processes may use the log, too: it is not embedded in this one.
func (c *Conn) Shared() bool { return c.presence != nil }

// Replicas is how many processes share the log, this one included, as far as can
// be heard: 1 on an embedded one. One that ends says so; one that dies counts for
// another half minute, and while this one is cut off nobody leaves the count.
func (c *Conn) Replicas() int {
	if c.presence == nil {
		return 1
	}
	return c.presence.count()
}

// clustered tells whether the server is one of several.
func (c *Conn) clustered() bool { return c.nc.ConnectedClusterName() != "" }

// copies is how many copies to keep where nobody said.
func (c *Conn) copies() int {
	if c.clustered() {
		return 3
	}
	return 1
}

// forbids tells whether the server said that we must not publish to subject. It
// says so beside, and answers nothing: who waits for an answer waits in vain.
func (c *Conn) forbids(subject string) bool {
	err := c.nc.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), strconv.Quote(subject))
}

// whyNotMade says what to do where a stream could not be made: a cluster refuses
// what a user may not ask by not answering.
func (c *Conn) whyNotMade(err error) error {
	if errors.Is(c.nc.LastError(), nats.ErrPermissionViolation) {
		return fmt.Errorf("this user of the cluster may not make streams; `sallyportd nats prepare` as its administrator makes them: %w", err)
	}
	return err
}

// Codes of the JetStream API that nats.go has no name for.
const (
	codeDuplicateInFlight jetstream.ErrorCode = 10158 // a message with this id is being stored
	codeStoreFailed       jetstream.ErrorCode = 10077 // storing it failed, perhaps half way
	codeNoPeers           jetstream.ErrorCode = 10005 // fewer servers than copies are there
)

// api asks the JetStream API, again and again while the cluster has nobody to
// answer, and decodes the answer into out. A refusal is a *jetstream.APIError.
func (c *Conn) api(ctx context.Context, subject string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding a request to %s: %w", subject, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for try := 0; ; try++ {
		err := c.ask(ctx, subject, body, out)
		var refused *jetstream.APIError
		if err == nil || errors.As(err, &refused) && refused.Code < 500 {
			return err
		}
		if c.forbids(subject) || pause(ctx, backoff(try)) != nil || c.nc.IsClosed() {
			return fmt.Errorf("%w: asking %s: %w", ErrUnavailable, subject, err)
		}
	}
}

func (c *Conn) ask(ctx context.Context, subject string, body []byte, out any) error {
	m, err := c.request(ctx, &nats.Msg{Subject: subject, Data: body})
	if err != nil {
		return err
	}
	return answered(subject, m.Data, out)
}

// answered decodes what the JetStream API answered; a refusal is a *jetstream.APIError.
func answered(subject string, answer []byte, out any) error {
	var refusal struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer, &refusal); err != nil {
		return fmt.Errorf("decoding the answer of %s: %w", subject, err)
	}
	if refusal.Error != nil {
		return refusal.Error
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("decoding the answer of %s: %w", subject, err)
	}
	return nil
}

// stored is a message as the leader has it.
type stored struct {
	Subject string    `json:"subject"`
	Seq     uint64    `json:"seq"`
	Header  []byte    `json:"hdrs"`
	Data    []byte    `json:"data"`
	Time    time.Time `json:"time"`
}

func (m stored) header() nats.Header {
	h, _ := nats.DecodeHeadersMsg(m.Header)
	return h
}

// msgGet is a request for one message.
type msgGet struct {
	Seq   uint64     `json:"seq,omitempty"`
	Last  string     `json:"last_by_subj,omitempty"`
	Next  string     `json:"next_by_subj,omitempty"`
	Start *time.Time `json:"start_time,omitempty"`
}

// read gets one message through the stream's leader, never by direct get, which a
// follower that lags may answer. found is false where there is no such message.
func (c *Conn) read(ctx context.Context, stream string, q msgGet) (m stored, found bool, err error) {
	var out struct {
		Message stored `json:"message"`
	}
	err = c.api(ctx, "$JS.API.STREAM.MSG.GET."+stream, q, &out)
	var refused *jetstream.APIError
	if errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeMessageNotFound {
		return stored{}, false, nil
	}
	return out.Message, err == nil, err
}
