package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"sallyport.dev/domain"
)

// socketName is the socket's name in the data directory.
const socketName = "host.sock"

// maxPath is the longest path of a unix socket that every system takes, in
// bytes; longer ones go by way of the open directory.
const maxPath = 100

// maxBody bounds a request and an answer, in bytes.
const maxBody = 8 << 20

// Listen makes the socket in dir, for the own user alone. The caller holds the
// lock of dir, so a socket that is there belongs to a process that is gone.
func Listen(dir string) (net.Listener, error) {
	path, release, err := reach(dir)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		release()
		return nil, fmt.Errorf("removing the socket of a process that is gone: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		release()
		return nil, fmt.Errorf("listening on the host socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		release()
		return nil, fmt.Errorf("closing the host socket to others: %w", err)
	}
	return &listener{l, release}, nil
}

// listener removes the socket before it gives up the way to it.
type listener struct {
	net.Listener
	release func()
}

func (l *listener) Close() error {
	err := l.Listener.Close()
	l.release()
	return err
}

// reach is a path to the socket that is short enough.
func reach(dir string) (path string, release func(), err error) {
	path = filepath.Join(dir, socketName)
	if len(path) <= maxPath {
		return path, func() {}, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName), func() { d.Close() }, nil
}

// finishWithin bounds how long work in flight may take once the server stops.
const finishWithin = 5 * time.Second

// Serve answers on the socket until ctx ends, and then lets work in flight finish.
func (h *Host) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{Handler: h.handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	finished := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(finished)
		within, cancel := context.WithTimeout(context.Background(), finishWithin)
		defer cancel()
		if s.Shutdown(within) != nil {
			s.Close()
		}
	})
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the host socket: %w", err)
	}
	<-finished
	return nil
}

func (h *Host) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(r *http.Request, org string) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			doc, err := f(r, r.PathValue("org"))
			tell(w, doc, err)
		})
	}
	handle("POST /orgs/{org}/tokens", func(r *http.Request, org string) (any, error) {
		var in TokenRequest
		if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&in); err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
		return h.CreateToken(r.Context(), org, in)
	})
	handle("GET /orgs/{org}/tokens", func(r *http.Request, org string) (any, error) { return h.Tokens(r.Context(), org) })
	handle("DELETE /orgs/{org}/tokens/{id}", func(r *http.Request, org string) (any, error) {
		return nil, h.RevokeToken(r.Context(), org, r.PathValue("id"))
	})
	handle("POST /orgs/{org}/recover", func(r *http.Request, org string) (any, error) {
		var in RecoveryRequest
		if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&in); err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
		return h.Recover(r.Context(), org, in)
	})
	handle("GET /orgs/{org}/keys", func(r *http.Request, org string) (any, error) { return h.Keys(r.Context(), org) })
	handle("POST /orgs/{org}/keys/rotate", func(r *http.Request, org string) (any, error) {
		return nil, h.RotateKeys(r.Context(), org)
	})
	handle("GET /orgs/{org}/examination", func(r *http.Request, org string) (any, error) { return h.Examine(r.Context(), org) })
	mux.HandleFunc("GET /backup", h.serveBackup)
	return mux
}

// told is an answer on the socket: a document, or an error as it was.
type told struct {
	Doc   any           `json:"doc,omitempty"`
	Error *domain.Error `json:"error,omitempty"`
	Other string        `json:"other,omitempty"` // an error that is not the caller's
}

func tell(w http.ResponseWriter, doc any, err error) {
	t := told{Doc: doc}
	if err != nil && !errors.As(err, &t.Error) {
		t.Other = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	// The connection is gone if this fails, and nobody is left to tell.
	_ = json.NewEncoder(w).Encode(t)
}

// ErrNoServer means that no server answers for the data directory.
var ErrNoServer = errors.New("no server runs on this data directory")

// Client does the operator's work in the server that holds a data directory.
type Client struct {
	http    *http.Client
	release func()
}

// Dial finds the server of dir, or [ErrNoServer]. The caller must Close the client.
func Dial(ctx context.Context, dir string) (*Client, error) {
	path, release, err := reach(dir)
	if err != nil {
		return nil, errors.Join(ErrNoServer, err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
	}
	c, err := dial(ctx, "", "")
	if err != nil {
		release()
		return nil, errors.Join(ErrNoServer, err)
	}
	c.Close()
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: 30 * time.Second}, release}, nil
}

// Close lets go of the socket.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	c.release()
}

func (c *Client) call(ctx context.Context, method string, in, out any, path ...string) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	u := "http://host/orgs"
	for _, p := range path {
		u += "/" + url.PathEscape(p)
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	defer res.Body.Close()
	t := told{Doc: out}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(&t); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	switch {
	case t.Error != nil:
		return t.Error
	case t.Other != "":
		return errors.New(t.Other)
	}
	return nil
}

// CreateToken is [Host.CreateToken].
func (c *Client) CreateToken(ctx context.Context, org string, r TokenRequest) (t NewToken, err error) {
	err = c.call(ctx, http.MethodPost, r, &t, org, "tokens")
	return t, err
}

// Tokens is [Host.Tokens].
func (c *Client) Tokens(ctx context.Context, org string) (t []TokenInfo, err error) {
	err = c.call(ctx, http.MethodGet, nil, &t, org, "tokens")
	return t, err
}

// RevokeToken is [Host.RevokeToken].
func (c *Client) RevokeToken(ctx context.Context, org, id string) error {
	return c.call(ctx, http.MethodDelete, nil, nil, org, "tokens", id)
}

// Recover is [Host.Recover].
func (c *Client) Recover(ctx context.Context, org string, r RecoveryRequest) (e Enrolment, err error) {
	err = c.call(ctx, http.MethodPost, r, &e, org, "recover")
	return e, err
}

// RotateKeys is [Host.RotateKeys].
func (c *Client) RotateKeys(ctx context.Context, org string) error {
	return c.call(ctx, http.MethodPost, nil, nil, org, "keys", "rotate")
}

// Keys is [Host.Keys].
func (c *Client) Keys(ctx context.Context, org string) (k []KeyInfo, err error) {
	err = c.call(ctx, http.MethodGet, nil, &k, org, "keys")
	return k, err
}
