package cli

import "strings"

// Check is one check of a test's report, as the API answers it.
type Check struct{ Check, Claim, Operator, Expected, Actual, Result, Message string }

// CheckRows is a report's checks as a table, each line after indent. A condition
// is told with what was expected and what was there; the others by their message.
func CheckRows(indent string, checks []Check) Rows {
	rows := Rows{{indent + "RESULT", "CHECK", "DETAIL"}}
	for _, c := range checks {
		rows = append(rows, []string{indent + c.Result, c.Check, c.detail()})
	}
	return rows
}

// detail is what one line says of a check.
func (c Check) detail() string {
	if c.Operator == "" {
		return c.Message
	}
	expected := strings.TrimSpace(c.Claim + " " + c.Operator + " " + c.Expected)
	switch {
	case c.Result == "skipped":
		return expected + ": " + c.Message
	case c.Result == "fail" && c.Actual == "":
		return expected + "; it is absent. " + c.Message
	case c.Result == "fail":
		return expected + "; it is " + c.Actual + ". " + c.Message
	case c.Actual == c.Expected:
		return expected
	}
	return expected + "; it is " + c.Actual
}

// PaintResult colours the results of [CheckRows]; nil where colour is not wanted.
func PaintResult(indent string, colour bool) func(row, col int, cell string) string {
	if !colour {
		return nil
	}
	return func(_, col int, cell string) string {
		switch {
		case col == 0 && cell == indent+"pass":
			return indent + "\x1b[32mpass\x1b[0m"
		case col == 0 && cell == indent+"fail":
			return indent + "\x1b[31mfail\x1b[0m"
		}
		return cell
	}
}
