package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/blocks"
	"sallyport.dev/streams/repair"
)

// logSite says which log a command is about.
type logSite struct {
	site
	store, seal         string
	thorough            bool
	reseal, dryRun, yes bool
	reports             []repair.Findings
	repairs             []repaired
	buckets             []repair.Bucket
}

func logs(s cli.IO, f *cli.Format) *cobra.Command {
	c := &cobra.Command{
		Use: "log", Short: "Check the log on disk, and repair it",
		Example: `  sallyportd log verify --config /etc/sallyport/config.yaml`,
	}
	c.AddCommand(logVerify(s, f), logRepair(s, f))
	return c
}

func logVerify(s cli.IO, f *cli.Format) *cobra.Command {
	t := &logSite{site: site{IO: s, format: f}}
	c := &cobra.Command{
		Use: "verify", Short: "Hold the log on disk against its checkpoints",
		Long: `Reads the files of the log and changes nothing: every checksum, every sequence from
the first to the last, and every sealed event against the tree of the newest
checkpoint; and every checksum of the buckets of sealed keys and secrets beside them.
With --thorough it also reads the whole seal, and holds every commit against its second
copy there. Of a log that a server has open it looks at what lies under the newest
checkpoint; what is behind it moves.

On a cluster the log is with the NATS servers. Run it on each of them, with --store
naming the server's store_dir and --seal a copy of the folder seal/<organisation> of
any sallyportd: it finds the server whose copy is damaged. Buckets are not looked at there.

Exit codes: 0 intact, 1 error, 2 usage, 3 damaged.`,
		Example: `  sallyportd log verify --config /etc/sallyport/config.yaml
  sallyportd log verify --config /etc/sallyport/config.yaml --thorough -o json
  sallyportd log verify --store /var/lib/nats --seal ./seal/default --org default`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error { return t.verify(c) },
	}
	t.flags(c)
	c.Flags().BoolVar(&t.thorough, "thorough", false, "read the whole seal, too, and compare every commit with its second copy")
	c.Flags().StringVar(&t.store, "store", "", "`DIR` of a NATS server's store, instead of the one in the data directory")
	c.Flags().StringVar(&t.seal, "seal", "", "`DIR` of the seal to hold it against (default: the one in the data directory)")
	return c
}

func logRepair(s cli.IO, f *cli.Format) *cobra.Command {
	t := &logSite{site: site{IO: s, format: f}}
	c := &cobra.Command{
		Use: "repair", Short: "Make a damaged log whole from its second copy",
		Long: `Writes a new store of the sealed commits and of what survives behind the newest
checkpoint in the damaged one: the same bytes at the same sequences, stored at the
same times. The new store is held against the checkpoint before it takes the place of
the old one, which is kept in the folder "kept" of the data directory. The audit trail
and the snapshots are set aside with it, and folded again at the next start. The
server must be stopped.

What lies behind the newest checkpoint (at most 1,000 events or 10 seconds, nothing
after an orderly stop) has no second copy. If any of it is lost, that is told, and
nothing is done without --yes. A repair that was broken off can be run again.

--reseal is for a seal that is damaged while the log is whole: it sets the seal aside,
and the server seals the log again from its first commit. What the old checkpoints
proved can then be proven by copies of them alone.

A bucket of sealed keys or secrets has no second copy: one that is damaged is told,
with exit code 3, and only a backup brings it back.`,
		Example: `  sallyportd log repair --config /etc/sallyport/config.yaml --dry-run
  sallyportd log repair --config /etc/sallyport/config.yaml`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error { return t.repair(c) },
	}
	t.flags(c)
	c.Flags().BoolVar(&t.dryRun, "dry-run", false, "say what would be done, and do nothing")
	c.Flags().BoolVar(&t.yes, "yes", false, "go on though commits behind the newest checkpoint are lost")
	c.Flags().BoolVar(&t.reseal, "reseal", false, "set a damaged seal aside, so that the log is sealed again from its beginning")
	return c
}

