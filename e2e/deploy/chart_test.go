package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport.dev/e2e/program"
)

// The chart is tried in a module of its own, kube, so that neither Helm nor
// Kubernetes is a dependency of Sallyport; here the server reads what it made.
func TestChart(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	t.Parallel()
	must(t, filepath.WalkDir(filepath.Join(top, "deploy/helm"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			_, err = os.ReadFile(path) // so that a changed chart is tried again
		}
		return err
	}))
	rendered := t.TempDir()
	cmd := exec.Command("go", "test", "-count=1", "./...")
	cmd.Dir = "kube"
	cmd.Env = append(os.Environ(), "SALLYPORT_RENDERED="+rendered)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go test in kube: %v\n%s", err, out)
	}
	for _, name := range []string{"embedded", "cluster"} {
		config := filepath.Join(rendered, name+".yaml")
		b, err := os.ReadFile(config)
		must(t, err)
		secrets := mounted(t)
		must(t, os.WriteFile(config, []byte(strings.ReplaceAll(string(b), "/run/secrets/sallyport", secrets)), 0o600))
		out, err := exec.Command(filepath.Join(program.Build(t), "sallyportd"), "config", "check", "--config", config).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s\n%s", name, err, out, b)
		}
	}
}

// mounted is a folder with what the chart mounts from Secrets.
func mounted(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"kek", "nats", "tls", "notify"} {
		must(t, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	kek := filepath.Join(dir, "kek", "kek.json")
	if out, err := exec.Command(filepath.Join(program.Build(t), "sallyportd"), "keys", "kek", "--out", kek).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range map[string]string{
		"webhook-url": "https://hooks.example.com/x", "webhook-secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "smtp-password": "hush",
	} {
		must(t, os.WriteFile(filepath.Join(dir, "notify", name), []byte(text+"\n"), 0o600))
	}
	nats := filepath.Join(t.TempDir(), "made")
	run(t, "deploy/nats/make-credentials", nats, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	for to, from := range map[string]string{
		"nats/seed": "writer.nkey", "nats/ca.crt": "ca.crt", "tls/tls.crt": "127.0.0.1/tls.crt", "tls/tls.key": "127.0.0.1/tls.key",
	} {
		must(t, os.Rename(filepath.Join(nats, from), filepath.Join(dir, to)))
	}
	return dir
}
