package trail

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"sallyport.dev/domain"
)

// ErrCursorFilter refuses a cursor that was given for other filters or another order.
var ErrCursorFilter = domain.Invalid("cursor.filter",
	"This cursor was given for other filters or another order; start again without after.")

// ErrCursor refuses text that is no cursor of ours.
var ErrCursor = domain.Invalid("cursor.invalid",
	"after is not a cursor that this API gave out; start again without after.")

// A cursor is version, order, sequence, index and a hash of the filters, in
// base64url. The hash keeps a client from continuing another question by
// accident; a forged cursor shows nothing that its holder may not read.
const (
	cursorVersion = 1
	cursorBytes   = 1 + 1 + 8 + 2 + 12
)

// EncodeCursor is the After that makes q begin right after position p: behind
// it in q's order. The zero position is the beginning in either order. It is
// how a Last-Event-ID becomes a cursor.
func EncodeCursor(q Query, p domain.Position) string {
	b := make([]byte, 0, cursorBytes)
	b = append(b, cursorVersion, orderByte(q.Order))
	b = binary.BigEndian.AppendUint64(b, p.Sequence)
	b = binary.BigEndian.AppendUint16(b, uint16(min(p.Index, math.MaxUint16)))
	h := filterHash(q)
	b = append(b, h[:12]...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// DecodeCursor is the position in a cursor that [EncodeCursor] gave for the
// same filters and order: [ErrCursorFilter] for others, [ErrCursor] for what is
// not a cursor. Only the one canonical form is taken.
func DecodeCursor(q Query, cursor string) (domain.Position, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) != cursorBytes || b[0] != cursorVersion {
		return domain.Position{}, ErrCursor
	}
	p := domain.Position{
		Sequence: binary.BigEndian.Uint64(b[2:]),
		Index:    int(binary.BigEndian.Uint16(b[10:])),
	}
	if base64.RawURLEncoding.EncodeToString(b) != cursor || p.Sequence > maxSequence {
		return domain.Position{}, ErrCursor // the decoder skips line ends
	}
	if EncodeCursor(q, p) != cursor {
		return domain.Position{}, ErrCursorFilter
	}
	return p, nil
}

func orderByte(order string) byte {
	if order == Descending {
		return 'd'
	}
	return 'a'
}

// filterHash is a hash of every filter of q, unambiguous whatever they hold.
func filterHash(q Query) [sha256.Size]byte {
	var b []byte
	for _, s := range []string{
		q.Type, q.Actor, q.Connection, q.Workload, q.Outcome, q.RequestID, q.Q, stamp(q.Since), stamp(q.Until),
	} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return sha256.Sum256(b)
}

// stamp is the instant, the same in whatever zone it was written.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Unix(), 10) + "." + strconv.Itoa(t.Nanosecond())
}
