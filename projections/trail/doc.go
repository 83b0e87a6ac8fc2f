// Package trail answers what happened: every event of an organisation's log in
// one SQLite file, with filters, full text and a live tail. It is the only
// package that imports SQLite.
//
// The file is a fold over the log and may be thrown away at any time: it is
// rebuilt from the log. How far it was folded is written in the transaction
// that writes the rows, so a process killed at any instant neither loses nor
// doubles an event. A file that is found to be corrupt is set aside and folded
// anew, and the operator is told.
//
//	             Apply (in order, no gap)
//	log ─────────────────────────────────▶ file ──▶ Query, All, Subscription
//	 ▲                                      │
//	 └── from the first event ◀── set aside ┘  when corrupt
//
// It never decides anything, and nothing that opens a door reads it.
package trail
