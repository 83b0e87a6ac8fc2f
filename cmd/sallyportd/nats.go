package main

import (
	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/streams"
)

// clusters is what an administrator of a NATS cluster does for the server, which
// may then neither make nor change streams.
func clusters(s cli.IO) *cobra.Command {
	c := &cobra.Command{
		Use: "nats", Short: "The NATS cluster that a log is in",
		Example: `  sudo SALLYPORT_NATS__NKEY_SEED_FILE=administrator.nkey sallyportd nats prepare --config /etc/sallyport/config.yaml`,
	}
	c.AddCommand(prepare(s))
	return c
}

func prepare(s cli.IO) *cobra.Command {
	var path, subscriber string
	c := &cobra.Command{
		Use: "prepare", Short: "Make the streams of every organisation, as the cluster's administrator",
		Long: `Makes the log and the buckets of keys, secrets and sessions of every organisation that
the configuration names, where there is none; what is there is checked and not changed. It signs in as
the configuration says, so name the administrator's credentials in the environment.
The server itself then needs no right to make, change or delete streams.

With --subscriber it also makes a consumer of that name on every log, through which
somebody else reads it.`,
		Example: `  sudo SALLYPORT_NATS__NKEY_SEED_FILE=administrator.nkey sallyportd nats prepare --config /etc/sallyport/config.yaml
  sudo SALLYPORT_NATS__NKEY_SEED_FILE=administrator.nkey sallyportd nats prepare --config /etc/sallyport/config.yaml --subscriber siem`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				return cli.Usage(c, "--config is missing")
			}
			if subscriber != "" {
				if _, err := domain.ParseName(subscriber); err != nil {
					return cli.Usage(c, "--subscriber %q: %v", subscriber, err)
				}
			}
			l, err := readConfig(path, s.Environment())
			if err != nil {
				return misconfigured(err)
			}
			if l.NATS.URL == "" {
				return cli.Fail("an embedded log is made by `sallyportd serve`", "the configuration names no cluster (nats.url)")
			}
			return prepareStreams(c, s, l.Config, subscriber)
		},
	}
	c.Flags().StringVar(&path, "config", "", "the configuration `FILE`")
	c.Flags().StringVar(&subscriber, "subscriber", "", "also make a consumer of this `NAME` on every log")
	return c
}

func prepareStreams(cmd *cobra.Command, s cli.IO, c Config, subscriber string) error {
	t := &tenants{}
	defer t.close()
	if err := t.openLog(cmd.Context(), c, quiet(s.Err)); err != nil {
		return err
	}
	for _, name := range c.Organisations {
		org := domain.Name(name)
		j, err := streams.Open(cmd.Context(), t.conn, streams.Options{
			Org: org, Codec: events.New(), Replicas: c.replicas(), AllowFewReplicas: c.NATS.AllowFewReplicas,
		})
		if err != nil {
			return err
		}
		for _, bucket := range []string{organisation.KeysBucket(org), organisation.SecretsBucket(org)} {
			if _, err := t.conn.Bucket(cmd.Context(), bucket); err != nil {
				return err
			}
		}
		if _, err := t.conn.ExpiringBucket(cmd.Context(), organisation.SessionsBucket(org)); err != nil {
			return err
		}
		if subscriber != "" {
			if err := j.Subscriber(cmd.Context(), subscriber); err != nil {
				return err
			}
		}
		s.Note("the log of %s is there, with %d copies", name, c.replicas())
	}
	return nil
}
