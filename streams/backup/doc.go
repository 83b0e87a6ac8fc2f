// Package backup copies all that an organisation's state depends on into one
// file, while it is written to, and puts it back: the log, the buckets with the
// sealed keys, and the folder of checkpoints and sealed segments. What is derived (audit
// trail, snapshots) is not in it, and neither is the key-encryption key: whoever
// has a backup alone opens no signing key.
//
// A backup is a tar, compressed with zstd:
//
//	sallyport-backup.json                      what this is, so that a newer form is known at once
//	orgs/<org>/seal/…                          the seal folder, file by file
//	orgs/<org>/streams/<stream>/stream.json    configuration and state
//	orgs/<org>/streams/<stream>/<sequence>     messages from that sequence on
//	manifest.json                              the last: every file's SHA-256, and what the backup holds
//
// A message is a line of JSON (sequence, subject, time, and how many bytes of
// header and body follow), those bytes as they are stored, and a line break. So a
// person can read a backup with tar and without Sallyport, and no version of NATS
// has to know it.
//
// # One moment
//
// The log is copied as of one moment, and everything acknowledged before the
// backup began is before that moment. Beside the log, order matters:
//
//   - The seal folder is copied before that moment: it may prove less than the
//     log holds, never more, since a log that is shorter than its checkpoint is refused as rolled back.
//   - A private key is put into its bucket before the log names it and destroyed after the log retires it. So
//     neither order of bucket and log is right if keys are rotated in between: bucket first can lack a new key, log
//     first a key that was still in use. The bucket is copied first, and after the
//     moment of the log is fixed it is looked at again: if anything was written to it, both are begun anew.
package backup
