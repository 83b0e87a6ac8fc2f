package resource

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport.dev/domain"
)

const (
	maxDescription = 1000 // characters
	maxLabels      = 50
	maxAccounts    = 50
	maxHostKeys    = 10
	maxHostKey     = 1500 // bytes: RSA of 8192 bits
	maxAddress     = 253  // bytes
	maxPath        = 255  // bytes
	maxSegments    = 8

	// DefaultCheckout is how long a checkout may last where the project does not
	// say: MaxSeconds of zero.
	DefaultCheckout = 3600
	minCheckout     = 900
	maxCheckout     = 7 * 24 * 3600

	// SSHPort is the port of a server that names none.
	SSHPort = 22

	// MaxResources is how many servers and secrets an organisation has at most:
	// what somebody can reach is worked out of all of them.
	MaxResources = 10_000
	// MaxProjects is how many projects an organisation has at most.
	MaxProjects = 1000

	// MaxValues is how many versions may stand in an organisation, of all secrets
	// and passwords together: a backup copies them in one go, and a sweep looks at each.
	MaxValues = 100_000

	// MaxVersions is how many versions of one secret may stand, destroyed ones not counted.
	MaxVersions = 100
)

var (
	segmentForm  = regexp.MustCompile(`\A[a-z0-9._-]+\z`)
	labelForm    = regexp.MustCompile(`\A[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?\z`)
	valueForm    = regexp.MustCompile(`\A[A-Za-z0-9._/:@+ -]{0,128}\z`)
	hostForm     = regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\z`)
	usernameForm = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_.-]{0,31}\z`)
)

// ParsePath reads the path of a secret. There is one way to write each: nothing
// is cleaned, folded or trimmed, and what is not in that form is no path.
func ParsePath(text string) (string, error) {
	segments := strings.Split(text, "/")
	if len(text) > maxPath || len(segments) > maxSegments {
		return "", ErrPath
	}
	for _, s := range segments {
		if !segmentForm.MatchString(s) || s == "." || s == ".." {
			return "", ErrPath
		}
	}
	return text, nil
}

// ParseRef reads a reference as people write it, such as server/web-1.
func ParseRef(text string) (Ref, error) {
	if name, is := strings.CutPrefix(text, "server/"); is {
		n, err := domain.ParseName(name)
		return ServerRef(n), err
	}
	if path, is := strings.CutPrefix(text, "secret/"); is {
		path, err := ParsePath(path)
		return SecretRef(path), err
	}
	return "", domain.Invalid("resource.invalid", "A resource is server/NAME or secret/PATH.")
}

// fieldErrors collects every field that breaks a rule.
type fieldErrors []domain.FieldError

func (f *fieldErrors) refuse(pointer, code, format string, args ...any) {
	*f = append(*f, domain.FieldError{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
}

func (f *fieldErrors) description(text string) {
	hidden := func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }
	switch {
	case utf8.RuneCountInString(text) > maxDescription:
		f.refuse("/description", "too_long", "a description is at most 1000 characters")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, hidden):
		f.refuse("/description", "value.invalid", "a description has no hidden characters")
	}
}

func (f *fieldErrors) labels(all map[string]string) {
	if len(all) > maxLabels {
		f.refuse("/labels", "too_many", "at most %d labels are allowed", maxLabels)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		pointer := "/labels/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key[:min(len(key), 64)])
		if !labelForm.MatchString(key) {
			f.refuse(pointer, "label.key", "a label's key is 1 to 63 characters of a-z, 0-9 and inner dots, hyphens, underscores and slashes")
		} else if !valueForm.MatchString(all[key]) {
			f.refuse(pointer, "label.value", "a label's value is up to 128 characters of letters, digits, spaces and . _ / : @ + -")
		}
	}
}

func (f *fieldErrors) owner(o Owner) {
	if o.Person != "" && o.Group != "" {
		f.refuse("/owner", "owner.ambiguous", "an owner is a person or a group, not both")
	}
	f.name("/owner/person", o.Person, true)
	f.name("/owner/group", o.Group, true)
}

// name checks a name that was not parsed at the edge; some may be left out.
func (f *fieldErrors) name(pointer string, n domain.Name, optional bool) {
	if n == "" && optional {
		return
	}
	if _, err := domain.ParseName(n.String()); err != nil {
		f.refuse(pointer, "name.invalid", "%v", err)
	}
}

// project checks that the project is there.
func (f *fieldErrors) project(s State, n domain.Name) {
	if _, ok := s.projects[n]; !ok {
		f.refuse("/project", "project.unknown", "there is no such project: create it first, or name another")
	}
}

