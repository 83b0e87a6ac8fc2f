package trail

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// applicationID marks an SQLite file as a trail of ours.
	applicationID = 0x53616c70
	// schemaVersion is raised whenever the tables, the marks, the words or the
	// sentences change: a file of another version is folded anew.
	schemaVersion = 4
	// asideSuffix is what a corrupt file is renamed to.
	asideSuffix = ".corrupt"
	// readers is how many questions are answered at once.
	readers = 4
)

// An event's key is sequence<<16 | index, so that the table itself is in the
// order of the log. Its columns are what filters are held against; they are
// found through the index (words.go). The bytes of the events of one commit lie
// together, compressed, since they are much alike. slot has for every minute the first
// and the last key of an event of that time: clocks of replicas differ, so time
// only nearly follows the log. words_sum is the sum of the index, written when
// the file is closed and gone with the first write after it is opened. activity
// counts what came of exchanges (activity.go), bucket how many events there were (buckets.go).
const schema = `
CREATE TABLE event (
	pos        INTEGER PRIMARY KEY,
	time       INTEGER NOT NULL,
	type       TEXT NOT NULL,
	actor      TEXT NOT NULL,
	subject    TEXT NOT NULL,
	connection TEXT NOT NULL,
	workload   TEXT NOT NULL,
	outcome    TEXT NOT NULL,
	request_id TEXT NOT NULL,
	id         TEXT NOT NULL,
	summary    TEXT NOT NULL,
	sum        INTEGER NOT NULL
) STRICT;
CREATE TABLE body (sequence INTEGER PRIMARY KEY, events BLOB NOT NULL, sum INTEGER NOT NULL) STRICT;
CREATE VIRTUAL TABLE words USING fts5(text, content='', columnsize=0, tokenize='ascii');
INSERT INTO words (words, rank) VALUES ('automerge', 8); -- a little more to merge for a question, a good deal less for an event
INSERT INTO words (words, rank) VALUES ('hashsize', 16777216); -- what one transaction adds is written at once, not in pieces that have to be merged
CREATE TABLE slot (slot INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
CREATE TABLE activity (
	connection TEXT NOT NULL, hour INTEGER NOT NULL, issued INTEGER NOT NULL, denied INTEGER NOT NULL,
	last_issued INTEGER NOT NULL, last_denied INTEGER NOT NULL, PRIMARY KEY (connection, hour)
) STRICT, WITHOUT ROWID;
CREATE TABLE bucket (
	span INTEGER NOT NULL, slot INTEGER NOT NULL, type TEXT NOT NULL, outcome TEXT NOT NULL, events INTEGER NOT NULL,
	PRIMARY KEY (span, slot, type, outcome)
) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), applied INTEGER NOT NULL, words_sum INTEGER) STRICT;
INSERT INTO checkpoint VALUES (1, 0, NULL);
`

// A slot has a sum of its own, as an event has, which SQL can work out: addSlot
// takes a slot, its first and its last key, and widens the one that is there.
const (
	slotSum = `(slot % 2147483647 * 31 + first % 2147483647 * 17 + last % 2147483647)`
	addSlot = `INSERT INTO slot SELECT slot, first, last, ` + slotSum + ` FROM (
		SELECT n.slot, min(n.first, coalesce(s.first, n.first)) AS first, max(n.last, coalesce(s.last, n.last)) AS last
		FROM (SELECT ? AS slot, ? AS first, ? AS last) n LEFT JOIN slot s ON s.slot = n.slot
	) WHERE true ON CONFLICT DO UPDATE SET first = excluded.first, last = excluded.last, sum = excluded.sum`
)

// errCorrupt is corruption that we found and SQLite did not.
var errCorrupt = errors.New("the file is corrupt")

// file is an open SQLite file: one connection that writes, several that read.
type file struct {
	writer *sql.DB
	reader *sql.DB

	// Prepared on the writer's only connection; used by the one Apply.
	addEvent, addBody, addWords, addSlot, addActivity, dropActivity, setApplied *sql.Stmt
	body                                                                        *sql.Stmt // of the reader
	buckets                                                                     buckets
}