// directory is the data directory that the flags name.
func (t *logSite) directory(c *cobra.Command) (string, error) {
	switch {
	case t.config != "" && t.data != "":
		return "", cli.Usage(c, "--config and --data exclude each other")
	case t.config != "":
		config, err := loadConfig(t.config, t.Environment())
		if err != nil {
			return "", misconfigured(err)
		}
		if config.NATS.URL != "" && t.store == "" {
			return "", cli.Fail("on each NATS server run `sallyportd log verify --store DIR --seal DIR --org NAME`; docs/runbook-damaged-log.md tells how a damaged replica is rebuilt",
				"the log is on the cluster %s, not in %s", config.NATS.URL, config.DataDir)
		}
		return config.DataDir, nil
	}
	dir, err := devData(t.data, t.Getenv)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err != nil {
		return "", cli.Fail("name the data directory with --config or --data", "there is no data directory: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mode")); errors.Is(err, fs.ErrNotExist) && t.store == "" {
		return "", cli.Fail("name the data directory with --config or --data; of a log on a cluster, on each NATS server, the store_dir with --store",
			"there is no log in %s", dir)
	}
	return dir, nil
}

// targets are the logs that the flags name.
func (t *logSite) targets(dir string) ([]repair.Target, error) {
	d := repair.Data{Dir: dir}
	all, err := d.Targets()
	if err != nil {
		return nil, err
	}
	if t.org != "" {
		name, err := domain.ParseName(t.org)
		if err != nil {
			return nil, cli.Fail("name one of the organisations of the server", "%q is no name of an organisation", t.org)
		}
		return []repair.Target{d.Target(name.String())}, nil
	}
	if len(all) == 0 {
		return nil, cli.Fail("name the data directory with --config or --data", "there is no log in %s", dir)
	}
	return all, nil
}

func (t *logSite) verify(c *cobra.Command) error {
	o := repair.Options{Depth: repair.All}
	if t.thorough {
		o.Depth = repair.Thorough
	}
	targets, dir, live, err := t.toVerify(c)
	if err != nil {
		return err
	}
	o.Live = live
	damaged := 0
	for _, target := range targets {
		f, err := repair.Inspect(c.Context(), target, o)
		if err != nil {
			return whyClosed(fmt.Errorf("verifying the log of %s: %w", target.Org, err), Config{DataDir: dir}, "base_url", "data directory")
		}
		t.reports = append(t.reports, f)
		if f.State == repair.Damaged {
			damaged++
		}
	}
	if t.buckets = []repair.Bucket{}; t.store == "" {
		if t.buckets, err = (repair.Data{Dir: dir}).Buckets(t.org, live); err != nil {
			return err
		}
	}
	if err := cli.Print(t.Out, *t.format, map[string]any{"logs": t.reports, "buckets": t.buckets}, t.tell); err != nil {
		return err
	}
	return t.verdict(damaged)
}

// verdict is the error for so many damaged logs, and for the damaged buckets; nil for none.
func (t *logSite) verdict(damaged int) error {
	if damaged > 0 {
		return &cli.Error{Exit: cli.ExitDamaged, Message: fmt.Sprintf("%d of %d logs are damaged", damaged, len(t.reports)),
			Next: "docs/runbook-damaged-log.md tells what each line means; `sallyportd log repair --dry-run` says what can be done"}
	}
	return t.bucketsErr()
}

// bucketsErr is the error for the damaged buckets; nil for none.
func (t *logSite) bucketsErr() error {
	var names []string
	for _, b := range t.buckets {
		if b.State == repair.Damaged {
			names = append(names, b.Name)
		}
	}
	if names == nil {
		return nil
	}
	return &cli.Error{Exit: cli.ExitDamaged, Message: "damaged: " + strings.Join(names, ", "), Next: repair.RestoreBucket}
}