// complete is the spec with every default filled in, and every field that breaks a rule.
func (p ProjectSpec) complete() (ProjectSpec, error) {
	var broken fieldErrors
	broken.description(p.Description)
	if p.Checkout.MaxSeconds == 0 {
		p.Checkout.MaxSeconds = DefaultCheckout
	}
	if s := p.Checkout.MaxSeconds; s < minCheckout || s > maxCheckout {
		broken.refuse("/checkout/max_seconds", "value.range", "a checkout lasts %d to %d seconds", minCheckout, maxCheckout)
	}
	return p, domain.ErrFields(broken)
}

// complete is the spec with every default filled in, and every field that breaks a rule.
func (p SecretSpec) complete(s State) (SecretSpec, error) {
	var broken fieldErrors
	broken.description(p.Description)
	broken.project(s, p.Project)
	broken.labels(p.Labels)
	broken.owner(p.Owner)
	return p, domain.ErrFields(broken)
}

// complete is the spec with every default filled in, and every field that breaks a rule.
func (p ServerSpec) complete(s State) (ServerSpec, error) {
	var broken fieldErrors
	broken.description(p.Description)
	broken.project(s, p.Project)
	broken.address(p.Address)
	if p.Port == 0 {
		p.Port = SSHPort
	}
	if p.Port < 1 || p.Port > 65535 {
		broken.refuse("/port", "value.range", "a port is 1 to 65535")
	}
	broken.labels(p.Labels)
	broken.accounts(p.Accounts)
	broken.owner(p.Owner)
	broken.hostKeys(p.HostKeys)
	return p, domain.ErrFields(broken)
}

// address wants a host name or an IP address and nothing that a program which is
// given it could take for an option, a port or a user.
func (f *fieldErrors) address(text string) {
	if text == "" {
		f.refuse("/address", "field.required", "address is the server's host name or IP address")
		return
	}
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		return
	}
	// What ends in a number is an address, in some form that not everybody reads alike.
	last := text[strings.LastIndexByte(text, '.')+1:]
	_, numeric := strconv.ParseUint(last, 0, 64)
	if len(text) > maxAddress || !hostForm.MatchString(text) || numeric == nil {
		f.refuse("/address", "address.invalid", "an address is a host name or an IP address, without user, port or brackets")
	}
}

func (f *fieldErrors) accounts(all []Account) {
	if len(all) > maxAccounts {
		f.refuse("/accounts", "too_many", "at most %d accounts are allowed", maxAccounts)
		return
	}
	seen := map[domain.Name]bool{}
	for i, a := range all {
		at := "/accounts/" + strconv.Itoa(i)
		f.name(at+"/name", a.Name, false)
		if seen[a.Name] {
			f.refuse(at+"/name", "name.twice", "each account is named once")
		}
		seen[a.Name] = true
		f.account(at, a)
	}
}

func (f *fieldErrors) account(at string, a Account) {
	switch {
	case a.Kind != Personal && a.Kind != Vaulted:
		f.refuse(at+"/kind", "value.unknown", "kind is personal or vaulted")
	case a.Kind == Personal && a.Username != "":
		f.refuse(at+"/username", "value.unexpected", "a personal account has no username: everybody is who they are")
	case a.Kind == Vaulted && !usernameForm.MatchString(a.Username):
		f.refuse(at+"/username", "value.invalid", "a username is 1 to 32 letters, digits, dots, hyphens and underscores, and begins with a letter or an underscore")
	case strings.HasPrefix(a.Username, "wl_"):
		f.refuse(at+"/username", "value.reserved", "usernames that begin with wl_ are those of workload roles")
	}
}

// keyTypes are the types of host keys; what else sshd may have is not secure.
var keyTypes = []string{
	"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
	"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
}

func (f *fieldErrors) hostKeys(lines []string) {
	if len(lines) > maxHostKeys {
		f.refuse("/host_keys", "too_many", "at most %d host keys are allowed", maxHostKeys)
		return
	}
	for i, line := range lines {
		if !hostKey(line) {
			f.refuse("/host_keys/"+strconv.Itoa(i), "host_key.invalid", "a host key is its type and its base64, as in /etc/ssh/ssh_host_ed25519_key.pub without the comment")
		}
	}
}

// hostKey tells whether a line is a type and the base64 of a key of that type.
func hostKey(line string) bool {
	typ, encoded, _ := strings.Cut(line, " ")
	if len(line) > maxHostKey || !slices.Contains(keyTypes, typ) {
		return false
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") || len(blob) < 4 {
		return false
	}
	n := binary.BigEndian.Uint32(blob)
	return uint64(n) <= uint64(len(blob)-4) && string(blob[4:4+n]) == typ && len(blob) > int(4+n)
}
