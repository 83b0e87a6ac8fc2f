package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
)

// proofFlags say where the platform's JWT is. It is never an argument, which
// every process of the machine could read.
type proofFlags struct{ env, file, command string }

func (p *proofFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.env, "jwt-env", "", "name of the environment variable that holds the JWT")
	f.StringVar(&p.file, "jwt-file", "", "file that holds the JWT, - for stdin")
	f.StringVar(&p.command, "jwt-cmd", "", "command that prints the JWT, run by sh")
}

var (
	variable = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]{0,254}\z`)
	// secretLike is what a JWT looks like when it is given in place of a name.
	secretLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}`)
)

// commandTime bounds --jwt-cmd: platforms answer in seconds.
const commandTime = time.Minute

// read gives the JWT. Its errors never hold it, nor a command, which may hold
// secrets of its own.
func (p *proofFlags) read(c *cobra.Command, a *app) (string, error) {
	given := 0
	for _, flag := range []string{"jwt-env", "jwt-file", "jwt-cmd"} {
		if c.Flags().Changed(flag) {
			given++
		}
	}
	if given != 1 {
		return "", cli.Usage(c, "give the JWT by exactly one of --jwt-env, --jwt-file, --jwt-cmd")
	}
	var jwt, source string
	var err error
	switch {
	case c.Flags().Changed("jwt-env"):
		source = "the environment variable " + p.env
		jwt, err = p.fromEnv(c, a)
	case c.Flags().Changed("jwt-file"):
		source = "the file " + p.file
		if p.file == "-" {
			source = "the standard input"
		}
		jwt, err = p.fromFile(c, a)
	default:
		source = "the command of --jwt-cmd"
		jwt, err = p.fromCommand(c.Context(), a)
	}
	if err != nil {
		return "", err
	}
	if jwt = strings.TrimSpace(jwt); jwt == "" {
		return "", cli.Fail("check that the platform gave a token to this job", "the JWT is empty: %s gave nothing", source)
	}
	if !compact(jwt) {
		return "", &cli.Error{Exit: cli.ExitUsage, Message: source + " gave no JWT", Next: mistaken(jwt)}
	}
	return jwt, nil
}

// compact tells whether s looks like a signed JWT in compact form (RFC 7515
// section 7.1): three parts, the first of which is a JSON object. The server
// judges the rest.
func compact(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || parts[1] == "" {
		return false
	}
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	return err == nil && bytes.HasPrefix(bytes.TrimSpace(header), []byte("{"))
}

// mistaken says what to do about the usual things that are taken for a JWT.
func mistaken(s string) string {
	switch {
	case strings.HasPrefix(s, "{"):
		return "it is JSON: take the token out of it, for instance with jq -r .token"
	case strings.HasPrefix(strings.ToLower(s), "bearer "):
		return "leave out the word in front of the token"
	case strings.HasPrefix(s, `"`), strings.HasPrefix(s, "'"):
		return "leave out the quotes"
	case strings.HasPrefix(s, "sallyport_"):
		return "it is a person's API token, which belongs into SALLYPORT_TOKEN"
	}
	return "a JWT is three parts with dots between them, the first of which begins with eyJ"
}

func (p *proofFlags) fromEnv(c *cobra.Command, a *app) (string, error) {
	if !variable.MatchString(p.env) || secretLike.MatchString(p.env) {
		return "", cli.Usage(c, "--jwt-env takes the name of a variable, not its value")
	}
	v := a.Getenv(p.env)
	if v == "" {
		return "", cli.Fail("check that the platform sets it for this job", "the environment variable %s is empty or not set", p.env)
	}
	return v, nil
}

func (p *proofFlags) fromFile(c *cobra.Command, a *app) (string, error) {
	if secretLike.MatchString(p.file) {
		return "", cli.Usage(c, "--jwt-file takes the name of a file, not its content")
	}
	b, err := a.readFile(p.file)
	return string(b), err
}

func (p *proofFlags) fromCommand(ctx context.Context, a *app) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", p.command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.In, &limited{&out, maxFile}, a.Err
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		why := "it did not run"
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			why = fmt.Sprintf("it was still running after %s", commandTime)
		case errors.As(err, &exit):
			why = exit.String()
		case errors.Is(err, errTooLong):
			why = errTooLong.Error()
		}
		return "", cli.Fail("run it by hand to see why", "the command of --jwt-cmd failed: %s", why)
	}
	return out.String(), nil
}

var errTooLong = errors.New("it printed more than 1 MiB")

// limited refuses to hold more than room.
type limited struct {
	b    *bytes.Buffer
	room int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.room-l.b.Len() {
		return 0, errTooLong
	}
	return l.b.Write(p)
}
