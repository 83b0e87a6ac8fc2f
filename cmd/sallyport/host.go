package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/handlers/jose"
)

func (a *app) wlKeygen() *cobra.Command {
	var alg, out string
	c := &cobra.Command{
		Use: "keygen", Short: "Make a key pair for a host that has no identity provider",
		Long: `Makes a key pair on this host. The private half goes to --out (mode 0600) and
nowhere else; the public half is printed as a key set, to be uploaded as the keys
of a connection. A file that exists is not replaced.`,
		Example: `  sallyport wl keygen --alg ES256 --out host.key > host.jwks
  sallyport connection draft host-7 --provider generic_jwt --jwks-file host.jwks --condition 'iss equals https://host-7.example.com' --condition 'aud equals https://sallyport.example.com/orgs/default' --condition 'sub equals host-7'`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return cli.Usage(c, "--out is missing")
			}
			key, err := jose.NewHostKey(alg)
			if err != nil {
				return cli.Usage(c, "--alg %q: %v", alg, err)
			}
			pem, err := key.PrivatePEM()
			if err != nil {
				return err
			}
			err = cli.WriteNewSecret(out, pem)
			if errors.Is(err, fs.ErrExist) {
				return cli.Fail("choose another name, or remove it if no connection trusts it any more", "%s exists and is not replaced", out)
			}
			if err != nil {
				return cli.Fail("check that its folder exists and may be written to", "writing the private key: %v", err)
			}
			a.Note("The private key is in %s (only you may read it). Upload the public half printed here as a connection's keys.", out)
			doc := key.PublicJWKS()
			return cli.Print(a.Out, a.format, doc, func(w io.Writer) error {
				return cli.Print(w, cli.JSON, doc, nil)
			})
		},
	}
	c.Flags().StringVar(&alg, "alg", "ES256", "ES256, RS256 or EdDSA")
	c.Flags().StringVar(&out, "out", "", "file for the private key")
	return c
}

func (a *app) wlSign() *cobra.Command {
	var keyFile, issuer, subject string
	var audiences, claims []string
	var ttl time.Duration
	c := &cobra.Command{
		Use: "sign", Short: "Sign a JWT with this host's key and print it, alone, on stdout",
		Long: `Signs a JWT with the key that wl keygen made. It holds iss, sub, aud, iat, exp and a
jti of its own, and what --claim adds. It is a proof, to be exchanged by wl auth.`,
		Example: `  sallyport wl sign --key host.key --issuer https://host-7.example.com --subject host-7 --audience https://sallyport.example.com/orgs/default --ttl 5m
  sallyport wl auth --connection host-7 --jwt-cmd 'sallyport wl sign --key host.key --issuer https://host-7.example.com --subject host-7 --audience https://sallyport.example.com/orgs/default'`,
		Args: cli.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			for flag, v := range map[string]string{"key": keyFile, "issuer": issuer, "subject": subject, "audience": strings.Join(audiences, "")} {
				if v == "" {
					return cli.Usage(c, "--%s is missing", flag)
				}
			}
			if ttl < time.Second || ttl > 24*time.Hour {
				return cli.Usage(c, "--ttl is 1s to 24h")
			}
			set, err := signedClaims(c, claims)
			if err != nil {
				return err
			}
			now := time.Now()
			set["iss"], set["sub"], set["aud"] = issuer, subject, audiences
			if len(audiences) == 1 {
				set["aud"] = audiences[0]
			}
			set["iat"], set["exp"], set["jti"] = now.Unix(), now.Add(ttl).Unix(), rand.Text()
			return a.sign(keyFile, set)
		},
	}
	f := c.Flags()
	f.StringVar(&keyFile, "key", "", "file with the private key")
	f.StringVar(&issuer, "issuer", "", "iss: the name the connection knows this host's issuer by")
	f.StringVar(&subject, "subject", "", "sub: who this host is")
	f.StringArrayVar(&audiences, "audience", nil, "aud: whom the JWT is for, the organisation's issuer; repeat it for a list")
	f.DurationVar(&ttl, "ttl", 5*time.Minute, "how long the JWT is good for, 1s to 24h")
	f.StringArrayVar(&claims, "claim", nil, "a further claim, name=value; name:=value takes JSON; repeat it")
	return c
}

// signedClaims reads --claim. The registered names have flags of their own.
func signedClaims(c *cobra.Command, claims []string) (map[string]any, error) {
	set := map[string]any{}
	for _, s := range claims {
		name, value, ok := strings.Cut(s, "=")
		var v any = value
		if bare, typed := strings.CutSuffix(name, ":"); typed {
			name = bare
			if !json.Valid([]byte(value)) {
				return nil, cli.Usage(c, "--claim %s:= takes JSON, such as true, 7 or [\"a\"]", name)
			}
			v = json.RawMessage(value)
		}
		switch {
		case !ok || name == "":
			return nil, cli.Usage(c, "--claim %q is not name=value", s)
		case strings.Contains(" iss sub aud iat exp jti ", " "+name+" "):
			return nil, cli.Usage(c, "--claim %s: it has a flag of its own or is filled in", name)
		}
		set[name] = v
	}
	return set, nil
}

func (a *app) sign(keyFile string, set map[string]any) error {
	pem, err := a.readFile(keyFile)
	if err != nil {
		return err
	}
	if info, err := os.Stat(keyFile); err == nil && info.Mode().Perm()&0o077 != 0 {
		a.Note("warning: others may read %s: chmod 600 it, or make a new key", keyFile)
	}
	// The error of a key that cannot be read does not quote it.
	key, err := jose.ParseHostKey(pem)
	if err != nil {
		return cli.Fail("make one with `sallyport wl keygen`", "%s holds no private key that can be used: %v", keyFile, err)
	}
	jwt, err := key.Sign(set)
	if err != nil {
		return cli.Fail("make a new key with `sallyport wl keygen`", "signing with %s: %v", keyFile, err)
	}
	_, err = io.WriteString(a.Out, jwt+"\n")
	return err
}
