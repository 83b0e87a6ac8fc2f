package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/probe"
	"sallyport.dev/streams"
)

// clinic is one run of the doctor.
type clinic struct {
	*site
	monitors []string
	found    []host.Finding
}

func doctor(s cli.IO, f *cli.Format) *cobra.Command {
	d := &clinic{site: &site{IO: s, format: f}}
	c := &cobra.Command{
		Use: "doctor", Short: "Check everything a server depends on, and say what to do",
		Long: `Checks the configuration, the clock, the disk and what a sync on it costs, NATS, the
configuration and extent of every log, the signing keys, the bucket of sessions, the
certificate, and whether the keys of every active connection can be fetched: the only command that asks all
providers. Nothing is changed.

Beside a running server it asks that server; run it as the server's user. Without one
it opens the log as a start would. Exit code 0: nothing failed; 1: something did.

On a cluster, whether the NATS servers sync every write cannot be seen by an ordinary
account: name their monitoring addresses with --nats-monitor.`,
		Example: `  sallyportd doctor --config /etc/sallyport/config.yaml
  sallyportd doctor --config /etc/sallyport/config.yaml --nats-monitor http://nats-1:8222,http://nats-2:8222,http://nats-3:8222 -o json`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			d.examine(c)
			return d.report(*f)
		},
	}
	c.Flags().StringVar(&d.config, "config", "", "the configuration `FILE` of sallyportd serve")
	c.Flags().StringVar(&d.data, "data", "", "the data directory `DIR` of sallyportd dev (default: where dev keeps it)")
	c.Flags().StringSliceVar(&d.monitors, "nats-monitor", nil, "monitoring `URL` of every NATS server of the cluster")
	return c
}

func (d *clinic) add(check, result, next, format string, args ...any) {
	d.found = append(d.found, host.Finding{Check: check, Result: result, Detail: fmt.Sprintf(format, args...), Next: next})
}

// report prints what was found; anything that failed is an error.
func (d *clinic) report(f cli.Format) error {
	bad := 0
	rows := cli.Rows{{"CHECK", "RESULT", "DETAIL", "WHAT TO DO"}}
	for _, x := range d.found {
		if x.Result == host.FoundFail {
			bad++
		}
		rows = append(rows, []string{x.Check, x.Result, x.Detail, x.Next})
	}
	doc := struct {
		OK     bool           `json:"ok"`
		Checks []host.Finding `json:"checks"`
	}{bad == 0, d.found}
	if err := cli.Print(d.Out, f, doc, func(w io.Writer) error { return rows.Write(w, nil) }); err != nil {
		return err
	}
	if bad > 0 {
		return cli.Fail("see the last column", "%d of %d checks failed", bad, len(d.found))
	}
	return nil
}

func (d *clinic) examine(c *cobra.Command) {
	m, err := d.server(c)
	if err != nil {
		d.misconfigured(err)
		return
	}
	if err := m.Config.checkPair(); err != nil {
		d.misconfigured(err)
		return
	}
	d.add("configuration", host.FoundOK, "", "read and checked")
	kernelClock(d)
	d.disk(m.Config.DataDir)
	d.certificate(m.Config)
	d.nats(c.Context(), m.Config)
	running := d.organisations(c.Context(), m)
	d.baseURL(c.Context(), m.Config, running)
}

func (d *clinic) misconfigured(err error) {
	var e *cli.Error
	if !errors.As(err, &e) {
		errors.As(misconfigured(err), &e)
	}
	d.add("configuration", host.FoundFail, e.Next, "%s", strings.Join(append([]string{e.Message}, e.Details...), "; "))
}

// What a sync may cost before it slows every token down, and what no disk can do.
const (
	syncSlow       = 20 * time.Millisecond
	syncImpossible = 10 * time.Microsecond
	syncTries      = 20
)

