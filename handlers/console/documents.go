package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is what somebody wrote as YAML or JSON: as JSON, and on which line
// each of its members is.
type document struct {
	JSON  json.RawMessage
	lines map[string]int // by pointer
	kept  int            // bytes of the pointers
}

// Bounds of a document, beside its length: how deep it is, and how many bytes the
// pointers to all that is in it have together. A short text can have long ones.
const maxDeep, maxPointers = 32, 1 << 20

// readDocument reads YAML, of which JSON is a part. Text that YAML would take
// for a date stays text, and no name is there twice.
func readDocument(text string) (document, error) {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		return document{}, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if n.Kind != yaml.DocumentNode || n.Content[0].Kind != yaml.MappingNode {
		return document{}, errors.New("this is no document: it begins with a name and a colon, such as name: example")
	}
	d := document{lines: map[string]int{}}
	v, err := d.plain(n.Content[0], "")
	if err != nil {
		return document{}, err
	}
	d.JSON, err = json.Marshal(v)
	return d, err
}

// plain is a node as JSON has it.
func (d *document) plain(n *yaml.Node, pointer string) (any, error) {
	if err := d.keep(pointer, n.Line); err != nil {
		return nil, err
	}
	switch n.Kind {
	case yaml.MappingNode:
		return d.plainMap(n, pointer)
	case yaml.SequenceNode:
		list := []any{}
		for i, c := range n.Content {
			v, err := d.plain(c, pointer+"/"+strconv.Itoa(i))
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.ScalarNode:
		return plainScalar(n)
	}
	return nil, fmt.Errorf("line %d: an alias is not read", n.Line)
}

// keep keeps the line of what is at the pointer, the first that it is given.
func (d *document) keep(pointer string, line int) error {
	if _, there := d.lines[pointer]; there {
		return nil
	}
	d.kept += len(pointer)
	if strings.Count(pointer, "/") > maxDeep || d.kept > maxPointers {
		return fmt.Errorf("line %d: there is too much in this document, or too deep", line)
	}
	d.lines[pointer] = line
	return nil
}

func (d *document) plainMap(n *yaml.Node, pointer string) (any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			return nil, fmt.Errorf("line %d: a name is text", key.Line)
		}
		if _, twice := m[key.Value]; twice {
			return nil, fmt.Errorf("line %d: %q is there twice", key.Line, key.Value)
		}
		below := pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key.Value)
		if err := d.keep(below, key.Line); err != nil {
			return nil, err
		}
		v, err := d.plain(n.Content[i+1], below)
		if err != nil {
			return nil, err
		}
		m[key.Value] = v
	}
	return m, nil
}

func plainScalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool", "!!int", "!!float":
		if json.Valid([]byte(n.Value)) { // otherwise a YAML-only form, such as 0x10
			return json.RawMessage(n.Value), nil
		}
		return nil, fmt.Errorf("line %d: write %q as JSON has it, or in quotes", n.Line, n.Value)
	}
	return n.Value, nil
}

// line is where the pointer leads, or the nearest of what it is in; 0 is nowhere.
func (d document) line(pointer string) int {
	for {
		if n, there := d.lines[pointer]; there {
			return n
		}
		i := strings.LastIndex(pointer, "/")
		if i < 0 {
			return 0
		}
		pointer = pointer[:i]
	}
}

// writeDocument is JSON as YAML, of its members those that are kept, in that order.
func writeDocument(raw json.RawMessage, keep []string) (string, error) {
	var n yaml.Node
	if err := yaml.Unmarshal(raw, &n); err != nil {
		return "", fmt.Errorf("reading a document: %w", err)
	}
	top := n.Content[0]
	kept := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range keep {
		for i := 0; i+1 < len(top.Content); i += 2 {
			if v := top.Content[i+1]; top.Content[i].Value == name && !hollow(v) {
				kept.Content = append(kept.Content, top.Content[i], v)
			}
		}
	}
	unstyle(kept)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(kept); err != nil {
		return "", fmt.Errorf("writing a document: %w", err)
	}
	return b.String(), e.Close()
}

// hollow tells whether there is nothing in it.
func hollow(n *yaml.Node) bool {
	return len(n.Content) == 0 && (n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" || n.ShortTag() == "!!str" && n.Value == "")
}

// serverSays are members inside of documents that only the server says.
var serverSays = []string{"missing", "passwords"}

// unstyle has all of it written as YAML is, and drops what only the server says,
// but among labels, which people name as they like.
func unstyle(n *yaml.Node) {
	n.Style = 0
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); {
		name, value := n.Content[i], n.Content[i+1]
		if slices.Contains(serverSays, name.Value) {
			n.Content = slices.Delete(n.Content, i, i+2)
			continue
		}
		if i += 2; name.Value == "labels" {
			for _, c := range append(value.Content, name, value) {
				c.Style = 0
			}
			continue
		}
		unstyle(name)
		unstyle(value)
	}
	for _, c := range n.Content {
		if n.Kind == yaml.SequenceNode {
			unstyle(c)
		}
	}
}

// diffLine is one line of a difference: Mark is +, -, or a space.
type diffLine struct{ Mark, Text string }

// maxDiff bounds the work of a difference, in pairs of lines.
const maxDiff = 4 << 20

// diffText is how two texts differ, line by line; nil where they do not.
func diffText(before, after string) (out []diffLine) {
	if before == after {
		return nil
	}
	a, b := strings.Split(strings.TrimSuffix(before, "\n"), "\n"), strings.Split(strings.TrimSuffix(after, "\n"), "\n")
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		out, a, b = append(out, diffLine{" ", a[0]}), a[1:], b[1:]
	}
	var end []diffLine
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		end = append(end, diffLine{" ", a[len(a)-1]})
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	slices.Reverse(end)
	return append(append(out, diffMiddle(a, b)...), end...)
}

// diffMiddle is the difference by the longest common lines, or, where that is too
// much work, all of one and then all of the other.
func diffMiddle(a, b []string) (out []diffLine) {
	common := make([][]int, len(a)+1)
	if len(a)*len(b) <= maxDiff {
		for i := range common {
			common[i] = make([]int, len(b)+1)
		}
		for i := len(a) - 1; i >= 0; i-- {
			for j := len(b) - 1; j >= 0; j-- {
				if common[i][j] = max(common[i+1][j], common[i][j+1]); a[i] == b[j] {
					common[i][j] = common[i+1][j+1] + 1
				}
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && common[i] != nil && a[i] == b[j]:
			out, i, j = append(out, diffLine{" ", a[i]}), i+1, j+1
		case i < len(a) && (j == len(b) || common[i] == nil || common[i+1][j] >= common[i][j+1]):
			out, i = append(out, diffLine{"-", a[i]}), i+1
		default:
			out, j = append(out, diffLine{"+", b[j]}), j+1
		}
	}
	return out
}
