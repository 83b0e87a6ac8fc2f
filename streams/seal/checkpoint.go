package seal

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Names of the files in a folder.
const (
	verifierFile   = "verifier"
	checkpointFile = "checkpoint"
	historyFile    = "history"
	treeFile       = "tree"
	segmentsDir    = "segments"
)

// Text is the checkpoint as it is signed (C2SP tlog-checkpoint): origin, size,
// root in base64, and the extension line "sequence <n>".
func (c Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\nsequence %d\n", c.Origin, c.Size, tlog.Hash(c.Root), c.Sequence)
}

// parseText reads [Checkpoint.Text] back, in its canonical form only.
func parseText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[4] != "" {
		return Checkpoint{}, errors.New("it has not the lines origin, size, root and sequence")
	}
	size, err1 := strconv.ParseUint(lines[1], 10, 62)
	root, err2 := tlog.ParseHash(lines[2])
	seq, found := strings.CutPrefix(lines[3], "sequence ")
	sequence, err3 := strconv.ParseUint(seq, 10, 64)
	c := Checkpoint{Origin: lines[0], Size: size, Root: root, Sequence: sequence}
	if err := errors.Join(err1, err2, err3); err != nil || !found || c.Text() != text {
		return Checkpoint{}, errors.New("its size, root or sequence cannot be read")
	}
	return c, nil
}

