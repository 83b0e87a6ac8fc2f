package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
)

// floor is what no token can do without, measured on this machine in this run:
// CPU in microseconds, user and system.
type floor struct {
	Verify    float64 `json:"verify_us"` // RS256, 2048 bit
	Sign      float64 `json:"sign_us"`   // ES256
	HTTP      float64 `json:"http_us"`   // a bare echo request and answer of a token's sizes
	Append    float64 `json:"append_us"` // a record's share of a synced append of 64
	Fdatasync float64 `json:"fdatasync_p50_us"`

	samples float64 // of verify and sign: theirs is the mean, from before the first run to after the last
}

// crypto is verify and sign, what the goal is a multiple of.
func (f floor) crypto() float64 { return f.Verify + f.Sign }

func (f floor) sum() float64 { return f.Verify + f.Sign + f.HTTP + f.Append }

func measureFloor(ctx context.Context, dir, body string, callers int) (f floor, err error) {
	if err := f.again(); err != nil {
		return f, err
	}
	if f.HTTP, err = echoCost(ctx, body, callers); err != nil {
		return f, err
	}
	f.Append, f.Fdatasync, err = appendCost(dir)
	return f, err
}

// again measures verify and sign once more.
func (f *floor) again() error {
	verify, sign, err := cryptoCost()
	f.samples++
	f.Verify += (verify - f.Verify) / f.samples
	f.Sign += (sign - f.Sign) / f.samples
	return err
}

func cryptoCost() (verify, sign float64, err error) {
	sum := sha256.Sum256([]byte("a proof"))
	theirs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return 0, 0, err
	}
	sig, err := rsa.SignPKCS1v15(rand.Reader, theirs, crypto.SHA256, sum[:])
	if err != nil {
		return 0, 0, err
	}
	ours, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, 0, err
	}
	verify = each(10_000, func() { _ = rsa.VerifyPKCS1v15(&theirs.PublicKey, crypto.SHA256, sum[:], sig) })
	sign = each(10_000, func() { _, _ = ecdsa.SignASN1(rand.Reader, ours, sum[:]) })
	return verify, sign, nil
}

// each is the CPU of one call of f in microseconds, with every processor at it,
// as in a run: two that share a core are each slower than one alone.
func each(n int, f func()) float64 {
	spent := ownCPU()
	var working sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		working.Go(func() {
			for range n {
				f()
			}
		})
	}
	working.Wait()
	return micros(ownCPU()-spent) / float64(n*runtime.GOMAXPROCS(0))
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// echoCost is the CPU of a process that reads a request and answers as many
// bytes as a token takes.
func echoCost(ctx context.Context, body string, callers int) (float64, error) {
	exe, err := os.Executable()
	if err != nil {
		return 0, err
	}
	child := exec.CommandContext(ctx, exe, "echo")
	child.Stderr = os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := child.Start(); err != nil {
		return 0, err
	}
	defer child.Wait()
	defer child.Process.Kill()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, err
	}
	url = strings.TrimSpace(url)
	client := newClient(callers)
	defer client.CloseIdleConnections()
	drive(ctx, client, url, []string{body}, callers, time.Second) // connections open, heap as large as it gets
	before, err := processCPU(child.Process.Pid)
	if err != nil {
		return 0, err
	}
	d := drive(ctx, client, url, []string{body}, callers, 4*time.Second)
	after, err := processCPU(child.Process.Pid)
	if err == nil && d.Errors > 0 {
		err = fmt.Errorf("the bare server failed: %s", d.First)
	}
	return micros(after-before) / float64(d.Requests), err
}

// serveEcho is the bare server; it prints its address.
func serveEcho(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	e := echo.New()
	answer := strings.Repeat("x", 1700)
	e.POST("/", func(c echo.Context) error {
		if _, err := io.Copy(io.Discard, c.Request().Body); err != nil {
			return err
		}
		return c.String(http.StatusOK, answer)
	})
	s := &http.Server{Handler: e, ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { s.Close() })()
	fmt.Printf("http://%s/\n", l.Addr())
	return s.Serve(l)
}

// appendCost is one record's share of an append of 64 that is synced, and how
// long the sync of a single record takes.
func appendCost(dir string) (share, p50 float64, err error) {
	f, err := os.CreateTemp(dir, "floor")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(filepath.Clean(f.Name()))
	defer f.Close()
	write := func(b []byte) error {
		if _, err := f.Write(b); err != nil {
			return err
		}
		return syscall.Fdatasync(int(f.Fd()))
	}
	batch := bytes.Repeat([]byte("x"), 64*1000)
	const rounds = 300
	spent := ownCPU()
	for range rounds {
		if err := write(batch); err != nil {
			return 0, 0, err
		}
	}
	share = micros(ownCPU()-spent) / (rounds * 64)
	var took []time.Duration
	for range rounds {
		at := time.Now()
		if err := write(batch[:1000]); err != nil {
			return 0, 0, err
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	return share, micros(took[len(took)/2]), nil
}
