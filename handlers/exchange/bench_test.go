package exchange_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
)

// TestMain runs the tests or, as a child of a benchmark, the load: a client in
// a process of its own, so that what this process spends is the server's.
func TestMain(m *testing.M) {
	if url := os.Getenv("SALLYPORT_LOAD_URL"); url != "" {
		if err := load(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// measured is what the load saw.
type measured struct {
	Requests, Errors int
	Seconds          float64
	P50, P99         time.Duration
}

// load posts the body on standard input, so many times from so many callers.
func load(url string) error {
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	callers, _ := strconv.Atoi(os.Getenv("SALLYPORT_LOAD_CALLERS"))
	requests, _ := strconv.Atoi(os.Getenv("SALLYPORT_LOAD_REQUESTS"))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}, Timeout: 30 * time.Second}
	took := make([]time.Duration, requests)
	var next, failed atomic.Int64
	begun := time.Now()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= requests {
					return
				}
				at := time.Now()
				resp, err := client.Post(url, "application/x-www-form-urlencoded", bytes.NewReader(body))
				if err != nil {
					failed.Add(1)
					continue
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				resp.Body.Close()
				took[i] = time.Since(at)
			}
		})
	}
	wg.Wait()
	m := measured{Requests: requests, Errors: int(failed.Load()), Seconds: time.Since(begun).Seconds()}
	slices.Sort(took)
	m.P50, m.P99 = took[requests/2], took[requests*99/100]
	return json.NewEncoder(os.Stdout).Encode(m)
}

// drive runs the load against url from a child process.
func drive(b *testing.B, url, body string, callers, requests int) (m measured) {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	c := exec.CommandContext(b.Context(), exe)
	c.Env = append(os.Environ(), "SALLYPORT_LOAD_URL="+url, "SALLYPORT_LOAD_CALLERS="+strconv.Itoa(callers), "SALLYPORT_LOAD_REQUESTS="+strconv.Itoa(requests))
	c.Stdin, c.Stderr = strings.NewReader(body), os.Stderr
	out, err := c.Output()
	if err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(out, &m); err != nil {
		b.Fatalf("the load printed %q", out)
	}
	if m.Errors > 0 {
		b.Fatalf("%d of %d requests failed", m.Errors, m.Requests)
	}
	return m
}

// cpu is what this process has spent so far, user and system.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkExchange is a token over HTTP, from an RS256 proof of GitHub's shape
// to an ES256 token whose event is on disk, beside the floor measured in the
// same run: verify, sign, a bare echo request of the same body, and its share
// of a synced append. CPU is the server's, user and system; what folding the
// events into the audit trail takes of it is shown apart.
func BenchmarkExchange(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchmarkExchange(b, callers) })
	}
}

func benchmarkExchange(b *testing.B, callers int) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as sallyportd does
	w := orgtest.New(b)
	p := orgtest.NewProvider(b, "RS256")
	w.Activated("ci", p.Spec(w.Issuer(), subject))
	proof := p.Mint(p.Claims(w.Now(), w.Issuer(), subject, githubClaims))
	body := form(proof, "connection", "ci").Encode()

	x := exchange.New(w.Organisation, exchange.Options{})
	b.Cleanup(x.Close)
	e := api.New(api.Options{Log: orgtest.Quiet()})
	x.Mount(e.Group("/orgs/default"))
	e.POST("/bare", func(c echo.Context) error {
		if _, err := io.Copy(io.Discard, c.Request().Body); err != nil {
			return err
		}
		return c.String(http.StatusOK, strings.Repeat("x", 1500))
	})
	s := httptest.NewUnstartedServer(nil)
	s.Config = api.NewServer(e, orgtest.Quiet())
	s.Start()
	b.Cleanup(s.Close)

	drive(b, s.URL+"/orgs/default/token", body, callers, 200) // keys fetched, connections open
	requests := max(b.N, 4*callers)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	spent := cpu()
	b.ResetTimer()
	m := drive(b, s.URL+"/orgs/default/token", body, callers, requests)
	b.StopTimer()
	var folded domain.Head
	w.Read(func(_ *control.State, at domain.Head) { folded = at })
	if err := w.WaitFor(b.Context(), domain.Position{Sequence: folded.Stream}); err != nil {
		b.Fatal(err)
	}
	spent = cpu() - spent
	runtime.ReadMemStats(&after)

	perToken := micros(spent) / float64(requests)
	fold := foldCost(b, w)
	floor := floorCost(b, proof, body, s.URL+"/bare", callers)
	b.ReportMetric(float64(requests)/m.Seconds, "tokens/s")
	b.ReportMetric(micros(m.P50), "p50-us")
	b.ReportMetric(micros(m.P99), "p99-us")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(requests), "mallocs/token")
	b.ReportMetric(perToken-fold, "cpu-us/token")
	b.ReportMetric(fold, "trail-cpu-us/token")
	b.ReportMetric(floor, "floor-cpu-us")
	b.ReportMetric((perToken-fold)/floor, "x-floor")
	b.ReportMetric(0, "ns/op") // wall time of a shared run says nothing of one token
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// foldCost is the CPU that one event takes to be read from the log, decoded and
// folded into a new trail.
func foldCost(b *testing.B, w *orgtest.World) float64 {
	b.Helper()
	tr, err := trail.Open(b.Context(), filepath.Join(b.TempDir(), "trail.db"), events.New(), orgtest.Quiet())
	if err != nil {
		b.Fatal(err)
	}
	defer tr.Close()
	n := len(w.Events())
	spent := cpu()
	if err := w.Follow(b.Context(), tr); err != nil {
		b.Fatal(err)
	}
	return micros(cpu()-spent) / float64(n)
}

