package blocks_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/streams/blocks"
)

// place is where a record lies.
type place struct {
	file         string
	offset, size int
}

// places are the records of a stream by sequence.
func places(t testing.TB, s blocks.Stream) map[uint64]place {
	t.Helper()
	all := map[uint64]place{}
	must[blocks.Report](t)(s.Scan(blocks.Options{}, func(r blocks.Record) error {
		size := 30 + len(r.Subject) + len(r.Body)
		if r.Header != nil {
			size += 4 + len(r.Header)
		}
		all[r.Sequence] = place{filepath.Join(s.Dir, "msgs", r.File), int(r.Offset), size}
		return nil
	}))
	return all
}

func copyStream(t testing.TB, from blocks.Stream) blocks.Stream {
	t.Helper()
	to := blocks.Stream{Dir: filepath.Join(t.TempDir(), from.Name())}
	ok(t, os.CopyFS(to.Dir, os.DirFS(from.Dir)))
	return to
}

// Damage to a plain log of 100 commits in at least four blocks, all of them sealed.
func TestScanTellsDamage(t *testing.T) {
	orig, want := newLog(t, 100, 900, small(logConfig(jetstream.NoCompression)))
	at := places(t, orig)
	inBlock := func(n int) (first, last uint64) {
		for seq, p := range at {
			if filepath.Base(p.file) == fmt.Sprintf("%d.blk", n) {
				if first == 0 || seq < first {
					first = seq
				}
				last = max(last, seq)
			}
		}
		return first, last
	}
	f2, l2 := inBlock(2)
	f3, l3 := inBlock(3)
	mid := f2 + 3 // a record in the middle of block 2, with a header
	for at[mid].size < 960 {
		mid++
	}
	flip := func(seq uint64, off int) func(testing.TB, blocks.Stream) {
		return func(t testing.TB, s blocks.Stream) {
			p := at[seq]
			edit(t, filepath.Join(s.Dir, "msgs", filepath.Base(p.file)), func(b []byte) []byte {
				b[p.offset+off] ^= 0x10
				return b
			})
		}
	}
	in := func(seq uint64, change func(b []byte, p place) []byte) func(testing.TB, blocks.Stream) {
		return func(t testing.TB, s blocks.Stream) {
			p := at[seq]
			edit(t, filepath.Join(s.Dir, "msgs", filepath.Base(p.file)), func(b []byte) []byte { return change(b, p) })
		}
	}
	for _, tt := range []struct {
		name   string
		damage func(testing.TB, blocks.Stream)
		want   string // kind and sequences of each damage
		found  int    // whole records
	}{
		{"nothing", func(testing.TB, blocks.Stream) {}, "", 100},
		{"a bit of a body", flip(mid, 400), fmt.Sprintf("modified %d-%d 2.blk", mid, mid), 99},
		{"a bit of a header", flip(mid, 22+21+6), fmt.Sprintf("modified %d-%d 2.blk", mid, mid), 99},
		{"a bit of a subject", flip(mid, 25), fmt.Sprintf("modified %d-%d 2.blk", mid, mid), 99},
		{"a bit of a time", flip(mid, 13), fmt.Sprintf("modified %d-%d 2.blk", mid, mid), 99},
		{"a bit of a sequence", flip(mid, 4), fmt.Sprintf("modified %d-%d 2.blk", mid, mid), 99},
		{"the sign of a deletion", flip(mid, 11), fmt.Sprintf("modified %d-%d 2.blk", mid, mid), 99},
		{"a bit of a checksum", flip(mid, at[mid].size-1), fmt.Sprintf("modified %d-%d 2.blk", mid, mid), 99},
		{"a bit of a length", flip(mid, 0), fmt.Sprintf("modified %d-%d 2.blk", mid, mid), 99},
		{"a high bit of a length", flip(mid, 2), fmt.Sprintf("modified %d-%d 2.blk", mid, mid), 99},
		{"a bit of the length of a subject", flip(mid, 20), fmt.Sprintf("modified %d-%d 2.blk", mid, mid), 99},
		{"a bit of the length of a header, which no checksum covers", in(mid, func(b []byte, p place) []byte {
			le := binary.LittleEndian
			off := p.offset + 22 + int(le.Uint16(b[p.offset+20:]))
			le.PutUint32(b[off:], le.Uint32(b[off:])-1)
			return b
		}), fmt.Sprintf("modified %d-%d 2.blk", mid, mid), 99},
		{"a bit of the length of a subject without a header, which no checksum covers", func(t testing.TB, s blocks.Stream) {
			flip(11, 20)(t, s) // every fifth has no header
		}, "modified 11-11 1.blk", 99},
		{"a bit of the last record", flip(100, 40), "modified 100-100 4.blk", 99},
		{"a page of zeroes", in(mid, func(b []byte, p place) []byte {
			clear(b[p.offset-100 : p.offset+3000])
			return b
		}), fmt.Sprintf("modified %d-%d 2.blk", mid-1, mid+2), 96},
		{"a cut from the middle", in(mid, func(b []byte, p place) []byte {
			return slices.Delete(b, p.offset+50, at[mid+5].offset+50)
		}), fmt.Sprintf("missing %d-%d 2.blk", mid, mid+5), 94},
		{"a whole record cut out", in(mid, func(b []byte, p place) []byte {
			return slices.Delete(b, p.offset, p.offset+p.size)
		}), fmt.Sprintf("missing %d-%d 2.blk", mid, mid), 99},
		{"the end of an earlier block cut", in(l2, func(b []byte, p place) []byte { return b[:p.offset+7] }),
			fmt.Sprintf("truncated %d-%d 2.blk", l2, l2), 99},
		{"the end of the log cut in a record", in(98, func(b []byte, p place) []byte { return b[:p.offset+100] }),
			"truncated 98-100 4.blk", 97},
		{"the end of the log cut between records", in(98, func(b []byte, p place) []byte { return b[:p.offset] }),
			"rolled back 98-100 ", 97},
		{"two records swapped", in(mid, func(b []byte, p place) []byte {
			q := at[mid+1]
			return slices.Concat(b[:p.offset], b[q.offset:q.offset+q.size], b[p.offset:p.offset+p.size], b[q.offset+q.size:])
		}), fmt.Sprintf("reordered %d-%d 2.blk", mid, mid), 99},
		{"a record twice", in(mid, func(b []byte, p place) []byte {
			return slices.Concat(b[:p.offset+p.size], b[p.offset:])
		}), fmt.Sprintf("inserted %d-%d 2.blk", mid, mid), 100},
		{"bytes that are no record", in(mid, func(b []byte, p place) []byte {
			return slices.Concat(b[:p.offset], bytes.Repeat([]byte("x"), 77), b[p.offset:])
		}), fmt.Sprintf("inserted %d-%d 2.blk", mid, mid), 100},
		{"two blocks swapped", func(t testing.TB, s blocks.Stream) {
			ok(t, os.Rename(blockFile(s, 2), blockFile(s, 9)))
			ok(t, os.Rename(blockFile(s, 3), blockFile(s, 2)))
			ok(t, os.Rename(blockFile(s, 9), blockFile(s, 3)))
		}, fmt.Sprintf("reordered %d-%d 2.blk", f2, l3), 100 - int(l3-f2+1)},
		{"the first block gone", func(t testing.TB, s blocks.Stream) { ok(t, os.Remove(blockFile(s, 1))) },
			fmt.Sprintf("missing 1-%d 2.blk", f2-1), 100 - int(f2-1)},
		{"a block in the middle gone", func(t testing.TB, s blocks.Stream) { ok(t, os.Remove(blockFile(s, 3))) },
			fmt.Sprintf("missing %d-%d 4.blk", f3, l3), 100 - int(l3-f3+1)},
		{"the last block gone", func(t testing.TB, s blocks.Stream) { ok(t, os.Remove(blockFile(s, 4))) },
			fmt.Sprintf("rolled back %d-100 ", l3+1), int(l3)},
		{"an earlier block empty", func(t testing.TB, s blocks.Stream) { ok(t, os.Truncate(blockFile(s, 2), 0)) },
			fmt.Sprintf("missing %d-%d 3.blk", f2, l2), 100 - int(l2-f2+1)},
		{"all blocks gone", func(t testing.TB, s blocks.Stream) { ok(t, os.RemoveAll(filepath.Join(s.Dir, "msgs"))) },
			"missing 1-100 ", 0},
		{"the whole stream gone", func(t testing.TB, s blocks.Stream) { ok(t, os.RemoveAll(s.Dir)) }, "missing 1-100 ", 0},
		{"two blocks damaged", func(t testing.TB, s blocks.Stream) { flip(2, 99)(t, s); flip(99, 99)(t, s) },
			"modified 2-2 1.blk, modified 99-99 4.blk", 98},
		{"a purge half done", func(t testing.TB, s blocks.Stream) { ok(t, os.Mkdir(filepath.Join(s.Dir, "__new_msgs__"), 0o700)) },
			"inserted 1-0 ", 100},
		{"no index", func(t testing.TB, s blocks.Stream) { ok(t, os.Remove(filepath.Join(s.Dir, "msgs", "index.db"))) }, "", 100},
		{"a bit of the index", func(t testing.TB, s blocks.Stream) {
			edit(t, filepath.Join(s.Dir, "msgs", "index.db"), func(b []byte) []byte { b[9] ^= 1; return b })
		}, "", 100},
		{"a file that the server had not put in place yet", func(t testing.TB, s blocks.Stream) {
			ok(t, os.WriteFile(blockFile(s, 2)+".tmp", []byte("half"), 0o600))
		}, "", 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := copyStream(t, orig)
			tt.damage(t, s)
			found := 0
			r := must[blocks.Report](t)(s.Scan(blocks.Options{Sealed: 100, Subjects: logConfig(0).Subjects}, func(r blocks.Record) error {
				found++
				return want[r.Sequence-1].equal(r)
			}))
			if got := summary(r); got != tt.want || found != tt.found {
				t.Errorf("found %q and %d records, want %q and %d\n%+v", got, found, tt.want, tt.found, r.Damages)
			}
			if (r.Err() == nil) != (tt.want == "") || r.Torn != nil {
				t.Errorf("the error is %v, the torn tail %v", r.Err(), r.Torn)
			}
		})
	}
}

