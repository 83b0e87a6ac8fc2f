package console

import (
	"slices"
	"strconv"
	"testing"

	"sallyport.dev/domain/resource"
)

func TestAFilterOfAListFinds(t *testing.T) {
	web := &resource.Resource{Name: "Web-1", Project: "payroll", Description: "Für ALLE", ServerSpec: &resource.ServerSpec{Address: "192.0.2.7"}, Labels: map[string]string{"team": "Core", "env": "prod"}}
	all := entriesOf(slices.Values([]*resource.Resource{web}), func(to *sought, r *resource.Resource) { to.resource(r, r.Description, r.ServerSpec.Address) }, nil)
	for _, tt := range []struct {
		name, words string
		want        bool
	}{
		{"everything, where nothing is asked for", "", true},
		{"a name, whatever its case", "web-1", true},
		{"a description with letters that are not of English", "für alle", true},
		{"an address behind a description", "alle 192.0.2", true},
		{"a project by its whole name", "project=payroll;", true},
		{"no project by the beginning of its name", "project=pay;", false},
		{"labels in order", "env=prod, team=core", true},
		{"no labels in another order", "team=core, env=prod", false},
		{"nothing that is not there", "web-2", false},
	} {
		if _, total, found := pageRowsOf(all, tt.words, 1); total != 1 || found > 0 != tt.want {
			t.Errorf("%s: %d of %d are found by %q", tt.name, found, total, tt.words)
		}
	}
}

// Each entry is what it is, though one after the other is told in the same place.
func TestAPageOfAListHasTheRowsOfItsPlaces(t *testing.T) {
	numbers := make([]int, 120)
	for i := range numbers {
		numbers[i] = i
	}
	all := entriesOf(slices.Values(numbers), func(to *sought, n int) { to.add(strconv.Itoa(n)) }, func(n int) []cell { return []cell{textCell(strconv.Itoa(n))} })
	for _, tt := range []struct {
		words             string
		from              int
		first, last       string
		rows, total, find int
	}{
		{"", 0, "0", "49", 50, 120, 120}, {"", 100, "100", "119", 20, 120, 120}, {"7", 0, "7", "117", 21, 120, 21}, {"7", 20, "117", "117", 1, 120, 21}, {"", 120, "", "", 0, 120, 120},
	} {
		rows, total, found := pageRowsOf(all, tt.words, tt.from)
		if len(rows) != tt.rows || total != tt.total || found != tt.find {
			t.Errorf("%q from %d: %d rows of %d found of %d", tt.words, tt.from, len(rows), found, total)
		}
		if len(rows) > 0 && (rows[0][0].Text != tt.first || rows[len(rows)-1][0].Text != tt.last) {
			t.Errorf("%q from %d: rows %v to %v", tt.words, tt.from, rows[0][0].Text, rows[len(rows)-1][0].Text)
		}
	}
}
