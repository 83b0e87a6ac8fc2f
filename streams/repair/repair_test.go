package repair_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams/blocks"
	"sallyport.dev/streams/repair"
)

// Damage of every kind keeps the log closed and says where, and the repair
// brings back every sealed commit, and what survives behind them.
func TestRepairBringsBackWhatWasSealed(t *testing.T) {
	small, few := newLog(t, once)
	big, many := newLog(t, often)
	older := olderCopy(t, small)
	blk := func(d repair.Data, n string) string {
		return filepath.Join(d.Target("default").Store.Dir, "msgs", n+".blk")
	}
	flip := func(block string, at int) func(testing.TB, repair.Data) {
		return func(t testing.TB, d repair.Data) {
			edit(t, blk(d, block), func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b })
		}
	}
	cut := func(block string, from, to int) func(testing.TB, repair.Data) {
		return func(t testing.TB, d repair.Data) {
			edit(t, blk(d, block), func(b []byte) []byte { return append(b[:from], b[min(to, len(b)):]...) })
		}
	}
	for _, tt := range []struct {
		name   string
		blocks int
		damage func(testing.TB, repair.Data)
		says   string // of the error at the start
		want   int    // commits in the repaired log
		lost   bool
	}{
		{"a bit", 1, flip("1", 3000), "modified at sequence 1, 1.blk at byte 0", commits, false},
		{"a page zeroed", 1, func(t testing.TB, d repair.Data) {
			edit(t, blk(d, "1"), func(b []byte) []byte { clear(b[8192:12288]); return b })
		}, "modified at sequences 2 to 3", commits, false},
		{"a cut from the middle, within what was sealed", 1, cut("1", 3000, 30000), "missing at sequences 1 to 6", commits, false},
		{"a bit of the last record, not sealed", 1, flip("1", -100), "modified at sequence 45", 44, true},
		{"the tail cut behind the seal", 1, func(t testing.TB, d repair.Data) {
			ok(t, os.Truncate(blk(d, "1"), offsetOf(t, d, 43)+35))
		}, "truncated at sequences 43 to 45", 42, true},
		{"the tail cut within what was sealed", 1, func(t testing.TB, d repair.Data) {
			ok(t, os.Truncate(blk(d, "1"), 100_000))
		}, "truncated at sequences", sealed, true},
		{"two records swapped", 1, func(t testing.TB, d repair.Data) {
			a, b, c := offsetOf(t, d, 42), offsetOf(t, d, 43), offsetOf(t, d, 44)
			edit(t, blk(d, "1"), func(x []byte) []byte {
				return slices.Concat(x[:a], x[b:c], x[a:b], x[c:])
			})
		}, "reordered at sequence 42", commits, false},
		{"a byte changed and its checksum made right", 1, func(t testing.TB, d repair.Data) {
			rewrite(t, d.Target("default").Store, func(r *blocks.Record) {
				if r.Sequence == 17 {
					r.Body[len(r.Body)-60]++
				}
			})
		}, "modified at sequence 17, 1.blk at byte", commits, false},
		{"another log in its place, which is longer", 1, func(t testing.TB, d repair.Data) {
			rewrite(t, d.Target("default").Store, func(r *blocks.Record) { r.Body[len(r.Body)-60]++ })
		}, "modified at sequence 1, 1.blk at byte", sealed, true},
		{"an older copy in its place", 1, func(t testing.TB, d repair.Data) {
			ok(t, os.RemoveAll(d.Target("default").Store.Dir))
			ok(t, os.CopyFS(d.Target("default").Store.Dir, os.DirFS(older.Target("default").Store.Dir)))
		}, "rolled back at sequences 31 to 40", sealed, true},
		{"the whole store gone", 1, func(t testing.TB, d repair.Data) { ok(t, os.RemoveAll(filepath.Join(d.Dir, "nats"))) }, "there are no blocks", sealed, true},
		{"meta.inf flipped", 1, func(t testing.TB, d repair.Data) {
			edit(t, filepath.Join(d.Target("default").Store.Dir, "meta.inf"), func(b []byte) []byte { b[30] ^= 1; return b })
		}, "meta.inf is not what it was", commits, false},
		{"meta.inf flipped and a block damaged", 1, func(t testing.TB, d repair.Data) {
			edit(t, filepath.Join(d.Target("default").Store.Dir, "meta.inf"), func(b []byte) []byte { b[30] ^= 1; return b })
			flip("1", 3000)(t, d)
		}, "modified at sequence", commits, false},
		{"a cut from the middle of a compressed block", 3, cut("2", 1000, 2000), "modified at sequences 21 to 38, 2.blk at byte 0: it does not decompress", commits, false},
		{"two blocks swapped", 3, func(t testing.TB, d repair.Data) {
			ok(t, os.Rename(blk(d, "1"), blk(d, "9")))
			ok(t, os.Rename(blk(d, "3"), blk(d, "1")))
			ok(t, os.Rename(blk(d, "9"), blk(d, "3")))
		}, "reordered at sequences 1 to", commits, false},
		{"the first block gone", 3, func(t testing.TB, d repair.Data) { ok(t, os.Remove(blk(d, "1"))) }, "missing at sequences 1 to", commits, false},
		{"the middle block gone", 3, func(t testing.TB, d repair.Data) { ok(t, os.Remove(blk(d, "2"))) }, "there is no 2.blk", commits, false},
		{"the last block gone", 3, func(t testing.TB, d repair.Data) { ok(t, os.Remove(blk(d, "3"))) }, "rolled back at sequences", sealed, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			orig, all := small, few
			if tt.blocks == 3 {
				orig, all = big, many
			}
			d := copyData(t, orig)
			tt.damage(t, d)
			refused(t, d, tt.says)
			plan := planOf(t, d)
			if (plan.Lost != "") != tt.lost {
				t.Errorf("lost is %q, want %v", plan.Lost, tt.lost)
			}
			done, err := plan.Do(t.Context(), d, time.Now())
			ok(t, err)
			if done.Commits != uint64(tt.want) {
				t.Errorf("%d commits are in the repaired log, want %d", done.Commits, tt.want)
			}
			ok(t, repair.Check(t.Context(), d, quiet()))
			holds(t, d, all, tt.want)
			if again := planOf(t, d); !again.Nothing() {
				t.Errorf("a second repair would do %+v", again)
			}
		})
	}
}

