package deploy_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	metric    = regexp.MustCompile(`sallyport_[a-z_]+`)
	histogram = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// documented are the metrics of docs/metrics.md, whose table is held against the
// program by a test of its own.
func documented(t *testing.T) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(read(t, "docs/metrics.md")) {
		if strings.HasPrefix(line, "| `sallyport_") {
			all = append(all, metric.FindString(line))
		}
	}
	if len(all) < 10 {
		t.Fatalf("found %d metrics in docs/metrics.md, so this test looks in the wrong place", len(all))
	}
	return all
}

func TestAlertsAndDashboardNameMetricsThatExist(t *testing.T) {
	known := documented(t)
	shown := map[string]bool{}
	for _, file := range []string{"deploy/prometheus/alerts.yaml", "deploy/prometheus/alerts_test.yaml", "deploy/grafana/sallyport.json"} {
		for _, name := range metric.FindAllString(read(t, file), -1) {
			if base := histogram.ReplaceAllString(name, ""); !slices.Contains(known, name) && !slices.Contains(known, base) {
				t.Errorf("%s: there is no metric %s", file, name)
			} else if strings.HasSuffix(file, ".json") {
				shown[base], shown[name] = true, true
			}
		}
	}
	for _, name := range known {
		// The newest sealed commit is in the age and the lag already.
		if !shown[name] && name != "sallyport_checkpoint_sequence" {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

func TestTheDashboardIsOne(t *testing.T) {
	var d struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	must(t, json.Unmarshal([]byte(read(t, "deploy/grafana/sallyport.json")), &d))
	if d.UID == "" || len(d.Panels) < 10 {
		t.Fatalf("a dashboard of %d panels", len(d.Panels))
	}
	ids, at := map[int]bool{}, map[[2]int]int{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d shows nothing", p.ID)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := at[[2]int{x, y}]; other != 0 {
					t.Fatalf("panels %d and %d lie on each other", other, p.ID)
				}
				at[[2]int{x, y}] = p.ID
			}
		}
	}
}

var (
	runbook = regexp.MustCompile(`runbook: (\S+)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notSlug = regexp.MustCompile(`[^a-z0-9 -]`)
)

func TestEveryAlertLeadsToARunbook(t *testing.T) {
	rules := read(t, "deploy/prometheus/alerts.yaml")
	found := runbook.FindAllStringSubmatch(rules, -1)
	if n := strings.Count(rules, "- alert:"); n != len(found) || n < 10 {
		t.Errorf("%d alerts and %d runbooks", n, len(found))
	}
	for _, m := range found {
		page, anchor, anchored := strings.Cut(m[1], "#")
		var slugs []string
		for _, h := range heading.FindAllStringSubmatch(read(t, page), -1) {
			slugs = append(slugs, strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
		}
		if anchored && !slices.Contains(slugs, anchor) {
			t.Errorf("%s has no heading #%s; it has %s", page, anchor, strings.Join(slugs, " "))
		}
	}
}

func TestTheAlertsFireWhenTheyShould(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	promtool := "bin/promtool" // scripts/setup puts it there, unless the machine has it
	if path, err := exec.LookPath("promtool"); err == nil {
		promtool = path
	} else if promtool, err = filepath.Abs(filepath.Join(top, promtool)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alerts.yaml", "alerts_test.yaml"} {
		read(t, "deploy/prometheus/"+name) // so that a changed one is tried again
	}
	run(t, promtool, "check", "rules", "deploy/prometheus/alerts.yaml")
	run(t, promtool, "test", "rules", "deploy/prometheus/alerts_test.yaml")
}
