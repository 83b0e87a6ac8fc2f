package telemetry

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"
)

// Profiles serves Go's profiles as `go tool pprof` asks for them, below
// /debug/pprof/. They show what is in memory, so they are for a listener on the
// loopback alone; a browser that was lured to it by another name is refused.
// net/http/pprof is not used, since it also puts itself on the default mux.
func Profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/{$}", func(w http.ResponseWriter, _ *http.Request) {
		for _, p := range pprof.Profiles() {
			fmt.Fprintf(w, "%d %s\n", p.Count(), p.Name())
		}
		fmt.Fprintln(w, "profile?seconds=30\ntrace?seconds=1")
	})
	mux.HandleFunc("GET /debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		during(w, r, 30*time.Second, func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
	})
	mux.HandleFunc("GET /debug/pprof/trace", func(w http.ResponseWriter, r *http.Request) {
		during(w, r, time.Second, func() error { return trace.Start(w) }, trace.Stop)
	})
	mux.HandleFunc("GET /debug/pprof/{name}", func(w http.ResponseWriter, r *http.Request) {
		p := pprof.Lookup(r.PathValue("name"))
		if p == nil {
			http.NotFound(w, r)
			return
		}
		if gc, _ := strconv.Atoi(r.FormValue("gc")); gc > 0 && p.Name() == "heap" {
			runtime.GC() // what is alive, without what waits to be collected
		}
		debug, _ := strconv.Atoi(r.FormValue("debug")) // 0 where there is none: for the tool
		_ = p.WriteTo(w, debug)                        // whoever asked is gone if this fails
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !local(r.Host) {
			http.Error(w, "ask by an address of the loopback", http.StatusForbidden)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// longestProfile bounds what one request may ask for.
const longestProfile = 5 * time.Minute

// during records from begin to end for as many seconds as asked.
func during(w http.ResponseWriter, r *http.Request, standard time.Duration, begin func() error, end func()) {
	d := standard
	if s, err := strconv.Atoi(r.FormValue("seconds")); err == nil && s > 0 {
		d = min(time.Duration(s)*time.Second, longestProfile)
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d + 30*time.Second)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := begin(); err != nil {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		http.Error(w, err.Error(), http.StatusConflict) // another one is being recorded
		return
	}
	defer end()
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

func local(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
