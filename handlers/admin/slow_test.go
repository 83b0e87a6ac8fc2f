package admin_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
	"sallyport.dev/projections/control"
)

// A token is revoked while the body of its last request is still on its way.
func TestARevokedTokenFinishesNoWrite(t *testing.T) {
	e := newEdge(t)
	m := domain.Meta{Actor: domain.System("host"), Now: e.Now()}
	token, err := e.CreateToken(t.Context(), m, "mallory", domain.DevOpsAdmin, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{
		"name": "late", "provider": "generic_jwt", "jwks_url": "https://idp.example/jwks",
		"conditions": []map[string]string{{"claim": "sub", "operator": "equals", "value": "x"}}, "identity_claim": "sub",
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /orgs/default/v1/connections HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", token.Secret, len(body))
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		t.Fatalf("the server does not wait for the body: %q, %v", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) {
		return person.Decide(s.People(), person.RevokeToken{ID: token.ID}, m)
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a write whose token was revoked before its body came: %d %s", resp.StatusCode, answer)
	}
}
