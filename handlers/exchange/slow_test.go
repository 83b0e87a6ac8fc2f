package exchange_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/organisation/orgtest"
)

// slow is a request whose headers were sent and whose body is being waited for.
type slow struct {
	net.Conn
	in *bufio.Reader
}

// begin sends the headers of a request with a body of so many bytes, and returns
// once the server reads it, or has answered already.
func (e *edge) begin(path string, length int, headers ...string) slow {
	e.t.Helper()
	u, err := url.Parse(e.URL + path)
	if err != nil {
		e.t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		e.t.Fatal(err)
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n", u.Path, u.Host, length)
	for i := 0; i+1 < len(headers); i += 2 {
		head += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		e.t.Fatal(err)
	}
	s := slow{conn, bufio.NewReader(conn)}
	if line, err := s.in.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		e.t.Fatalf("the server does not wait for the body: %q, %v", line, err)
	}
	if _, err := s.in.ReadString('\n'); err != nil {
		e.t.Fatal(err)
	}
	return s
}

// More send their bodies slowly than requests are worked on at once: nobody else waits for them.
func TestSlowBodiesTakeNobodysPlace(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	for range 400 {
		e.begin("/token", 10)
	}
	if r := e.ask(form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)), "connection", "ci")); r.Status != http.StatusOK {
		t.Errorf("beside 400 slow bodies a token is refused: %d %v", r.Status, r.Body)
	}
}

// What is answered holds when it is answered, however long the question took to arrive.
func TestASlowQuestionIsAnsweredFromATrustedLog(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	issued := e.ask(form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)), "connection", "ci")).text("access_token")
	body := "token=" + issued
	s := e.begin("/introspect", len(body), "Authorization", "Bearer "+e.Token("auditor", domain.Auditor))
	e.Halt(errors.New("a check failed"))
	if _, err := io.WriteString(s, body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(s.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("an introspection whose body came after the log failed a check: %d", resp.StatusCode)
	}
}

// Whoever knows a connection's name, and has no proof, leaves its workloads what is theirs.
func TestStrangersUseUpNothingOfAConnection(t *testing.T) {
	e := newEdgeWith(t, exchange.Options{Connections: limit.New(0.001, 2, 100)})
	p, other := orgtest.NewProvider(t, "ES256"), orgtest.NewProvider(t, "ES256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	stranger := form(other.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)), "connection", "ci")
	good := form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)), "connection", "ci")
	for n, want := range []int{http.StatusBadRequest, http.StatusBadRequest, http.StatusTooManyRequests} {
		if r := e.ask(stranger); r.Status != want {
			t.Errorf("stranger %d: %d %v, want %d", n+1, r.Status, r.Body, want)
		}
	}
	for n, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
		if r := e.ask(good); r.Status != want {
			t.Errorf("workload %d: %d %v, want %d", n+1, r.Status, r.Body, want)
		}
	}
}
