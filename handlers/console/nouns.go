package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport.dev/domain"
	"sallyport.dev/projections/control"
)

// noun is a kind of thing that /v1 has as a collection of documents: how it is
// listed, and shown, and written, by a form of fields or as a document.
type noun struct {
	path              string // of the list, in the console and in /v1
	one, many         string // group, groups
	menu, icon, group string
	lead              string // what it is
	first             string // what to do where there is none
	writers           []domain.Role
	columns           []string
	entries           func(p *page, s *control.State) iter.Seq[entry]
	open              func(p *page, raw json.RawMessage, s *sheet) error // shows one
	actions           map[string]func(*page) error                       // beside delete
	deleting          []string                                           // what follows from it

	// Written by a form:
	fields func(p *page, v url.Values, added bool) []sheetField
	values func(raw json.RawMessage) (url.Values, error)
	body   func(v url.Values) any
	// Written as a document:
	keep     []string // members that people write, in their order
	outline  func(p *page, raw json.RawMessage) ([]sheetSection, error)
	warns    func(p *page, raw json.RawMessage) []sheetNote // of what is in order, and hardly meant
	examples []example
}

// example is a document to start from.
type example struct{ Name, Title, Text string }

// entry is one of a list; its cells are asked for if it is on the page. What it
// tells is of the next one then: of ten thousand, nothing is made that is not shown.
type entry struct {
	match func(*sought) // adds what the filter looks into
	cells func() []cell
}

// entriesOf is a list of what there is of something.
func entriesOf[T any](all iter.Seq[T], match func(*sought, T), cells func(T) []cell) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		var of T
		e := entry{func(to *sought) { match(to, of) }, func() []cell { return cells(of) }}
		for of = range all {
			if !yield(e) {
				return
			}
		}
	}
}

// sought is a filter, and what it looks into of one entry after the other.
type sought struct {
	words string // in small letters
	text  []byte
}

// holds tells whether the filter finds something in the entry.
func (f *sought) holds(e entry) bool {
	if f.words == "" {
		return true
	}
	f.text = f.text[:0]
	e.match(f)
	for i, c := range f.text {
		switch {
		case c >= utf8.RuneSelf:
			return bytes.Contains(bytes.ToLower(f.text), []byte(f.words))
		case 'A' <= c && c <= 'Z':
			f.text[i] = c + 'a' - 'A'
		}
	}
	return bytes.Contains(f.text, []byte(f.words))
}

// add is more to look into.
func (f *sought) add(parts ...string) {
	for _, part := range parts {
		if len(f.text) > 0 {
			f.text = append(f.text, ' ')
		}
		f.text = append(f.text, part...)
	}
}

// How much a page of a list has: rows, and characters of what people wrote in
// each cell. The page of one has all of it.
const pageRows, maxCell = 50, 100

// newPath is below a list, where no name can be: names do not begin with a hyphen.
const newPath = "/-/new"

func (n noun) screens() []screen {
	create := map[string]func(*page) error{"save": n.saveNew}
	edit := map[string]func(*page) error{"save": n.saveEdit}
	if n.outline != nil {
		create["preview"], edit["preview"] = n.previewNew, n.previewEdit
	}
	actions := map[string]func(*page) error{"delete": n.delete}
	for name, f := range n.actions {
		actions[name] = f
	}
	return []screen{
		{path: n.path, menu: n.menu, icon: n.icon, group: n.group, roles: readers, get: n.list},
		{path: n.path + newPath, roles: n.writers, get: n.showNew, post: create},
		{path: n.path + "/:name", roles: readers, get: n.showOne, post: actions},
		{path: n.path + "/:name/edit", roles: n.writers, get: n.showEdit, post: edit},
		{path: n.path + "/:name/delete", roles: n.writers, get: n.askDelete},
	}
}

// writes tells whether the person may write this, as far as roles tell.
func (n noun) writes(p *page) bool { return slices.ContainsFunc(n.writers, p.Person.Has) }

