package conjur

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds how many nodes are visited: an alias may name what has
// aliases itself, and a short file so be a very long one.
const maxNodes = 200_000

// maxNesting bounds how deep policies and lists are nested.
const maxNesting = 64

// ref names a record by its kind and whole id.
type ref struct{ kind, id string }

// host is a host and what its annotations say.
type host struct {
	id          string
	file        string
	line        int
	annotations []annotation
}

type annotation struct {
	name, value string
	unread      bool // the value was refused already
	file        string
	line        int
}

// policy is what the files say, as far as it tells who may authenticate.
type policy struct {
	hosts     []*host
	records   map[ref]int   // how often each was declared
	variables map[string]at // where each was declared, by its whole id
	members   map[ref][]ref // of !grant: who is in what
	permits   []permit      // of !permit
	notes     []string
	owners    int // records with an owner
}

type at struct {
	file string
	line int
}

type permit struct {
	roles, resources []ref
	privileges       []string
}

// reader walks one file.
type reader struct {
	*policy
	file    string
	found   *problems
	visited int
}

func readPolicies(files []File, found *problems) *policy {
	p := &policy{records: map[ref]int{}, variables: map[string]at{}, members: map[ref][]ref{}}
	for _, f := range files {
		r := reader{policy: p, file: f.Name, found: found}
		branch := strings.Trim(f.Branch, "/")
		if branch == "root" {
			branch = ""
		}
		d := yaml.NewDecoder(strings.NewReader(string(f.Text)))
		for {
			var doc yaml.Node
			err := d.Decode(&doc)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				found.add(f.Name, 0, "", "it is no YAML: %v", err)
				break
			}
			r.records(doc.Content[0], branch, 0)
		}
	}
	if p.owners > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%d records have an owner, which is not read: who owns something does not authenticate by it.", p.owners))
	}
	return p
}

// refuse tells a problem at a node.
func (r *reader) refuse(n *yaml.Node, code, format string, args ...any) {
	r.found.add(r.file, n.Line, code, format, args...)
}

// open counts a visit and follows an alias; ok is false where there are too many.
func (r *reader) open(n *yaml.Node, depth int) (*yaml.Node, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	r.visited++
	switch {
	case r.visited == maxNodes:
		r.refuse(n, "", "the file, its aliases written out, is too large")
	case depth == maxNesting:
		r.refuse(n, "", "it is nested more than %d deep", maxNesting)
	}
	return n, r.visited < maxNodes && depth < maxNesting
}

// records reads a list of records, or one. Lists in lists are what anchors are
// put on, and mean what they hold.
func (r *reader) records(n *yaml.Node, namespace string, depth int) {
	n, ok := r.open(n, depth)
	if !ok {
		return
	}
	tag := n.ShortTag()
	switch {
	case tag == "!!null":
	case tag == "!!seq":
		for _, c := range n.Content {
			r.records(c, namespace, depth+1)
		}
	case strings.HasPrefix(tag, "!!"):
		r.refuse(n, "", "a record has a tag, such as !host")
	default:
		r.record(n, tag, namespace, depth)
	}
}

// record reads one tagged record.
func (r *reader) record(n *yaml.Node, tag, namespace string, depth int) {
	switch tag {
	case "!policy":
		r.policyRecord(n, namespace, depth)
	case "!host":
		r.hostRecord(n, namespace)
	case "!variable", "!webservice", "!group", "!layer", "!user", "!host-factory":
		r.plainRecord(n, tag, namespace)
	case "!grant":
		r.grant(n, namespace, depth)
	case "!permit":
		r.permit(n, namespace, depth)
	case "!deny", "!revoke", "!delete":
		r.refuse(n, "", "%s takes back what another load gave: give the policy as it is now, without what was taken", tag)
	case "!include":
		r.refuse(n, "", "an included file is not read: name it on the command line")
	default:
		r.refuse(n, "", "%s is no record that is known here, so what it means for who may authenticate is not known either", tag)
	}
}

// fields are the members of a record's mapping; of a record that is only an id,
// id alone. Members that are not among known are told.
func (r *reader) fields(n *yaml.Node, known ...string) map[string]*yaml.Node {
	members := map[string]*yaml.Node{}
	switch n.Kind {
	case yaml.ScalarNode:
		members["id"] = n
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			switch _, twice := members[key.Value]; {
			case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
				r.refuse(key, "", "a member of a record is named by text; merged members are not read")
			case twice:
				r.refuse(key, "", "%s is there twice", key.Value)
			case !slices.Contains(known, key.Value):
				r.refuse(key, "", "%s is no member of %s that is known here", key.Value, n.Tag)
			}
			members[key.Value] = value
		}
	default:
		r.refuse(n, "", "%s is an id, or members with one", n.Tag)
	}
	if members["owner"] != nil {
		r.owners++
	}
	return members
}