// olderCopy is the log as it was with its first 30 commits.
func olderCopy(t testing.TB, from repair.Data) repair.Data {
	t.Helper()
	d := copyData(t, from)
	s := d.Target("default").Store
	ok(t, os.Remove(filepath.Join(s.Dir, "msgs", "index.db")))
	ok(t, os.Truncate(filepath.Join(s.Dir, "msgs", "1.blk"), offsetOf(t, d, 31)))
	return d
}

// offsetOf is where a commit lies in its block.
func offsetOf(t testing.TB, d repair.Data, sequence uint64) (at int64) {
	t.Helper()
	_, err := d.Target("default").Store.Scan(blocks.Options{}, func(r blocks.Record) error {
		if r.Sequence == sequence {
			at = r.Offset
		}
		return nil
	})
	ok(t, err)
	return at
}

// refused wants the check to say so and how to repair it, and to leave every file as it was.
func refused(t testing.TB, d repair.Data, says string) {
	t.Helper()
	before := contents(t, d.Dir)
	err := repair.Check(t.Context(), d, quiet())
	if !maps.Equal(before, contents(t, d.Dir)) {
		t.Error("the check changed what it looked at")
	}
	damage := domain.Damaged(err)
	if damage == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "sallyportd") {
		t.Fatalf("the check says %v, want damage with %q and how to repair it", err, says)
	}
}

// contents are the digests of all files below a folder.
func contents(t testing.TB, dir string) map[string][32]byte {
	t.Helper()
	all := map[string][32]byte{}
	ok(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = sha256.Sum256(b)
		return err
	}))
	return all
}

func planOf(t testing.TB, d repair.Data) repair.Plan {
	t.Helper()
	plan, err := repair.NewPlan(t.Context(), d.Target("default"), false)
	ok(t, err)
	return plan
}

