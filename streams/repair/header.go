package repair

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"sallyport.dev/streams/blocks"
	"sallyport.dev/streams/seal"
)

// encodeHeader makes the header block of a message. The order of its lines is
// that of their names: who stored the message wrote them in any order.
func encodeHeader(header map[string][]string) []byte {
	if len(header) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("NATS/1.0\r\n")
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, v := range header[name] {
			b.WriteString(name + ": " + v + "\r\n")
		}
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// sameHeader tells whether two header blocks have the same lines, in any order.
func sameHeader(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, y := bytes.Split(a, []byte("\r\n")), bytes.Split(b, []byte("\r\n"))
	slices.SortFunc(x, bytes.Compare)
	slices.SortFunc(y, bytes.Compare)
	return slices.EqualFunc(x, y, bytes.Equal)
}

// stored is a sealed commit as a record.
func stored(r seal.Record) blocks.Record {
	return blocks.Record{
		Sequence: r.Sequence, Stored: r.StoredAt, Subject: []byte(r.Subject), Header: encodeHeader(r.Header), Body: r.Body,
	}
}

// differs names the first part of a record that is not as sealed, "" if all is.
func differs(r blocks.Record, sealed seal.Record) string {
	want := stored(sealed)
	switch {
	case !bytes.Equal(r.Body, want.Body):
		return "body"
	case !bytes.Equal(r.Subject, want.Subject):
		return "subject"
	case !r.Stored.Equal(want.Stored):
		return "time"
	case !sameHeader(r.Header, want.Header):
		return "header"
	}
	return ""
}
