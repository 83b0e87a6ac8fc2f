package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const unitFile = "deploy/systemd/sallyportd.service"

// unit is a copy of the unit whose program is there, as systemd-analyze wants it.
func unit(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sallyportd.service")
	text := strings.ReplaceAll(read(t, unitFile), "/usr/bin/sallyportd", "/bin/true")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestTheUnitIsOneThatSystemdUnderstands(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	if out := run(t, "systemd-analyze", "verify", "--man=no", unit(t)); strings.TrimSpace(out) != "" {
		t.Errorf("systemd-analyze verify says:\n%s", out)
	}
}

// exposureAtMost is systemd's figure for what a service could do to the
// machine, 0 to 10, where an unhardened one has 9.6. What is left to ours is the
// network, and being a program.
const exposureAtMost = 1.2

func TestTheUnitExposesLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	out := run(t, "systemd-analyze", "security", "--offline=true", "--no-pager", unit(t))
	m := regexp.MustCompile(`exposure level[^:]*: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("systemd-analyze security says:\n%s", out)
	}
	if level, err := strconv.ParseFloat(m[1], 64); err != nil || level > exposureAtMost {
		t.Errorf("the exposure is %s, want at most %v\n%s", m[1], exposureAtMost, out)
	}
}

func TestTheUnitSaysWhatTheProgramDoes(t *testing.T) {
	settings := map[string]string{}
	for line := range strings.Lines(read(t, unitFile)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(k, "#") {
			settings[k] = v
		}
	}
	for k, want := range map[string]string{
		"Type":                     "notify",
		"RestartPreventExitStatus": "3", // the exit code of a damaged log, and no other: a panic's is 2
		"LoadCredential":           "key_encryption_key:/etc/sallyport/kek.json",
		"UMask":                    "0077",
		"CapabilityBoundingSet":    "",
	} {
		if got, there := settings[k]; !there || got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	stop, err := time.ParseDuration(settings["TimeoutStopSec"])
	must(t, err)
	if asked := 5*time.Second + 10*time.Second; stop < asked+10*time.Second {
		t.Errorf("stopping takes shutdown.wait and shutdown.drain, %s by default, and closing the log; the unit allows %s", asked, stop)
	}
}