// What is no damage does not keep a log closed.
func TestCheckLetsAWholeLogOpen(t *testing.T) {
	orig, all := newLog(t, once)
	big, many := newLog(t, often)
	store := func(d repair.Data, name string) string { return filepath.Join(d.Target("default").Store.Dir, name) }
	for _, tt := range []struct {
		name string
		do   func(testing.TB, repair.Data)
		want int
	}{
		{"as it was closed", func(testing.TB, repair.Data) {}, commits},
		{"no index", func(t testing.TB, d repair.Data) { ok(t, os.Remove(store(d, "msgs/index.db"))) }, commits},
		{"a bit of the index", func(t testing.TB, d repair.Data) {
			edit(t, store(d, "msgs/index.db"), func(b []byte) []byte { b[5] ^= 1; return b })
		}, commits},
		{"no meta.sum", func(t testing.TB, d repair.Data) { ok(t, os.Remove(store(d, "meta.sum"))) }, commits},
		{"a bit of meta.sum", func(t testing.TB, d repair.Data) {
			edit(t, store(d, "meta.sum"), func(b []byte) []byte { b[5] ^= 1; return b })
		}, commits},
		{"neither meta file", func(t testing.TB, d repair.Data) {
			ok(t, os.Remove(store(d, "meta.sum")))
			ok(t, os.Remove(store(d, "meta.inf")))
		}, commits},
		{"a torn record of a crash behind the seal", func(t testing.TB, d repair.Data) {
			at := offsetOf(t, d, 45)
			ok(t, os.Remove(store(d, "msgs/index.db")))
			ok(t, os.Truncate(store(d, "msgs/1.blk"), at+999))
		}, commits - 1},
		{"a crash right after a block was begun", func(t testing.TB, d repair.Data) {
			ok(t, os.Remove(store(d, "msgs/index.db")))
			ok(t, os.RemoveAll(d.Target("default").Seal))
			ok(t, os.Truncate(store(d, "msgs/3.blk"), 0))
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, all := copyData(t, orig), all
			if tt.want == 0 { // what lies in the blocks before the last
				d, all = copyData(t, big), many
				tt.want = int(firstOf(t, d, "3.blk")) - 1
			}
			tt.do(t, d)
			ok(t, repair.Check(t.Context(), d, quiet()))
			holds(t, d, all, tt.want)
		})
	}
}

func firstOf(t testing.TB, d repair.Data, block string) (first uint64) {
	t.Helper()
	_, err := d.Target("default").Store.Scan(blocks.Options{}, func(r blocks.Record) error {
		if r.File == block && first == 0 {
			first = r.Sequence
		}
		return nil
	})
	ok(t, err)
	return first
}

