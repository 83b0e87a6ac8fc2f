package main

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"regexp"
	rtmetrics "runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
)

// watched is a server with two organisations whose metrics are served.
func watched(t *testing.T, change func(*Main)) (x *tenancy, metrics string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x = twoTenantsWith(t, func(m *Main) {
		m.Metrics = l
		if change != nil {
			change(m)
		}
	})
	return x, "http://" + l.Addr().String()
}

func scrape(t *testing.T, metrics string) map[string]*dto.MetricFamily {
	t.Helper()
	res, err := (&http.Client{}).Get(metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	p := expfmt.NewTextParser(model.UTF8Validation)
	all, err := p.TextToMetricFamilies(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("scraping: %d, %v", res.StatusCode, err)
	}
	return all
}

// value is that of the one series that has these labels, in pairs, and 0 if there is none.
func value(t *testing.T, all map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range all[name].GetMetric() {
		has := labelsOf(m)
		fits := true
		for i := 0; i+1 < len(labels); i += 2 {
			fits = fits && has[labels[i]] == labels[i+1]
		}
		switch {
		case !fits:
		case m.Histogram != nil:
			return float64(m.Histogram.GetSampleCount())
		default:
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return 0
}

func labelsOf(m *dto.Metric) map[string]string {
	has := map[string]string{}
	for _, l := range m.GetLabel() {
		has[l.GetName()] = l.GetValue()
	}
	return has
}

// documented reads the table of docs/metrics.md: name to type, labels and help.
func documented(t *testing.T) map[string][3]string {
	t.Helper()
	b, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `(sallyport_[a-z_]+)` \\| ([a-z]+) \\| ([^|]*) \\| ([^|]*) \\|$")
	all := map[string][3]string{}
	for _, m := range row.FindAllStringSubmatch(string(b), -1) {
		all[m[1]] = [3]string{m[2], strings.ReplaceAll(strings.TrimSpace(m[3]), "`", ""), strings.TrimSpace(m[4])}
	}
	return all
}

func TestMetricsAreThoseOfTheirPage(t *testing.T) {
	x, metrics := watched(t, nil)
	for range 3 {
		if a := x.exchange(t, "default", x.proof("default"), "connection", "ci"); a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.raw)
		}
	}
	x.exchange(t, "default", x.proof("acme"), "connection", "ci") // for somebody else's audience
	x.exchange(t, "default", x.proof("default"), "connection", "nowhere")
	all := scrape(t, metrics)
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end) && // what was just recorded is folded in a moment
		value(t, all, "sallyport_projection_lag_events", "org", "default", "projection", "control") > 0; {
		all = scrape(t, metrics)
	}
	for _, want := range []struct {
		value  float64
		name   string
		labels []string
	}{
		{3, "sallyport_token_exchanges_total", []string{"org", "default", "connection", "ci", "outcome", "issued", "reason", ""}},
		{1, "sallyport_token_exchanges_total", []string{"org", "default", "connection", "ci", "outcome", "denied", "reason", "proof.conditions"}},
		{1, "sallyport_token_exchanges_total", []string{"org", "default", "connection", "", "outcome", "denied", "reason", "connection.unknown"}},
		{5, "sallyport_token_exchange_duration_seconds", []string{"org", "default"}},
		{3, "sallyport_events_appended_total", []string{"org", "default", "type", "token.issued"}},
		{1, "sallyport_events_appended_total", []string{"org", "default", "type", "connection.activated"}},
		{1, "sallyport_jwks_fetches_total", []string{"outcome", "ok"}},
		{1, "sallyport_replicas", []string{"org", "acme"}},
		{0, "sallyport_log_halted", []string{"org", "acme"}},
		{0, "sallyport_projection_lag_events", []string{"org", "default", "projection", "control"}},
	} {
		if got := value(t, all, want.name, want.labels...); got != want.value {
			t.Errorf("%s%q is %v, want %v", want.name, want.labels, got, want.value)
		}
	}
	if got := value(t, all, "sallyport_projection_last_sequence", "org", "default", "projection", "control"); got < 10 {
		t.Errorf("the control state is at %v after all that work", got)
	}
	if got := value(t, all, "sallyport_disk_free_ratio"); got <= 0 || got >= 1 {
		t.Errorf("the share of the disk that is free is %v", got)
	}
	holdAgainstPage(t, all)
}

