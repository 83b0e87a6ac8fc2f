package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"sallyport.dev/cmd/internal/cli"
)

// workloadToken is what the client reads of a token of `sallyport wl auth`: of its
// own, so that nobody has to check the signature.
type workloadToken struct {
	Exp       int64
	Sallyport struct {
		RoleHint string `json:"role_hint"`
	}
}

// readBearer reads the token; ok is false for a person's, which is no JWT.
func readBearer(token string) (t workloadToken, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return t, false
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	return t, err == nil && json.Unmarshal(claims, &t) == nil && t.Exp > 0
}

// toWorkload adds to an error what a workload cannot see from it: why its token
// is not taken, and which roles it bears.
func (c *client) toWorkload(ctx context.Context, e *cli.Error) *cli.Error {
	t, ok := readBearer(c.token)
	if !ok {
		return e
	}
	switch e.Code {
	case "auth.required":
		e.Next = "its connection may be inactive, or it was issued for another audience: run `sallyport wl auth` again, or ask whether the connection is active"
		if ended := time.Unix(t.Exp, 0); ended.Before(time.Now()) {
			e.Next = "this workload token ended at " + ended.UTC().Format(time.RFC3339) + ": run `sallyport wl auth` again"
		}
	case "access.refused":
		got, err := c.call(ctx, http.MethodGet, "/v1/whoami", nil, nil)
		var who struct{ Roles []string }
		if err != nil || json.Unmarshal(got.body, &who) != nil {
			return e // what was refused is told in any case
		}
		bears := "this token bears no role now"
		if len(who.Roles) > 0 {
			bears = "this token bears now: " + strings.Join(who.Roles, ", ")
		}
		if hint := t.Sallyport.RoleHint; hint != "" {
			bears += "; it hints at " + hint + ", which is what it asks as without --role"
		}
		e.Details = append(e.Details, bears)
	}
	return e
}
