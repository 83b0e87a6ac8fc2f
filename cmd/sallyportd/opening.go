package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/streams"
	"sallyport.dev/streams/seal"
)

// whyClosed tells a person what to do where data does not open for a reason
// that they can do something about; url and dir are what they call the address
// and the data directory. Any other error, and none, is returned as it is.
func whyClosed(err error, c Config, url, dir string) error {
	var inUse *streams.InUseError
	var other *domain.Error
	var unreadable *seal.UnreadableError
	switch {
	case domain.Damaged(err) != nil:
		return damaged(err)
	case errors.As(err, &unreadable):
		return cli.Fail(fmt.Sprintf("let %s own %s, as all of the data, and read and write it (sallyportd runs as user %s here); "+
			"if the disk fails (dmesg), restore a backup, see docs/runbook-restore.md",
			ownerOf(c.DataDir), unreadable.Err.Path, userName(uint32(os.Geteuid()))), "%v", err)
	case errors.Is(err, domain.ErrNewer):
		return cli.Fail("run the version that wrote it, or a newer one; docs/upgrades.md tells in which order versions follow each other", "%v", err)
	case errors.As(err, &inUse):
		return cli.Fail("stop process "+inUse.Process+", or choose another "+dir, "%v", inUse)
	case errors.Is(err, jose.ErrSealed):
		return cli.Fail("name the key-encryption key that was used from the start; a backup of it is as good",
			"the signing keys in %s do not open: another key-encryption key sealed them, or they were changed", c.DataDir)
	case errors.As(err, &other) && other.Code == "organisation.taken":
		return cli.Fail("put back the "+url+" that its issuer begins with (it never changes), or choose another "+dir,
			"the %s is %s, but the data in %s was made with another one: %s", url, c.BaseURL, c.DataDir, other.Message)
	}
	return err
}

// isServes tells whether a directory holds a log that dev did not begin.
func isServes(dir string) (bool, error) {
	for _, name := range []string{markFile(dir), keptFile(dir)} {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	for _, name := range []string{"mode", "nats", "trail"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
	}
	return false, nil
}

// markDev marks a directory as dev's, before anything else is put there.
func markDev(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cli.Fail("name another with --data", "making the data directory: %v", err)
	}
	if err := os.WriteFile(markFile(dir), []byte("of sallyportd dev\n"), 0o600); err != nil {
		return cli.Fail("name another with --data", "marking the data directory: %v", err)
	}
	return nil
}

// refuseServes keeps `dev`, which makes people, out of the data of production.
func refuseServes(dir string) error {
	switch its, err := isServes(dir); {
	case err != nil:
		return cli.Fail("name another with --data", "looking into the data directory: %v", err)
	case its:
		return cli.Fail("use `sallyportd serve --config FILE` and --config, or name another folder with --data",
			"%s is the data of `sallyportd serve`", dir)
	}
	return nil
}
