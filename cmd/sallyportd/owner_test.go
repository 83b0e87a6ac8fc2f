package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRootDoesNotWriteIntoAnothersData(t *testing.T) {
	dir := t.TempDir()
	mine := os.Getuid()
	if mine == 0 {
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	if err := refuseOthers(dir, 0); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("root may write into another's data: %v", err)
	}
	if err := refuseOthers(dir, 65534); err != nil {
		t.Errorf("its own user may not: %v", err)
	}
	if err := refuseOthers(filepath.Join(dir, "new"), 0); err != nil {
		t.Errorf("root may not make a new one: %v", err)
	}
	if err := refuseOthers("/", 0); err != nil {
		t.Errorf("root may not write into its own: %v", err)
	}
}

// What root would write there by these commands, the server could not read.
func TestRootRepairsAndExaminesNothingOfAnother(t *testing.T) {
	s := serveFile(t, "")
	if err := os.MkdirAll(filepath.Join(s.data, "trail"), 0o700); err != nil {
		t.Fatal(err)
	}
	root := os.Geteuid() == 0
	if root {
		if err := os.Chown(s.data, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"doctor"}, {"log", "repair"}} {
		out, errs, _ := command(t, t.Context(), nil, append(args, "--config", s.config)...)
		if refused := strings.Contains(out+errs, "could not read what root writes there"); refused != root {
			t.Errorf("%s as root %v: refused %v\n%s%s", args, root, refused, out, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(s.data, "lock")); root && err == nil {
		t.Error("root made a lock in the data of another")
	}
}
