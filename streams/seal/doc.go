// Package seal keeps the proof of a log, and its second copy, outside the log's
// own store: every event is a leaf of an RFC 6962 tree, whose root is signed in
// checkpoints (C2SP signed notes), and every commit lies in segments as it was
// stored. It is what a log is held against: the store's own word for itself
// proves nothing.
//
// A folder, DATA/seal/<org>, holds:
//
//	verifier                   the public key of the checkpoints, as a note verifier
//	checkpoint                 the newest one
//	history                    every one, a line each
//	tree                       the hashes of the tree in the order of tlog, 32 bytes each
//	segments/<seq>-<leaf>.seg  commits from sequence seq on, whose first event is leaf number leaf
//	segments/….seg.zst         the same, full and compressed
//
// What a checkpoint says is on disk before the checkpoint is. What lies behind
// the newest checkpoint after a crash is dropped and sealed again from the log.
package seal