func summary(r blocks.Report) string {
	var all []string
	for _, d := range r.Damages {
		all = append(all, fmt.Sprintf("%s %d-%d %s", d.Kind, d.First, d.Last, d.File))
	}
	return strings.Join(all, ", ")
}

// What a stop without warning leaves of the last record is no damage, unless a
// checkpoint or the index had seen it whole.
func TestScanAllowsTheTornRecordOfACrash(t *testing.T) {
	orig, want := newLog(t, 100, 900, small(logConfig(jetstream.NoCompression)))
	last := places(t, orig)[100]
	for _, tt := range []struct {
		name   string
		tear   func(b []byte) []byte
		sealed uint64
		index  bool // the one of a clean stop is kept
		torn   bool
		damage string
	}{
		{"a beginning of the last record", func(b []byte) []byte { return b[:last.offset+200] }, 99, false, true, ""},
		{"a beginning of its fixed part", func(b []byte) []byte { return b[:last.offset+3] }, 99, false, true, ""},
		{"a page of it never written", func(b []byte) []byte { clear(b[last.offset+100 : last.offset+600]); return b }, 99, false, true, ""},
		{"its place and no content", func(b []byte) []byte { clear(b[last.offset:]); return b }, 99, false, true, ""},
		{"nothing of it", func(b []byte) []byte { return b[:last.offset] }, 99, false, false, ""},
		{"a beginning of a record that was sealed", func(b []byte) []byte { return b[:last.offset+200] }, 100, false, false, "truncated 100-100 4.blk"},
		{"a beginning of a record that the index had seen", func(b []byte) []byte { return b[:last.offset+200] }, 99, true, false, "truncated 100-100 4.blk"},
		{"nothing of a record that the index had seen", func(b []byte) []byte { return b[:last.offset] }, 99, true, false, "rolled back 100-100 "},
		{"an altered record before the last one", func(b []byte) []byte { b[last.offset-30] ^= 1; return b }, 98, false, false, "modified 99-99 4.blk"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := copyStream(t, orig)
			edit(t, blockFile(s, 4), tt.tear)
			if !tt.index {
				ok(t, os.Remove(filepath.Join(s.Dir, "msgs", "index.db")))
			}
			r := must[blocks.Report](t)(s.Scan(blocks.Options{Sealed: tt.sealed}, func(r blocks.Record) error {
				return want[r.Sequence-1].equal(r)
			}))
			if got := summary(r); got != tt.damage || (r.Torn != nil) != tt.torn {
				t.Errorf("found %q and the torn tail %+v, want %q and %v", got, r.Torn, tt.damage, tt.torn)
			}
		})
	}
}

