package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
	"sallyport.dev/streams/backup"
)

func backups(s cli.IO, f *cli.Format) *cobra.Command {
	t := &site{IO: s, format: f}
	var out string
	c := &cobra.Command{
		Use: "backup", Short: "Copy all that the server's state depends on into a file",
		Long: `Copies the log of every organisation, the sealed keys and the checkpoints into one
file that only you may read. Whether the server runs makes no difference, and it
goes on issuing. Everything that was acknowledged before the command began is in the
file. When it is written it is read again and checked.

The key-encryption key is not in the file: keep it apart, since without it a backup
opens no signing key, and with it whoever has a backup signs as you. What can be
built again from the log (audit trail, snapshots) is not in it either.

On a cluster it signs in as the configuration says: where the server's own user may
not copy streams, name the administrator's credentials in the environment.`,
		Example: `  sallyportd backup --config /etc/sallyport/config.yaml --out /backup/sallyport-$(date -u +%FT%H%MZ).tar.zst
  sallyportd backup verify /backup/sallyport-2026-11-22T1200Z.tar.zst`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return cli.Usage(c, "--out is missing")
			}
			return t.backup(c, out)
		},
	}
	t.siteFlags(c.Flags())
	c.Flags().StringVar(&out, "out", "", "`FILE` for the backup; one that exists is not replaced")
	c.AddCommand(t.verify())
	return c
}

// backup writes the file under another name first: what is broken off has no
// name that anybody takes for a backup.
func (t *site) backup(c *cobra.Command, out string) error {
	take, err := t.taker(c)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		return cli.Fail("choose another name", "%s exists and is not replaced", out)
	}
	temp, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*.partial") // mode 0600
	if err != nil {
		return cli.Fail("check that its folder exists and may be written to", "making the backup file: %v", err)
	}
	defer os.Remove(temp.Name()) // fails once it has its name
	err = t.fill(c.Context(), temp, take)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return cli.Fail("see what is wrong and repeat; no file was left", "backing up: %v", err)
	}
	m, err := t.check(temp.Name(), filepath.Dir(out))
	if err != nil {
		return cli.Fail("repeat; if it happens again, the disk alters what is written to it", "reading back what was written: %v", err)
	}
	if err := os.Rename(temp.Name(), out); err != nil {
		return fmt.Errorf("naming the backup: %w", err)
	}
	if err := syncDir(filepath.Dir(out)); err != nil {
		return fmt.Errorf("putting the backup's name on disk: %w", err)
	}
	t.Note("The backup is in %s (only you may read it). It was read back and is whole.", out)
	t.Note("The key-encryption key is NOT in it. Keep that apart: without it nobody opens the signing keys.")
	return t.print(m)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// taker is what writes the backup: the server that runs, its data while none
// runs, or this process where the log is in a cluster.
type taker func(ctx context.Context, begin func(total int64), w io.Writer) error

func (t *site) taker(c *cobra.Command) (taker, error) {
	m, err := t.server(c)
	if err != nil {
		return nil, err
	}
	if m.Config.NATS.URL != "" {
		return m.takeFromCluster, nil
	}
	return func(_ context.Context, begin func(int64), w io.Writer) error {
		return t.do(c, func(ctx context.Context, o operator, _ string) error {
			return o.Backup(ctx, cli.BuildVersion(), begin, w)
		})
	}, nil
}

func (m *Main) takeFromCluster(ctx context.Context, begin func(total int64), w io.Writer) error {
	t := &tenants{}
	defer t.close()
	if err := t.openLog(ctx, m.Config, m.Log); err != nil {
		return err
	}
	o := backup.Options{Version: cli.BuildVersion(), Now: time.Now(), Sources: m.Config.sources()}
	for i := range o.Sources {
		o.Sources[i].Conn = t.conn
	}
	total, err := backup.EstimateSize(ctx, o)
	if err != nil {
		return err
	}
	begin(total)
	return backup.Write(ctx, w, o)
}