func (n noun) list(p *page) error {
	q := strings.ToLower(strings.TrimSpace(p.query("q")))
	var t sheetTable
	var total, found int
	p.Org.Read(func(s *control.State, _ domain.Head) {
		from := p.from()
		if t.Rows, total, found = pageRowsOf(n.entries(p, s), q, from); from >= found && from > 0 { // an address of when there were more
			from = 0
			t.Rows, total, found = pageRowsOf(n.entries(p, s), q, from)
		}
		t.Pager = p.pager(from, found, n.path, url.Values{"q": {q}})
	})
	for _, row := range t.Rows {
		for i := range row {
			row[i].Text = cut(row[i].Text, maxCell)
		}
	}
	t.Caption, t.Columns = upper(n.many), n.columns
	t.EmptyTitle, t.EmptyText = "No "+n.many+" yet", n.first
	v := sheet{Title: upper(n.many), Lead: n.lead, Tables: []sheetTable{t}}
	if total > 0 {
		v.Filter = &sheetFilter{"Find " + n.many, p.query("q")}
	}
	if q != "" {
		v.Tables[0].EmptyTitle, v.Tables[0].EmptyText = "Nothing found", "No "+n.one+" has this in its name or description."
	}
	switch {
	case !n.writes(p):
		if total == 0 {
			v.Tables[0].EmptyText = "Whoever is " + listRoles(n.writers, " or ") + " adds the first."
		}
	case total == 0:
		v.Tables[0].EmptyDo = sheetLink{"Add a " + n.one, p.url(n.path + newPath)}
	default:
		v.Actions = []sheetAction{{Do: "Add a " + n.one, Path: p.url(n.path + newPath), Primary: true}}
	}
	return p.render("sheet", v)
}

// pageRowsOf is the rows of a page of those entries that a filter finds, and how
// many there are, and are found.
func pageRowsOf(all iter.Seq[entry], q string, from int) (rows [][]cell, total, found int) {
	filter := &sought{words: q}
	for e := range all {
		if total++; !filter.holds(e) {
			continue
		}
		if from <= found && found < from+pageRows {
			rows = append(rows, e.cells())
		}
		found++
	}
	return rows, total, found
}

// from is where the page of a list begins that the query asks for.
func (p *page) from() int {
	from, err := strconv.Atoi(p.query("from"))
	if err != nil {
		return 0
	}
	return max(0, from)
}

// pageOf is the page, of a list of that many, that the query asks for.
func (p *page) pageOf(all int, cells func(i int) []cell, path string, query url.Values) (t sheetTable) {
	from := p.from()
	if from >= all {
		from = 0
	}
	for i := from; i < min(from+pageRows, all); i++ {
		t.Rows = append(t.Rows, cells(i))
	}
	t.Pager = p.pager(from, all, path, query)
	return t
}

// pager leads to the other pages of a list of that many; nil where there are none.
func (p *page) pager(from, all int, path string, query url.Values) *pagerView {
	if all <= pageRows {
		return nil
	}
	to := min(from+pageRows, all)
	at := func(from int) string {
		q := url.Values{"from": {strconv.Itoa(from)}}
		maps.Copy(q, query)
		return p.url(path) + "?" + q.Encode()
	}
	pager := newPager("", "", fmt.Sprintf("%d to %d of %d", from+1, to, all))
	if from > 0 {
		pager.Previous = at(max(0, from-pageRows))
	}
	if to < all {
		pager.Next = at(to)
	}
	return &pager
}

// at is the path of the one that the page is about.
func (n noun) at(p *page) string { return n.path + "/" + p.param("name") }

// read is the one that the page is about, as /v1 answers it.
func (n noun) read(p *page) (raw json.RawMessage, err error) {
	if _, err := p.name("name"); err != nil {
		return nil, err
	}
	return raw, p.API(http.MethodGet, n.at(p), nil, nil, &raw)
}

// sheet shows the one that the page is about.
func (n noun) sheet(p *page) (v sheet, err error) {
	raw, err := n.read(p)
	if err != nil {
		return v, err
	}
	v = sheet{Title: p.param("name"), Up: sheetLink{upper(n.many), p.url(n.path)}}
	if n.writes(p) {
		v.Actions = []sheetAction{{Do: "Edit", Path: p.url(n.at(p) + "/edit")}}
	}
	if err := n.open(p, raw, &v); err != nil {
		return v, err
	}
	if n.writes(p) {
		v.Actions = append(v.Actions, sheetAction{Do: "Delete", Path: p.url(n.at(p) + "/delete")})
	}
	v.Facts = append(v.Facts, whoWrote(raw)...)
	return v, nil
}

