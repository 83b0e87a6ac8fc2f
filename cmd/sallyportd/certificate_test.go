package main

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func TestACertificateIsReplacedByOneThatFitsAlone(t *testing.T) {
	certFile, keyFile, _ := selfSigned(t)
	c, err := openCertificate(TLSConfig{CertFile: certFile, KeyFile: keyFile}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) []byte {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	put := func(cert, key []byte) {
		t.Helper()
		for path, b := range map[string][]byte{certFile: cert, keyFile: key} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	oldCert, oldKey := read(certFile), read(keyFile)
	otherCert, otherKey, _ := selfSigned(t)
	newCert, newKey := read(otherCert), read(otherKey)
	shown := func() []byte { return c.shown.Load().Certificate[0] }
	first := shown()
	for _, tt := range []struct {
		name            string
		cert, key       []byte
		changed, broken bool
	}{
		{name: "nothing happened", cert: oldCert, key: oldKey},
		{name: "the certificate is there and its key is not yet", cert: newCert, key: oldKey, broken: true},
		{name: "and that was told already", cert: newCert, key: oldKey},
		{name: "half of a file", cert: newCert, key: newKey[:40], broken: true},
		{name: "both", cert: newCert, key: newKey, changed: true},
		{name: "and then nothing", cert: newCert, key: newKey},
	} {
		put(tt.cert, tt.key)
		changed, err := c.reload(false)
		if changed != tt.changed || (err != nil) != tt.broken {
			t.Errorf("%s: changed %t, %v", tt.name, changed, err)
		}
		if got := !bytes.Equal(shown(), first); got != (changed || tt.name == "and then nothing") {
			t.Errorf("%s: the certificate was replaced: %t", tt.name, got)
		}
	}
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	if _, err := c.reload(false); err == nil {
		t.Error("a key that is gone is not told")
	}
	if _, err := c.reload(false); err != nil {
		t.Errorf("it is told again and again: %v", err)
	}
	if _, err := c.reload(true); err == nil {
		t.Error("whoever asks by a signal is not told")
	}
}

// Requests that are opened and taken back at once (CVE-2023-44487) pile nothing
// up: net/http runs 250 of a connection at once, keeps 1,000 more waiting and then
// ends the connection. An honest client is answered meanwhile.
func TestARapidResetHoldsNobodyUp(t *testing.T) {
	cert, key, pool := selfSigned(t)
	r := start(t, func(m *Main) { m.Config.TLS = TLSConfig{CertFile: cert, KeyFile: key} })
	addr := strings.TrimPrefix(r.url, "http://")
	c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("got %q", got)
	}
	before := runtime.NumGoroutine()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		reset(t, c, addr, 5000)
	}()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	most := 0
	for running := true; running; {
		select {
		case <-ended:
			running = false // and once more
		default:
		}
		res, err := client.Get("https://" + addr + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
			t.Fatalf("an honest client is answered with %d over %s", res.StatusCode, res.Proto)
		}
		most = max(most, runtime.NumGoroutine())
	}
	if most > before+300 {
		t.Errorf("%d goroutines ran, and %d before", most, before)
	}
}

// reset opens and takes back up to n requests, or until it is cut off.
func reset(t *testing.T, c *tls.Conn, addr string, n int) {
	f := http2.NewFramer(c, c)
	_, err := c.Write([]byte(http2.ClientPreface))
	if err == nil {
		err = f.WriteSettings()
	}
	if err != nil {
		t.Error(err)
		return
	}
	gone := make(chan bool)
	go func() {
		defer close(gone)
		for {
			frame, err := f.ReadFrame()
			if _, away := frame.(*http2.GoAwayFrame); err != nil || away {
				return
			}
		}
	}()
	var block bytes.Buffer
	h := hpack.NewEncoder(&block)
	for i := range n {
		block.Reset()
		for _, p := range [][2]string{{":method", "GET"}, {":path", "/readyz"}, {":scheme", "https"}, {":authority", addr}} {
			if err := h.WriteField(hpack.HeaderField{Name: p[0], Value: p[1]}); err != nil {
				t.Error(err)
				return
			}
		}
		id := uint32(2*i + 1)
		err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		if err == nil {
			err = f.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		if err != nil {
			return
		}
		select {
		case <-gone:
			return
		default:
		}
	}
}
