package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"sallyport.dev/cmd/internal/cli"
)

// refusal is an error answer in either form: a problem document of the API
// (RFC 9457) or an error of the token endpoint (RFC 6749).
type refusal struct {
	Title, Detail, Code string
	RequestID           string `json:"request_id"`
	Errors              []struct{ Pointer, Code, Detail string }
	Error               string
	Description         string `json:"error_description"`
	ErrorCode           string `json:"error_code"`
}

// failure turns an error answer into what a person is told.
func failure(res *http.Response, body []byte) *cli.Error {
	var r refusal
	if json.Unmarshal(body, &r) != nil || r.Title == "" && r.Error == "" {
		if strings.Contains(string(body), "HTTP request to an HTTPS server") {
			return cli.Fail("give its address with https://", "the server speaks https://, not http://")
		}
		return &cli.Error{
			Exit: exitOf(res.StatusCode, ""), Message: "the server answered " + res.Status,
			Next: cmp.Or(nextOf(res, ""), "check that SALLYPORT_ADDR names a Sallyport server"),
		}
	}
	code := cmp.Or(r.ErrorCode, r.Code)
	e := &cli.Error{
		Exit:      exitOf(res.StatusCode, r.ErrorCode),
		Message:   cmp.Or(r.Description, r.Detail, r.Title, r.Error),
		Code:      cmp.Or(code, r.Error),
		Next:      nextOf(res, cmp.Or(code, r.Error)),
		RequestID: cmp.Or(r.RequestID, res.Header.Get("X-Request-Id")),
	}
	switch e.Code {
	case "version.stale":
		e.Message = "somebody changed it since you looked"
	case "route.not_found":
		e.Message = "the organisation may not exist there: nothing answers at " + res.Request.URL.Path
	case "cursor.invalid":
		e.Message = "--after is not what a page ended with"
	case "cursor.filter":
		e.Message = "--after is of a page with other filters, or in another order"
	case "connection.blocked":
		e.Next = blocked(r)
		return e // the warnings themselves were shown before it was tried
	}
	for _, f := range r.Errors {
		e.Details = append(e.Details, strings.TrimPrefix(fmt.Sprintf("%s: %s (%s)", inWords(res.Request.URL.Path, f.Pointer), headers.Replace(f.Detail), f.Code), ": "))
	}
	return e
}

// blocked says what to add to an activation that warnings block.
func blocked(r refusal) string {
	var flags []string
	for _, f := range r.Errors {
		flags = append(flags, "--acknowledge "+f.Code)
	}
	return "if that is meant, repeat and add " + strings.Join(flags, " ")
}

// flagOf is the flag that fills a member of the API's documents; the rest of
// a pointer follows it.
var flagOf = map[string]string{
	"name": "NAME", "description": "--description", "provider": "--provider", "settings": "--setting",
	"jwks_url": "--jwks-url", "issuer_url": "--issuer-url", "jwks": "--jwks-file", "ca_certificate": "--ca-file",
	"conditions": "--condition", "identity_claim": "--identity-claim", "identity_path": "--identity-path",
	"audiences": "--audience", "audience_claims": "--audience-claim", "token_ttl": "--ttl", "algorithms": "--algorithm",
	"single_use": "--single-use", "proof_max_age": "--proof-max-age", "ttl_within_proof": "--ttl-within-proof",
	"acknowledge": "--acknowledge", "limit": "--limit", "after": "--after", "order": "--order",
	"type": "--type", "actor": "--actor", "connection": "--connection", "workload": "--workload", "outcome": "--outcome",
	"request_id": "--request-id", "since": "--since", "until": "--until", "q": "--q",
}

// headers puts flags in place of the headers that they fill.
var headers = strings.NewReplacer("Last-Event-ID", "--after")

// inWords tells a pointer in the words of the command that sent the document:
// flags, where there are some, and of what comes from a file where it is in there.
func inWords(path, pointer string) string {
	_, rest, v1 := strings.Cut(path, "/v1/")
	noun, of, _ := strings.Cut(rest, "/")
	switch {
	case !v1 || noun == "connections" || noun == "audit":
		return inFlags(pointer)
	case strings.HasSuffix(of, "/members"):
		return map[string]string{"/person": "PERSON", "/until": "--until"}[pointer]
	}
	return pointer
}

