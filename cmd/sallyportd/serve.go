package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/handlers/jose"
)

func serve(s cli.IO) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "serve", Short: "Serve in production, as a configuration file says",
		Long: `Serves what the configuration names until SIGTERM or SIGINT; then it is not ready any
more, waits for load balancers to notice, and lets requests in flight finish. The file
is YAML and read strictly: a key that is no setting is an error. All that is wrong is
told at once, files that are missing too, before anything is opened.

  listen: 127.0.0.1:8420                    # required
  base_url: https://sallyport.example.com   # required; never changes
  data_dir: /var/lib/sallyport              # required
  key_encryption_key_file: /etc/sallyport/kek.json   # required; sallyportd keys kek
  organisations: [default]
  nats: {url: "", replicas: 3}              # empty: the log is embedded
  tls: {cert_file: "", key_file: ""}
  metrics: {listen: 127.0.0.1:9090}

docs/configuration.md has every setting. Each also comes from the environment, as
SALLYPORT_DATA_DIR or SALLYPORT_NATS__URL, and files also from systemd's credentials.

Of an organisation that nobody owns it prints on stdout how the first owner comes to be:
by a link, which works once and for 15 minutes.

SIGTERM and SIGINT stop it as above, a second one at once; SIGHUP reads the
certificate again.`,
		Example: `  sallyportd keys kek --out /etc/sallyport/kek.json
  sallyportd serve --config /etc/sallyport/config.yaml`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				return cli.Usage(c, "--config is missing")
			}
			m, err := production(path, s)
			if err != nil {
				return misconfigured(err)
			}
			if err := m.Config.checkPair(); err != nil {
				return misconfigured(err)
			}
			if err := m.listenAll(); err != nil {
				m.closeListeners()
				return cli.Fail("free the address or choose another", "listening: %v", err)
			}
			hangup := make(chan os.Signal, 1)
			signal.Notify(hangup, syscall.SIGHUP)
			defer signal.Stop(hangup)
			m.Getenv, m.Hangup = s.Getenv, hangup
			m.Ready = m.firstOwners(s.Out, " --config "+quote(path))
			return whyClosed(m.Run(c.Context()), m.Config, "base_url", "data_dir")
		},
	}
	c.Flags().StringVar(&path, "config", "", "the configuration `FILE`")
	return c
}

// listenAll listens wherever the configuration says.
func (m *Main) listenAll() (err error) {
	for _, l := range []struct {
		on *net.Listener
		at string
	}{{&m.Listener, m.Config.Listen}, {&m.Metrics, m.Config.Metrics.Listen}, {&m.Pprof, m.Config.Pprof.Listen}} {
		if l.at == "" {
			continue
		}
		if *l.on, err = net.Listen("tcp", l.at); err != nil {
			return err
		}
	}
	return nil
}

// production is the server that a configuration file and the environment
// describe, but for its listeners.
func production(path string, s cli.IO) (*Main, error) {
	l, err := readConfig(path, s.Environment())
	if err != nil {
		return nil, err
	}
	c := l.Config
	sealer, err := c.sealer()
	if err != nil {
		return nil, err
	}
	notifier, err := c.notifier(c.gate())
	if err != nil {
		return nil, err
	}
	signIn, err := c.signIn()
	if err != nil {
		return nil, err
	}
	log, err := newLog(s.Err, c.Log)
	if err != nil {
		return nil, err
	}
	for _, name := range l.unused {
		log.Warn("a variable looks like a setting and is none", "variable", name)
	}
	return &Main{Config: c, Sealer: sealer, Gate: c.gate(), Notify: notifier, SignIn: signIn, Log: log}, nil
}

// misconfigured is how a person is told what is wrong with a configuration file.
func misconfigured(err error) error {
	e := cli.Fail("correct it; docs/configuration.md has every setting", "%v", err)
	var wrong *configError
	if errors.As(err, &wrong) {
		e.Message, e.Details = "the configuration "+wrong.path+" is wrong", wrong.lines
	}
	return e
}

// checkPair wants the certificate and its key to be one pair. Only who serves
// needs that: a token can be revoked while the files are being replaced.
func (c Config) checkPair() error {
	if c.TLS.CertFile == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(c.TLS.CertFile, c.TLS.KeyFile); err != nil {
		return fmt.Errorf("reading tls.cert_file and tls.key_file: %w", err)
	}
	return nil
}

// sealer opens the key-encryption key, wherever it is.
func (c Config) sealer() (*jose.Sealer, error) {
	if c.KeyEncryptionKey.IsZero() {
		return openSealer(c.KeyEncryptionKeyFile)
	}
	sealer, err := jose.ParseKEK([]byte(c.KeyEncryptionKey.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("the key-encryption key in the environment: %w", err)
	}
	return sealer, nil
}

// openSealer reads the key-encryption key; an error does not quote it.
func openSealer(path string) (*jose.Sealer, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key-encryption key: %w", err)
	}
	sealer, err := jose.ParseKEK(b)
	if err != nil {
		return nil, fmt.Errorf("the key-encryption key in %s: %w", path, err)
	}
	return sealer, nil
}

func newLog(w io.Writer, c LogConfig) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(w, o)), nil
	}
	return slog.New(slog.NewJSONHandler(w, o)), nil
}
