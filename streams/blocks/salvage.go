package blocks

import (
	"errors"
	"io/fs"
	"time"
)

// Salvage hands over every record whose checksum holds, in whatever order and
// however often it is there, also one that lies in a block of another name. It is for
// a stream that is known to be damaged; subjects are as in [Options].
func (s Stream) Salvage(subjects []string, each func(Record) error) error {
	all, err := files(s.blocks())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	w := &walk{stream: s.Name(), o: Options{Subjects: subjects}, files: all, next: 1}
	return eachBlock(all, func(b block) error {
		owner := b.index
		if len(b.records) > 0 {
			if other := w.owner(b); other != 0 {
				owner = other
			}
		}
		sum := blockSum(s.Name(), owner)
		for at := 0; at < len(b.records); {
			r, bad := w.parse(b.records[at:], sum)
			if bad != nil {
				at = w.resume(b.records, at, sum, bad)
				continue
			}
			if r.sequence > 0 && r.sequence < tombstoneBit {
				w.next = max(w.next, r.sequence+1)
				if err := each(Record{
					Sequence: r.sequence, Stored: time.Unix(0, r.nanos).UTC(), Subject: r.subject, Header: r.header, Body: r.body,
					File: b.name(), Offset: int64(at),
				}); err != nil {
					return err
				}
			}
			at += r.size
		}
		return nil
	})
}
