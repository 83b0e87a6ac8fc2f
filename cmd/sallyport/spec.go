package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain/provider"
)

// specFlags are the flags that describe a connection, for draft and edit.
type specFlags struct {
	description, provider               string
	settings, conditions, without       []string
	replace                             bool
	jwksURL, issuerURL, jwksFile, caPEM string
	identityClaim, identityPath         string
	audiences, audienceClaims           []string
	ttl, proofMaxAge                    time.Duration
	algorithms                          []string
	singleUse, ttlWithinProof           bool
	from                                string

	version uint64 // that the file says it was made from, 0 if it does not
}

func (f *specFlags) add(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.from, "from-file", "", "read the whole connection from a JSON or YAML file, - for stdin; other flags then change it")
	s.StringVar(&f.description, "description", "", "what the connection is for")
	s.StringVar(&f.provider, "provider", "", strings.Join(providers(), ", "))
	s.StringArrayVar(&f.settings, "setting", nil, "setting of the provider's preset, name=value (name= takes it away); repeat it")
	s.StringArrayVar(&f.conditions, "condition", nil, "'claim operator value' with equals, starts_with, exists, one_of (a,b) or includes: added to the others, in place of those on the same claim; repeat it")
	s.StringArrayVar(&f.without, "remove-condition", nil, "claim whose conditions are left out; repeat it")
	s.BoolVar(&f.replace, "replace-conditions", false, "the conditions given are all there are: no preset's, none that was there before")
	s.StringVar(&f.jwksURL, "jwks-url", "", "where the issuer's keys are")
	s.StringVar(&f.issuerURL, "issuer-url", "", "the OIDC issuer, whose discovery document names the keys")
	s.StringVar(&f.jwksFile, "jwks-file", "", "file with the issuer's public keys, for issuers that nobody can reach")
	s.StringVar(&f.caPEM, "ca-file", "", "PEM file with the authority that signed the certificate of the key source")
	s.StringVar(&f.identityClaim, "identity-claim", "", "claim that names the workload (sub)")
	s.StringVar(&f.identityPath, "identity-path", "", "prefix of the workload's name")
	s.StringArrayVar(&f.audiences, "audience", nil, "audience that tokens may be asked for beside Sallyport itself; repeat it")
	s.StringArrayVar(&f.audienceClaims, "audience-claim", nil, "claim of the source that tokens for those audiences carry; repeat it")
	s.DurationVar(&f.ttl, "ttl", 0, "how long our tokens live, 1s to 24h (15m)")
	s.StringArrayVar(&f.algorithms, "algorithm", nil, "algorithm that proofs may be signed with; repeat it")
	s.BoolVar(&f.singleUse, "single-use", false, "take each proof only once")
	s.DurationVar(&f.proofMaxAge, "proof-max-age", 0, "refuse proofs older than this")
	s.BoolVar(&f.ttlWithinProof, "ttl-within-proof", false, "our token never outlives the proof")
	// An error here means the flag above does not exist.
	_ = c.RegisterFlagCompletionFunc("provider", cobra.FixedCompletions(
		providers(), cobra.ShellCompDirectiveNoFileComp))
}

func providers() []string {
	var names []string
	for _, k := range provider.Kinds() {
		names = append(names, string(k))
	}
	return names
}

// document is the connection to send: the file if one is given, otherwise
// base, changed by the flags that were given. A nil base is an empty one.
func (f *specFlags) document(a *app, c *cobra.Command, issuer func() (string, error), base map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	given := func(flag string) bool { return c.Flags().Changed(flag) }
	doc := maps.Clone(base)
	if given("from-file") {
		var err error
		if doc, err = a.readDocument(f.from); err != nil {
			return nil, err
		}
		f.version = versionOf(doc)
		for _, k := range answered {
			delete(doc, k)
		}
	}
	if doc == nil {
		doc = map[string]json.RawMessage{}
	}
	before := maps.Clone(doc)
	f.scalars(given, doc)
	if !bytes.Equal(doc["provider"], before["provider"]) && !given("from-file") {
		delete(doc, "settings") // those of another provider
	}
	if err := f.setSettings(c, given, doc); err != nil {
		return nil, err
	}
	if err := f.setConditions(c, given, issuer, before, doc); err != nil {
		return nil, err
	}
	if err := f.keySource(a, given, doc); err != nil {
		return nil, err
	}
	if given("ttl") {
		doc["token_ttl"] = durationText(f.ttl)
	}
	if given("proof-max-age") {
		doc["proof_max_age"] = durationText(f.proofMaxAge)
	}
	return doc, nil
}