// ParseCheckpoint reads a signed note and checks that the verifier's key signed
// it and that it is of the log that the verifier is named after. Signatures of
// others, such as witnesses, may stand beside it.
func ParseCheckpoint(msg []byte, verifier string) (Checkpoint, error) {
	v, err := note.NewVerifier(strings.TrimSpace(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading the verifier of the checkpoints: %w", err)
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checking the signature of a checkpoint: %w", err)
	}
	c, err := parseText(n.Text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: %w", err)
	}
	if c.Origin != v.Name() {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: it is of %q, not of %q", c.Origin, v.Name())
	}
	return c, nil
}

// Verifier is the public key of the checkpoints of a log as a note verifier:
// <origin>+<hash>+<key>. The key is Ed25519.
func Verifier(origin string, public crypto.PublicKey) (string, error) {
	k, ok := public.(ed25519.PublicKey)
	if !ok {
		return "", fmt.Errorf("naming the key of the checkpoints: %T is not an Ed25519 key", public)
	}
	v, err := note.NewEd25519VerifierKey(origin, k)
	if err != nil {
		return "", fmt.Errorf("naming the key of the checkpoints: %w", err)
	}
	return v, nil
}

// signer signs notes with a key that never leaves where it is kept.
type signer struct {
	name string
	hash uint32
	key  crypto.Signer
}

func newSigner(origin string, key crypto.Signer) (*signer, string, error) {
	text, err := Verifier(origin, key.Public())
	if err != nil {
		return nil, "", err
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, "", fmt.Errorf("naming the key of the checkpoints: %w", err)
	}
	return &signer{name: origin, hash: v.KeyHash(), key: key}, text, nil
}

func (s *signer) Name() string    { return s.name }
func (s *signer) KeyHash() uint32 { return s.hash }

// Sign makes the Ed25519 signature (RFC 8032), which is the same however often it is made.
func (s *signer) Sign(msg []byte) ([]byte, error) {
	return s.key.Sign(rand.Reader, msg, crypto.Hash(0))
}

// Newest reads the newest checkpoint of a folder and checks its signature with
// the folder's verifier. It reads alone; a folder without one is not an error.
func Newest(dir string) (cp Checkpoint, found bool, err error) {
	verifier, err := os.ReadFile(filepath.Join(dir, verifierFile))
	name := filepath.Join(dir, checkpointFile)
	msg, msgErr := os.ReadFile(name)
	switch {
	case errors.Is(msgErr, os.ErrNotExist):
		return Checkpoint{}, false, nil
	case msgErr != nil:
		return Checkpoint{}, false, fmt.Errorf("reading the newest checkpoint: %w", msgErr)
	case errors.Is(err, os.ErrNotExist):
		return Checkpoint{}, false, fmt.Errorf("there is a checkpoint and no verifier in %s: %w", dir, err)
	case err != nil:
		return Checkpoint{}, false, fmt.Errorf("reading the verifier of the checkpoints: %w", err)
	}
	if cp, err = ParseCheckpoint(msg, string(verifier)); err != nil {
		return Checkpoint{}, false, fmt.Errorf("%s: %w", name, err)
	}
	if info, err := os.Stat(name); err == nil {
		cp.Time = info.ModTime().UTC()
	}
	return cp, true, nil
}

// A line of the history is a checkpoint with its signature:
//
//	<time> <size> <sequence> <root> <signature>
//
// in RFC 3339, decimal and base64: all of the note but the origin.
func historyLine(cp Checkpoint, signature string) string {
	return fmt.Sprintf("%s %d %d %s %s\n", cp.Time.UTC().Format(time.RFC3339), cp.Size, cp.Sequence, tlog.Hash(cp.Root), signature)
}

// noteOf rebuilds the signed note of a line of the history.
func noteOf(origin, line string) (msg []byte, at time.Time, err error) {
	f := strings.Fields(line)
	if len(f) != 5 {
		return nil, time.Time{}, errors.New("a line of the history has not five fields")
	}
	if at, err = time.Parse(time.RFC3339, f[0]); err != nil {
		return nil, time.Time{}, fmt.Errorf("reading a line of the history: %w", err)
	}
	return fmt.Appendf(nil, "%s\n%s\n%s\nsequence %s\n\n— %s %s\n", origin, f[1], f[3], f[2], origin, f[4]), at, nil
}

// History yields every checkpoint of a folder, oldest first, each with its
// signature checked. What a crash left of a last line is passed over.
func History(dir string) func(yield func(Checkpoint, error) bool) {
	return func(yield func(Checkpoint, error) bool) {
		verifier, err := os.ReadFile(filepath.Join(dir, verifierFile))
		if err != nil {
			yield(Checkpoint{}, fmt.Errorf("reading the verifier of the checkpoints: %w", err))
			return
		}
		f, err := os.Open(filepath.Join(dir, historyFile))
		if err != nil {
			yield(Checkpoint{}, fmt.Errorf("reading the history of checkpoints: %w", err))
			return
		}
		defer f.Close()
		for r := bufio.NewReader(f); ; {
			line, err := r.ReadString('\n')
			if err := unreadable(err); err != nil {
				yield(Checkpoint{}, err)
				return
			}
			if err != nil {
				return // the end, or a line that was never finished
			}
			cp, err := parseLine(line, string(verifier))
			if !yield(cp, err) || err != nil {
				return
			}
		}
	}
}

func parseLine(line, verifier string) (Checkpoint, error) {
	origin, _, _ := strings.Cut(verifier, "+")
	msg, at, err := noteOf(origin, line)
	if err != nil {
		return Checkpoint{}, err
	}
	cp, err := ParseCheckpoint(msg, verifier)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("the history of checkpoints, %q: %w", strings.TrimSpace(line), err)
	}
	cp.Time = at
	return cp, nil
}

// lastLine is the last finished line of the history and where the finished part ends.
func lastLine(f *os.File) (line string, end int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	from := max(0, info.Size()-4096) // a line has some 220 bytes
	tail := make([]byte, info.Size()-from)
	if _, err := f.ReadAt(tail, from); err != nil {
		return "", 0, err
	}
	cut := bytes.LastIndexByte(tail, '\n') + 1
	if cut == 0 {
		return "", from, nil
	}
	begin := bytes.LastIndexByte(tail[:cut-1], '\n') + 1
	return string(tail[begin:cut]), from + int64(cut), nil
}

// note is the signed note of a checkpoint, and the signature by itself.
func (s *signer) note(cp Checkpoint) (msg []byte, signature string, err error) {
	if msg, err = note.Sign(&note.Note{Text: cp.Text()}, s); err != nil {
		return nil, "", fmt.Errorf("signing a checkpoint: %w", err)
	}
	fields := bytes.Fields(msg) // the last line is: — origin signature
	return msg, string(fields[len(fields)-1]), nil
}

// replaceFile puts new content in the place of a file, durably.
func replaceFile(name string, content []byte) error {
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