// disk looks at the room there is, and at what it costs to be sure of a write.
func (d *clinic) disk(dir string) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		d.add("disk", host.FoundUnknown, "", "%s is not there yet: the first start makes it", dir)
		return
	}
	free, total, err := measure(dir)()
	if err != nil || total == 0 {
		d.add("disk", host.FoundUnknown, "check that this user may read the data directory", "%s cannot be measured: %v", dir, err)
		return
	}
	used := 1 - float64(free)/float64(total)
	switch {
	case used >= probe.DiskCommands:
		d.add("disk", host.FoundFail, "make room: docs/runbook-full-disk.md", "%.1f%% are used, %d MiB are free", 100*used, free>>20)
	case used >= probe.DiskWarn:
		d.add("disk", host.FoundWarn, "make room before 95 %: then nothing can be changed any more", "%.1f%% are used, %d MiB are free", 100*used, free>>20)
	default:
		d.add("disk", host.FoundOK, "", "%.1f%% are used, %d MiB are free", 100*used, free>>20)
	}
	d.sync(dir)
}

func (d *clinic) sync(dir string) {
	if kind := inMemory(dir); kind != "" {
		d.add("sync", host.FoundFail, "put the data directory on a disk", "%s is a %s: what is acknowledged there is lost with the machine", dir, kind)
		return
	}
	middle, worst, err := syncCost(dir)
	switch {
	case err != nil:
		d.add("sync", host.FoundFail, "check that this user may write to the data directory", "%v", err)
	case middle < syncImpossible:
		d.add("sync", host.FoundFail, "turn write barriers on, or use another disk", "a sync takes %s: this disk does not wait for its writes", middle)
	case middle > syncSlow:
		d.add("sync", host.FoundWarn, "use a faster disk: every commit waits for one sync", "a sync takes %s, at worst %s", middle, worst)
	default:
		d.add("sync", host.FoundOK, "", "a sync takes %s, at worst %s", middle, worst)
	}
}

