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
