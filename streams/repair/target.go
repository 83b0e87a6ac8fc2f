package repair

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport.dev/streams/blocks"
)

// Target is one organisation's log on one machine: its store and its seal.
type Target struct {
	Org   string
	Store blocks.Stream // its folder is named ORG_<org>
	Seal  string        // folder of checkpoints, tree and segments
	// Mark is a file outside of Seal that is there once the log was sealed, so that a
	// seal that is gone is not taken for one that never was. Empty: there is none.
	Mark string
}

// Subjects are those of the log.
func (t Target) subjects() []string {
	return []string{"org." + t.Org + ".control", "org." + t.Org + ".activity"}
}

const logPrefix = "ORG_"

// bucketPrefixes is what the store of a bucket begins with, before the name of
// its organisation: the sealed keys, and the sealed secrets.
var bucketPrefixes = []string{"KV_KEYS_", "KV_SECRETS_"}

// bucketOf is the organisation whose bucket the store of that name is; ok is
// false if it is the store of something else.
func bucketOf(name string) (org string, ok bool) {
	for _, prefix := range bucketPrefixes {
		if org, ok = strings.CutPrefix(name, prefix); ok {
			return org, true
		}
	}
	return "", false
}

// Data is a data directory of an embedded server.
type Data struct{ Dir string }

func (d Data) streams() string { return filepath.Join(d.Dir, "nats", "jetstream", "$G", "streams") }
func (d Data) seals() string   { return filepath.Join(d.Dir, "seal") }
func (d Data) marks() string   { return filepath.Join(d.Dir, "sealed") }

// Target is the log of that organisation, whether or not there is anything of it.
func (d Data) Target(org string) Target {
	return Target{
		Org: org, Store: blocks.Stream{Dir: filepath.Join(d.streams(), logPrefix+org)},
		Seal: filepath.Join(d.seals(), org), Mark: filepath.Join(d.marks(), org),
	}
}

// Targets are the logs of every organisation that has a store, a seal, or had one, by name.
func (d Data) Targets() ([]Target, error) {
	stores, err := folders(d.streams())
	if err != nil {
		return nil, err
	}
	seals, err := folders(d.seals())
	if err != nil {
		return nil, err
	}
	var orgs []string
	for _, name := range stores {
		if org, isLog := strings.CutPrefix(name, logPrefix); isLog {
			orgs = append(orgs, org)
		}
	}
	orgs = append(orgs, seals...)
	marks, err := os.ReadDir(d.marks())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the logs that were sealed: %w", err)
	}
	for _, m := range marks {
		orgs = append(orgs, m.Name())
	}
	slices.Sort(orgs)
	var all []Target
	for _, org := range slices.Compact(orgs) {
		all = append(all, d.Target(org))
	}
	return all, nil
}

// buckets are the stores of sealed keys and secrets.
func (d Data) buckets() ([]blocks.Stream, error) {
	names, err := folders(d.streams())
	if err != nil {
		return nil, err
	}
	var all []blocks.Stream
	for _, name := range names {
		if _, is := bucketOf(name); is {
			all = append(all, blocks.Stream{Dir: filepath.Join(d.streams(), name)})
		}
	}
	return all, nil
}

// folders lists the folders in one; what begins with a dot is being removed.
func folders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the streams: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// StoreOf finds the store of an organisation's log below the store_dir of a NATS
// server, whatever its account is called, or below any folder on the way there.
func StoreOf(dir, org string) (blocks.Stream, error) {
	name := logPrefix + org
	if filepath.Base(dir) == name {
		return blocks.Stream{Dir: dir}, nil
	}
	for _, between := range []string{"", "streams", "*/streams", "jetstream/*/streams"} {
		found, err := filepath.Glob(filepath.Join(dir, between, name))
		switch {
		case err != nil:
			return blocks.Stream{}, err
		case len(found) == 1:
			return blocks.Stream{Dir: found[0]}, nil
		case len(found) > 1:
			return blocks.Stream{}, fmt.Errorf("%s is there more than once: name one of %s", name, strings.Join(found, ", "))
		}
	}
	return blocks.Stream{}, fmt.Errorf("there is no %s below %s: is it the store_dir of a NATS server that has a replica of this log?", name, dir)
}