// inFlags tells a pointer into a document of the API (RFC 6901) in the words of
// the command line; one that no flag fills stays a pointer.
func inFlags(pointer string) string {
	member, rest, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	flag, ok := flagOf[member]
	if !ok {
		return pointer
	}
	first, _, _ := strings.Cut(rest, "/")
	n, err := strconv.Atoi(first)
	switch {
	case member == "settings" && rest != "":
		return flag + " " + rest
	case err == nil:
		return fmt.Sprintf("%s, the %s of those sent", flag, ordinal(n+1))
	}
	return flag
}

func ordinal(n int) string {
	switch {
	case n%10 == 1 && n%100 != 11:
		return strconv.Itoa(n) + "st"
	case n%10 == 2 && n%100 != 12:
		return strconv.Itoa(n) + "nd"
	case n%10 == 3 && n%100 != 13:
		return strconv.Itoa(n) + "rd"
	}
	return strconv.Itoa(n) + "th"
}

// exitOf tells a denial, and "not now", from other errors. Whatever the token
// endpoint refuses about the connection or the proof is a denial.
func exitOf(status int, errorCode string) int {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return cli.ExitDenied
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		return cli.ExitUnreachable
	case status == http.StatusBadRequest && errorCode != "" && errorCode != "request.invalid":
		return cli.ExitDenied
	}
	return cli.ExitFailed
}