// sources are the organisations as they are configured.
func (c Config) sources() (all []backup.Source) {
	for _, name := range c.Organisations {
		all = append(all, backup.Source{
			Name: domain.Name(name), Issuer: c.BaseURL + "/orgs/" + name, SealDir: filepath.Join(c.DataDir, "seal", name),
		})
	}
	return all
}

// fill compresses a backup into a file.
func (t *site) fill(ctx context.Context, to io.Writer, take taker) error {
	buffered := bufio.NewWriterSize(to, 1<<20)
	z, err := backup.Compress(buffered)
	if err != nil {
		return err
	}
	progress := &meter{IO: t.IO, began: time.Now()}
	w := &metered{Writer: z, meter: progress}
	err = take(ctx, func(total int64) { w.total = total }, w)
	return errors.Join(err, z.Close(), buffered.Flush())
}

// metered tells how much was written to it.
type metered struct {
	io.Writer
	meter       *meter
	done, total int64
}

func (w *metered) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.done += int64(n)
	w.meter.tell("copying", w.done, w.total)
	return n, err
}

// meter tells a person who waits how far it is, every few seconds.
type meter struct {
	cli.IO
	began, told time.Time
}

const tellEvery = 5 * time.Second

// tell notes a step that is under way; total 0 is one that nobody knows the end of.
func (m *meter) tell(step string, done, total int64) {
	now := time.Now()
	if now.Sub(m.began) < tellEvery || now.Sub(m.told) < tellEvery {
		return
	}
	m.told = now
	if total <= 0 {
		m.Note("%s …", step)
		return
	}
	m.Note("%s … %d %%", step, min(done*100/total, 99))
}

// check reads a backup whole. Checkpoints are looked at in a folder beside.
func (t *site) check(path, beside string) (backup.Manifest, error) {
	dir, err := os.MkdirTemp(beside, ".sallyport-verify-*")
	if err != nil {
		return backup.Manifest{}, fmt.Errorf("making room to look at the checkpoints: %w", err)
	}
	defer os.RemoveAll(dir)
	progress := &meter{IO: t.IO, began: time.Now()}
	f, err := backup.Open(path, backup.OpenOptions{Dir: dir, Progress: func(done, total int64) { progress.tell("checking", done, total) }})
	if err != nil {
		return backup.Manifest{}, err
	}
	return f.Manifest, nil
}

func (t *site) verify() *cobra.Command {
	return &cobra.Command{
		Use: "verify FILE", Short: "Check a backup without restoring it",
		Long: `Reads a backup from its beginning to its end: every file's digest, that each log has
every commit from the first, the signature of the checkpoints, that the log is the one
that was sealed, and the sealed segments. It needs no server and no configuration. That
the key-encryption key opens the signing keys is seen when it is restored.`,
		Example: "  sallyportd backup verify /backup/sallyport-2026-11-22T1200Z.tar.zst",
		Args:    cli.Args("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			m, err := t.check(args[0], "")
			if err != nil {
				return cli.Fail("use another backup", "%v", err)
			}
			t.Note("The backup is whole. It was made at %s by version %s.", clock(m.CreatedAt), m.Version)
			return t.print(m)
		},
	}
}

// print tells what a backup holds.
func (t *site) print(m backup.Manifest) error {
	return cli.Print(t.Out, *t.format, m, func(w io.Writer) error {
		rows := cli.Rows{{"ORGANISATION", "COMMITS", "EVENTS", "LAST COMMIT", "SEALED TO"}}
		for _, o := range m.Organisations {
			sealed, last := "", ""
			if o.Checkpoint != nil {
				sealed = fmt.Sprint(o.Checkpoint.Sequence)
			}
			if o.Last > 0 {
				last = clock(o.LastAt)
			}
			rows = append(rows, []string{o.Name.String(), fmt.Sprint(o.Last), fmt.Sprint(o.Events), last, sealed})
		}
		return rows.Write(w, nil)
	})
}