func (n noun) showOne(p *page) error {
	v, err := n.sheet(p)
	if err != nil {
		return err
	}
	return p.render("sheet", v)
}

// again shows the one again after an action on it was refused.
func (n noun) again(p *page, refusal error) error {
	v, err := n.sheet(p)
	if err != nil {
		return err
	}
	if stale(refusal) {
		v.Notes = append([]sheetNote{{"warn", "Somebody changed this meanwhile, so nothing was done. This is how it is now."}}, v.Notes...)
	}
	return p.refused("sheet", v, refusal)
}

// stale tells whether something was refused since somebody else changed it meanwhile.
func stale(err error) bool {
	told := (*problem)(nil)
	return errors.As(err, &told) && told.Status == http.StatusPreconditionFailed
}

// act sends a word to /v1 about the one that the page is about; fresh asks
// first who the person is.
func (n noun) act(word, notice string, fresh bool) func(*page) error {
	return func(p *page) error {
		form, err := p.form()
		if err != nil {
			return err
		}
		if fresh {
			if ok, err := p.stepUp(); !ok {
				return err
			}
		}
		if err := p.API(http.MethodPost, n.at(p)+"/"+word, ifMatch(form.Get("etag")), nil, nil); err != nil {
			return n.again(p, err)
		}
		return p.done(n.at(p), notice)
	}
}

// button is the action of that word on what was just read.
func (n noun) button(p *page, do, word string) sheetAction {
	return sheetAction{Do: do, Path: p.url(n.at(p) + "/" + word), Post: true, By: p.Person.ID, Hidden: map[string]string{"etag": p.ETag}}
}

func (n noun) confirmDelete(p *page) (confirmView, error) {
	if _, err := n.read(p); err != nil {
		return confirmView{}, err
	}
	return confirmView{
		Heading: "Delete the " + n.one + " " + p.param("name") + "?", Text: "This cannot be undone, and the name is never given again.",
		Points: n.deleting, Action: p.url(n.at(p) + "/delete"), Do: "Delete", Danger: true, Cancel: p.url(n.at(p)),
		Hidden: map[string]string{"etag": p.ETag},
	}, nil
}

func (n noun) askDelete(p *page) error {
	if ok, err := p.stepUp(); !ok {
		return err
	}
	v, err := n.confirmDelete(p)
	if err != nil {
		return err
	}
	return p.render("confirm", v)
}

func (n noun) delete(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	if ok, err := p.stepUp(); !ok {
		return err
	}
	if refusal := p.API(http.MethodDelete, n.at(p), ifMatch(form.Get("etag")), nil, nil); refusal != nil {
		v, err := n.confirmDelete(p)
		if err != nil {
			return refusal
		}
		if stale(refusal) {
			v.Text = "Somebody changed it meanwhile, so it is still there. " + v.Text
		}
		return p.refused("confirm", v, refusal)
	}
	return p.done(n.path, upper(n.one)+" "+p.param("name")+" is deleted.")
}

// editor is the form for one that is added, or, with etag, replaced.
func (n noun) editor(p *page, v url.Values, etag string) sheet {
	added := etag == ""
	s := sheet{Title: "Add a " + n.one, Lead: n.lead, Up: sheetLink{upper(n.many), p.url(n.path)}}
	at, cancel := n.path+newPath, n.path
	if !added {
		s.Title, s.Lead, at, cancel = "Edit "+p.param("name"), "", n.at(p)+"/edit", n.at(p)
		s.Up = sheetLink{p.param("name"), p.url(n.at(p))}
	}
	s.Form = &sheetForm{Path: p.url(at + "/save"), Do: "Save", Cancel: p.url(cancel), Hidden: map[string]string{"etag": etag}}
	if n.outline == nil {
		s.Form.Fields = n.fields(p, v, added)
		return s
	}
	s.Form.Other = &sheetAction{Do: "Check and preview", Path: p.url(at + "/preview")}
	s.Form.Fields = []sheetField{{Pointer: "/document", Label: "Document, as YAML or JSON", Value: v.Get("document"), Rows: 26, Mono: true, Required: true,
		Hint: "Checking saves nothing."}}
	if added {
		for _, e := range n.examples {
			s.Starts = append(s.Starts, sheetLink{upper(e.Title), p.url(at) + "?from=" + e.Name})
		}
	}
	return s
}

