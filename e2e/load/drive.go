package main

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// driven is what callers saw.
type driven struct {
	Requests int           `json:"requests"`
	Errors   int           `json:"errors"`
	Took     time.Duration `json:"took_ns"`
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
	First    string        `json:"first_error,omitempty"`
}

func (d driven) perSecond() float64 { return float64(d.Requests-d.Errors) / d.Took.Seconds() }

// newClient is a client that keeps a connection for each caller.
func newClient(callers int) *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxIdleConns: callers, MaxIdleConnsPerHost: callers, DisableCompression: true,
	}}
}

// drive posts the bodies in turn from so many callers at once, for as long as
// it is told, or each once where that is 0.
func drive(ctx context.Context, client *http.Client, url string, bodies []string, callers int, long time.Duration) driven {
	var next, failed atomic.Int64
	var first atomic.Pointer[string]
	took := make([][]time.Duration, callers)
	begun := time.Now()
	var asking sync.WaitGroup
	for c := range callers {
		asking.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if long > 0 && time.Since(begun) >= long || long == 0 && i >= len(bodies) {
					return
				}
				at := time.Now()
				if problem := post(ctx, client, url, bodies[i%len(bodies)]); problem != "" {
					failed.Add(1)
					first.CompareAndSwap(nil, &problem)
				}
				took[c] = append(took[c], time.Since(at))
			}
		})
	}
	asking.Wait()
	d := driven{Took: time.Since(begun), Errors: int(failed.Load())}
	all := slices.Concat(took...)
	if slices.Sort(all); len(all) > 0 {
		d.Requests, d.P50, d.P99 = len(all), all[len(all)/2], all[len(all)*99/100]
	}
	if p := first.Load(); p != nil {
		d.First = *p
	}
	return d
}

// post makes one request; it returns what was wrong with the answer.
func post(ctx context.Context, client *http.Client, url, body string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		if _, err = io.Copy(io.Discard, answer.Body); err != nil {
			return err.Error()
		}
		return ""
	}
	b, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
	return answer.Status + ": " + string(b)
}
