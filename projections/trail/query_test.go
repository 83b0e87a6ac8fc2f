package trail_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash/fnv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/projections/trail"
)

// morning is a trail of a little of everything.
func morning(t testing.TB) *trail.Trail {
	tr := begin(t)
	first := added("auditor", "owner")
	first.request = "01REQUEST"
	apply(t, tr,
		commit(1, first, added("devops", "owner")),
		commit(2, issued("gitlab-ci", "project_path:acme/app:ref_type:branch:ref:main")),
		commit(3, denied("gitlab-ci", "project_path:acme/app-evil:ref_type:branch:ref:main", "project_path:acme/app:"), issued("github", "repo:acme/app")),
		commit(4, deactivated("gitlab-ci", "security")),
	)
	return tr
}

func TestFilters(t *testing.T) {
	tr := morning(t)
	for _, tt := range []struct {
		name string
		q    trail.Query
		want []string
	}{
		{"nothing asked is everything, oldest first", trail.Query{}, []string{"1.0", "1.1", "2.0", "3.0", "3.1", "4.0"}},
		{"descending is newest first", trail.Query{Order: trail.Descending}, []string{"4.0", "3.1", "3.0", "2.0", "1.1", "1.0"}},
		{"a type is exact", trail.Query{Type: "token.issued"}, []string{"2.0", "3.1"}},
		{"the beginning of a type is not a type", trail.Query{Type: "token.issue"}, []string{}},
		{"a family is everything below it", trail.Query{Type: "token.*"}, []string{"2.0", "3.0", "3.1"}},
		{"a family does not hold what only begins alike", trail.Query{Type: "tok.*"}, []string{}},
		{"of several types one has to hold", trail.Query{Type: "token.denied,person.*"}, []string{"1.0", "1.1", "3.0"}},
		{"a workload is known by its plain identity", trail.Query{Workload: "repo:acme/app"}, []string{"3.1"}},
		{"a workload is known by its URI", trail.Query{Workload: uri("github", "repo:acme/app")}, []string{"3.1"}},
		{"a URI is the same however its escapes are written", trail.Query{Workload: "workload://acme/github/repo%3aacme%2fapp"}, []string{"3.1"}},
		{"a URI of another connection is another workload", trail.Query{Workload: uri("gitlab-ci", "repo:acme/app")}, []string{}},
		{"a URI of another organisation is another workload", trail.Query{Workload: "workload://other/github/repo%3Aacme%2Fapp"}, []string{}},
		{"the beginning of an identity is not the identity", trail.Query{Workload: "project_path:acme/app"}, []string{}},
		{"an actor may be a workload", trail.Query{Actor: uri("github", "repo:acme/app")}, []string{"3.1"}},
		{"a connection is what was done to it and through it", trail.Query{Connection: "gitlab-ci"}, []string{"2.0", "3.0", "4.0"}},
		{"a denial is found by its outcome", trail.Query{Outcome: trail.Denied}, []string{"3.0"}},
		{"a request is found by its id", trail.Query{RequestID: "01REQUEST"}, []string{"1.0"}},
		{"since is included and until is not", trail.Query{Since: noon.Add(2 * time.Second), Until: noon.Add(3 * time.Second)}, []string{"2.0"}},
		{"a time of another zone is the same time", trail.Query{Since: noon.Add(4 * time.Second).In(time.FixedZone("", 7200))}, []string{"4.0"}},
		{"times before and after all clocks bound nothing", trail.Query{Since: time.Unix(-1<<60, 0), Until: time.Unix(1<<60, 0)}, []string{"1.0", "1.1", "2.0", "3.0", "3.1", "4.0"}},
		{"words are found whatever their case", trail.Query{Q: "ACME/App"}, []string{"2.0", "3.0", "3.1"}},
		{"what a condition found is found", trail.Query{Q: "project_path:acme/app-ev", Outcome: trail.Denied}, []string{"3.0"}},
		{"all words have to occur, in any order", trail.Query{Q: "main gitlab-ci"}, []string{"2.0", "3.0"}},
		{"the last word may be unfinished", trail.Query{Q: "deactiv"}, []string{"4.0"}},
		{"a word before the last may not", trail.Query{Q: "deactiv security"}, []string{}},
		{"a single letter is a whole word", trail.Query{Q: "d"}, []string{}},
		{"a URI from a token is found as it stands", trail.Query{Q: "workload://acme/github/repo%3Aacme%2Fapp"}, []string{"3.1"}},
		{"operators of the index are words", trail.Query{Q: "acme OR nothing"}, []string{}},
		{"a mark of the index is no word", trail.Query{Q: "§o0 acme"}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, walk(t, tr, tt.q)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The index knows a filter's value by a short hash that strangers can collide
// with; what is shown is compared in full.
func TestAnIdentityWithTheHashOfAnotherIsNotTheOther(t *testing.T) {
	const one, other = "8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"
	a, b := fnv.New64a(), fnv.New64a()
	a.Write([]byte(one))
	b.Write([]byte(other))
	if a.Sum64() != b.Sum64() {
		t.Fatal("they do not collide")
	}
	tr := begin(t)
	apply(t, tr, commit(1, issued("github", one), issued("github", other)))
	for want, identity := range map[string]string{"1.0": one, "1.1": other} {
		p := query(t, tr, trail.Query{Workload: identity, Limit: 1})
		if got := positions(p.Events); len(got) != 1 || got[0] != want || p.HasMore {
			t.Errorf("%s is %v, has_more %v; want %s alone", identity, got, p.HasMore, want)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	tr := morning(t)
	for _, tt := range []struct {
		name    string
		q       trail.Query
		pointer string
	}{
		{"a page of 201", trail.Query{Limit: 201}, "/limit"},
		{"a page of less than none", trail.Query{Limit: -1}, "/limit"},
		{"an order that is none", trail.Query{Order: "ASC"}, "/order"},
		{"an outcome that is none", trail.Query{Outcome: "ok"}, "/outcome"},
		{"a type with a wildcard inside", trail.Query{Type: "token.*.v2"}, "/type"},
		{"an empty type between commas", trail.Query{Type: "token.issued,"}, "/type"},
		{"33 types", trail.Query{Type: strings.Repeat("a,", 32) + "a"}, "/type"},
		{"a workload URI without an identity", trail.Query{Workload: "workload://acme/github"}, "/workload"},
		{"a workload URI with a slash in its identity", trail.Query{Workload: "workload://acme/github/repo:acme/app"}, "/workload"},
		{"a workload URI with a broken escape", trail.Query{Workload: "workload://acme/github/%zz"}, "/workload"},
		{"words that have no letter", trail.Query{Q: `"*" -`}, "/q"},
		{"more words than anybody types", trail.Query{Q: strings.Repeat("a", 257)}, "/q"},
		{"text that is not UTF-8", trail.Query{Actor: "\xff"}, "/actor"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tr.Query(t.Context(), tt.q)
			var e *domain.Error
			if !errors.As(err, &e) || e.Kind != domain.KindInvalid || len(e.Fields) != 1 || e.Fields[0].Pointer != tt.pointer {
				t.Errorf("got %#v, want a field error of %s", err, tt.pointer)
			}
		})
	}
}

func TestCursors(t *testing.T) {
	q := trail.Query{Type: "token.*", Q: "main"}
	p := domain.Position{Sequence: 1<<47 - 1, Index: 1<<16 - 1}
	cursor := trail.EncodeCursor(q, p)
	for _, tt := range []struct {
		name   string
		q      trail.Query
		cursor string
		want   error
	}{
		{"a cursor is read back", q, cursor, nil},
		{"the limit is not part of it", trail.Query{Type: "token.*", Q: "main", Limit: 7}, cursor, nil},
		{"the default order and its name are one", trail.Query{Type: "token.*", Q: "main", Order: trail.Ascending}, cursor, nil},
		{"another filter refuses it", trail.Query{Type: "token.*"}, cursor, trail.ErrCursorFilter},
		{"the same text in another filter refuses it", trail.Query{Type: "token.*", Actor: "main"}, cursor, trail.ErrCursorFilter},
		{"another time refuses it", trail.Query{Type: "token.*", Q: "main", Since: noon}, cursor, trail.ErrCursorFilter},
		{"the other order refuses it", trail.Query{Type: "token.*", Q: "main", Order: trail.Descending}, cursor, trail.ErrCursorFilter},
		{"padding is refused", q, cursor + "=", trail.ErrCursor},
		{"a line end inside is refused", q, cursor[:4] + "\n" + cursor[4:], trail.ErrCursor},
		{"half a cursor is refused", q, cursor[:8], trail.ErrCursor},
		{"a position is no cursor", q, "12.0", trail.ErrCursor},
		{"another version is refused", q, base64.RawURLEncoding.EncodeToString(append([]byte{2}, make([]byte, 23)...)), trail.ErrCursor},
		{"a sequence that no log reaches is refused", q, trail.EncodeCursor(q, domain.Position{Sequence: 1 << 47}), trail.ErrCursor},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := trail.DecodeCursor(tt.q, tt.cursor)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil && got != p {
				t.Errorf("got position %v, want %v", got, p)
			}
		})
	}
}

func TestABarePageIsThePageWithoutItsEvents(t *testing.T) {
	tr := morning(t)
	q := trail.Query{Order: trail.Descending, Limit: 2}
	for range 3 {
		whole, err := tr.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		bare := q
		bare.Bare = true
		got, err := tr.Query(t.Context(), bare)
		if err != nil {
			t.Fatal(err)
		}
		for i := range whole.Events {
			whole.Events[i].JSON = nil
		}
		if diff := cmp.Diff(whole, got); diff != "" {
			t.Errorf("(-whole +bare):\n%s", diff)
		}
		q.After = got.Next
	}
}

func TestACursorOfAnotherFilterIsRefusedByQuery(t *testing.T) {
	tr := morning(t)
	next := query(t, tr, trail.Query{Limit: 1}).Next
	if _, err := tr.Query(t.Context(), trail.Query{Outcome: trail.Denied, After: next}); !errors.Is(err, trail.ErrCursorFilter) {
		t.Errorf("got %v, want %v", err, trail.ErrCursorFilter)
	}
}

func TestAPage(t *testing.T) {
	tr := morning(t)
	p := query(t, tr, trail.Query{Type: "token.issued", Limit: 1})
	if !p.HasMore || p.Last.String() != "4.0" || len(p.Events) != 1 {
		t.Errorf("got %d events, has_more %v, last %s; want 1, true, 4.0", len(p.Events), p.HasMore, p.Last)
	}
	p = query(t, tr, trail.Query{Type: "token.issued", Limit: 1, After: p.Next})
	if p.HasMore || positions(p.Events)[0] != "3.1" {
		t.Errorf("got %v, has_more %v; want the last one", positions(p.Events), p.HasMore)
	}
	empty := query(t, begin(t), trail.Query{})
	got, err := json.Marshal(empty)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"events":[],"next":"` + empty.Next + `","has_more":false,"last_position":"0.0"}`; string(got) != want {
		t.Errorf("an empty trail is %s, want %s", got, want)
	}
}

// A newest-first query of an empty trail is no dead end: its next is the beginning again.
func TestNextOfAnEmptyTrailFindsWhatArrives(t *testing.T) {
	for _, order := range []string{trail.Ascending, trail.Descending} {
		tr := begin(t)
		q := trail.Query{Order: order}
		q.After = query(t, tr, q).Next
		apply(t, tr, commit(1, deactivated("github", "security")))
		if got := positions(query(t, tr, q).Events); len(got) != 1 {
			t.Errorf("%s: got %v, want the one that arrived", order, got)
		}
	}
}

func TestAnEntryIsTheStoredEventWithTwoMembersMore(t *testing.T) {
	tr := begin(t)
	c := commit(1, denied("github", "<script>\u2028", "a&b"))
	apply(t, tr, c)
	stored, err := json.Marshal(c.Events[0])
	if err != nil {
		t.Fatal(err)
	}
	e := query(t, tr, trail.Query{}).Events[0]
	head := string(stored[:len(stored)-1]) + `,"position":"1.0","summary":"`
	if !strings.HasPrefix(string(e.JSON), head) {
		t.Errorf("got  %s\nwant %s...", e.JSON, head)
	}
	var read struct{ Position, Summary, Type, ID string }
	if err := json.Unmarshal(e.JSON, &read); err != nil {
		t.Fatal(err)
	}
	if read.Position != "1.0" || read.Summary != e.Summary || e.Summary == "" || read.Type != e.Type || read.ID != e.ID {
		t.Errorf("got %+v beside %+v", read, e)
	}
	if again, err := json.Marshal(e); err != nil || string(again) != string(e.JSON) {
		t.Errorf("marshalling changes it: %s, %v", again, err)
	}
}

func TestAllIsEverythingUpToTheCall(t *testing.T) {
	tr := begin(t)
	for seq := uint64(1); seq <= 450; seq++ {
		apply(t, tr, commit(seq, issued("github", "repo:acme/app")))
	}
	n := 0
	for _, err := range tr.All(t.Context(), trail.Query{Limit: 1, Type: "token.issued"}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 300 {
			apply(t, tr, commit(451, issued("github", "repo:acme/app")))
		}
	}
	if n != 450 {
		t.Errorf("got %d events, want the 450 that were there", n)
	}
	for _, err := range tr.All(t.Context(), trail.Query{Order: "sideways"}) {
		if err == nil {
			t.Error("a query that is refused yields an event")
		}
	}
}
