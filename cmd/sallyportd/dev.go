package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/demo"
	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/notify"
	"sallyport.dev/handlers/signin"
)

// people are those of every dev server, each with a role of their own.
var people = []struct {
	name  string
	role  domain.Role
	title string // what the demo provider calls them
}{
	{"owner", domain.Owner, "Olga Owner"},
	{"devops", domain.DevOpsAdmin, "Dana Devops"},
	{"security", domain.SecurityAdmin, "Sam Security"},
	{"security2", domain.SecurityAdmin, "Sofia Security"},
	{"resource", domain.ResourceAdmin, "Rui Resource"},
	{"auditor", domain.Auditor, "Ada Auditor"},
	{"alice", domain.Member, "Alice Member"},
	{"bob", domain.Member, "Bob Member"},
}

// devTokenTTL is how long the people's tokens live; one with less than a day
// left is replaced at the next start.
const devTokenTTL = 90 * 24 * time.Hour

// credentials is the document that clients of a dev server read.
type credentials struct {
	BaseURL  string            `json:"base_url"`
	Org      string            `json:"org"`
	Issuer   string            `json:"issuer"`
	Tokens   map[string]string `json:"tokens"`
	Provider providerURLs      `json:"provider"`
	SignIn   signInURLs        `json:"sign_in"`
	// WebhookSecret signs what is posted to --notify-webhook; made when that is first asked for.
	WebhookSecret string `json:"webhook_secret,omitempty"`
}

type providerURLs struct {
	Issuer  string `json:"issuer"`
	JWKSURL string `json:"jwks_url"`
	MintURL string `json:"mint_url"`
}

