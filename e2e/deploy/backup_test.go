package deploy_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// backupAndRestore has the administrator take a backup of a cluster whose
// server runs, lose the streams, and put them back; the server then goes on.
func backupAndRestore(t *testing.T, h *host, admin *user) {
	file := filepath.Join(h.dir, "backup.tar.zst")
	out, err := h.sallyportd(t, "writer", "backup", "--config", h.config, "--out", file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "sign in as its administrator") {
		t.Errorf("the server's own user takes backups, or is not told who may: %v\n%s", err, out)
	}
	if out, err := h.sallyportd(t, "administrator", "backup", "--config", h.config, "--out", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.stop(t)
	for _, stream := range []string{"ORG_default", "KV_KEYS_default", "KV_SECRETS_default"} {
		if m, err := admin.nc.Request("$JS.API.STREAM.DELETE."+stream, nil, within); err != nil || !strings.Contains(string(m.Data), `"success":true`) {
			t.Fatalf("deleting %s: %v", stream, err)
		}
	}
	if out, err := h.sallyportd(t, "writer", "restore", "--config", h.config, "--from", file).CombinedOutput(); err == nil || !strings.Contains(string(out), "sign in as its administrator") {
		t.Errorf("the server's own user restores, or is not told who may: %v\n%s", err, out)
	}
	if out, err := h.sallyportd(t, "administrator", "restore", "--config", h.config, "--from", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.serve(t)
	res, err := http.Get("http://" + h.addr + "/orgs/default/jwks")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the restored server answers %s", res.Status)
	}
}
