package api_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
)

// A document of any size and shape is refused in a moment: what is too large
// before it is read, what is too deep or has too much in it before it is built.
func TestHugeDocumentsAreRefusedSoon(t *testing.T) {
	b := newBench(t)
	token := b.Token("security", domain.SecurityAdmin)
	members := func(n int) string {
		var doc strings.Builder
		doc.WriteString(`{"any":{"a":1`)
		for i := range n {
			fmt.Fprintf(&doc, `,"k%x":1`, i)
		}
		doc.WriteString("}}")
		return doc.String()
	}
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"ten thousand objects in each other", strings.Repeat(`{"any":`, 10_000) + "1" + strings.Repeat("}", 10_000), 400},
		{"ten thousand lists in each other", `{"any":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "}", 400},
		{"ten thousand lists that never end", `{"any":` + strings.Repeat("[", 10_000), 400},
		{"as many members as a mebibyte holds", members(90_000), 400},
		{"a million members", members(1_000_000), 413},
		{"a number of a mebibyte", `{"amount":` + strings.Repeat("9", 1<<20-100) + "}", 422},
		{"a number of a hundred megabytes", `{"amount":` + strings.Repeat("9", 100<<20) + "}", 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			res, body := b.ask("POST", "/things", token, tt.body)
			took := time.Since(began)
			if res.StatusCode != tt.status {
				t.Errorf("got %d, want %d: %.300s", res.StatusCode, tt.status, body)
			}
			if len(body) > 4096 {
				t.Errorf("the answer has %d bytes", len(body))
			}
			// Some milliseconds; the room is for a busy machine and a race detector. Work that
			// grows with the square of what was sent would take minutes.
			if took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// What is sent in a way that two readers might read as two requests is one
// request, or none.
func TestOneRequestIsNeverTwo(t *testing.T) {
	url, _ := serve(t, api.Options{}, routes)
	const smuggled = "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, tt := range []struct {
		name, request string
		answers       int // at most
	}{
		{"both lengths, and a request behind", "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, 1},
		{"two lengths that differ", "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n" + smuggled, 1},
		{"a length with a sign", "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n" + smuggled, 1},
		{"an encoding nobody knows", "POST /form HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n" + smuggled, 1},
		{"an encoding before a line end", "POST /form HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 40\r\n\r\n" + smuggled, 1},
		{"a space before the colon", "POST /form HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\nContent-Length: 40\r\n\r\n" + smuggled, 1},
		{"a piece whose size is no number", "POST /form HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + smuggled, 1},
		{"a piece with a megabyte of extensions", "POST /form HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", 1<<20) + "\r\na\r\n0\r\n\r\n" + smuggled, 1},
		{"two requests, plainly", "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" + smuggled, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(60 * time.Second))
			go func() {
				_, _ = io.WriteString(c, tt.request) // it may be cut off
				_ = c.(*net.TCPConn).CloseWrite()
			}()
			var statuses []int
			for r := bufio.NewReader(c); ; {
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, res.Body)
				statuses = append(statuses, res.StatusCode)
			}
			if len(statuses) > tt.answers || tt.answers == 2 && len(statuses) < 2 {
				t.Errorf("got the answers %v, want %d", statuses, tt.answers)
			}
		})
	}
}

// Clients that never finish are cut off, and nothing of them stays.
func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel() // it takes as long as headers may take
	url, _ := serve(t, api.Options{}, routes)
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(60 * time.Second))
			start := []string{"", "G", "GET /livez HTTP/1.1\r\n", "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: "}[i%4]
			if _, err := io.WriteString(c, start); err != nil {
				t.Error(err)
				return
			}
			go func() { // a byte now and then, as long as anybody listens
				tick := time.NewTicker(500 * time.Millisecond)
				defer tick.Stop()
				for range tick.C {
					if _, err := io.WriteString(c, "a"); err != nil {
						return
					}
				}
			}()
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) { // it ends when the server closes
				t.Errorf("%q was listened to for a minute", start)
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(60 * time.Second); runtime.NumGoroutine() > before+50; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

// Whoever asks is not known yet while the log is out of reach.
func TestWhatCannotBeServedDoesNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	e := api.New(api.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	e.GET("/", func(echo.Context) error { return &domain.Error{Kind: domain.KindUnavailable, Code: "log.unavailable"} })
	for range 100 {
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	if n := strings.Count(log.String(), "\n"); n == 0 || n > 50 { // one a second
		t.Errorf("a hundred requests wrote %d lines:\n%.500s", n, &log)
	}
}