// toVerify finds the logs and the data directory, if they are in one, and tells whether a server has them open.
func (t *logSite) toVerify(c *cobra.Command) (targets []repair.Target, dir string, live bool, err error) {
	if t.store != "" {
		target, err := t.onCluster(c)
		return []repair.Target{target}, "", true, err
	}
	if dir, err = t.directory(c); err != nil {
		return nil, "", false, err
	}
	if targets, err = t.targets(dir); err != nil {
		return nil, "", false, err
	}
	if t.seal != "" {
		if len(targets) != 1 {
			return nil, "", false, cli.Usage(c, "--seal is of one log: name it with --org")
		}
		targets[0].Seal = t.seal
	}
	lock, err := streams.LockDir(dir)
	var inUse *streams.InUseError
	if errors.As(err, &inUse) {
		return targets, dir, true, nil
	}
	if err != nil {
		return nil, "", false, err
	}
	return targets, dir, false, lock.Close() // a server may start: nothing is changed here
}

// onCluster is the replica of a log in the store of a NATS server, which may be running.
func (t *logSite) onCluster(c *cobra.Command) (repair.Target, error) {
	org := orElse(t.org, "default")
	if t.seal == "" {
		if t.config == "" && t.data == "" {
			return repair.Target{}, cli.Usage(c, "--seal is missing: without a checkpoint nothing says how long the log must be")
		}
		dir, err := t.directory(c)
		if err != nil {
			return repair.Target{}, err
		}
		t.seal = repair.Data{Dir: dir}.Target(org).Seal
	}
	store, err := repair.StoreOf(t.store, org)
	if err != nil {
		return repair.Target{}, cli.Fail("name the store_dir of the NATS server", "%v", err)
	}
	return repair.Target{Org: org, Store: store, Seal: t.seal}, nil
}

// tell draws the reports for people.
func (t *logSite) tell(w io.Writer) error {
	for _, f := range t.reports {
		fmt.Fprintf(w, "log %s: %s\n", f.Org, f.State)
		fmt.Fprintf(w, "  store       %s: %d commits in %d blocks (%d compressed)\n", f.Store, f.Blocks.Records, f.Blocks.Blocks, f.Blocks.Compressed)
		if f.Sealed > 0 {
			fmt.Fprintf(w, "  checkpoint  commit %d, %d events, %d of them compared with the log\n", f.Sealed, f.SealedEvents, f.Compared)
		} else {
			fmt.Fprintf(w, "  checkpoint  none in %s\n", f.Seal)
		}
		if f.Blocks.Torn != nil {
			fmt.Fprintf(w, "  torn tail   a commit that was never acknowledged, cut off by a stop without warning: %s\n", f.Blocks.Torn.Detail)
		}
		if f.SealDamage != "" {
			fmt.Fprintf(w, "  damage      %s\n", cli.Clean(f.SealDamage))
		}
		if f.Configuration != "" {
			fmt.Fprintf(w, "  damage      %s\n", f.Configuration)
		}
		tellDamages(w, f.Blocks.Damages)
	}
	for _, b := range t.buckets {
		tellBucket(w, b)
	}
	return nil
}

// tellBucket draws the report on a bucket for people.
func tellBucket(w io.Writer, b repair.Bucket) {
	fmt.Fprintf(w, "bucket %s: %s\n", b.Name, b.State)
	fmt.Fprintf(w, "  store       %s: %d values in %d blocks (%d compressed)\n", b.Store, b.Blocks.Records, b.Blocks.Blocks, b.Blocks.Compressed)
	if b.Configuration != "" {
		fmt.Fprintf(w, "  damage      %s\n", b.Configuration)
	}
	tellDamages(w, b.Blocks.Damages)
	if b.Repair != "" {
		fmt.Fprintf(w, "  repair      %s\n", b.Repair)
	}
}

// tellDamages lists the first twenty; -o json has them all.
func tellDamages(w io.Writer, all []blocks.Damage) {
	const most = 20
	for i, d := range all {
		if i == most {
			fmt.Fprintf(w, "  damage      and %d more; -o json has them all\n", len(all)-most)
			return
		}
		fmt.Fprintf(w, "  damage      %s\n", cli.Clean(d.String()))
	}
}

// repaired is what became of one log.
type repaired struct {
	Org  string      `json:"org"`
	Plan repair.Plan `json:"plan"`
	Done repair.Done `json:"done"`
	// Result is intact, planned, or repaired; or damaged, where the log is whole and
	// the bucket of its keys is not, which nothing here repairs.
	Result string `json:"result"`
}

