package claim

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNear bounds the wanted values that are looked at for a near miss: the
// claim is a stranger's, and each look goes over all of it.
const maxNear = 8

// nearAny is the first near miss of any value with any wanted text, as a
// sentence with a space before it, or "". Of a long list the beginning is looked
// at: the list is a stranger's, and the search is quadratic.
func nearAny(have []any, want []string) string {
	want = want[:min(len(want), maxNear)]
	for _, h := range have[:min(len(have), MaxAudiences)] {
		text := scalarText(h)
		if text == "" {
			continue
		}
		for _, w := range want {
			if miss := nearMiss(text, w); miss != "" {
				return miss
			}
		}
	}
	return ""
}

// scalarText is the text that equals would compare, "" for what it never would.
func scalarText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	}
	return ""
}

// nearMiss tells in one sentence how have comes close to want, or "". It only
// speaks to people: nothing it knows makes anything match.
func nearMiss(have, want string) string {
	switch {
	case want == "" || have == want, len(have) > MaxValueBytes+len(" / "):
		return ""
	case strings.EqualFold(have, want):
		return " It differs only in case."
	case strings.TrimRight(have, "/") == strings.TrimRight(want, "/"):
		return " It differs only in a trailing slash."
	case strings.TrimSpace(have) == strings.TrimSpace(want):
		return " It differs only in surrounding space."
	case gitHubNames(have) == gitHubNames(want):
		return gitHubForms(have)
	case stripHidden(have) == stripHidden(want):
		return " It differs only in characters that cannot be seen."
	}
	return lookAlike(have, want)
}

// nearPrefix is nearMiss for the part of have that is as long as the prefix.
func nearPrefix(have, prefix string) string {
	n := utf8.RuneCountInString(prefix)
	head := []rune(have)
	if plain := gitHubNames(have); plain != have || gitHubNames(prefix) != prefix {
		if strings.HasPrefix(plain, gitHubNames(prefix)) {
			return gitHubForms(have)
		}
	}
	if strings.HasPrefix(strings.TrimSpace(have), prefix) {
		return " It begins with space."
	}
	return nearMiss(string(head[:min(n, len(head))]), prefix)
}

// gitHubID is the immutable form of owner and repository in a sub of GitHub:
// repo:octo@1/app@2:… beside the older repo:octo/app:….
var gitHubID = regexp.MustCompile(`\Arepo:([^@/:]+)@[0-9]+/([^@/:]*)(@[0-9]+)?`)

// gitHubNames turns the id form of a GitHub sub into the name form, and leaves everything else.
func gitHubNames(sub string) string { return gitHubID.ReplaceAllString(sub, "repo:$1/$2") }

func gitHubForms(have string) string {
	if gitHubNames(have) != have {
		return " The token names owner and repository with their ids (repo:owner@1/name@2), the condition without: compare repository_owner_id and repository_id instead of sub."
	}
	return " The token names owner and repository without ids (repo:owner/name), the condition with: compare repository_owner_id and repository_id instead of sub."
}

func stripHidden(s string) string {
	return strings.Map(func(r rune) rune {
		if Hidden(r) {
			return -1
		}
		return r
	}, s)
}

// lookAlike tells of text that a reader may take for the same: as many
// characters, some the same, and wherever they differ one is not ASCII; or
// letters with their accents written apart.
func lookAlike(have, want string) string {
	h, w := []rune(have), []rune(want)
	if len(h) != len(w) {
		if strings.ContainsFunc(have+want, func(r rune) bool { return unicode.Is(unicode.Mn, r) }) {
			return " One of them writes accents as characters of their own; text is compared as it is, without normalisation."
		}
		return ""
	}
	odd, same := -1, 0
	for i := range h {
		switch {
		case h[i] == w[i]:
			same++
		case h[i] < utf8.RuneSelf && w[i] < utf8.RuneSelf:
			return ""
		case odd < 0:
			odd = i
		}
	}
	if odd < 0 || same == 0 {
		return ""
	}
	return fmt.Sprintf(" It looks alike, but character %d is %U and not %U.", odd+1, h[odd], w[odd])
}

// maxSearched bounds how many members are looked at for a similar name.
const maxSearched = 1000

// didYouMean suggests the claim whose name is most like the absent one, as a
// sentence with a space before it, or "".
func didYouMean(p Path, s Set) string {
	want := Path(strings.TrimPrefix(string(p), "/"))
	best, bestScore := Path(""), 0
	left := maxSearched
	eachMember(s, nil, &left, func(steps []string) {
		score := similarity(string(want), steps)
		if score > bestScore {
			best, bestScore = pathTo(steps), score
		}
	})
	if best == "" || best == p {
		return ""
	}
	return fmt.Sprintf(" There is a claim %s.", show(string(best)))
}

// similarity scores how likely the claim at steps is the one that was meant; 0 is not at all.
func similarity(want string, steps []string) int {
	whole, leaf := strings.Join(steps, "/"), steps[len(steps)-1]
	if len(whole) > MaxPathBytes+len(" / ") {
		return 0 // nobody meant that, and comparing it is slow
	}
	wantLeaf := want[strings.LastIndexByte(want, '/')+1:]
	switch {
	case whole == want || whole == unescape(want):
		return 4 // the same words, nested instead of flat or the other way
	case fold(whole) == fold(want):
		return 3
	case distance(whole, want) <= min(2, len(want)/3):
		return 2
	case leaf != "" && fold(leaf) == fold(wantLeaf):
		return 1
	}
	return 0
}

// fold makes names alike that differ in case, hyphens and underscores.
func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))
}

// eachMember visits the members of objects in the order of their names, outer ones first.
func eachMember(object map[string]any, above []string, left *int, visit func(steps []string)) {
	names := slices.Sorted(maps.Keys(object))
	for _, name := range names {
		if *left--; *left < 0 {
			return
		}
		visit(append(slices.Clone(above), name))
	}
	for _, name := range names {
		if inner, ok := object[name].(map[string]any); ok && len(above) < 10 {
			eachMember(inner, append(slices.Clone(above), name), left, visit)
		}
	}
}

// distance is how many bytes to change, add or drop to make a into b. Names
// that differ by more than 2 in length are simply far: 3.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
