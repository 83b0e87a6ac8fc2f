package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

func TestDevSaysWhereItsDataIsToWhoDidNotNameIt(t *testing.T) {
	for _, named := range []bool{false, true} {
		state := t.TempDir()
		file := filepath.Join(state, "dev.json")
		args := []string{"dev", "--listen", "127.0.0.1:0", "--credentials", file}
		if named {
			args = append(args, "--data", filepath.Join(state, "data"))
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		go func() {
			for tick := time.Tick(10 * time.Millisecond); ctx.Err() == nil; <-tick {
				if _, err := os.Stat(file); err == nil {
					stop() // it is written when the server answers
				}
			}
		}()
		_, errs, code := command(t, ctx, []string{"XDG_STATE_HOME=" + state}, args...)
		stop()
		if said := strings.Contains(errs, "Stopped. The data is in "+filepath.Join(state, "sallyport", "dev")); code != 0 || said == named || strings.Contains(errs, "Stopped.") == named {
			t.Errorf("named %v: exit code %d: %s", named, code, errs)
		}
	}
}