// certificate tells how long the one we show is good for, and whether it is for
// the name that clients know us by.
func (d *clinic) certificate(c Config) {
	if c.TLS.CertFile == "" {
		d.add("certificate", host.FoundOK, "", "none: a proxy has to serve TLS")
		return
	}
	pair, err := openCertificate(c.TLS, quiet(d.Err))
	if err != nil {
		d.add("certificate", host.FoundFail, "correct tls.cert_file and tls.key_file", "%v", err)
		return
	}
	leaf, next := pair.leaf(), "renew it; the files are read again by themselves"
	left := time.Until(leaf.NotAfter)
	u, err := url.Parse(c.BaseURL)
	switch {
	case left <= 0:
		d.add("certificate", host.FoundFail, next, "it expired %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case err == nil && leaf.VerifyHostname(u.Hostname()) != nil:
		d.add("certificate", host.FoundWarn, "have one made for that name, unless a proxy shows another one", "it is not for %s", u.Hostname())
	case left < 14*24*time.Hour:
		d.add("certificate", host.FoundWarn, next, "it expires in %d hours", int(left.Hours()))
	default:
		d.add("certificate", host.FoundOK, "", "it is good for %d days", int(left.Hours()/24))
	}
}

// nats tells where the log is and whether it syncs every write.
func (d *clinic) nats(ctx context.Context, c Config) {
	if c.NATS.URL == "" {
		d.add("nats", host.FoundOK, "", "embedded: every write is synced")
		return
	}
	conn, err := streams.Dial(ctx, c.dialOptions(quiet(d.Err)))
	if err != nil {
		d.add("nats", host.FoundFail, "check nats.url, the credentials, and whether the cluster is up", "%v", err)
		return
	}
	conn.Close()
	d.add("nats", host.FoundOK, "", "%s lets us in", redactURL(c.NATS.URL))
	if len(d.monitors) == 0 {
		d.add("nats sync", host.FoundUnknown, "name the servers' monitoring addresses with --nats-monitor, or look for sync_interval: always in their configuration",
			"an account cannot see whether the servers sync every write")
	}
	for _, at := range d.monitors {
		d.monitor(ctx, at)
	}
}

func (d *clinic) monitor(ctx context.Context, at string) {
	always, err := syncsAlways(ctx, at)
	switch {
	case err != nil:
		d.add("nats sync", host.FoundUnknown, "check the address, and http_port or https_port of that server", "%s: %v", at, err)
	case !always:
		d.add("nats sync", host.FoundFail, "set sync_interval: always in its jetstream block and restart it: a power cut loses what was acknowledged",
			"%s does not sync every write", at)
	default:
		d.add("nats sync", host.FoundOK, "", "%s syncs every write", at)
	}
}

// organisations asks the server that runs, or opens its data; it tells whether
// one runs.
func (d *clinic) organisations(ctx context.Context, m *Main) (running bool) {
	ask, done, running := d.examiner(ctx, m)
	if ask == nil {
		return running
	}
	defer done()
	for _, org := range m.Config.Organisations {
		found, err := ask(ctx, org)
		if err != nil {
			d.add("organisation/"+org, host.FoundFail, "see the server's log", "%v", err)
		}
		d.found = append(d.found, found...)
	}
	return running
}

type examiner func(ctx context.Context, org string) ([]host.Finding, error)

func (d *clinic) examiner(ctx context.Context, m *Main) (ask examiner, done func(), running bool) {
	client, err := host.Dial(ctx, m.Config.DataDir)
	if err == nil {
		d.add("server", host.FoundOK, "", "it runs")
		return client.Examine, client.Close, true
	}
	if !errors.Is(err, host.ErrNoServer) {
		d.add("server", host.FoundFail, "run this as the server's user", "%v", err)
		return nil, nil, false
	}
	if _, err := os.Stat(filepath.Join(m.Config.DataDir, "trail")); errors.Is(err, fs.ErrNotExist) {
		d.add("server", host.FoundUnknown, "", "it never ran on this data, so there is no log to look at")
		return nil, nil, false
	}
	if err := refuseOthers(m.Config.DataDir, os.Geteuid()); err != nil {
		var told *cli.Error
		errors.As(err, &told)
		d.add("server", host.FoundFail, told.Next, "%s", told.Message)
		return nil, nil, false
	}
	t, err := openTenants(ctx, m.Config, m.Sealer, m.Gate, m.Log)
	if err != nil {
		d.unopened(m, err)
		return nil, nil, false
	}
	d.add("server", host.FoundWarn, "start it, unless it is meant to be down", "it does not run; its data was opened for this")
	return host.New(t.orgs...).Examine, t.close, false
}

// unopened tells why the data of a server that does not run cannot be opened.
func (d *clinic) unopened(m *Main, err error) {
	var known *cli.Error
	if errors.As(whyClosed(err, m.Config, "base_url", "data directory"), &known) {
		d.add("server", host.FoundFail, known.Next, "%s", known.Message)
		return
	}
	next := "see the error; a start would fail as well"
	if errors.Is(err, jose.ErrSealed) {
		next = "name the key-encryption key that was used from the start"
	}
	d.add("server", host.FoundFail, next, "its data does not open: %v", err)
}

// baseURL asks for our own probe by the name that clients use.
func (d *clinic) baseURL(ctx context.Context, c Config, running bool) {
	if !running {
		d.add("base_url", host.FoundUnknown, "", "no server runs here to be reached")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.BaseURL+"/livez", nil)
	if err != nil {
		d.add("base_url", host.FoundFail, "correct base_url", "%v", err)
		return
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	next := "check DNS, the proxy and the certificate, seen from this host; clients need this address"
	switch {
	case err != nil:
		d.add("base_url", host.FoundFail, next, "%v", err)
	case res.StatusCode != http.StatusOK || res.Header.Get("X-Request-Id") == "":
		res.Body.Close()
		d.add("base_url", host.FoundFail, next, "%s answers %s, and not as this server does", c.BaseURL, res.Status)
	default:
		res.Body.Close()
		d.add("base_url", host.FoundOK, "", "%s answers", c.BaseURL)
	}
}