func versionOf(doc map[string]json.RawMessage) uint64 {
	n, err := strconv.ParseUint(string(doc["version"]), 10, 64)
	if err != nil {
		return 0 // the file does not say
	}
	return n
}

func (f *specFlags) scalars(given func(string) bool, doc map[string]json.RawMessage) {
	for flag, v := range map[string]any{
		"description": f.description, "provider": f.provider, "identity-claim": f.identityClaim, "identity-path": f.identityPath,
		"audience": f.audiences, "audience-claim": f.audienceClaims, "algorithm": f.algorithms,
		"single-use": f.singleUse, "ttl-within-proof": f.ttlWithinProof,
	} {
		if given(flag) {
			member := strings.ReplaceAll(flag, "-", "_")
			switch flag {
			case "audience", "audience-claim", "algorithm":
				member += "s"
			}
			doc[member] = text(v)
		}
	}
}

// setSettings changes the settings named and leaves the rest. An empty value
// takes a setting away.
func (f *specFlags) setSettings(c *cobra.Command, given func(string) bool, doc map[string]json.RawMessage) error {
	if !given("setting") {
		return nil
	}
	settings := settingsOf(doc)
	for _, s := range f.settings {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return cli.Usage(c, "--setting %q is not name=value", s)
		}
		settings[k] = v
		if v == "" {
			delete(settings, k)
		}
	}
	doc["settings"] = text(settings)
	return nil
}

func (f *specFlags) keySource(a *app, given func(string) bool, doc map[string]json.RawMessage) error {
	if given("ca-file") {
		pem, err := a.readFile(f.caPEM)
		if err != nil {
			return err
		}
		if strings.Contains(string(pem), "PRIVATE KEY") {
			return cli.Fail("give the certificate alone", "%s holds a private key, which is not sent", f.caPEM)
		}
		doc["ca_certificate"] = text(string(pem))
	}
	if !given("jwks-url") && !given("issuer-url") && !given("jwks-file") {
		return nil
	}
	for _, k := range keySources {
		delete(doc, k)
	}
	if given("jwks-url") {
		doc["jwks_url"] = text(f.jwksURL)
	}
	if given("issuer-url") {
		doc["issuer_url"] = text(f.issuerURL)
	}
	if given("jwks-file") {
		set, err := f.publicKeys(a)
		if err != nil {
			return err
		}
		doc["jwks"] = set
	}
	return nil
}

// publicKeys reads the key set to upload and refuses one with private or
// symmetric members before it leaves this machine.
func (f *specFlags) publicKeys(a *app) (json.RawMessage, error) {
	b, err := a.readFile(f.jwksFile)
	if err != nil {
		return nil, err
	}
	var set struct{ Keys []map[string]json.RawMessage }
	if json.Unmarshal(b, &set) != nil || len(set.Keys) == 0 {
		return nil, cli.Fail("make one with `sallyport wl keygen`", `%s is no key set: a JSON object with "keys"`, f.jwksFile)
	}
	for _, k := range set.Keys {
		for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if _, there := k[secret]; there {
				return nil, cli.Fail("upload the public half alone", "%s holds a private key, which is not sent", f.jwksFile)
			}
		}
	}
	return b, nil
}

// durationText is a duration in the largest unit that holds it whole.
func durationText(d time.Duration) json.RawMessage {
	unit, name := time.Second, "seconds"
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		unit, name = time.Hour, "hours"
	case d >= time.Minute && d%time.Minute == 0:
		unit, name = time.Minute, "minutes"
	}
	return text(map[string]any{"amount": int64(d / unit), "unit": name})
}