// nexts say what to do about a code, {noun} and {name} being what it is about; "" where the
// server's sentence says it already. What is not here goes by its status.
var nexts = map[string]string{
	"connection.unknown":          "compare it with `sallyport connection list`",
	"connection.ambiguous":        "give --connection",
	"connection.draft":            "ask one to run: sallyport connection activate NAME",
	"connection.inactive":         "ask one to run: sallyport connection activate NAME",
	"connection.same_person":      "ask another security_admin to run: sallyport connection activate {name}",
	"connection.taken":            "the name of a deleted connection is never given again; see `sallyport connection list`",
	"connection.active":           "run: sallyport connection deactivate {name}",
	"connection.not_active":       "delete it: sallyport connection delete {name}",
	"connection.not_found":        "check the name with `sallyport connection list`, and the organisation (--org or SALLYPORT_ORG)",
	"role.not_found":              "check the name with `sallyport role list`, and the organisation (--org or SALLYPORT_ORG)",
	"role.taken":                  "the name of a deleted workload role is never given again; see `sallyport role list`",
	"session.stale":               "run `sallyport login` and repeat",
	"version.stale":               "run `sallyport {noun} show {name}` and repeat",
	"person.not_found":            "check the name with `sallyport person list`",
	"person.taken":                "the name of somebody who was removed is never given again; see `sallyport person list`",
	"person.self":                 "ask another owner to do it",
	"person.last_owner":           "make somebody else owner first, with `sallyport person put`",
	"policy.not_found":            "check the name with `sallyport policy list`",
	"policy.taken":                "the name of a deleted policy is never given again; see `sallyport policy list`",
	"policy.too_many":             "see `sallyport policy list`",
	"group.not_found":             "check the name with `sallyport group list`",
	"group.taken":                 "the name of a deleted group is never given again; see `sallyport group list`",
	"group.self":                  "ask somebody else who may to do it",
	"group.member_not_found":      "see `sallyport group members {name}`",
	"group.full":                  "remove members who are not needed: sallyport group remove {name} PERSON",
	"request_type.not_found":      "check the name with `sallyport request-type list`",
	"request_type.taken":          "the name of a deleted request type is never given again; see `sallyport request-type list`",
	"request_type.owner_only":     "ask an owner to run: sallyport request-type publish {name}",
	"request_type.too_many":       "see `sallyport request-type list`",
	"request_type.unusable":       "ask a security_admin to run: sallyport request-type publish NAME",
	"request.not_found":           "see `sallyport request list` and `sallyport request list --view inbox`",
	"request.not_needed":          "see what is: sallyport access resolve RESOURCE",
	"request.not_approver":        "see who is: sallyport request show ID",
	"request.not_requester":       "deny it if it is yours to decide: sallyport request deny ID",
	"request.people_only":         "run `sallyport login`, or set SALLYPORT_TOKEN to a person's API token",
	"request.own":                 "ask an approver to run: sallyport request approve ID",
	"request.decided":             "see who has still to decide: sallyport request show ID",
	"request.over":                "see how it ended: sallyport request show ID",
	"request.step":                "see which is open: sallyport request show ID",
	"request.begun":               "ask an approver to run: sallyport request deny ID",
	"request.too_many":            "see them: sallyport request list --status pending",
	"request.held":                "use it as it is: sallyport ssh, or sallyport secrets reveal",
	"request.nobody":              "have an owner set your manager, or a resource_admin the resource's owner",
	"request.gone":                "run: sallyport request deny ID",
	"request.denied":              "see why: sallyport request show ID",
	"request.expired":             "raise it again: sallyport request create",
	"request.lapsed":              "raise it again: sallyport request create",
	"request.cancelled":           "raise it again: sallyport request create",
	"request.pending":             "wait for it: sallyport request wait ID",
	"request.slow_down":           "ask every 5 seconds",
	"identity.not_found":          "see the accounts: sallyport person show NAME",
	"passkey.not_found":           "see the passkeys: sallyport person show NAME",
	"access.refused":              "see `sallyport access resources`, or ask a security_admin for a policy",
	"access.unmet":                "see `sallyport access resolve RESOURCE`, meet what is named and repeat",
	"access.cancelled":            "have a rule without mfa, access request or checkout written for the workload's role",
	"resource.not_found":          "check the name with `sallyport server list` and `sallyport secrets list`",
	"workload.not_allowed":        "run `sallyport login`, or set SALLYPORT_TOKEN to a person's API token",
	"grant.answered":              "ask again with a new Idempotency-Key",
	"ssh.username":                "ask a resource_admin for an account whose user's name sshd can take from a certificate",
	"checkout.taken":              "see `sallyport checkout list`, or ask a resource_admin to release it",
	"checkout.not_needed":         "use it as it is: sallyport ssh, or sallyport secrets reveal",
	"checkout.not_found":          "take it again: sallyport checkout take RESOURCE",
	"break_glass.not_allowed":     "raise a request: sallyport request create",
	"break_glass.not_needed":      "use it as it is: sallyport ssh, or sallyport secrets reveal",
	"break_glass.unreviewed":      "have it reviewed: sallyport break-glass review ID, by somebody else",
	"break_glass.own":             "ask an approver, or a security_admin, to run it",
	"break_glass.not_found":       "see `sallyport break-glass list`",
	"break_glass.reviewed":        "",
	"project.not_found":           "check the name with `sallyport project list`",
	"project.taken":               "the name of a deleted project is never given again; see `sallyport project list`",
	"project.not_empty":           "see `sallyport server list` and `sallyport secrets list`",
	"server.not_found":            "check the name with `sallyport server list`",
	"server.taken":                "the name of a deleted server is never given again; see `sallyport server list`",
	"server.account_not_found":    "see its accounts with `sallyport server show {name}`",
	"server.account_has_password": "run: sallyport server password {name} ACCOUNT --destroy VERSION",
	"secret.not_found":            "check the path with `sallyport secrets list`; with --project put makes the secret",
	"secret.taken":                "the path of a deleted secret is never given again; to put a version, leave out --project",
	"secret.destroyed":            "see which versions there are: sallyport secrets list",
	"secret.lost":                 "",
	"secret.version_not_found":    "see which versions there are: sallyport secrets list",
	"secret.too_many_versions":    "run: sallyport secrets destroy PATH --version N",
	"vault.unavailable":           "",
	"ssh_ca.too_young":            "wait until then and repeat: sallyport ssh-ca rotate",
	"ssh_ca.no_next":              "see `sallyport ssh-ca show`, and repeat in a moment",
	"ssh_ca.taken":                "see `sallyport ssh-ca show`, and repeat",
	"ssh.public_key":              "give a key as ssh-keygen writes it, such as: ssh-keygen -t ed25519",
	"resource.too_many":           "delete what is not needed: see `sallyport server list` and `sallyport secrets list`",
	"secret.version_taken":        "repeat",
	"secret.size":                 "put it in parts, or keep it elsewhere",
	"route.not_found":             "check --org or SALLYPORT_ORG, and that SALLYPORT_ADDR names a Sallyport server",
	"cursor.invalid":              "leave out --after",
	"cursor.filter":               "repeat the filters of that page, or leave out --after",
	"device.refused":              "run `sallyport login` again and confirm the code, if that was not meant",
	"device.expired":              "run `sallyport login` again",
	"proof.malformed":             "",
	"proof.algorithm":             "compare the `alg` in the token's header with the connection's algorithms",
	"proof.unknown_key":           "check the connection's key source, and that the token comes from that issuer",
	"proof.signature":             "the token was changed on its way, or another issuer signed it",
	"proof.expired":               "",
	"proof.not_yet_valid":         "the issuer's clock and this machine's differ",
	"proof.too_old":               "",
	"proof.conditions":            "`sallyport wl test` with SALLYPORT_TOKEN set shows which condition failed",
	"proof.identity":              "the claim that names the workload is missing or empty",
	"proof.replayed":              "",
	"keys.unavailable":            "",
	"audience.not_allowed":        "ask for an audience that the connection lists",
}

