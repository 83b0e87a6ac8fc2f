package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// namedIn says, of what a command is about, in which documents it may be named and
// in which members.
var namedIn = map[string]struct {
	paths, members []string
}{
	"group":        {[]string{"policies", "request-types", "projects", "servers"}, []string{"group", "groups"}},
	"person":       {[]string{"people", "request-types", "projects", "servers"}, []string{"people", "person", "manager"}},
	"role":         {[]string{"policies"}, []string{"roles"}},
	"server":       {[]string{"policies"}, []string{"server"}},
	"request-type": {[]string{"policies"}, []string{"request_type"}},
	"connection":   {[]string{"roles"}, []string{"connection"}},
}

// namers is what names it, such as "policy web-admins": what may not be read is
// left out. It changes nothing.
func (c *client) namers(ctx context.Context, use, name string) (out []string) {
	in := namedIn[use]
	for _, path := range in.paths {
		got, err := c.call(ctx, http.MethodGet, "/v1/"+path, nil, nil)
		var page map[string][]map[string]any
		if err != nil || json.Unmarshal(got.body, &page) != nil {
			continue
		}
		for _, doc := range page[strings.ReplaceAll(path, "-", "_")] {
			own, _ := doc["name"].(string)
			if names(doc, in.members, name) && (commandOf[path] != use || own != name) {
				out = append(out, commandOf[path]+" "+own)
			}
		}
	}
	return out
}

// names tells whether a member of those, at any depth, is the name or lists it.
func names(v any, members []string, name string) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return names(x, members, name) })
	case map[string]any:
		for key, x := range v {
			list, _ := x.([]any)
			if slices.Contains(members, key) && (x == any(name) || slices.Contains(list, any(name))) || names(x, members, name) {
				return true
			}
		}
	}
	return false
}

// pointedAt is what is at the pointers of a document, each once; of what is not
// there the pointer itself.
func pointedAt(doc json.RawMessage, pointers []string) (out []string) {
	for _, p := range pointers {
		var at any
		_ = json.Unmarshal(doc, &at)
		for step := range strings.SplitSeq(strings.TrimPrefix(p, "/"), "/") {
			switch v := at.(type) {
			case map[string]any:
				at = v[step]
			case []any:
				if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(v) {
					at = v[i]
				}
			}
		}
		found, ok := at.(string)
		if !ok {
			found = p
		}
		if !slices.Contains(out, found) {
			out = append(out, found)
		}
	}
	return out
}

// publication is what the client reads of a document that counts once it is published.
type publication struct {
	Status           string
	Version          uint64
	PublishedVersion uint64 `json:"published_version"`
	Rules            []policyRule
}

func publicationOf(doc json.RawMessage) (p publication) {
	_ = json.Unmarshal(doc, &p) // of what is not published at all nothing is there
	return p
}

// unpublished says what of a document that was just written counts, "" if all does.
func (p publication) unpublished(n noun, name string) string {
	switch {
	case p.Status == "published" && p.PublishedVersion != p.Version:
		return "Version " + strconv.FormatUint(p.PublishedVersion, 10) + " is still what counts; publish this one with: sallyport " + n.use + " publish " + name
	case p.Status == "draft":
		return "It has no effect before: sallyport " + n.use + " publish " + name
	}
	return ""
}

// unusableTypes is the request types that rules ask for and nobody can raise.
func (c *client) unusableTypes(ctx context.Context, rules []policyRule) (out []string) {
	looked := map[string]bool{}
	for _, r := range rules {
		for _, q := range r.Conditions {
			if looked[q.RequestType] {
				continue
			}
			looked[q.RequestType] = true
			m := sshMethod{Conditions: []sshCondition{{Type: q.Type, RequestType: q.RequestType}}}
			if typ := c.unusable(ctx, m); typ != "" {
				out = append(out, typ)
			}
		}
	}
	return out
}
