package trail

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/token"
)

// Activity is what came of the exchanges of one connection.
type Activity struct {
	LastIssued, LastDenied time.Time // by the trail; zero is never
	// Issued and Denied are counts by hour, oldest first; the last is the hour
	// that was asked for. Denials that were only counted are in it.
	Issued, Denied []int
}

// What came of exchanges is counted as it is folded: a list of a hundred
// connections cannot look for a million events. A row is a connection's hour
// since 1970; the one of everHour is all of them together. A count that flips on
// disk draws a wrong line, and nothing more: no filter and no sentence is of it.
const (
	everHour  = math.MaxInt64
	keptHours = 8 * 24 // before the newest of a connection

	addActivity = `INSERT INTO activity VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
		issued = issued + excluded.issued, denied = denied + excluded.denied,
		last_issued = max(last_issued, excluded.last_issued), last_denied = max(last_denied, excluded.last_denied)`
	dropActivity = `DELETE FROM activity WHERE connection = ? AND hour < ?`
)

// Everything stands for all connections together, where [Trail.Activity] takes a name.
const Everything = ""

// exchanged is how many exchanges an event tells of.
func exchanged(e domain.Event) (issued, denied int64) {
	switch e := e.(type) {
	case token.WasIssued:
		return 1, 0
	case token.WasDenied:
		return 0, 1
	case token.DenialsWereSuppressed:
		return 0, int64(min(e.Count, math.MaxInt32))
	}
	return 0, 0
}

// counts is a row of the table activity without its key.
type counts struct{ issued, denied, lastIssued, lastDenied int64 }

func (c counts) with(r row) counts {
	c.issued, c.denied = c.issued+r.issued, c.denied+r.denied
	if r.issued > 0 {
		c.lastIssued = max(c.lastIssued, r.time)
	}
	if r.denied > 0 {
		c.lastDenied = max(c.lastDenied, r.time)
	}
	return c
}

// countActivity adds what rows tell, and forgets hours that are long over.
func countActivity(add, drop *sql.Stmt, rows []row) error {
	type key struct {
		connection string
		hour       int64
	}
	hours, newest := map[key]counts{}, map[string]int64{}
	for _, r := range rows {
		if r.connection == "" || r.issued+r.denied == 0 {
			continue
		}
		hour := hourOf(r.time)
		for _, connection := range []string{r.connection, Everything} {
			newest[connection] = max(newest[connection], hour)
			for _, h := range []int64{hour, everHour} {
				k := key{connection, h}
				hours[k] = hours[k].with(r)
			}
		}
	}
	for k, c := range hours {
		if _, err := add.Exec(k.connection, k.hour, c.issued, c.denied, c.lastIssued, c.lastDenied); err != nil {
			return err
		}
	}
	for connection, hour := range newest {
		if _, err := drop.Exec(connection, hour-keptHours); err != nil {
			return err
		}
	}
	return nil
}

func hourOf(nanoseconds int64) int64 { return nanoseconds / int64(time.Hour) }

// Activity is what came of the exchanges of those connections in the hours up to
// now, at most a week of them. One that never had any is not in it.
func (t *Trail) Activity(ctx context.Context, connections []string, now time.Time, hours int) (map[string]Activity, error) {
	names, err := json.Marshal(connections)
	if err != nil {
		return nil, err
	}
	var out map[string]Activity
	err = t.read(ctx, func(f *file) (err error) {
		out, err = f.activity(ctx, string(names), hourOf(nanoseconds(now)), hours)
		return err
	})
	return out, err
}

func (f *file) activity(ctx context.Context, names string, last int64, hours int) (map[string]Activity, error) {
	first := last - int64(hours) + 1
	rows, err := f.reader.QueryContext(ctx, `SELECT connection, hour, issued, denied, last_issued, last_denied FROM activity
		WHERE connection IN (SELECT value FROM json_each(?)) AND hour >= ?`, names, first)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]Activity{}
	for rows.Next() {
		var connection string
		var hour int64
		var c counts
		if err := rows.Scan(&connection, &hour, &c.issued, &c.denied, &c.lastIssued, &c.lastDenied); err != nil {
			return nil, err
		}
		a, known := out[connection]
		if !known {
			a = Activity{Issued: make([]int, hours), Denied: make([]int, hours)}
		}
		switch {
		case hour == everHour:
			a.LastIssued, a.LastDenied = instant(c.lastIssued), instant(c.lastDenied)
		case hour <= last: // else by a clock that is ahead
			a.Issued[hour-first], a.Denied[hour-first] = int(c.issued), int(c.denied)
		}
		out[connection] = a
	}
	return out, cmp.Or(rows.Err(), ctx.Err())
}

// instant is a time as the file has it.
func instant(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds).UTC()
}
