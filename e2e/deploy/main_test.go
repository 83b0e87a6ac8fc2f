// Package deploy_test tries what is in deploy/: that it is true, and that the
// real programs run by it.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sallyport.dev/e2e/program"
)

// top is the project's top folder.
const top = "../.."

func TestMain(m *testing.M) { program.Main(m) }

// read is a file of the project.
func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// run runs a program of the machine in the project's top folder and returns
// what it says; that it fails is the test's failure.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = top
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// must ends the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
