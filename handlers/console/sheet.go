package console

import (
	"strconv"
	"strings"
	"time"
)

// sheet is a page of the directory, the rules and the settings: a list, one of
// its members, or a form. All of them are shown by templates/sheet.html, so that
// what they have in common looks and behaves alike. Everything in it is text.
type sheet struct {
	Title    string
	Up       sheetLink // the page above
	States   []string  // badges beside the title
	Lead     string
	Actions  []sheetAction
	Notes    []sheetNote
	Facts    []sheetFact
	Filter   *sheetFilter
	Starts   []sheetLink // documents that the form can begin with
	Form     *sheetForm
	Sections []sheetSection
	Tables   []sheetTable
	Below    []sheetSection // the tables
}

// sheetLink leads to a path below the organisation.
type sheetLink struct{ Name, Path string }

// sheetAction is a button: a link, or with Post a form that is sent.
type sheetAction struct {
	Do, Path        string
	About           string // what it is done to, for readers alone
	Post            bool
	By              string // whom a form is shown to: who must be the one that sends it
	Primary, Danger bool
	Sure            string // the button that really does it, shown after this one; "" asks nothing
	Hidden          map[string]string
}

// sure is the action, asked for once more by a button of that name.
func (a sheetAction) sure(do string) sheetAction {
	a.Sure = do
	return a
}

// Once is a new text for the hidden field of its form, see [onceOf].
func (a sheetAction) Once() string { return onceOf(a.By) }

// sheetNote is a sentence that stands out; Tone is "", good, warn or bad.
type sheetNote struct{ Tone, Text string }

// sheetFact is one thing about what is shown.
type sheetFact struct {
	Name  string
	Cells []cell
}

// sheetFilter narrows a list by a text.
type sheetFilter struct{ Label, Value string }

// sheetSection is a part in words.
type sheetSection struct {
	ID, Heading string
	Text        string
	Lines       []sheetLine
	Steps       bool   // one after the other
	Code        string // to be copied
	Diff        []diffLine
}

// sheetLine is one thing that is so; Tone marks what is wrong with it.
type sheetLine struct{ Label, Text, Tone, Mark string }

// sheetTable is a table, or what stands where it would be empty.
type sheetTable struct {
	Heading, Caption string
	Columns          []string // as columns has them
	Rows             [][]cell
	EmptyTitle       string
	EmptyText        string
	EmptyDo          sheetLink
	Pager            *pagerView
	More             *sheetAction // shows what comes behind, where a link cannot
}

// cell is a piece of text in a row or of a fact.
type cell struct {
	Text, Path   string // Path leads there
	Badge        bool   // a state
	Tone         string // of a badge that is no state
	Code, Copied bool
	Quiet        bool
	Number       bool
	Time         time.Time
	Exact        bool // the time is told exactly besides
	Action       *sheetAction
}

func textCell(s string) cell               { return cell{Text: s} }
func quietCell(s string) cell              { return cell{Text: s, Quiet: true} }
func linkCell(s, path string) cell         { return cell{Text: s, Path: path} }
func codeCell(s string) cell               { return cell{Text: s, Code: true} }
func copyCell(s string) cell               { return cell{Text: s, Code: true, Copied: true} }
func badgeCell(s string) cell              { return cell{Text: s, Badge: true} }
func toneCell(tone, s string) cell         { return cell{Text: s, Tone: tone} }
func numberCell(n int) cell                { return cell{Text: strconv.Itoa(n), Number: true} }
func timeCell(t time.Time) cell            { return cell{Time: t} }
func exactCell(t time.Time) cell           { return cell{Time: t, Exact: true} }
func actionCell(a sheetAction) cell        { return cell{Action: &a} }
func factOf(n string, c ...cell) sheetFact { return sheetFact{n, c} }

// timeText is a time as JSON has it.
func timeText(s string) cell {
	t, _ := time.Parse(time.RFC3339Nano, s) // ours
	return timeCell(t)
}

// IsTime tells whether the cell is a time.
func (c cell) IsTime() bool { return !c.Time.IsZero() }

// People write these: nothing in them hides, or turns the text around.

// Shown is the text as it is shown.
func (c cell) Shown() string { return visible(c.Text) }

// Shown is the text as it is shown.
func (l sheetLine) Shown() string { return visible(l.Text) }

// Shown is the text as it is shown.
func (l diffLine) Shown() string { return visible(l.Text) }

// Told is the lead as it is shown.
func (s sheet) Told() string { return visible(s.Lead) }

// UTC is the exact time.
func (c cell) UTC() string { return c.Time.UTC().Format("Mon 2 Jan 2006, 15:04:05") + " UTC" }

// Head begins the table.
func (t sheetTable) Head() tableView { return columns(t.Caption, t.Columns...) }

// Nothing is what stands where the table would be empty.
func (t sheetTable) Nothing() emptyView {
	return newEmpty(t.EmptyTitle, t.EmptyText, t.EmptyDo.Path, t.EmptyDo.Name)
}

// sheetForm is what can be filled in.
type sheetForm struct {
	Path    string // where it is sent
	Fields  []sheetField
	Hidden  map[string]string
	Do      string // its button
	Danger  bool
	Other   *sheetAction // a second button of the same form, sent elsewhere
	Cancel  string       // path of the way out
	Heading string
	Wrong   []fieldLink // what is wrong inside of a document, by place
	Folded  string      // what unfolds it, where something else on the page comes first; "": it is not folded
}

// sheetField is one field; see [newField].
type sheetField struct {
	Pointer, Label, Value, Hint string
	Kind                        string // "", check, or checks: any of Options
	Rows                        int
	Options                     []option
	Chosen                      map[string]bool // of checks
	Required, Mono              bool
	Type, Auto                  string
}

// In is the field as the components show it.
func (s sheetField) In(f frame) fieldView {
	v := newField(f, s.Pointer, s.Label, s.Value, s.Hint)
	v.Rows, v.Required, v.Mono = s.Rows, s.Required, s.Mono
	if s.Kind == "" {
		v.Options = s.Options
	}
	if s.Type != "" {
		v.Type = s.Type
	}
	if s.Auto != "" {
		v.Autocomplete = s.Auto
	}
	if v.Error == "" && f.Problem != nil { // of something in it
		for pointer, detail := range f.Problem.Fields {
			if strings.HasPrefix(pointer, s.Pointer+"/") {
				v.Error = detail
			}
		}
	}
	return v
}
