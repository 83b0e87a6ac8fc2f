package console

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
)

func init() {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	pager := newPager("/a", "/b", "1 to 100 of 200")
	fields := []sheetField{
		{Pointer: "/name", Label: "Name", Value: "x", Hint: "A name.", Required: true, Mono: true},
		{Pointer: "/roles", Label: "Roles", Kind: "checks", Options: roleOptions(true), Chosen: map[string]bool{"owner": true}},
		{Pointer: "/on", Label: "On", Kind: "check", Value: "true"},
		{Pointer: "/document", Label: "Document", Value: "a: 1\n", Rows: 9, Mono: true},
		{Pointer: "/until", Label: "Until", Type: "datetime-local", Auto: "off"},
		{Pointer: "/who", Label: "Who", Options: []option{{"a", "A"}}},
	}
	views["sheet"] = []any{
		sheet{Title: "Empty", Tables: []sheetTable{{Caption: "Things", EmptyTitle: "None", EmptyText: "Add one.", EmptyDo: sheetLink{"Add", "/x"}}}},
		sheet{
			Title: "x", Up: sheetLink{"Things", "/things"}, States: []string{"published"}, Lead: "A thing.",
			Actions: []sheetAction{{Do: "Edit", Path: "/e"}, {Do: "Publish", Path: "/p", Post: true, Primary: true, Hidden: map[string]string{"etag": `"1"`}}, {Do: "Delete", Path: "/d", Danger: true}},
			Notes:   []sheetNote{{"warn", "Careful."}}, Facts: []sheetFact{factOf("A", textCell("x"), exactCell(at), copyCell("y"))},
			Filter: &sheetFilter{"Find", "q"},
			Form:   &sheetForm{Path: "/s", Heading: "Add", Fields: fields, Hidden: map[string]string{"etag": `"1"`}, Do: "Save", Danger: true, Cancel: "/c", Other: &sheetAction{Do: "Preview", Path: "/v"}, Wrong: []fieldLink{{"f-rules-0", "/rules/0", "line 3: no"}}},
			Sections: []sheetSection{
				{ID: "one", Heading: "One", Text: "x", Lines: []sheetLine{{Label: "Who", Text: "ops", Tone: "bad", Mark: "missing"}}},
				{Heading: "Steps", Steps: true, Lines: []sheetLine{{Label: "First", Text: "x", Mark: "missing"}}},
				{Heading: "Code", Code: "x"}, {Heading: "Diff", Diff: []diffLine{{" ", "a"}, {"-", "b"}, {"+", "c"}}},
			},
			Below: []sheetSection{{Heading: "Below", Text: "x"}},
			Tables: []sheetTable{{Heading: "T", Caption: "T", Columns: []string{"A", "#B", "-C"}, Pager: &pager, Rows: [][]cell{
				{linkCell("a", "/a"), numberCell(1), actionCell(sheetAction{Do: "Remove", About: "a", Path: "/r", Post: true}.sure("Remove now"))},
				{codeCell("a"), quietCell("b"), toneCell("warn", "c")}, {badgeCell("draft"), timeCell(at), textCell("")},
			}}},
		},
		sheet{Title: "Form", Form: &sheetForm{Path: "/s", Fields: fields, Do: "Save"}},
	}
}

func TestWhatTakesAwayIsAskedForOnceMore(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("carol", domain.Member)
	s.wants(http.StatusSeeOther, s.fills("sam", "/groups/-/new/save", "name", "ops"))
	s.wants(http.StatusSeeOther, s.fills("sam", "/groups/ops/add", "person", "carol"))
	body := s.wants(http.StatusOK, s.get("sam", s.path("/groups/ops")))
	if !regexp.MustCompile(`(?s)<details class="once-more"><summary[^>]*>Remove<span class="readers"> carol</span></summary><form[^>]*/groups/ops/remove">.*?<button class="danger sure">Remove now`).MatchString(body) {
		t.Errorf("a member is removed at one press: %s", body)
	}
}

func TestADocumentIsReadAsItIsWrittenAndWrittenAsItWasRead(t *testing.T) {
	for text, want := range map[string]string{
		"name: x\nday: 2026-11-22\nport: 22\non: true": `{"day":"2026-11-22","name":"x","on":true,"port":22}`,
		`{"name": "x", "a": ["1", null]}`:              `{"a":["1",null],"name":"x"}`,
	} {
		if d, err := readDocument(text); err != nil || string(d.JSON) != want {
			t.Errorf("%s: got %s, %v", text, d.JSON, err)
		}
	}
	for text, want := range map[string]string{
		"a: &x 1\nb: *x": "line 2: an alias is not read", "a: 1\na: 2": `line 2: "a" is there twice`, "- a": "this is no document: it begins with a name and a colon, such as name: example",
		"port: 0x10": `line 1: write "0x10" as JSON has it, or in quotes`, "": "this is no document: it begins with a name and a colon, such as name: example",
	} {
		if _, err := readDocument(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	raw := `{"version":3,"name":"x","labels":{"missing":"yes"},"owner":{"group":"a","missing":true},"value":"true","list":[],"text":"a\nb"}`
	got, err := writeDocument([]byte(raw), []string{"name", "labels", "owner", "value", "list", "text"})
	want := "name: x\nlabels:\n  missing: yes\nowner:\n  group: a\nvalue: \"true\"\ntext: |-\n  a\n  b\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestARefusedMemberIsFoundOnItsLine(t *testing.T) {
	d, err := readDocument("name: x\nrules:\n  - name: a\n    resource:\n      server: b\n")
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]int{"/rules/0/resource/server": 5, "/rules/0/privileges": 3, "/rules": 2, "/nothing": 1} {
		if got := d.line(pointer); got != want {
			t.Errorf("%s: line %d, want %d", pointer, got, want)
		}
	}
}

func TestADifferenceIsToldLineByLine(t *testing.T) {
	var got string
	for _, l := range diffText("a\nb\nc\nd\n", "a\nx\nc\ny\nd\n") {
		got += l.Mark + l.Text + " "
	}
	if got != " a -b +x  c +y  d " {
		t.Errorf("got %q", got)
	}
	if diffText("a\n", "a\n") != nil {
		t.Error("the same differs")
	}
}

func TestADocumentIsNeitherDeepNorHasItManyLongNames(t *testing.T) {
	for name, text := range map[string]string{
		"maps in maps":             strings.Repeat("{~~: ", 9000) + strings.Repeat("}", 9000),
		"lists in lists":           "a: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"a long name of many":      "? " + strings.Repeat("x", 30000) + "\n: [" + strings.Repeat("1,", 15000) + "1]",
		"one deeper than may be":   strings.Repeat("{a: ", maxDeep+1) + strings.Repeat("}", maxDeep+1),
		"lists in lists, in lines": "a:\n" + strings.Repeat("- ", 9000),
	} {
		if _, err := readDocument(text); err == nil || !strings.Contains(err.Error(), "too deep") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := readDocument(strings.Repeat("{a: ", maxDeep) + strings.Repeat("}", maxDeep)); err != nil {
		t.Errorf("as deep as may be: %v", err)
	}
	rows := strings.Repeat("\n  - { type: ssh, accounts: [me, root] }", 1500)
	if d, err := readDocument("privileges:" + rows); err != nil || d.kept > maxPointers {
		t.Errorf("a long document is refused: %v", err)
	}
}