// A seal that is damaged keeps a whole log closed, and is made again only when told to.
func TestASealIsMadeAgainOnlyWhenToldTo(t *testing.T) {
	orig, all := newLog(t, once)
	target := orig.Target("default")
	ok(t, os.MkdirAll(filepath.Dir(target.Mark), 0o700))
	ok(t, os.WriteFile(target.Mark, nil, 0o600))
	for _, tt := range []struct {
		name   string
		damage func(seal string)
	}{
		{"the checkpoint flipped", func(seal string) {
			edit(t, filepath.Join(seal, "checkpoint"), func(b []byte) []byte { b[len(b)-9] ^= 1; return b })
		}},
		{"the tree flipped", func(seal string) {
			edit(t, filepath.Join(seal, "tree"), func(b []byte) []byte { b[99] ^= 1; return b })
		}},
		{"the whole seal gone", func(seal string) { ok(t, os.RemoveAll(seal)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := copyData(t, orig)
			tt.damage(d.Target("default").Seal)
			refused(t, d, "seal")
			if _, err := repair.NewPlan(t.Context(), d.Target("default"), false); domain.Damaged(err) == nil || !strings.Contains(err.Error(), "--reseal") {
				t.Errorf("without being told, the plan is %v", err)
			}
			plan, err := repair.NewPlan(t.Context(), d.Target("default"), true)
			ok(t, err)
			done, err := plan.Do(t.Context(), d, time.Now())
			ok(t, err)
			if len(done.Kept) == 0 {
				t.Error("nothing of the old seal is kept")
			}
			ok(t, repair.Check(t.Context(), d, quiet()))
			holds(t, d, all, commits)
		})
	}
}

// Where the log is damaged as well as its seal, nothing is touched.
func TestNothingIsMadeOfADamagedLogAndADamagedSeal(t *testing.T) {
	d, _ := newLog(t, once)
	target := d.Target("default")
	edit(t, filepath.Join(target.Store.Dir, "msgs", "1.blk"), func(b []byte) []byte { b[3000] ^= 1; return b })
	segments, err := filepath.Glob(filepath.Join(target.Seal, "segments", "*"))
	ok(t, err)
	edit(t, segments[0], func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	for _, reseal := range []bool{false, true} {
		if _, err := repair.NewPlan(t.Context(), target, reseal); domain.Damaged(err) == nil || !strings.Contains(err.Error(), "restore") {
			t.Errorf("with reseal %v the plan is %v", reseal, err)
		}
	}
}

// A repair that is broken off at any step is finished by the next one.
func TestARepairThatWasBrokenOffCanBeRunAgain(t *testing.T) {
	orig, all := newLog(t, once)
	work := func(d repair.Data) string { return filepath.Join(d.Dir, "repair", "ORG_default") }
	for _, tt := range []struct {
		name string
		left func(testing.TB, repair.Data) // what the first one left
		kept bool                          // something else is kept beside the damaged store
	}{
		{"while it wrote the new store", func(t testing.TB, d repair.Data) {
			ok(t, os.MkdirAll(filepath.Join(work(d)+".new", "msgs"), 0o700))
		}, false},
		{"before the old store was moved away", func(t testing.TB, d repair.Data) {
			ok(t, os.CopyFS(work(d), os.DirFS(orig.Target("default").Store.Dir)))
		}, true},
		{"between the old store and the new one", func(t testing.TB, d repair.Data) {
			ok(t, os.CopyFS(work(d), os.DirFS(orig.Target("default").Store.Dir)))
			ok(t, os.RemoveAll(d.Target("default").Store.Dir))
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := copyData(t, orig)
			edit(t, filepath.Join(d.Target("default").Store.Dir, "msgs", "1.blk"), func(b []byte) []byte { b[3000] ^= 1; return b })
			tt.left(t, d)
			if err := repair.Check(t.Context(), d, quiet()); domain.Damaged(err) == nil {
				t.Errorf("the half-repaired log is opened: %v", err)
			}
			ok(t, repair.Finish(d, d.Target("default"), time.Now()))
			plan := planOf(t, d)
			_, err := plan.Do(t.Context(), d, time.Now())
			ok(t, err)
			holds(t, d, all, commits)
			kept, err := filepath.Glob(filepath.Join(d.Dir, "kept", "*ORG_default"))
			ok(t, err)
			if want := map[bool]int{false: 1, true: 2}[tt.kept]; len(kept) != want && !plan.Nothing() {
				t.Errorf("kept are %v, want %d", kept, want)
			}
		})
	}
}

// Whatever is done to the blocks, a repair brings back all that is sealed, and
// behind it nothing but what was there, from the first on.
func TestRepairAfterAnyMutation(t *testing.T) {
	t.Parallel()
	d, all := newLog(t, once)
	target := d.Target("default")
	block := filepath.Join(target.Store.Dir, "msgs", "1.blk")
	whole, err := os.ReadFile(block)
	ok(t, err)
	chance := rand.New(rand.NewPCG(3, 4))
	for round := range 40 {
		b, what := mutate(chance, slices.Clone(whole))
		if bytes.Equal(b, whole) {
			continue
		}
		ok(t, os.WriteFile(block, b, 0o600))
		plan := planOf(t, d)
		if !plan.Needed {
			t.Fatalf("round %d, %s: nothing is to be repaired", round, what)
		}
		done, err := plan.Do(t.Context(), d, time.Now())
		ok(t, err)
		if n := done.Commits; n < sealed || n < commits && plan.Lost == "" {
			t.Fatalf("round %d, %s: %d commits are left, and lost is %q", round, what, n, plan.Lost)
		}
		_, err = target.Store.Scan(blocks.Options{Sealed: done.Commits}, func(r blocks.Record) error {
			if string(r.Body) != string(all[r.Sequence-1].Body) {
				return fmt.Errorf("round %d, %s: commit %d is another one", round, what, r.Sequence)
			}
			return nil
		})
		ok(t, err)
	}
}

func mutate(chance *rand.Rand, b []byte) ([]byte, string) {
	i, j := chance.IntN(len(b)), chance.IntN(len(b))
	i, j = min(i, j), max(i, j)+1
	switch chance.IntN(5) {
	case 0:
		b[i] ^= 1 << chance.IntN(8)
		return b, fmt.Sprintf("a flip at %d", i)
	case 1:
		clear(b[i:min(j, i+4096)])
		return b, fmt.Sprintf("zeroes from %d", i)
	case 2:
		return slices.Delete(b, i, j), fmt.Sprintf("a cut from %d to %d", i, j)
	case 3:
		return b[:i], fmt.Sprintf("the end cut at %d", i)
	default:
		return slices.Insert(b, i, b[i:j]...), fmt.Sprintf("a repetition of %d to %d", i, j)
	}
}