// id is the whole id of a record: relative to the policy that it stands in,
// unless it begins with a slash. Without an id it is the policy's own.
func (r *reader) id(n *yaml.Node, written *yaml.Node, namespace string) string {
	text := ""
	if written != nil {
		if written.Kind == yaml.AliasNode {
			written = written.Alias
		}
		if written.Kind != yaml.ScalarNode {
			r.refuse(n, "", "an id is text")
			return ""
		}
		text = written.Value
	}
	if rest, absolute := strings.CutPrefix(text, "/"); absolute {
		return rest
	}
	if namespace != "" && text != "" {
		return namespace + "/" + text
	}
	if namespace+text == "" {
		r.refuse(n, "", "%s has no id", n.Tag)
	}
	return namespace + text
}

func (r *reader) policyRecord(n *yaml.Node, namespace string, depth int) {
	members := r.fields(n, "id", "body", "owner", "annotations")
	id := r.id(n, members["id"], namespace)
	r.policy.records[ref{"policy", id}]++
	if body := members["body"]; body != nil && id != "" {
		r.records(body, id, depth+1)
	}
}

func (r *reader) plainRecord(n *yaml.Node, tag, namespace string) {
	known := []string{"id", "owner", "annotations", "kind", "mime_type", "restricted_to", "layers"}
	members := r.fields(n, known...)
	id := r.id(n, members["id"], namespace)
	kind := tag[1:]
	r.policy.records[ref{kind, id}]++
	switch {
	case kind == "variable":
		r.variables[id] = at{r.file, n.Line}
	case kind == "user" && jwtAnnotations(members["annotations"]):
		r.notes = append(r.notes, fmt.Sprintf("User %s (%s:%d) has annotations of authn-jwt and was left out: a token names hosts only.", id, r.file, n.Line))
	}
}

// jwtAnnotations tells whether one of the annotations is for authn-jwt.
func jwtAnnotations(n *yaml.Node) bool {
	return n != nil && slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return strings.HasPrefix(c.Value, "authn-jwt/") })
}

func (r *reader) hostRecord(n *yaml.Node, namespace string) {
	members := r.fields(n, "id", "annotations", "owner", "restricted_to")
	id := r.id(n, members["id"], namespace)
	if id == "" {
		return
	}
	h := &host{id: id, file: r.file, line: n.Line}
	if networks := members["restricted_to"]; networks != nil && len(networks.Content)+len(networks.Value) > 0 {
		*r.found = append(*r.found, Problem{File: r.file, Line: networks.Line, Host: id,
			Text: "restricted_to lets it in from some networks only, which a workload role cannot say: take it away if that is meant"})
	}
	h.annotations = r.annotations(members["annotations"], id)
	r.policy.records[ref{"host", id}]++
	if i := slices.IndexFunc(r.hosts, func(o *host) bool { return o.id == id }); i >= 0 {
		r.merge(r.hosts[i], h)
		return
	}
	r.hosts = append(r.hosts, h)
}

// merge adds to a host what another record of it says, as a second load does.
func (r *reader) merge(h, more *host) {
	for _, a := range more.annotations {
		i := slices.IndexFunc(h.annotations, func(b annotation) bool { return b.name == a.name })
		switch {
		case i < 0:
			h.annotations = append(h.annotations, a)
		case h.annotations[i].value != a.value:
			*r.found = append(*r.found, Problem{File: a.file, Line: a.line, Host: h.id,
				Text: fmt.Sprintf("annotation %s has another value at %s:%d", a.name, h.annotations[i].file, h.annotations[i].line)})
		}
	}
}

