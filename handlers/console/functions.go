package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"reflect"
	"strings"
	"time"

	"sallyport.dev/domain"
)

// functions is what templates call; docs/console.md lists them.
func (c *Console) functions() template.FuncMap {
	return template.FuncMap{
		"time":   func(t any) template.HTML { return timeTag(t, c.clock()) },
		"exact":  exact,
		"copy":   copyButton,
		"badge":  badge,
		"tone":   tone,
		"icon":   icon,
		"json":   indented,
		"words":  func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "_", " ") },
		"plain":  duration,
		"worded": worded, "readable": readableTimes,
		"join": join,

		"browser": browserWords, "below": below, "spoken": spoken,
		"denied": sayCode, "titled": warningTitle, "label": columnLabel, "visible": visible,

		"columns": columns, "empty": newEmpty, "pager": newPager,
		"field": newField, "required": required, "area": area, "of": ofType, "choose": choose, "mono": mono, "auto": autocomplete,
		"asked":  askedView,
		"submit": newSubmit, "danger": danger,
		"sparkline": newSparkline, "histogram": newHistogram,
	}
}

// roleCodes are the roles that have two words, as /v1 writes them and as people do.
var roleCodes = strings.NewReplacer("devops_admin", "devops admin", "security_admin", "security admin", "resource_admin", "resource admin")

// worded is a sentence of /v1 with its roles as people say them.
func worded(sentence string) string { return roleCodes.Replace(sentence) }

// timeTag shows a time as people say it, exact in its title and for machines.
func timeTag(at any, now time.Time) template.HTML {
	var t time.Time
	switch v := at.(type) {
	case time.Time:
		t = v
	case *time.Time:
		if v != nil {
			t = *v
		}
	case string:
		t, _ = time.Parse(time.RFC3339Nano, v)
	}
	if t.IsZero() {
		return `<span class="quiet">never</span>`
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s UTC">%s</time>`,
		t.Format(time.RFC3339), t.Format("Mon 2 Jan 2006, 15:04:05"), relative(t, now)))
}

// exact is a time as people read it, to the minute, where it matters beside how far it is.
func exact(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// roundOf is the unit in which a length of time is told.
func roundOf(d time.Duration) time.Duration {
	switch {
	case d < time.Minute:
		return time.Second
	case d < time.Hour:
		return time.Minute
	case d < 24*time.Hour:
		return time.Hour
	}
	return 24 * time.Hour
}

// relative is a time as seen from now; beyond a month it is a date. console.js
// says the same in the browser, as time goes on.
func relative(t, now time.Time) string {
	d := now.Sub(t)
	ahead := d < 0
	if ahead {
		d = -d
	}
	if d < 10*time.Second {
		return "just now"
	}
	var n int
	var unit string
	if ahead { // what was given for 15 minutes ends in 15 minutes, and not in 14
		d = d.Round(roundOf(d))
	}
	switch {
	case d < time.Minute:
		n, unit = int(d.Seconds()), "second"
	case d < time.Hour:
		n, unit = int(d.Minutes()), "minute"
	case d < 24*time.Hour:
		n, unit = int(d.Hours()), "hour"
	case d < 30*24*time.Hour:
		n, unit = int(d.Hours()/24), "day"
	default:
		return t.Format("2 Jan 2006")
	}
	if n != 1 {
		unit += "s"
	}
	if ahead {
		return fmt.Sprintf("in %d %s", n, unit)
	}
	return fmt.Sprintf("%d %s ago", n, unit)
}

// duration is a length of time in words: 1h30m0s is "1 hour 30 minutes".
func duration(v any) string {
	d, ok := v.(time.Duration)
	if !ok {
		d, _ = time.ParseDuration(fmt.Sprint(v))
	}
	return domain.Lasting(d)
}

// copyButton copies a text; without script it is not there, and the text is selected by hand.
func copyButton(text any, what string) template.HTML {
	return template.HTML(fmt.Sprintf(`<button type="button" class="copy" data-copy="%s" aria-label="Copy %s" title="Copy %s">%s</button>`,
		template.HTMLEscapeString(fmt.Sprint(text)), template.HTMLEscapeString(what), template.HTMLEscapeString(what), icon("copy")))
}

// tones are how the words of states look. The word itself is always there.
var tones = map[string]string{
	"active": "good", "approved": "good", "pass": "good", "issued": "good", "granted": "good", "met": "good", "published": "good", "success": "good", "open": "good", "fresh": "good", "allowed": "good", "signed in": "good",
	"draft": "info", "pending": "info", "next": "info", "pending change": "info", "new": "info", "waiting": "info", "current": "info", "this session": "info",
	"warning": "warn", "expiring": "warn", "cancelled": "warn", "lapsed": "warn", "unmet": "warn", "review": "warn", "broken glass": "warn", "stale": "warn",
	"denied": "bad", "fail": "bad", "failed": "bad", "failure": "bad", "refused": "bad", "revoked": "bad", "blocked": "bad", "missing": "bad", "error": "bad",
}

// badge is a state, in a colour of its own where it has one.
func badge(state any) template.HTML {
	word := strings.ReplaceAll(fmt.Sprint(state), "_", " ")
	return tone(tones[word], word)
}

// tone is a short text in the colour of good, info, warn, bad, or "" for quiet.
func tone(kind, text string) template.HTML {
	if kind == "" {
		kind = "quiet"
	}
	return template.HTML(fmt.Sprintf(`<span class="badge %s">%s</span>`, template.HTMLEscapeString(kind), template.HTMLEscapeString(text)))
}

// indented is any value, or JSON text, as JSON that people read.
func indented(v any) (string, error) {
	raw, isJSON := v.(json.RawMessage)
	if !isJSON {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return "", err
		}
		raw = b.Bytes()
	}
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(raw), "", "  "); err != nil {
		return "", err
	}
	return out.String(), nil
}

// join names the elements of any list, with commas.
func join(list any) string {
	v := reflect.ValueOf(list)
	var parts []string
	for i := range v.Len() {
		parts = append(parts, fmt.Sprint(v.Index(i).Interface()))
	}
	return strings.Join(parts, ", ")
}

// What browsers and systems call themselves, those first that name others, too.
var (
	browsers = [][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}}
	systems  = [][2]string{{"Windows", "Windows"}, {"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}}
)

// browserWords is what a User-Agent says as people say it; itself where it says
// nothing that is known.
func browserWords(agent string) string {
	named := func(all [][2]string) string {
		for _, known := range all {
			if strings.Contains(agent, known[0]) {
				return known[1]
			}
		}
		return ""
	}
	name, system := named(browsers), named(systems)
	switch {
	case name == "":
		return agent
	case system == "":
		return name
	}
	return name + " on " + system
}

// plural is so many of something.
func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// below is the name in a reference such as server/web-1.
func below(ref any) string {
	_, name, _ := strings.Cut(fmt.Sprint(ref), "/")
	return name
}

// spoken is a reference such as group/ops as people say it.
func spoken(ref any) string { return strings.Replace(fmt.Sprint(ref), "/", " ", 1) }