// openFile opens the file, creating or replacing what is no trail of this
// version, and tells how far it was folded. An error that [isCorrupt] leaves
// the file as it was.
func openFile(ctx context.Context, path string, log *slog.Logger) (*file, uint64, error) {
	if err := prepareFile(path); err != nil {
		return nil, 0, err
	}
	f, applied, err := openVersion(ctx, path)
	if !errors.Is(err, errOtherVersion) {
		return f, applied, err
	}
	log.Info("audit trail has another form: rebuilding it from the log", "file", path)
	if err := removeFile(path); err != nil {
		return nil, 0, err
	}
	if err := prepareFile(path); err != nil {
		return nil, 0, err
	}
	return openVersion(ctx, path)
}

// errOtherVersion is a trail of another schema version.
var errOtherVersion = errors.New("the file has another schema version")

// prepareFile makes the file, for us alone: SQLite would let others read it. A
// write-ahead log without its file belongs to one that was deleted.
func prepareFile(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := removeFile(path); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func openVersion(ctx context.Context, path string) (_ *file, applied uint64, err error) {
	f := &file{}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.writer, err = openDB(path, 1, "_synchronous", "NORMAL", "_txlock", "immediate",
		"_pragma", "cache_size(-32768)", "_pragma", "wal_autocheckpoint(4000)", "_pragma", "journal_size_limit(67108864)"); err != nil {
		return nil, 0, err
	}
	if err := f.ensureSchema(ctx); err != nil {
		return nil, 0, err
	}
	if err := f.prepare(ctx); err != nil {
		if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == sqlite3.SQLITE_ERROR {
			err = fmt.Errorf("%w: it lacks what its version has: %w", errCorrupt, err)
		}
		return nil, 0, err
	}
	if f.reader, err = openDB(path, readers, "_query_only", "1", "_pragma", "cache_size(-4096)"); err != nil {
		return nil, 0, err
	}
	if f.body, err = f.reader.PrepareContext(ctx, `SELECT events, sum FROM body WHERE sequence = ?`); err != nil {
		return nil, 0, err
	}
	err = f.writer.QueryRowContext(ctx, `SELECT applied FROM checkpoint`).Scan(&applied)
	return f, applied, err
}

func openDB(path string, connections int, options ...string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	q := url.Values{"_journal_mode": {"WAL"}, "_busy_timeout": {"10000"}, "_dqs": {"0"}, "_defensive": {"1"}}
	for i := 0; i < len(options); i += 2 {
		q.Add(options[i], options[i+1])
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// ensureSchema writes the tables into an empty file, all or none, and refuses
// any other file that is not a trail of this version.
func (f *file) ensureSchema(ctx context.Context) error {
	var app, version, pages int
	for pragma, to := range map[string]*int{"application_id": &app, "user_version": &version, "page_count": &pages} {
		if err := f.writer.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(to); err != nil {
			return err
		}
	}
	switch {
	case app == applicationID && version == schemaVersion:
		return nil
	case app == applicationID:
		return errOtherVersion
	case app != 0 || version != 0 || pages > 1: // a page is there as soon as WAL was chosen
		return fmt.Errorf("%w: it is not an audit trail", errCorrupt)
	}
	tx, err := f.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing once committed
	create := schema + fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, schemaVersion)
	if _, err := tx.ExecContext(ctx, create); err != nil {
		return err
	}
	return tx.Commit()
}

// standing is the file as it stands: a transaction that only reads, whatever is
// written meanwhile. It has to be ended, and no context ends it: one that ended
// while the file is closed would leave its write-ahead log behind.
func (f *file) standing() (*sql.Tx, error) {
	tx, err := f.reader.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	var applied int64
	if err := tx.QueryRow(`SELECT applied FROM checkpoint`).Scan(&applied); err != nil { // it begins with the first read
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

// check walks the trees of the tables and, if the file was closed and not
// killed, holds the index against its sum: together some two or three seconds
// for a million events. A row that changed in place is found by its own sum when it is
// read; an index that was damaged after a kill, by FTS5, or not at all: the
// unfiltered trail is whole even then.
func check(ctx context.Context, tx *sql.Tx) error {
	for _, table := range []string{"event", "body", "words_data", "words_idx", "slot", "activity", "bucket", "checkpoint"} {
		var verdict string
		if err := tx.QueryRowContext(ctx, `PRAGMA quick_check(`+table+`)`).Scan(&verdict); err != nil {
			return err
		}
		if verdict != "ok" {
			return fmt.Errorf("%w: %s", errCorrupt, verdict)
		}
	}
	var applied, last, body, slots int64
	var sealed sql.NullInt64
	err := tx.QueryRowContext(ctx, `SELECT applied, words_sum, (SELECT coalesce(max(pos), 0) FROM event), (SELECT coalesce(max(sequence), 0) FROM body),
		(SELECT count(*) FROM slot WHERE sum != `+slotSum+`) FROM checkpoint`).Scan(&applied, &sealed, &last, &body, &slots)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && (unpack(last).Sequence != uint64(applied) || body != applied || slots > 0):
		return fmt.Errorf("%w: its checkpoint and its rows disagree", errCorrupt)
	case err != nil || !sealed.Valid:
		return err
	}
	sum, err := wordsSum(ctx, tx)
	if err == nil && sum != sealed.Int64 {
		err = fmt.Errorf("%w: its index is not what was written", errCorrupt)
	}
	return err
}

// asker is a database or a transaction.
type asker interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// wordsSum is a checksum of everything the index keeps on disk.
func wordsSum(ctx context.Context, db asker) (int64, error) {
	sum := crc32.New(castagnoli)
	for _, query := range []string{
		`SELECT id, block, 0 FROM words_data ORDER BY id`,
		`SELECT segid, CAST(term AS BLOB), pgno FROM words_idx ORDER BY segid, term`,
	} {
		rows, err := db.QueryContext(ctx, query)
		if err != nil {
			return 0, err
		}
		defer rows.Close()
		for rows.Next() {
			var a, c int64
			var b sql.RawBytes
			if err := rows.Scan(&a, &b, &c); err != nil {
				return 0, err
			}
			binary.Write(sum, binary.BigEndian, [3]int64{a, int64(len(b)), c}) // a hash takes everything
			sum.Write(b)
		}
		if err := rows.Err(); err != nil {
			return 0, err
		}
	}
	return int64(sum.Sum32()), nil
}

// seal writes the index's sum, for the check when the file is opened again.
func (f *file) seal(ctx context.Context) error {
	sum, err := wordsSum(ctx, f.writer)
	if err != nil {
		return fmt.Errorf("summing the index: %w", err)
	}
	_, err = f.writer.ExecContext(ctx, `UPDATE checkpoint SET words_sum = ?`, sum)
	return err
}

func (f *file) prepare(ctx context.Context) (err error) {
	for sqlText, to := range map[string]**sql.Stmt{
		`INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`: &f.addEvent,
		`INSERT INTO body VALUES (?, ?, ?)`:                             &f.addBody,
		`INSERT INTO words (rowid, text) VALUES (?, ?)`:                 &f.addWords,
		addSlot: &f.addSlot, addActivity: &f.addActivity, dropActivity: &f.dropActivity,
		addBucket: &f.buckets.add, dropBucket: &f.buckets.drop,
		`UPDATE checkpoint SET applied = ?, words_sum = NULL`: &f.setApplied,
	} {
		if *to, err = f.writer.PrepareContext(ctx, sqlText); err != nil {
			return err
		}
	}
	return nil
}

// close closes what is open; readers first, so that the writer is the last
// connection and folds the write-ahead log into the file.
func (f *file) close() error {
	var errs []error
	for _, db := range []*sql.DB{f.reader, f.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// isCorrupt tells whether an error is about the file's content, which a new
// file mends; not about space, permission or the disk.
func isCorrupt(err error) bool {
	if errors.Is(err, errCorrupt) {
		return true
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// setAside renames the file and its write-ahead log together, so that what is
// in them can still be looked at.
func setAside(path string) error {
	if err := removeFile(path + asideSuffix); err != nil {
		return err
	}
	for _, part := range []string{"", "-wal"} { // the file first: a log without its file is dropped, a file without its log may look whole
		if err := os.Rename(path+part, path+asideSuffix+part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return removeFile(path)
}

// removeFile removes a file of SQLite and what belongs to it.
func removeFile(path string) error {
	for _, part := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
