package blocks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"strconv"
	"time"

	"github.com/minio/highwayhash"
)

// Sizes and marks of a record.
const (
	fixedSize    = 22 // what comes before the subject
	checksumSize = 8
	smallest     = fixedSize + checksumSize
	largest      = 32 << 20 // the server takes a longer one for damage

	headerBit    = 1 << 31
	erasedBit    = 1 << 63
	tombstoneBit = 1 << 62
)

// Record is one message as stored. Its bytes belong to the scan and are gone
// when the function they were handed to returns.
type Record struct {
	Sequence uint64
	Stored   time.Time // by the clock of the server that stored it
	Subject  []byte
	// Header is the NATS header block, from its version line to its empty line; nil: none.
	Header []byte
	Body   []byte

	File   string // name of its block
	Offset int64  // of the record among the block's records
}

// raw is a record as it lies in a block, its sequence with its marks.
type raw struct {
	sequence              uint64
	nanos                 int64
	subject, header, body []byte
	size                  int
}

// sum computes checksums for one block, or for a stream's other files.
type sum struct {
	h   hash.Hash64
	out [checksumSize]byte
}

// blockSum is the checksum of the records of block number index of the stream.
func blockSum(stream string, index int) *sum {
	return newSum(stream + "-" + strconv.Itoa(index))
}

func newSum(name string) *sum {
	key := sha256.Sum256([]byte(name))
	h, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		panic(err) // the key is 32 bytes long
	}
	return &sum{h: h}
}

// of is the checksum of a record: sequenced are its sequence and time as stored.
func (s *sum) of(sequenced []byte, parts ...[]byte) []byte {
	s.h.Reset()
	s.h.Write(sequenced)
	for _, p := range parts {
		s.h.Write(p)
	}
	return s.h.Sum(s.out[:0])
}

// fault is why bytes are no record. size is the record's own length where
// that is plausible, so that the next record may begin behind it.
type fault struct {
	text string
	size int
	// short: the block ends before the record does.
	short bool
}

// parse reads the record at the start of b.
func parse(b []byte, s *sum) (raw, *fault) {
	if len(b) < smallest {
		return raw{}, &fault{text: fmt.Sprintf("the block ends %d bytes into a record", len(b)), short: true}
	}
	le := binary.LittleEndian
	length, subject := le.Uint32(b), int(le.Uint16(b[20:]))
	hasHeader := length&headerBit != 0
	size := int(length &^ headerBit)
	names := subject
	if hasHeader {
		names += 4
	}
	switch {
	case size < smallest || size > largest || names > size-smallest:
		return raw{}, &fault{text: fmt.Sprintf("no record can be %d bytes long with a subject of %d", size, subject)}
	case size > len(b):
		return raw{}, &fault{text: fmt.Sprintf("the block ends %d bytes into a record of %d", len(b), size), short: true}
	}
	r := raw{sequence: le.Uint64(b[4:]), nanos: int64(le.Uint64(b[12:])), size: size}
	data := b[fixedSize : size-checksumSize]
	r.subject, r.body = data[:subject], data[names:]
	if !bytes.Equal(s.of(b[4:20], r.subject, r.body), b[size-checksumSize:size]) {
		return raw{}, &fault{text: "its checksum is wrong", size: size}
	}
	if !hasHeader {
		return r, nil
	}
	n := int(le.Uint32(data[subject:]))
	if n > len(r.body) {
		return raw{}, &fault{text: fmt.Sprintf("its header cannot be %d bytes long", n), size: size}
	}
	r.header, r.body = r.body[:n:n], r.body[n:]
	return r, r.checkHeader()
}

var (
	headerBegins = []byte("NATS/1.0\r\n")
	headerEnds   = []byte("\r\n\r\n")
)

// checkHeader wants the header to end where its length says: the checksum
// covers header and body as one, and not where one ends.
func (r raw) checkHeader() *fault {
	if !bytes.HasPrefix(r.header, headerBegins) || bytes.Index(r.header, headerEnds) != len(r.header)-len(headerEnds) {
		return &fault{text: "its header does not end where its length says", size: r.size}
	}
	return nil
}

// appendRecord appends a record in the stored form.
func appendRecord(b []byte, s *sum, r Record) ([]byte, error) {
	size := smallest + len(r.Subject) + len(r.Body)
	length := uint32(0)
	if len(r.Header) > 0 {
		size += 4 + len(r.Header)
		length = headerBit
	}
	if size > largest || len(r.Subject) > 1<<16-1 {
		return b, fmt.Errorf("record %d is %d bytes long, and at most %d can be stored", r.Sequence, size, largest)
	}
	le := binary.LittleEndian
	start := len(b)
	b = le.AppendUint32(b, length|uint32(size))
	b = le.AppendUint64(b, r.Sequence)
	b = le.AppendUint64(b, uint64(r.Stored.UnixNano()))
	b = le.AppendUint16(b, uint16(len(r.Subject)))
	b = append(b, r.Subject...)
	if len(r.Header) > 0 {
		b = le.AppendUint32(b, uint32(len(r.Header)))
		b = append(b, r.Header...)
	}
	b = append(b, r.Body...)
	return append(b, s.of(b[start+4:start+20], r.Subject, r.Header, r.Body)...), nil
}
