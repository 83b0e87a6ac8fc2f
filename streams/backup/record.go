package backup

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"sallyport.dev/streams"
)

// recordHead is the line before a message's bytes.
type recordHead struct {
	Sequence uint64    `json:"sequence"`
	Subject  string    `json:"subject"`
	Time     time.Time `json:"time"`
	Header   int       `json:"header"` // bytes that follow
	Body     int       `json:"body"`   // bytes that follow those
}

// maxMessage bounds one message of a backup, in bytes; the server takes 1 MiB.
const maxMessage = 8 << 20

// appendRecord is b and a message.
func appendRecord(b []byte, r streams.Record) ([]byte, error) {
	head, err := json.Marshal(recordHead{r.Sequence, r.Subject, r.Time.UTC(), len(r.Header), len(r.Body)})
	if err != nil {
		return nil, fmt.Errorf("writing message %d: %w", r.Sequence, err)
	}
	b = append(append(b, head...), '\n')
	b = append(append(b, r.Header...), r.Body...)
	return append(b, '\n'), nil
}

// readRecord reads the next message, io.EOF after the last.
func readRecord(r *bufio.Reader) (streams.Record, error) {
	line, err := r.ReadSlice('\n') // no longer than the buffer
	if err == io.EOF && len(line) == 0 {
		return streams.Record{}, io.EOF
	}
	if err != nil {
		return streams.Record{}, fmt.Errorf("reading a message: %w", noEOF(err))
	}
	var h recordHead
	if err := json.Unmarshal(line, &h); err != nil {
		return streams.Record{}, fmt.Errorf("reading a message: %w", err)
	}
	if h.Header < 0 || h.Body < 0 || h.Header > maxMessage || h.Body > maxMessage-h.Header {
		return streams.Record{}, fmt.Errorf("message %d says that it has %d and %d bytes", h.Sequence, h.Header, h.Body)
	}
	b := make([]byte, h.Header+h.Body+1)
	if _, err := io.ReadFull(r, b); err != nil {
		return streams.Record{}, fmt.Errorf("reading message %d: %w", h.Sequence, noEOF(err))
	}
	if b[len(b)-1] != '\n' {
		return streams.Record{}, fmt.Errorf("message %d is longer than it says", h.Sequence)
	}
	out := streams.Record{Sequence: h.Sequence, Subject: h.Subject, Time: h.Time, Body: b[h.Header : h.Header+h.Body]}
	if h.Header > 0 {
		out.Header = b[:h.Header:h.Header]
	}
	return out, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
