package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"sallyport.dev/cmd/internal/cli"
)

// refuseOthers keeps root from working in the data of a service that has a user
// of its own: what root writes there, that user could not read, and the server
// would not start again. uid is whose process this is.
func refuseOthers(dir string, uid int) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it will be made
	}
	if err != nil {
		return fmt.Errorf("looking whose the data directory is: %w", err)
	}
	its, ok := info.Sys().(*syscall.Stat_t)
	if !ok || uid != 0 || its.Uid == 0 {
		return nil
	}
	name := userName(its.Uid)
	return cli.Fail("start the server, or run this as "+name+"; docs/deploy-systemd.md has the command",
		"no server answers, and the data in %s is that of %s, who could not read what root writes there", dir, name)
}

// userName is what a user is called, or their number.
func userName(uid uint32) string {
	name := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return name
}

// ownerOf is whose a data directory, and so every file in it, is.
func ownerOf(dir string) string {
	info, err := os.Stat(dir)
	if err == nil {
		if its, ok := info.Sys().(*syscall.Stat_t); ok {
			return "user " + userName(its.Uid)
		}
	}
	return "the user that sallyportd runs as"
}
