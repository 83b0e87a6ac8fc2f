package console

import (
	"fmt"
	"strings"
)

// tableView is the beginning of a table: its caption, for readers alone, and its columns.
type tableView struct {
	Caption string
	Columns []column
}

type column struct {
	Name   string
	Number bool // aligned to the right
	Hidden bool // named for readers alone, such as that of buttons
}

// columns begins a table. A name that starts with # is a column of numbers, one
// that starts with - is named for readers alone. "end-table" ends it.
func columns(caption string, names ...string) tableView {
	t := tableView{Caption: caption}
	for _, n := range names {
		t.Columns = append(t.Columns, column{Name: strings.TrimLeft(n, "#-"), Number: strings.HasPrefix(n, "#"), Hidden: strings.HasPrefix(n, "-")})
	}
	return t
}

// columnLabel is the name of a column, as a phone shows it beside each value; ""
// of the first, which is what the row is about, and of buttons.
func columnLabel(names []string, i int) string {
	if i == 0 || i >= len(names) || strings.HasPrefix(names[i], "-") {
		return ""
	}
	return strings.TrimLeft(names[i], "#")
}

// emptyView is what stands where there is nothing yet: what would be there, and
// what to do next.
type emptyView struct{ Title, Text, URL, Do string }

func newEmpty(title, text string, next ...string) (e emptyView) {
	e.Title, e.Text = title, text
	if len(next) == 2 {
		e.URL, e.Do = next[0], next[1]
	}
	return e
}

// pagerView leads to the pages before and after; "" is no such page.
type pagerView struct{ Previous, Next, Says string }

func newPager(previous, next, says string) pagerView { return pagerView{previous, next, says} }

// option is one choice of a field.
type option struct{ Value, Label string }

// fieldView is one field of a form, with its label, hint, and what is wrong with it.
type fieldView struct {
	ID, Name, Label, Value, Hint, Error string
	Type, Autocomplete                  string
	Rows                                int // of a text area; zero is none
	Options                             []option
	Required, Mono                      bool
	Optional                            bool // said of a choice, too
}

// newField is a field for what /v1 knows by that pointer: "/conditions/0/value"
// is sent as conditions.0.value, and has the id f-conditions-0-value.
func newField(f frame, pointer, label string, value any, hint string) fieldView {
	return fieldView{
		ID: fieldID(pointer), Name: fieldName(pointer), Label: label, Value: fmt.Sprint(value),
		Hint: hint, Error: f.wrong(pointer), Type: "text", Autocomplete: "off",
	}
}

// fieldName is by what name a form sends the field at a pointer.
func fieldName(pointer string) string {
	return strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", ".")
}

func fieldID(pointer string) string { return "f" + strings.ReplaceAll(pointer, "/", "-") }

// Checked tells whether a check box is on.
func (f fieldView) Checked() bool { return f.Value == "true" }

// Described names what tells more about the field.
func (f fieldView) Described() string {
	var ids []string
	if f.Hint != "" {
		ids = append(ids, f.ID+"-hint")
	}
	if f.Error != "" {
		ids = append(ids, f.ID+"-error")
	}
	return strings.Join(ids, " ")
}

// These change a field; in a template: field … | required | area 4.
func required(f fieldView) fieldView                  { f.Required = true; return f }
func mono(f fieldView) fieldView                      { f.Mono = true; return f }
func area(rows int, f fieldView) fieldView            { f.Rows = rows; return f }
func ofType(kind string, f fieldView) fieldView       { f.Type = kind; return f }
func autocomplete(what string, f fieldView) fieldView { f.Autocomplete = what; return f }
func choose(from []option, f fieldView) fieldView     { f.Options = from; return f }

// submitView ends a form: the button, and the way out.
type submitView struct {
	Once, Do, Cancel string
	Danger           bool
}

// newSubmit is the end of a form; cancel is an address, "" for none.
func newSubmit(f frame, do, cancel string) submitView {
	return submitView{Once: f.Once(), Do: do, Cancel: cancel}
}

func danger(s submitView) submitView { s.Danger = true; return s }

// FieldLinks are the fields that a refusal names, for the summary on top.
func (p *problem) FieldLinks() (links []fieldLink) {
	for _, pointer := range p.Order {
		links = append(links, fieldLink{ID: fieldID(pointer), Name: pointerWords(pointer), Detail: p.Fields[pointer]})
	}
	return links
}

type fieldLink struct{ ID, Name, Detail string }

// pointerWords is the field at a pointer as people read it: /token_ttl/amount is
// Token ttl amount.
func pointerWords(pointer string) string {
	words := strings.NewReplacer("/", " ", "_", " ").Replace(strings.TrimPrefix(pointer, "/"))
	if words == "" {
		return "The document"
	}
	return upper(words)
}

// confirmView asks once more before something is done, on a page of its own.
type confirmView struct {
	Heading, Text string
	Points        []string // what will happen
	Action, Do    string   // where the form goes, and its button
	Danger        bool
	Cancel        string            // where the way out leads
	Hidden        map[string]string // fields sent along
}
