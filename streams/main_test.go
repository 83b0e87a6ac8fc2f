package streams_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// The test binary is also the process that tests kill and lock out.
const (
	childRole = "STREAMS_TEST_ROLE"
	childDir  = "STREAMS_TEST_DIR"
)

func TestMain(m *testing.M) {
	var err error
	switch role := os.Getenv(childRole); role {
	case "":
		os.Exit(m.Run())
	case "open":
		err = childOpen(os.Getenv(childDir))
	case "commit":
		err = childCommit(os.Getenv(childDir))
	default:
		err = fmt.Errorf("no role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// childOpen opens a log and closes it.
func childOpen(dir string) error {
	s, err := streams.StartServer(context.Background(), streams.ServerOptions{Dir: dir})
	if err != nil {
		return err
	}
	defer s.Close()
	c, err := s.Connect()
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = streams.Open(context.Background(), c, streams.Options{Org: streamstest.Org, Source: streamstest.Source, Codec: toys{}})
	return err
}

// jsonLines collects a JSON log.
type jsonLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *jsonLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *jsonLines) all(t testing.TB) (out []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		var m map[string]any
		ok(t, json.Unmarshal([]byte(line), &m))
		out = append(out, m)
	}
	return out
}