func holdAgainstPage(t *testing.T, all map[string]*dto.MetricFamily) {
	t.Helper()
	page := documented(t)
	for name, f := range all {
		if !strings.HasPrefix(name, "sallyport_") {
			continue
		}
		labels := map[string]bool{}
		for _, m := range f.GetMetric() {
			for l := range labelsOf(m) {
				labels[l] = true
			}
		}
		got := [3]string{strings.ToLower(f.GetType().String()), strings.Join(slices.Sorted(maps.Keys(labels)), ", "), f.GetHelp()}
		want, known := page[name]
		want[1] = strings.Join(slices.Sorted(strings.SplitSeq(want[1], ", ")), ", ")
		if !known || got != want {
			t.Errorf("docs/metrics.md says of %s\n%q, and it is\n%q", name, want, got)
		}
	}
	for name := range page {
		if all[name] == nil {
			t.Errorf("docs/metrics.md has %s, and after a day's work nobody counted that", name)
		}
	}
}

// What a stranger sends must not become a series: whoever can make up labels can
// fill the memory of two machines.
func TestAStrangerMakesNoNewSeries(t *testing.T) {
	x, metrics := watched(t, nil)
	tries := func(round int) {
		for i := range 20 {
			odd := fmt.Sprintf("r%d-%d", round, i)
			x.exchange(t, "default", x.proof("default"), "connection", odd)
			x.exchange(t, "default", x.proof("default"), "audience", "https://"+odd)
			x.exchange(t, "default", "eyJ"+odd, "grant_type", odd)
			x.exchange(t, "default", x.provider.Mint(map[string]any{"iss": odd, "sub": odd, "aud": odd}), "role_hint", odd)
			x.send(t, "GET", "/"+odd, "")
			x.send(t, "GET", "/orgs/"+odd+"/jwks", "")
			x.send(t, strings.ToUpper("x"+odd), "/orgs/default/token", "", "X-Request-Id", odd, "User-Agent", odd)
			x.json(t, "default", domain.DevOpsAdmin, "GET", "/connections/"+odd, "")
			x.send(t, "POST", "/orgs/default/introspect", odd, "Authorization", "Bearer "+odd)
		}
	}
	tries(1) // what they bring about at all
	before := series(scrape(t, metrics))
	tries(2)
	tries(3)
	for s := range series(scrape(t, metrics)) {
		if !before[s] {
			t.Errorf("a stranger made the series %s", s)
		}
		if strings.Contains(s, "r1-") || strings.Contains(s, "R1-") {
			t.Errorf("a stranger's text is in %s", s)
		}
	}
}

func series(all map[string]*dto.MetricFamily) map[string]bool {
	out := map[string]bool{}
	for name, f := range all {
		if strings.HasPrefix(name, "sallyport_") {
			for _, m := range f.GetMetric() {
				out[fmt.Sprint(name, m.GetLabel())] = true
			}
		}
	}
	return out
}

// A limit that refuses is counted, and the connections' limit is each connection's own.
func TestLimitsOfAddressesAndConnectionsAreCounted(t *testing.T) {
	x, metrics := watched(t, func(m *Main) { m.Config.RateLimits = RateLimitsConfig{PerAddress: 1000, PerConnection: 1} })
	refused := 0
	for range 5 {
		if a := x.exchange(t, "default", x.proof("default"), "connection", "ci"); a.StatusCode == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("five exchanges at once were allowed where two are")
	}
	if a := x.exchange(t, "acme", x.proof("acme"), "connection", "ci"); a.StatusCode != http.StatusOK {
		t.Errorf("the connection of that name of another organisation is limited too: %d", a.StatusCode)
	}
	all := scrape(t, metrics)
	if got := value(t, all, "sallyport_rate_limited_total", "org", "default", "limit", "connection"); got != float64(refused) {
		t.Errorf("%v refusals were counted, and there were %d", got, refused)
	}
	if got := value(t, all, "sallyport_token_exchanges_total", "org", "default", "connection", "ci", "reason", "rate.limited"); got != float64(refused) {
		t.Errorf("%v exchanges were counted as limited, and there were %d", got, refused)
	}
}