// Whatever is done to the files of a sealed log is told, and every record that
// is handed over is what was stored.
func TestScanMissesNoMutation(t *testing.T) {
	for _, c := range []jetstream.StoreCompression{jetstream.NoCompression, jetstream.S2Compression} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			orig, want := newLog(t, 100, 900, small(logConfig(c)))
			s := copyStream(t, orig)
			chance := rand.New(rand.NewPCG(1, 2))
			for round := range 400 {
				path := blockFile(s, 1+chance.IntN(4))
				before := must[[]byte](t)(os.ReadFile(path))
				after, what := mutate(chance, slices.Clone(before))
				if bytes.Equal(before, after) {
					continue
				}
				ok(t, os.WriteFile(path, after, 0o600))
				r := must[blocks.Report](t)(s.Scan(blocks.Options{Sealed: 100, Subjects: logConfig(c).Subjects}, func(r blocks.Record) error {
					if err := want[r.Sequence-1].equal(r); err != nil {
						return fmt.Errorf("round %d, %s of %s: record %d: %w", round, what, path, r.Sequence, err)
					}
					return nil
				}))
				if r.Damages == nil {
					t.Fatalf("round %d, %s of %s: nothing is told: %+v", round, what, path, r)
				}
				ok(t, os.WriteFile(path, before, 0o600))
			}
		})
	}
}

func mutate(chance *rand.Rand, b []byte) ([]byte, string) {
	i, j := chance.IntN(len(b)), chance.IntN(len(b))
	i, j = min(i, j), max(i, j)+1
	switch chance.IntN(6) {
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
	case 4:
		return slices.Insert(b, i, b[i:j]...), fmt.Sprintf("a repetition of %d to %d", i, j)
	default:
		chance.Shuffle(min(j-i, 64), func(x, y int) { b[i+x], b[i+y] = b[i+y], b[i+x] })
		return b, fmt.Sprintf("a shuffle at %d", i)
	}
}