func (n noun) showNew(p *page) error {
	v := url.Values{}
	if len(n.examples) > 0 {
		i := max(0, slices.IndexFunc(n.examples, func(e example) bool { return e.Name == p.query("from") }))
		v.Set("document", n.examples[i].Text)
	}
	return p.render("sheet", n.editor(p, v, ""))
}

// written is the one that the page is about, as its editor has it.
func (n noun) written(raw json.RawMessage) (url.Values, error) {
	if n.outline == nil {
		return n.values(raw)
	}
	text, err := writeDocument(raw, n.keep)
	return url.Values{"document": {text}}, err
}

func (n noun) showEdit(p *page) error {
	raw, err := n.read(p)
	if err != nil {
		return err
	}
	v, err := n.written(raw)
	if err != nil {
		return err
	}
	return p.render("sheet", n.editor(p, v, p.ETag))
}

// bodyOf is what the form says, to be sent to /v1. Its error is a refusal of what is no document.
func (n noun) bodyOf(p *page, v url.Values) (body any, d document, err error) {
	if n.outline == nil {
		return n.body(v), d, nil
	}
	if d, err = readDocument(v.Get("document")); err != nil {
		return nil, d, p.invalid("/document", err.Error())
	}
	return d.JSON, d, nil
}

func (n noun) saveNew(p *page) error {
	v, err := p.form()
	if err != nil {
		return err
	}
	body, d, err := n.bodyOf(p, v)
	var made struct{ Name string }
	if err = cmp.Or(p.proved(), err); err == nil {
		err = p.API(http.MethodPost, n.path, nil, body, &made)
	}
	if err != nil {
		return n.refuse(p, n.editor(p, v, ""), d, err)
	}
	return p.done(n.path+"/"+made.Name, upper(n.one)+" "+made.Name+" is added.")
}

func (n noun) saveEdit(p *page) error {
	v, err := p.form()
	if err != nil {
		return err
	}
	body, d, err := n.bodyOf(p, v)
	if err = cmp.Or(p.proved(), err); err == nil {
		err = p.API(http.MethodPut, n.at(p), ifMatch(v.Get("etag")), body, nil)
	}
	if err == nil {
		return p.done(n.at(p), "Saved.")
	}
	s := n.editor(p, v, v.Get("etag"))
	if stale(err) {
		if err := n.meanwhile(p, &s, v); err != nil {
			return err
		}
	}
	return n.refuse(p, s, d, err)
}

// meanwhile has the editor, which keeps what was typed, say what somebody else
// saved since, and save over that, now that it is known.
func (n noun) meanwhile(p *page, s *sheet, typed url.Values) error {
	raw, err := n.read(p)
	if err != nil {
		return err
	}
	theirs, err := n.written(raw)
	if err != nil {
		return err
	}
	s.Form.Hidden["etag"] = p.ETag
	*s = meanwhile(*s, theirs, typed)
	return nil
}

// meanwhile has an editor say that somebody else saved something, and what.
func meanwhile(s sheet, theirs, typed url.Values) sheet {
	s.Notes = append(s.Notes, sheetNote{"warn", "Somebody else saved this while you were editing. What you typed is still in the form: compare, then save again to have it replace theirs."})
	s.Sections = append(s.Sections, sheetSection{ID: "theirs", Heading: "From what they saved to what you typed", Diff: diffText(plainForm(theirs), plainForm(typed))})
	return s
}

// plainForm is what a form says, one line a field, or the document in it.
func plainForm(v url.Values) string {
	if v.Has("document") {
		return strings.ReplaceAll(v.Get("document"), "\r\n", "\n")
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if name != "etag" && name != onceField && len(v[name]) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.ReplaceAll(strings.Join(v[name], ", "), "\r\n", "\n"))
		}
	}
	return b.String()
}

