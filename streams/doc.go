// Package streams keeps the journal: one log per organisation, every event, in
// order. It is the only package that speaks NATS.
//
// A message of the log is a commit: one or more events, all or none, as a
// CloudEvents 1.0 JSON batch whose bytes are the record. An organisation's log
// is the JetStream stream ORG_<org> with two subjects in one order: control
// (what is true) and activity (what was done with it). [Journal.Commit] writes
// to control if nobody wrote there since; a [Committer] writes to activity if
// control has not moved since the decision; a [Follower] hands every commit to
// the readers, in order, without a gap, or stops.
//
// The package never decides what an event means and never keeps a second copy
// of the log: a read model that is lost is folded again.
package streams