// signInURLs is where people sign in to the console, and at what.
type signInURLs struct {
	Console  string `json:"console"`
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`
}

// devServer is `sallyportd dev`.
type devServer struct {
	cli.IO
	listen, data, file string
	walk, named        bool   // whether the job is shown, and the data directory was said
	webhook, format    string // who is told of access requests
	log                *slog.Logger
	kept               credentials // of the last start on this data
	provider           *demo.Provider
	client             demo.Client // of the provider: our console
	wrote              []byte      // to file, by this start
}

func dev(s cli.IO) *cobra.Command {
	d := &devServer{IO: s}
	level := "warn"
	c := &cobra.Command{
		Use: "dev", Short: "Run everything on this machine: server, people, demo identity provider",
		Long: `Runs a whole Sallyport on the loopback: the log embedded, the organisation
"default", eight people with API tokens, and on the next port a demo identity
provider that signs what it is asked to. A second start on the same data finds the
same state, keys, people and tokens. To try passkeys, which browsers have for names
alone, let it --listen localhost:8420.

--credentials names a file (mode 0600) that is written, whole, when the server
answers: its address, the people's tokens, the demo provider's URLs. It is removed when
the server stops.`,
		Example: `  sallyportd dev --demo
  sallyportd dev --listen 127.0.0.1:8420 --data ./data --credentials ./dev.json`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkLoopback(c, d.listen); err != nil {
				return err
			}
			var err error
			if d.log, err = newLog(s.Err, LogConfig{Level: level, Format: "text"}); err != nil {
				return cli.Usage(c, "--log-level %q is not debug, info, warn or error", level)
			}
			d.named = d.data != ""
			if d.data, err = devData(d.data, s.Getenv); err != nil {
				return err
			}
			if d.webhook != "" && !slices.Contains(notify.Formats(), notify.Format(d.format)) {
				return cli.Usage(c, "--notify-webhook-format %q is not json, slack or teams", d.format)
			}
			return d.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&d.listen, "listen", "127.0.0.1:8420", "`ADDRESS` on the loopback; port 0 picks a free one, the same at every start on the same data")
	f.StringVar(&d.data, "data", "", "data directory `DIR` (default: sallyport/dev below $XDG_STATE_HOME or ~/.local/state)")
	f.StringVar(&d.file, "credentials", "", "`FILE` for addresses and tokens, written when the server is ready")
	f.BoolVar(&d.walk, "demo", false, "walk through the main job on screen, then keep serving")
	f.StringVar(&d.webhook, "notify-webhook", "", "`URL` that is told of access requests, also of this machine; webhook_secret of the credentials signs")
	f.StringVar(&d.format, "notify-webhook-format", string(notify.JSON), "what it is told: `FORMAT` json, slack or teams")
	f.StringVar(&level, "log-level", level, "what is logged to stderr: `LEVEL` debug, info, warn or error")
	return c
}

// checkLoopback refuses any address that another machine could reach: a dev
// server has known people and a provider that signs anything.
func checkLoopback(c *cobra.Command, listen string) error {
	h, _, err := net.SplitHostPort(listen)
	if err != nil {
		return cli.Usage(c, "--listen %q is no address such as 127.0.0.1:8420", listen)
	}
	if !loopback(h) {
		return cli.Usage(c, "--listen %q: dev serves on the loopback alone, such as 127.0.0.1; `sallyportd serve` is for everything else", listen)
	}
	return nil
}

// devData is where a dev server keeps its data.
func devData(flag string, getenv func(string) string) (string, error) {
	if flag != "" {
		return filepath.Abs(flag)
	}
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "sallyport", "dev"), nil
	}
	home := getenv("HOME")
	if home == "" {
		return "", cli.Fail("name one with --data", "there is no home directory to keep data in")
	}
	return filepath.Join(home, ".local", "state", "sallyport", "dev"), nil
}

func devConfig(dir, baseURL string) Config {
	return Config{BaseURL: baseURL, DataDir: dir, Organisations: []string{"default"}}
}

// devSealer is the sealer of a dev server, whose key is made at its first start.
func devSealer(dir string) (*jose.Sealer, error) {
	path := filepath.Join(dir, "kek.json")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		b, err := jose.NewKEK()
		if err != nil {
			return nil, err
		}
		// Another process that is quicker makes it for both.
		if err := cli.WriteNewSecret(path, b); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("writing the key-encryption key: %w", err)
		}
	}
	return openSealer(path)
}

func markFile(dir string) string { return filepath.Join(dir, "dev") }
func keptFile(dir string) string { return filepath.Join(dir, "credentials.json") }

// readCredentials reads what the last start kept; before the first there is nothing.
func readCredentials(dir string) (c credentials, err error) {
	b, err := os.ReadFile(keptFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return c, fmt.Errorf("reading the tokens that were kept in %s: %w", keptFile(dir), err)
	}
	return c, nil
}

func (d *devServer) run(ctx context.Context) error {
	if err := refuseServes(d.data); err != nil {
		return err
	}
	if err := markDev(d.data); err != nil {
		return err
	}
	var err error
	if d.kept, err = readCredentials(d.data); err != nil {
		return err
	}
	l, err := d.listenMain()
	if err != nil {
		return cli.Fail("stop what uses the port, or choose another with --listen", "listening: %v", err)
	}
	baseURL := d.baseURL(l)
	sealer, err := devSealer(d.data)
	if err = errors.Join(err, d.removeStale(baseURL)); err != nil {
		return errors.Join(err, l.Close())
	}
	gate := jose.Gate{LoopbackHTTP: true}
	notifier, err := d.notifier(gate, orElse(d.kept.BaseURL, baseURL))
	if err != nil {
		return errors.Join(cli.Fail("name another with --notify-webhook", "%v", err), l.Close())
	}
	if err := d.startProvider(ctx, baseURL); err != nil {
		return errors.Join(err, l.Close())
	}
	m := &Main{
		SignIn: d.signIn(baseURL),
		Config: devConfig(d.data, orElse(d.kept.BaseURL, baseURL)), Listener: l, Sealer: sealer,
		Gate: gate, Notify: notifier, Log: d.log,
		Ready: func(ctx context.Context, h *host.Host) error { return d.ready(ctx, h, baseURL) },
	}
	err = m.Run(ctx)
	if err == nil && !d.named { // who named it knows where it is, and whether it stays
		d.Note("Stopped. The data is in %s; the next start goes on with it.", d.data)
	}
	return whyClosed(errors.Join(err, d.removeOwn()), m.Config, "address (--listen)", "data directory (--data)")
}

// notifier posts to the address of the flag, signed with the secret of the
// credentials; nil: there is none.
func (d *devServer) notifier(g jose.Gate, baseURL string) (*notify.Notifier, error) {
	if d.webhook == "" {
		return nil, nil
	}
	if d.kept.WebhookSecret == "" {
		d.kept.WebhookSecret = notify.NewSecret().Reveal()
	}
	if err := g.CheckURL(d.webhook); err != nil {
		return nil, fmt.Errorf("the webhook is not to be posted to: %w", err)
	}
	return notify.New(notify.Options{BaseURL: baseURL, Gate: g, Webhook: &notify.Webhook{
		URL: d.webhook, Secret: domain.NewSecret(d.kept.WebhookSecret), Format: notify.Format(d.format),
	}}, time.Now)
}

// hostAlone is an address as it may be shown: the path of a webhook may be a
// secret. "" of what is none.
func hostAlone(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// removeStale removes the credentials file of a server that is gone: whoever
// waits for the file waits for this server. It is called once baseURL is ours.
// What a server that runs wrote stays until ours is ready.
func (d *devServer) removeStale(baseURL string) error {
	if d.file == "" {
		return nil
	}
	path, err := filepath.Abs(d.file)
	if err != nil {
		return err
	}
	d.file = path
	b, err := os.ReadFile(path)
	if err != nil || path == keptFile(d.data) {
		return nil // what cannot be read is told when it cannot be written
	}
	var old credentials
	if json.Unmarshal(b, &old) != nil || old.BaseURL != baseURL && answers(hostOf(old.BaseURL)) {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the credentials of an earlier start: %w", err)
	}
	return nil
}

// answers tells whether somebody listens there.
func answers(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// removeOwn removes the credentials file at the end, if it still is what we
// wrote: another server may have replaced it.
func (d *devServer) removeOwn() error {
	if d.wrote == nil || d.file == keptFile(d.data) {
		return nil
	}
	if b, err := os.ReadFile(d.file); err != nil || !bytes.Equal(b, d.wrote) {
		return nil
	}
	if err := os.Remove(d.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing our credentials file: %w", err)
	}
	return nil
}

// listenMain listens where it is told to. Port 0 means a free port, the one of
// the last start if it still is free: the issuer names it.
func (d *devServer) listenMain() (net.Listener, error) {
	host, port, err := net.SplitHostPort(d.listen)
	if err != nil {
		return nil, err
	}
	if port == "0" && d.kept.BaseURL != "" {
		if l, err := net.Listen("tcp", hostOf(d.kept.BaseURL)); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", net.JoinHostPort(host, port))
}

// hostOf is the host and port of one of our own URLs.
func hostOf(url string) string {
	const scheme = "http://"
	if len(url) < len(scheme) {
		return ""
	}
	return url[len(scheme):]
}

// baseURL is where the server is reached: by a name, if it was told to listen at
// one. Browsers have passkeys for names alone.
func (d *devServer) baseURL(l net.Listener) string {
	at := l.Addr().String()
	host, _, err := net.SplitHostPort(d.listen)
	if _, notAddress := netip.ParseAddr(host); err != nil || host == "" || notAddress == nil {
		return "http://" + at
	}
	return "http://" + net.JoinHostPort(host, at[strings.LastIndex(at, ":")+1:])
}

// listenProvider listens on the port after the server's; where that is taken,
// on the one of the last start, or on any.
func (d *devServer) listenProvider(main string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(main)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	next := net.JoinHostPort(host, strconv.Itoa(n+1))
	tries := []string{next, net.JoinHostPort(host, "0")}
	if kept := hostOf(d.kept.Provider.Issuer); kept != "" {
		tries = []string{kept, next, net.JoinHostPort(host, "0")}
	}
	var errs []error
	for _, addr := range tries {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("listening for the demo provider: %w", errors.Join(errs...))
}

// ready makes the people and the provider, tells where everything is, and
// walks through the main job if asked to.
func (d *devServer) ready(ctx context.Context, h *host.Host, baseURL string) error {
	c := credentials{
		BaseURL: baseURL, Org: "default", Issuer: orElse(d.kept.BaseURL, baseURL) + "/orgs/default",
		Provider:      providerURLs{Issuer: d.provider.Issuer(), JWKSURL: d.provider.JWKSURL(), MintURL: d.provider.MintURL()},
		SignIn:        signInURLs{Console: baseURL + "/console/", Issuer: d.provider.Issuer(), ClientID: d.client.ID},
		WebhookSecret: d.kept.WebhookSecret,
	}
	var err error
	if c.Tokens, err = d.tokens(ctx, h); err != nil {
		return err
	}
	// What is kept names the first address, which is the issuer's for good.
	kept := c
	kept.BaseURL = orElse(d.kept.BaseURL, baseURL)
	if _, err := writeCredentials(keptFile(d.data), kept); err != nil {
		return err
	}
	file := keptFile(d.data)
	if d.file != "" {
		file = d.file
		if d.wrote, err = writeCredentials(file, c); err != nil {
			return err
		}
	}
	if kept.BaseURL != baseURL {
		d.log.Warn("this data was made at another address, which stays the issuer of its tokens", "issuer", c.Issuer, "address", baseURL)
	}
	d.Note("Sallyport is ready.")
	d.Note("  server        %s  (organisation default)", c.BaseURL)
	d.Note("  console       %s", c.SignIn.Console)
	d.Note("  people        owner, devops, security, security2, resource, auditor, alice, bob; their tokens are in %s", file)
	d.Note("  demo provider %s", c.Provider.Issuer)
	if to := hostAlone(d.webhook); to != "" {
		d.Note("  notices       are posted to %s", to)
	}
	if d.walk {
		return walkThrough(ctx, d.IO, c, file)
	}
	return nil
}

// startProvider serves the demo provider, which signs our people in for the
// console at baseURL and for nobody else.
func (d *devServer) startProvider(ctx context.Context, baseURL string) error {
	l, err := d.listenProvider(hostOf(baseURL))
	if err != nil {
		return err
	}
	d.provider, err = demo.Open(filepath.Join(d.data, "demo"), "http://"+l.Addr().String(), time.Now)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	var there []demo.Person
	for _, p := range people {
		there = append(there, demo.Person{Name: p.name, Title: p.title, Email: p.name + "@example.com"})
	}
	d.client = d.provider.SignIn([]string{baseURL + signin.CallbackPath}, there)
	server := api.NewServer(d.provider.Handler(), d.log)
	context.AfterFunc(ctx, func() { server.Close() })
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("the demo provider stopped", "error", err)
		}
	}()
	return nil
}

// signIn has the console believe the demo provider, whose people are ours by name.
// That is safe here and nowhere else: it is of this process, on the loopback, and
// whoever reaches it may be anybody by asking.
func (d *devServer) signIn(baseURL string) signin.Options {
	return signin.Options{BaseURL: baseURL, Providers: []signin.Settings{{
		Name: "demo", Issuer: d.provider.Issuer(), ClientID: d.client.ID, ClientSecret: d.client.Secret, TrustNames: true,
	}}}
}

// tokens are the people's, those of the last start as far as they still hold. Who
// was removed since the first start, or lost their role, has none any more.
func (d *devServer) tokens(ctx context.Context, h *host.Host) (map[string]string, error) {
	tokens := map[string]string{}
	for _, p := range people {
		tokens[p.name] = d.kept.Tokens[p.name]
		good, err := h.Holds(ctx, "default", tokens[p.name], p.role, 24*time.Hour)
		if err != nil {
			return nil, err
		}
		if good {
			continue
		}
		if bears, err := h.Bears("default", domain.Name(p.name), p.role); err != nil {
			return nil, err
		} else if !bears && len(d.kept.Tokens) > 0 {
			delete(tokens, p.name)
			continue
		}
		made, err := h.CreateToken(ctx, "default", host.TokenRequest{Person: p.name, Role: p.role, TTL: devTokenTTL})
		if err != nil {
			return nil, fmt.Errorf("making the API token of %s: %w", p.name, err)
		}
		tokens[p.name] = made.Token
	}
	return tokens, nil
}

// writeCredentials writes a line for each secret, so that a shell can take one
// out, and returns what it wrote.
func writeCredentials(path string, c credentials) ([]byte, error) {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the credentials: %w", err)
	}
	b = append(b, '\n')
	if err := cli.WriteSecret(path, b); err != nil {
		return nil, fmt.Errorf("writing the credentials: %w", err)
	}
	return b, nil
}
