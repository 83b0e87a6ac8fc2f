package trail

import (
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// The index is one FTS5 table. A document is the event's words, and one mark
// for each value that a filter can name: intersecting and ordering filters is
// then the same merge of sorted lists as finding words, and folding an event
// touches one structure made for bulk writing instead of seven B-trees.

// maxWord bounds a word in runes, in documents and in questions alike.
const maxWord = 64

// markSign begins every mark. No word holds it, so nothing a person types
// or a workload claims can be taken for a mark.
const markSign = "§"

// The kinds of mark.
const (
	markType       = 't'
	markFamily     = 'f' // of "connection.drafted": "connection"
	markActor      = 'a'
	markConnection = 'c'
	markWorkload   = 'w' // the plain identity
	markURI        = 'u' // the whole workload:// URI
	markOutcome    = 'o'
	markRequest    = 'r'
)

// mark is the index term of a filter value. It is a short hash: whoever asks
// compares the row's column too.
func mark(kind byte, value string) string {
	h := fnv.New64a()
	h.Write([]byte(value))
	return markSign + string(rune(kind)) + strconv.FormatUint(h.Sum64(), 16)
}

// inWord tells what words are made of: letters, digits and the marks that
// belong to a letter, of every script. Everything else separates.
func inWord(r rune) bool {
	if r < 0x80 {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// appendWords appends the words of s, in lower case, each behind a space.
func appendWords(doc []byte, s string) []byte {
	n := 0 // runes of the word at the end of doc
	for _, r := range s {
		switch {
		case !inWord(r):
			n = 0
			continue
		case n == 0:
			doc = append(doc, ' ')
		}
		if n++; n <= maxWord {
			doc = append(doc, string(unicode.ToLower(r))...)
		}
	}
	return doc
}

// words is s in lower-case words.
func words(s string) []string { return strings.Fields(string(appendWords(nil, s))) }

// appendValues appends the words of every text in a JSON document that is known
// to be valid: not the names of members, no numbers, and no times, which have
// filters of their own and would make up a third of the index. A value that was
// seen before adds nothing.
func appendValues(doc []byte, data json.RawMessage, seen map[string]struct{}) []byte {
	for i := 0; i < len(data); i++ {
		if data[i] != '"' {
			continue
		}
		end := i + 1 + stringLength(data[i+1:])
		if !isMember(data[min(end+1, len(data)):]) {
			if text := data[i:min(end+1, len(data))]; !isTime(text) {
				doc = appendOnce(doc, unquote(text), seen)
			}
		}
		i = end
	}
	return doc
}

// isTime tells whether a JSON string has the form of the times we write: RFC 3339 in UTC.
func isTime(text []byte) bool {
	const form = `"2006-01-02T15:04:05`
	if len(text) < len(form)+2 || text[len(text)-2] != 'Z' {
		return false
	}
	for i := 1; i < len(form); i++ {
		if digit := '0' <= text[i] && text[i] <= '9'; text[i] != form[i] && !digit || digit != ('0' <= form[i] && form[i] <= '9') {
			return false
		}
	}
	return strings.Trim(string(text[len(form):len(text)-2]), ".0123456789") == ""
}

func appendOnce(doc []byte, value string, seen map[string]struct{}) []byte {
	if _, ok := seen[value]; ok {
		return doc
	}
	seen[value] = struct{}{}
	return appendWords(doc, whole(value))
}

// whole is a UUID as one word, where the index would otherwise have five that
// nobody looks for; any other text as it is.
func whole(s string) string {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return s
	}
	one := strings.ReplaceAll(s, "-", "")
	if _, err := hex.DecodeString(one); err != nil {
		return s
	}
	return one
}

// stringLength is how many bytes of b stand before the quote that ends the string.
func stringLength(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(b)
}

// isMember tells whether the string that ended before b was a member's name.
func isMember(b []byte) bool {
	for _, c := range b {
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			return c == ':'
		}
	}
	return false
}

func unquote(b []byte) string {
	if !strings.ContainsRune(string(b), '\\') {
		return strings.Trim(string(b), `"`)
	}
	var s string
	if json.Unmarshal(b, &s) != nil {
		return string(b)
	}
	return s
}

// match turns a person's words into an FTS5 expression. Every word is quoted
// and holds letters and digits only, so that nothing is syntax. What stands
// between two spaces stays together: acme/app finds "acme" followed by "app".
// It is empty where q has no letter and no digit.
func match(q string) []string {
	var terms []string
	prefix := false
	for _, field := range strings.Fields(q) {
		w := words(whole(readable(field)))
		if len(w) == 0 {
			continue
		}
		terms = append(terms, quoted(strings.Join(w, " ")))
		prefix = len([]rune(w[len(w)-1])) >= minPrefix
	}
	if prefix {
		terms[len(terms)-1] += "*"
	}
	return terms
}

// quoted is a term or several in a row, which hold no quote, as FTS5 takes them literally.
func quoted(terms string) string { return `"` + terms + `"` }

// minPrefix is how long the beginning of a word must be to find the word: a
// single letter begins a good part of all words, and merging them costs too much.
const minPrefix = 2

// readable is a workload:// URI as people read it, without its escapes; any other text as it is.
func readable(s string) string {
	if !strings.HasPrefix(s, workloadScheme) {
		return s
	}
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}