func (t *logSite) repair(c *cobra.Command) error {
	dir, err := t.directory(c)
	if err != nil {
		return err
	}
	if err := refuseOthers(dir, os.Geteuid()); err != nil {
		return err
	}
	lock, err := streams.LockDir(dir)
	if err != nil {
		return whyClosed(err, Config{DataDir: dir}, "base_url", "data directory")
	}
	defer lock.Close()
	targets, err := t.targets(dir)
	if err != nil {
		return err
	}
	if t.reseal && len(targets) != 1 {
		return cli.Usage(c, "--reseal is of one log: name it with --org")
	}
	d := repair.Data{Dir: dir}
	if t.buckets, err = d.Buckets(t.org, false); err != nil {
		return err
	}
	for _, target := range targets {
		if err := t.repairOne(c, d, target); err != nil {
			return errors.Join(t.print(), err)
		}
	}
	if err := t.print(); err != nil {
		return err
	}
	return t.bucketsErr()
}

func (t *logSite) print() error {
	return cli.Print(t.Out, *t.format, map[string]any{"logs": t.repairs, "buckets": t.buckets}, t.tellRepairs)
}

func (t *logSite) repairOne(c *cobra.Command, d repair.Data, target repair.Target) error {
	if !t.dryRun {
		if err := repair.Finish(d, target, time.Now()); err != nil {
			return err
		}
	}
	plan, err := repair.NewPlan(c.Context(), target, t.reseal)
	if err != nil {
		return whyClosed(err, Config{DataDir: d.Dir}, "base_url", "data directory")
	}
	r := repaired{Org: target.Org, Plan: plan, Result: "planned"}
	switch {
	case plan.Nothing():
		r.Result = "intact"
		if slices.ContainsFunc(t.buckets, func(b repair.Bucket) bool { return b.Org == target.Org && b.State == repair.Damaged }) {
			r.Result = "damaged"
		}
	case t.dryRun:
	case plan.Lost != "" && !t.yes:
		t.repairs = append(t.repairs, r)
		return cli.Fail("if no backup has it (docs/runbook-damaged-log.md), repeat with --yes",
			"the log of %s cannot be repaired whole, and nothing was done: lost would be %s", target.Org, plan.Lost)
	default:
		if r.Done, err = plan.Do(c.Context(), d, time.Now()); err != nil {
			return err
		}
		r.Result = "repaired"
	}
	t.repairs = append(t.repairs, r)
	return nil
}

// tellRepairs draws for people what was done, or would be.
func (t *logSite) tellRepairs(w io.Writer) error {
	for _, r := range t.repairs {
		fmt.Fprintf(w, "log %s: %s\n", r.Org, r.Result)
		tellDamages(w, r.Plan.Findings.Blocks.Damages)
		if r.Plan.Needed {
			fmt.Fprintf(w, "  from the seal       %s\n", span(1, r.Plan.FromSeal))
			fmt.Fprintf(w, "  from the old store  %s\n", span(r.Plan.FromSeal+1, r.Plan.FromStore))
			fmt.Fprintf(w, "  lost                %s\n", orElse(r.Plan.Lost, "nothing"))
		}
		if r.Plan.Configuration {
			fmt.Fprintln(w, "  configuration       set aside, and made anew")
		}
		if r.Plan.Reseal {
			fmt.Fprintln(w, "  seal                set aside; the server seals the log again when it starts")
		}
		for _, kept := range r.Done.Kept {
			fmt.Fprintf(w, "  kept                %s\n", kept)
		}
	}
	for _, b := range t.buckets {
		if b.State == repair.Damaged {
			tellBucket(w, b)
		}
	}
	return nil
}

func span(first, last uint64) string {
	if last < first {
		return "none"
	}
	return fmt.Sprintf("commits %d to %d", first, last)
}

// damaged is how a person is told that a log is not served.
func damaged(err error) error {
	d := domain.Damaged(err)
	found, next, _ := strings.Cut(d.Error(), "; to repair: ")
	return &cli.Error{Exit: cli.ExitDamaged, Message: found, Next: next}
}
