// Package repair holds an organisation's store against its seal, without a
// server, and makes a new store of what is whole: the sealed commits from the
// segments, and what survives behind the newest checkpoint from the damaged store.
//
// The new store is written as block files ([blocks.Writer]), and not by giving the
// commits to a server again: that would store them at another time, which freshness
// and replay of the log go by, and at 36,000 events a second; files keep the time and are
// written as fast as the disk takes them. The server makes the index itself.
//
// [Check] is what the embedded server asks before it opens a store, since
// opening one cuts off whatever is damaged. [Inspect] is the same for people, and
// [Plan] with [Plan.Do] puts things right. Nothing here decides what an event means, and
// nothing is ever deleted: what is replaced is kept aside.
package repair