// refuse shows the editor again; what is wrong inside of a document is told with its line.
func (n noun) refuse(p *page, s sheet, d document, err error) error {
	if told := (*problem)(nil); errors.As(err, &told) && n.outline != nil {
		s.Form.Wrong = wrongLines(told, d)
	}
	return p.refused("sheet", s, err)
}

// wrongLines tells of each refused member of a document on which line it is.
func wrongLines(told *problem, d document) (wrong []fieldLink) {
	for _, pointer := range told.Order {
		if line := d.line(pointer); line > 0 {
			told.Fields[pointer] = fmt.Sprintf("line %d: %s", line, told.Fields[pointer])
		}
		if pointer != "/document" {
			wrong = append(wrong, fieldLink{ID: fieldID(pointer), Name: pointer, Detail: told.Fields[pointer]})
		}
	}
	return wrong
}

func (n noun) previewNew(p *page) error {
	v, err := p.form()
	if err != nil {
		return err
	}
	return n.preview(p, n.editor(p, v, ""), v)
}

func (n noun) previewEdit(p *page) error {
	v, err := p.form()
	if err != nil {
		return err
	}
	return n.preview(p, n.editor(p, v, v.Get("etag")), v)
}

// preview shows the document in words, and what /v1 would say to it. It is asked
// to make one that has no name, which it never does: whatever else is wrong, it names.
func (n noun) preview(p *page, s sheet, v url.Values) error {
	body, d, err := n.bodyOf(p, v)
	if err != nil {
		return n.refuse(p, s, d, err)
	}
	s.Sections, err = n.outline(p, d.JSON)
	if err != nil {
		s.Sections = nil // /v1 says why
	}
	var nameless map[string]json.RawMessage
	if err := json.Unmarshal(body.(json.RawMessage), &nameless); err != nil {
		return fmt.Errorf("reading a document: %w", err)
	}
	_, named := nameless["name"]
	nameless["name"] = json.RawMessage(`""`)
	told := (*problem)(nil)
	if err := p.API(http.MethodPost, n.path, nil, nameless, nil); !errors.As(err, &told) || told.Status != http.StatusUnprocessableEntity {
		return n.refuse(p, s, d, err)
	}
	if told.Order = slices.DeleteFunc(told.Order, func(pointer string) bool { return pointer == "/name" }); len(told.Order) > 0 {
		return n.refuse(p, s, d, told)
	}
	if marked(s.Sections) {
		s.Notes = append(s.Notes, sheetNote{"bad", "What is marked missing is not there: make it first, or leave it out. Nothing is saved yet."})
	} else {
		s.Notes = append(s.Notes, sheetNote{"good", "This is in order. Nothing is saved yet."})
	}
	if n.warns != nil {
		s.Notes = append(s.Notes, n.warns(p, d.JSON)...)
	}
	if !named && v.Get("etag") == "" {
		s.Notes = append(s.Notes, sheetNote{"warn", "It has no name yet: write name: and a name at its beginning."})
	}
	return p.render("sheet", s)
}

// marked tells whether something in the sections is wrong.
func marked(sections []sheetSection) bool {
	return slices.ContainsFunc(sections, func(v sheetSection) bool {
		return slices.ContainsFunc(v.Lines, func(l sheetLine) bool { return l.Mark != "" })
	})
}

// whoWrote is who made a document, and who changed it last.
func whoWrote(raw json.RawMessage) []sheetFact {
	var d struct {
		CreatedAt string `json:"created_at"`
		CreatedBy string `json:"created_by"`
		UpdatedAt string `json:"updated_at"`
		UpdatedBy string `json:"updated_by"`
	}
	if err := json.Unmarshal(raw, &d); err != nil || d.CreatedAt == "" {
		return nil
	}
	facts := []sheetFact{factOf("Added", timeText(d.CreatedAt), quietCell("by "+d.CreatedBy))}
	if d.UpdatedAt != d.CreatedAt {
		facts = append(facts, factOf("Changed", timeText(d.UpdatedAt), quietCell("by "+d.UpdatedBy)))
	}
	return facts
}

// upper begins with a capital letter.
func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
