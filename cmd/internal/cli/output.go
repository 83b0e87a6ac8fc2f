package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// Format is how data is printed.
type Format string

// The formats of -o.
const (
	Table Format = "table" // for people; may change
	JSON  Format = "json"  // the API's own document
	YAML  Format = "yaml"  // the same, as YAML
)

// FormatFlag adds -o to the command and all below it.
func FormatFlag(c *cobra.Command, f *Format) {
	*f = Table
	c.PersistentFlags().VarP(f, "output", "o", "print data as table, json or yaml")
	// An error here means the flag above does not exist.
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// Set, String and Type make Format a flag.
func (f *Format) Set(s string) error {
	switch Format(s) {
	case Table, JSON, YAML:
		*f = Format(s)
		return nil
	}
	return fmt.Errorf("%q is no output format: table, json or yaml", s)
}

func (f *Format) String() string { return string(*f) }

// Type names the flag's value in help.
func (f *Format) Type() string { return "format" }

// Print writes doc in the format asked for; table draws it for people.
func Print(w io.Writer, f Format, doc any, table func(io.Writer) error) error {
	switch f {
	case JSON:
		return printJSON(w, doc)
	case YAML:
		return printYAML(w, doc)
	}
	return table(w)
}

func printJSON(w io.Writer, doc any) error {
	raw, err := rawJSON(doc)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("indenting the answer: %w", err)
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

func rawJSON(doc any) ([]byte, error) {
	if raw, ok := doc.(json.RawMessage); ok {
		return bytes.TrimSpace(raw), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// printYAML goes by way of JSON, so that the names are the API's and numbers
// keep every digit.
func printYAML(w io.Writer, doc any) error {
	raw, err := rawJSON(doc)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	node, err := yamlNode(d)
	if err != nil {
		return fmt.Errorf("turning the answer into YAML: %w", err)
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(node); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	return e.Close()
}

// yamlNode reads one JSON value, keeping the order of members.
func yamlNode(d *json.Decoder) (*yaml.Node, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := t.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		if v == '[' {
			n = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		}
		for d.More() {
			c, err := yamlNode(d)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, c)
		}
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
		_, err := d.Token() // the closing bracket
		return n, err
	case string:
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
		switch strings.ToLower(v) {
		case "y", "n", "yes", "no", "on", "off": // booleans to readers of YAML 1.1
			n.Style = yaml.DoubleQuotedStyle
		}
		return n, nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

// Rows are a table: the first row is the heading.
type Rows [][]string

// Write aligns the columns by characters. Paint, when not nil, colours a cell
// after it was measured.
func (r Rows) Write(w io.Writer, paint func(row, col int, cell string) string) error {
	var width []int
	clean := make(Rows, len(r))
	for i, row := range r {
		clean[i] = make([]string, len(row))
		for j, cell := range row {
			clean[i][j] = Clean(cell)
			if j == len(width) {
				width = append(width, 0)
			}
			width[j] = max(width[j], utf8.RuneCountInString(clean[i][j]))
		}
	}
	var b strings.Builder
	for i, row := range clean {
		for j, cell := range row {
			pad := strings.Repeat(" ", width[j]-utf8.RuneCountInString(cell))
			if j == len(row)-1 {
				pad = ""
			} else {
				pad += "  "
			}
			if paint != nil {
				cell = paint(i, j, cell)
			}
			b.WriteString(cell + pad)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Clean shows control characters instead of sending them to the terminal:
// claims and names come from strangers, and an escape sequence is text too.
// A line break is shown as well, or a value could pretend to be our next line.
func Clean(s string) string {
	odd := func(r rune) bool { return unicode.IsControl(r) || bidi(r) || r == utf8.RuneError }
	if !strings.ContainsFunc(s, odd) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if odd(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// bidi tells the characters that reorder what is read around them.
func bidi(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f
}

// Colour tells whether w is a terminal that wants colour (https://no-color.org).
func Colour(w io.Writer, getenv func(string) string) bool {
	f, ok := w.(*os.File)
	if !ok || getenv("NO_COLOR") != "" || getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// WriteSecret writes a file that only its owner may read, whole or not at all:
// a reader never sees half of it. What was there is replaced.
func WriteSecret(path string, b []byte) error {
	f, err := NewSecretFile(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	return f.Write(b)
}

// WriteNewSecret is [WriteSecret] where nothing may be replaced: a file that is
// there is fs.ErrExist.
func WriteNewSecret(path string, b []byte) error {
	f, err := NewSecretFile(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	return f.place(b, os.Link)
}

// SecretFile is a file that can be written and is not there yet: who fetches a
// secret that is shown once makes sure first that there is room for it.
type SecretFile struct {
	path string
	temp *os.File
}

// NewSecretFile makes sure that a file at path can be written, mode 0600. What
// is there is left until [SecretFile.Write].
func NewSecretFile(path string) (*SecretFile, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return nil, err
	}
	return &SecretFile{path, f}, nil
}

// Write puts b in place of what is there, in one step.
func (s *SecretFile) Write(b []byte) error { return s.place(b, os.Rename) }

// Discard removes what was begun; after Write it does nothing.
func (s *SecretFile) Discard() {
	s.temp.Close()
	os.Remove(s.temp.Name())
}

func (s *SecretFile) place(b []byte, put func(from, to string) error) error {
	if _, err := s.temp.Write(b); err != nil {
		return err
	}
	if err := s.temp.Sync(); err != nil {
		return err
	}
	if err := s.temp.Close(); err != nil {
		return err
	}
	return put(s.temp.Name(), s.path)
}
