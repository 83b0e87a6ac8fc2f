package deploy_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a folder that packages are installed into as if it were a machine's
// root. What would change this machine, such as useradd, is only noted.
type machine struct {
	root  string
	noted string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{root: t.TempDir(), noted: filepath.Join(t.TempDir(), "noted")}
	must(t, os.MkdirAll(filepath.Join(m.root, "var/lib/dpkg/info"), 0o755))
	must(t, os.MkdirAll(filepath.Join(m.root, "var/lib/dpkg/updates"), 0o755))
	must(t, os.WriteFile(filepath.Join(m.root, "var/lib/dpkg/status"), nil, 0o600))
	must(t, os.WriteFile(m.noted, nil, 0o600))
	return m
}

// dpkg runs dpkg on the machine and returns what it says.
func (m *machine) dpkg(t *testing.T, args ...string) string {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"groupadd", "useradd", "systemctl", "getent"} {
		script := "#!/bin/sh\necho " + name + " \"$@\" >> '" + m.noted + "'\n"
		if name == "getent" {
			script += "exit 2\n" // there is no such user
		}
		must(t, os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700))
	}
	cmd := exec.Command("dpkg", append([]string{"--root=" + m.root, "--force-not-root", "--force-script-chrootless", "--force-depends", "--log=/dev/null"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+bin+":/usr/sbin:/usr/bin:/sbin:/bin")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("dpkg %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// file is one of the machine's files, nil where there is none.
func (m *machine) file(name string) []byte {
	b, err := os.ReadFile(filepath.Join(m.root, name))
	if err != nil {
		return nil
	}
	return b
}

// build makes the package with a version and returns its file.
func build(t *testing.T, version string) string {
	t.Helper()
	cmd := exec.Command("make", "-s", "package", "OUT="+t.TempDir())
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "PACKAGE_VERSION="+version)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("make package: %v\n%s%s", err, out, &said)
	}
	return strings.TrimSpace(string(out))
}

// data is the digest of a package's files, without what names its version.
func data(t *testing.T, file string) [sha256.Size]byte {
	t.Helper()
	out, err := exec.Command("ar", "p", file, "data.tar.zst").Output()
	must(t, err)
	if len(out) == 0 {
		t.Fatal("the package has no data.tar.zst")
	}
	return sha256.Sum256(out)
}

func TestThePackageKeepsDataAndKey(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	t.Parallel()
	for _, name := range []string{"deploy/deb/nfpm.yaml", "deploy/deb/postinst", "deploy/deb/prerm", "deploy/deb/postrm", "scripts/package", unitFile} {
		read(t, name) // so that a changed one is tried again: what a script reads, go test does not see
	}
	one, two := build(t, "0.1.0"), build(t, "0.2.0")
	if data(t, one) != data(t, two) {
		t.Error("the same sources made other bytes")
	}

	m := newMachine(t)
	out := m.dpkg(t, "--install", one)
	kek := m.file("etc/sallyport/kek.json")
	if len(kek) == 0 || !strings.Contains(out, "keep a copy") {
		t.Fatalf("no key-encryption key was made:\n%s", out)
	}
	if info, err := os.Stat(filepath.Join(m.root, "etc/sallyport/kek.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the key: %v %v", info.Mode(), err)
	}
	if lines := strings.Split(string(kek), "\n"); strings.Contains(out, lines[0]) {
		t.Error("the key is on the screen")
	}
	noted, err := os.ReadFile(m.noted)
	must(t, err)
	if !bytes.Contains(noted, []byte("useradd --system --gid sallyport")) || bytes.Contains(noted, []byte("systemctl")) {
		t.Errorf("installing did:\n%s", noted)
	}
	if v := run(t, filepath.Join(m.root, "usr/bin/sallyportd"), "version"); !strings.Contains(v, "sallyportd") {
		t.Errorf("the installed program says %s", v)
	}
	if m.file("etc/sallyport/config.yaml") != nil {
		t.Error("the package brings a configuration, so the server would start with an address of nobody's")
	}

	must(t, os.MkdirAll(filepath.Join(m.root, "var/lib/sallyport/nats"), 0o700))
	must(t, os.WriteFile(filepath.Join(m.root, "var/lib/sallyport/nats/log"), []byte("the log"), 0o600))
	must(t, os.WriteFile(filepath.Join(m.root, "etc/sallyport/config.yaml"), []byte("mine"), 0o600))
	kept := func(after string) {
		t.Helper()
		if !bytes.Equal(m.file("etc/sallyport/kek.json"), kek) || string(m.file("var/lib/sallyport/nats/log")) != "the log" || string(m.file("etc/sallyport/config.yaml")) != "mine" {
			t.Errorf("after %s something is lost", after)
		}
	}
	m.dpkg(t, "--install", two)
	kept("an upgrade")
	m.dpkg(t, "--remove", "sallyport")
	kept("removing it")
	if m.file("usr/bin/sallyportd") != nil {
		t.Error("the program is still there")
	}
	m.dpkg(t, "--purge", "sallyport")
	kept("purging it")

	must(t, os.Remove(filepath.Join(m.root, "etc/sallyport/kek.json")))
	out = m.dpkg(t, "--install", two)
	if m.file("etc/sallyport/kek.json") != nil || !strings.Contains(out, "put back the copy") {
		t.Errorf("a new key was made for data that another one sealed:\n%s", out)
	}
}