// floorCost is the CPU in microseconds of what no token can do without.
func floorCost(b *testing.B, proof, body, bareURL string, callers int) float64 {
	b.Helper()
	verify := verifyCost(b)
	sign := signCost(b)
	spent := cpu()
	const bare = 2000
	drive(b, bareURL, body, callers, bare)
	echoed := micros(cpu()-spent) / bare
	appended := appendCost(b)
	b.ReportMetric(verify, "floor-verify-us")
	b.ReportMetric(sign, "floor-sign-us")
	b.ReportMetric(echoed, "floor-http-us")
	b.ReportMetric(appended, "floor-append-us")
	return verify + sign + echoed + appended
}

func verifyCost(b *testing.B) float64 {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256([]byte("a proof"))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	return each(2000, func() {
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], sig); err != nil {
			b.Fatal(err)
		}
	})
}

func signCost(b *testing.B) float64 {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256([]byte("a token"))
	return each(2000, func() {
		if _, err := ecdsa.SignASN1(rand.Reader, key, sum[:]); err != nil {
			b.Fatal(err)
		}
	})
}

// appendCost is one record's share of an append of 64 that is synced.
func appendCost(b *testing.B) float64 {
	f, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	batch := bytes.Repeat([]byte("x"), 64*900)
	return each(200, func() {
		if _, err := f.Write(batch); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}) / 64
}

// each is the CPU of one call of f in microseconds, with every processor at it,
// as in the run: two that share a core are each slower than one alone.
func each(n int, f func()) float64 {
	spent := cpu()
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for range workers {
		wg.Go(func() {
			for range n {
				f()
			}
		})
	}
	wg.Wait()
	return micros(cpu()-spent) / float64(n*workers)
}

// githubClaims is the rest of a GitHub Actions token, so that a proof has a real one's size.
var githubClaims = map[string]any{
	"actor": "octocat", "actor_id": "798097", "base_ref": "", "check_run_id": "82477645421", "event_name": "push", "head_ref": "",
	"job_workflow_ref": "acme/app/.github/workflows/deploy.yml@refs/heads/main", "job_workflow_sha": "7929bf4465790ad6f6b9fb3a4f1195518f99b212",
	"jti": "aba5e289-a34f-4585-b2f5-e48065d7ff84", "ref": "refs/heads/main", "ref_protected": "false", "ref_type": "branch",
	"repository": "acme/app", "repository_id": "1274399613", "repository_owner": "acme", "repository_owner_id": "798097",
	"repository_visibility": "private", "run_attempt": "1", "run_id": "27868968625", "run_number": "20",
	"runner_environment": "github-hosted", "sha": "7929bf4465790ad6f6b9fb3a4f1195518f99b212", "workflow": "Deploy",
	"workflow_ref": "acme/app/.github/workflows/deploy.yml@refs/heads/main", "workflow_sha": "7929bf4465790ad6f6b9fb3a4f1195518f99b212",
}