func TestEveryPublicAnswerIsLimitedByAddress(t *testing.T) {
	for _, ask := range []func(r *running) int{
		func(r *running) int { return r.send(t, "GET", "/orgs/default/jwks", "").StatusCode },
		func(r *running) int {
			return r.send(t, "GET", "/orgs/default/.well-known/openid-configuration", "").StatusCode
		},
		func(r *running) int {
			return r.send(t, "GET", "/.well-known/oauth-authorization-server/orgs/default", "").StatusCode
		},
		func(r *running) int { return r.send(t, "POST", "/orgs/default/introspect", "token=x").StatusCode },
	} {
		r := start(t, func(m *Main) { m.Config.RateLimits.PerAddress = 1 })
		var got []int
		for range 6 {
			got = append(got, ask(r))
		}
		if !slices.Contains(got, http.StatusTooManyRequests) || got[0] == http.StatusTooManyRequests {
			t.Errorf("answers were %v, with two at once allowed", got)
		}
		if s := r.send(t, "GET", "/livez", "").StatusCode; s != http.StatusOK {
			t.Errorf("the probe is limited too: %d", s)
		}
	}
}

// collections is how often somebody had garbage collected.
func collections() uint64 {
	forced := []rtmetrics.Sample{{Name: "/gc/cycles/forced:gc-cycles"}}
	rtmetrics.Read(forced)
	return forced[0].Value.Uint64()
}

// The public listener has neither metrics nor profiles, and theirs have nothing else.
func TestMetricsAndProfilesAreServedApart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x, metrics := watched(t, func(m *Main) { m.Pprof = l })
	profiles := "http://" + l.Addr().String()
	for url, want := range map[string]int{
		x.url + "/metrics": 404, x.url + "/debug/pprof/": 404, x.url + "/debug/pprof/heap": 404,
		metrics + "/metrics": 200, metrics + "/debug/pprof/": 404, metrics + "/livez": 404, metrics + "/orgs/default/jwks": 404,
		profiles + "/debug/pprof/": 200, profiles + "/debug/pprof/goroutine?debug=1": 200, profiles + "/debug/pprof/profile?seconds=1": 200,
		profiles + "/debug/pprof/none": 404, profiles + "/metrics": 404,
	} {
		res, err := (&http.Client{}).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != want || want == 200 && len(b) == 0 {
			t.Errorf("%s: %d with %d bytes (%v), want %d", url, res.StatusCode, len(b), err, want)
		}
	}
	before := collections()
	for path, want := range map[string]bool{"heap": false, "goroutine?gc=1": false, "heap?gc=1": true} {
		res, err := (&http.Client{}).Get(profiles + "/debug/pprof/" + path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if now := collections(); err != nil || (now > before) != want {
			t.Errorf("%s: a collection was asked for %d times (%v), want any: %v", path, now-before, err, want)
		}
		before = collections()
	}
	for _, url := range []string{metrics + "/metrics", profiles + "/debug/pprof/heap"} { // the limits are those of every listener
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Long", strings.Repeat("x", 2*api.MaxHeader))
		res, err := (&http.Client{}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s takes headers of more than 16 KiB: %d", url, res.StatusCode)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, profiles+"/debug/pprof/heap", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "attacker.example" // a browser that was lured here by a name
	res, err := (&http.Client{}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a profile is given to %s: %d", req.Host, res.StatusCode)
	}
}
