package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
	"sallyport.dev/handlers/host"
	"sallyport.dev/streams"
	"sallyport.dev/streams/backup"
)

func restores(s cli.IO, f *cli.Format) *cobra.Command {
	t := &site{IO: s, format: f}
	var from string
	var rollback bool
	c := &cobra.Command{
		Use: "restore", Short: "Put a backup back",
		Long: `Puts the logs, sealed keys and checkpoints of a backup into the data directory that
the configuration names, or, with nats.url, into the cluster, which must not have the
logs. The server must be stopped. All of the backup is checked before anything is
touched; what was there is kept in a folder beside it. The restored data is opened once
with the key-encryption key before it takes its place.

A backup that lacks something that is there is refused: restoring it forgets what was
recorded since, revoked tokens are good again and proofs that were used once can be
used once more. --allow-rollback restores it all the same.

A backup of a standalone server is restored into a cluster in the same way, and back.`,
		Example: `  sallyportd restore --config /etc/sallyport/config.yaml --from /backup/sallyport-2026-11-22T1200Z.tar.zst
  sallyportd restore --config /etc/sallyport/config.yaml --from old.tar.zst --allow-rollback`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if from == "" {
				return cli.Usage(c, "--from is missing")
			}
			return t.restore(c, from, rollback)
		},
	}
	t.siteFlags(c.Flags())
	c.Flags().StringVar(&from, "from", "", "the backup `FILE`")
	c.Flags().BoolVar(&rollback, "allow-rollback", false, "restore even if something that is there is forgotten")
	return c
}

func (t *site) restore(c *cobra.Command, from string, rollback bool) error {
	m, err := t.server(c)
	if err != nil {
		return err
	}
	if err := refuseRunning(c.Context(), m.Config); err != nil {
		return err
	}
	progress := &meter{IO: t.IO, began: time.Now()}
	o := backup.RestoreOptions{
		File: from, Dir: m.Config.DataDir, Wanted: m.Config.sources(), AllowRollback: rollback,
		Try: m.try, Now: time.Now(), Log: m.Log, Progress: progress.tell,
		Unseal: func(org domain.Name, sealed map[string][]byte) error {
			inBackup := m.Config
			inBackup.DataDir = from
			return whyClosed(m.Sealer.Unseal(org, sealed), inBackup, "base_url", "data_dir")
		},
	}
	if m.Config.NATS.URL != "" {
		elsewhere := m.Config
		elsewhere.DataDir = "" // whose log may be standalone: it is moved
		cluster := &tenants{}
		defer cluster.close()
		if err := cluster.openLog(c.Context(), elsewhere, m.Log); err != nil {
			return err
		}
		o.Conn, o.Replicas = cluster.conn, m.Config.replicas()
	}
	done, err := backup.Restore(c.Context(), o)
	if err != nil {
		return m.notRestored(err)
	}
	t.Note("Restored from %s, a backup of %s.", from, clock(done.Manifest.CreatedAt))
	if done.Aside != "" {
		t.Note("What was there before is in %s; remove it when nobody needs it.", done.Aside)
	}
	t.Note("What was recorded after the backup, if anything was, is forgotten: docs/howto-backup.md says what to revoke again.")
	return t.print(done.Manifest)
}

// refuseRunning keeps a restore away from a server that answers.
func refuseRunning(ctx context.Context, c Config) error {
	client, err := host.Dial(ctx, c.DataDir)
	if errors.Is(err, host.ErrNoServer) {
		return nil
	}
	if err == nil {
		client.Close()
	}
	return cli.Fail("stop it, on a cluster every replica, and repeat", "a server runs on %s", c.DataDir)
}

// try opens restored data as the server does, and closes it: a key-encryption
// key that does not fit, and events of a newer version, are told before anybody
// relies on it.
func (m *Main) try(ctx context.Context, dir string) error {
	c := m.Config
	c.DataDir = dir
	t, err := openTenants(ctx, c, m.Sealer, m.Gate, m.Log)
	if err != nil {
		return whyClosed(err, c, "base_url", "data_dir")
	}
	t.close()
	return nil
}

// notRestored tells why, and what to do.
func (m *Main) notRestored(err error) error {
	var refused *backup.RefusedError
	var inUse *streams.InUseError
	var told *cli.Error
	switch {
	case errors.As(err, &refused):
		e := cli.Fail("take a newer backup; or, if what is there is to be forgotten, repeat with --allow-rollback, which keeps it in a folder aside",
			"%s has what the backup has not; nothing was changed", m.Config.DataDir)
		e.Details = refused.Reasons
		return e
	case errors.As(err, &inUse):
		return cli.Fail("stop process "+inUse.Process+" and repeat", "%v", inUse)
	case errors.As(err, &told):
		e := *told
		e.Message = fmt.Sprintf("restoring: %s", told.Message)
		return &e
	}
	return fmt.Errorf("restoring: %w", err)
}