func (r *reader) annotations(n *yaml.Node, id string) (out []annotation) {
	if n == nil || n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		r.refuse(n, "", "annotations are names and values")
		return nil
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		tell := func(format string, args ...any) {
			*r.found = append(*r.found, Problem{File: r.file, Line: key.Line, Host: id, Text: fmt.Sprintf(format, args...)})
		}
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
			tell("an annotation is named by text; merged ones are not read")
		case seen[key.Value]:
			tell("annotation %s is there twice", key.Value)
		case value.Kind != yaml.ScalarNode || ambiguous(value):
			tell("the value of annotation %s is not text that everybody reads alike: put it in quotes", key.Value)
			out = append(out, annotation{key.Value, "", true, r.file, key.Line})
		default:
			text := value.Value
			if value.ShortTag() == "!!null" {
				text = ""
			}
			out = append(out, annotation{key.Value, text, false, r.file, key.Line})
		}
		seen[key.Value] = true
	}
	return out
}

// ambiguous tells whether a plain value is one that readers of YAML turn into
// something that is written otherwise: 010, 1_000, 1.0, yes, 2026-11-22.
func ambiguous(n *yaml.Node) bool {
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return false
	}
	switch n.ShortTag() {
	case "!!float", "!!timestamp", "!!binary":
		return true
	case "!!int":
		digits := strings.TrimPrefix(n.Value, "-")
		return strings.Trim(digits, "0123456789") != "" || len(digits) > 1 && digits[0] == '0'
	case "!!bool":
		return n.Value != "true" && n.Value != "false"
	}
	switch strings.ToLower(n.Value) {
	case "yes", "no", "on", "off": // booleans to Conjur, which reads YAML 1.1
		return true
	}
	return false
}

func (r *reader) grant(n *yaml.Node, namespace string, depth int) {
	members := r.fields(n, "role", "roles", "member", "members", "replace")
	in := append(r.refs(members["member"], namespace, depth), r.refs(members["members"], namespace, depth)...)
	for _, role := range append(r.refs(members["role"], namespace, depth), r.refs(members["roles"], namespace, depth)...) {
		r.members[role] = append(r.members[role], in...)
	}
}

func (r *reader) permit(n *yaml.Node, namespace string, depth int) {
	members := r.fields(n, "role", "roles", "privilege", "privileges", "resource", "resources", "replace")
	var p permit
	for _, name := range []string{"role", "roles"} {
		p.roles = append(p.roles, r.refs(members[name], namespace, depth)...)
	}
	for _, name := range []string{"resource", "resources"} {
		p.resources = append(p.resources, r.refs(members[name], namespace, depth)...)
	}
	for _, name := range []string{"privilege", "privileges"} {
		p.privileges = append(p.privileges, r.words(members[name], depth)...)
	}
	r.permits = append(r.permits, p)
}

// refs reads one reference, or lists of them.
func (r *reader) refs(n *yaml.Node, namespace string, depth int) (out []ref) {
	if n == nil {
		return nil
	}
	n, ok := r.open(n, depth)
	if !ok {
		return nil
	}
	switch tag := n.ShortTag(); tag {
	case "!!seq":
		for _, c := range n.Content {
			out = append(out, r.refs(c, namespace, depth+1)...)
		}
		return out
	case "!member":
		return r.refs(r.fields(n, "role", "admin")["role"], namespace, depth+1)
	case "!policy", "!host", "!variable", "!webservice", "!group", "!layer", "!user":
		written := n
		if n.Kind == yaml.MappingNode {
			written = r.fields(n, "id", "annotations", "owner", "kind", "mime_type", "restricted_to", "body")["id"]
		}
		return []ref{{tag[1:], r.id(n, written, namespace)}}
	default:
		r.refuse(n, "", "%s names no role or resource that is known here", tag)
	}
	return nil
}

// words reads one word, or a list of them.
func (r *reader) words(n *yaml.Node, depth int) (out []string) {
	if n == nil {
		return nil
	}
	n, ok := r.open(n, depth)
	switch {
	case !ok:
	case n.Kind == yaml.ScalarNode:
		out = append(out, n.Value)
	default:
		for _, c := range n.Content {
			out = append(out, r.words(c, depth+1)...)
		}
	}
	return out
}

// mayAuthenticate is everybody who has the privilege authenticate on the
// webservice: those named, and who is in what is named.
func (p *policy) mayAuthenticate(webservice string) map[ref]bool {
	allowed := map[ref]bool{}
	var next []ref
	for _, permit := range p.permits {
		if slices.Contains(permit.privileges, "authenticate") && slices.Contains(permit.resources, ref{"webservice", webservice}) {
			next = append(next, permit.roles...)
		}
	}
	for len(next) > 0 {
		role := next[0]
		if next = next[1:]; !allowed[role] {
			allowed[role] = true
			next = append(next, p.members[role]...)
		}
	}
	return allowed
}
