package main

import (
	"net"
	"testing"
)

func TestDevIsReachedByTheNameThatItListensAt(t *testing.T) {
	for listen, host := range map[string]string{"localhost:0": "localhost", "127.0.0.1:0": "127.0.0.1"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		_, port, _ := net.SplitHostPort(l.Addr().String())
		d := &devServer{listen: listen}
		if got, want := d.baseURL(l), "http://"+host+":"+port; got != want {
			t.Errorf("--listen %s: reached at %s, want %s", listen, got, want)
		}
	}
}