func nextOf(res *http.Response, code string) string {
	if n, ok := nexts[code]; ok {
		return about(res.Request.URL.Path, n)
	}
	switch res.StatusCode {
	case http.StatusUnauthorized:
		return "run `sallyport login`, or set SALLYPORT_TOKEN to a token that is not expired or revoked"
	case http.StatusForbidden:
		return "ask someone who has the role"
	case http.StatusNotFound:
		return "check the name, and the organisation (--org or SALLYPORT_ORG)"
	case http.StatusConflict:
		if noun, name := subject(res.Request.URL.Path); noun == "" || name == "" {
			return "" // of what no command shows, the sentence has to do
		}
		return about(res.Request.URL.Path, "see `sallyport {noun} show {name}`, then decide")
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return "correct what is named and repeat"
	case http.StatusTooManyRequests:
		return "wait " + retryAfter(res) + " and repeat"
	}
	if res.StatusCode >= 500 {
		return "try again in " + retryAfter(res)
	}
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		return "the server redirects, which is not followed: set SALLYPORT_ADDR to its final address"
	}
	return ""
}

// commandOf is the command about what the API has under a path.
var commandOf = map[string]string{
	"people": "person", "groups": "group", "roles": "role", "projects": "project", "servers": "server",
	"policies": "policy", "request-types": "request-type", "connections": "connection",
}

// subject is what a path of the API is about: the command about it, "" if there is
// none, and its name.
func subject(path string) (noun, name string) {
	_, rest, _ := strings.Cut(path, "/v1/")
	kind, rest, _ := strings.Cut(rest, "/")
	name, _, _ = strings.Cut(rest, "/")
	return commandOf[kind], name
}

// idWord stands in a next step for an id that is not known where it is written.
var idWord = regexp.MustCompile(`\bID\b`)

// about fills in what a path of the API is about: {noun} the command, {name} its
// name, and ID where the path has one.
func about(path, next string) string {
	noun, name := subject(path)
	for _, of := range []string{"/v1/access/requests/", "/v1/access/break-glass/"} {
		if _, rest, ok := strings.Cut(path, of); ok {
			id, _, _ := strings.Cut(rest, "/")
			next = idWord.ReplaceAllLiteralString(next, id)
		}
	}
	return strings.NewReplacer("{noun}", cmp.Or(noun, "connection"), "{name}", cmp.Or(name, "NAME")).Replace(next)
}

func retryAfter(res *http.Response) string {
	if s := res.Header.Get("Retry-After"); s != "" && strings.Trim(s, "0123456789") == "" {
		return s + " s"
	}
	return "a moment"
}
