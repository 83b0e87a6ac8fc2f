package console

import (
	"fmt"
	"strings"
)

// sparkline is how something went, as a line without axes.
type sparklineView struct {
	Title  string
	Says   string // the same in words
	Points string
	Total  int
}

const sparkWidth, sparkHeight = 96, 24

// newSparkline draws values, oldest first.
func newSparkline(title string, values []int) sparklineView {
	most, sum := 1, 0
	for _, v := range values {
		most, sum = max(most, v), sum+v
	}
	v := sparklineView{Title: title, Total: sum, Says: fmt.Sprintf("%d in all, %d at most in one of %d parts", sum, most, len(values))}
	if sum == 0 {
		v.Says = "none"
	}
	var b strings.Builder
	for i, n := range values {
		x := float64(i) * sparkWidth / float64(max(len(values)-1, 1))
		fmt.Fprintf(&b, "%.1f,%.1f ", x, float64(sparkHeight-1)-float64(n)*(sparkHeight-2)/float64(most))
	}
	v.Points = strings.TrimSpace(b.String())
	return v
}

// bar is one part of a histogram: what went well and what did not.
type bar struct {
	Label     string // of the part of time
	Good, Bad int
	URL       string // what is in it; "" leads nowhere
}

// histogramView is bars over time, with the numbers as a table for readers.
type histogramView struct {
	Title, Good, Bad string // what is counted
	Bars             []drawnBar
	Width            int
	Most             int // in one bar
	Top              int // of the scale
	First, Last      string
	Ticks            []string // labels of bars that divide the width into equal parts, from the first on
}

type drawnBar struct {
	bar
	Says                                  string // the label with its numbers
	X, GoodY, GoodHeight, BadY, BadHeight int
}

// Measures of a histogram, in units of its view box.
const (
	barStep, barWidth = 12, 9
	chartHeight       = 96
)

// newHistogram draws bars, oldest first; good and bad name what is counted.
func newHistogram(title, good, bad string, bars []bar) histogramView {
	v := histogramView{Title: title, Good: good, Bad: bad, Width: max(len(bars), 1) * barStep, Most: 1}
	for _, b := range bars {
		v.Most = max(v.Most, b.Good+b.Bad)
	}
	v.Top = roundUp(v.Most)
	for i, b := range bars {
		d := drawnBar{bar: b, X: i * barStep, GoodHeight: b.Good * chartHeight / v.Top, BadHeight: b.Bad * chartHeight / v.Top}
		d.Says = fmt.Sprintf("%s: %d %s, %d %s", b.Label, b.Good, good, b.Bad, bad)
		if b.Good > 0 {
			d.GoodHeight = max(d.GoodHeight, 2) // few are not none
		}
		if b.Bad > 0 {
			d.BadHeight = max(d.BadHeight, 2)
		}
		d.GoodY = chartHeight - d.GoodHeight
		d.BadY = d.GoodY - d.BadHeight
		v.Bars = append(v.Bars, d)
	}
	if len(bars) > 0 {
		v.First, v.Last = bars[0].Label, bars[len(bars)-1].Label
	}
	v.Ticks = ticks(bars)
	return v
}

// ticks are the labels below the bars: four, three or two, as the bars can be
// divided, and of others the first.
func ticks(bars []bar) (labels []string) {
	for _, parts := range []int{4, 3, 2, 1} {
		if len(bars) == 0 || len(bars)%parts != 0 {
			continue
		}
		for i := 0; i < len(bars); i += len(bars) / parts {
			labels = append(labels, bars[i].Label)
		}
		return labels
	}
	return nil
}

// roundUp is the next number that a scale ends with: 1, 2, 4, 6, 8 or 10 of its
// power of ten, so that the middle is a number, too.
func roundUp(n int) int {
	step := 1
	for n > 10*step {
		step *= 10
	}
	for _, ends := range []int{1, 2, 4, 6, 8} {
		if n <= ends*step {
			return ends * step
		}
	}
	return 10 * step
}
