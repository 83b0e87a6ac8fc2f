// Package blocks reads and writes the files in which JetStream's file store
// keeps a stream, without a server: a server that opens a damaged block cuts it
// off at the damage, silently and for good, so whoever wants to know looks first.
//
// [Stream.Scan] reads and changes nothing. It hands over every record whose
// checksum holds and tells each [Damage] with its file, place and sequences.
// [Writer] writes a new folder that a server opens as its own.
//
// A stream's folder, as nats-server 2.15 has it:
//
//	meta.inf, meta.sum   its configuration as JSON, and that file's checksum in hex
//	msgs/1.blk, 2.blk …  records, oldest first, about 8 MiB a file
//	msgs/index.db        what the server knew of the blocks when it last had time; rebuilt from them
//	obs/                 consumers
//
// A block is records one after the other, or, when it is full and compression is
// on, "cmp", a byte for the algorithm, the plain size (uvarint), an S2 stream of all
// but the last eight bytes, and those. A record, little endian:
//
//	length 4 (bit 31: has a header) · sequence 8 · nanoseconds since 1970 8 · length of the subject 2 ·
//	subject · (length of the header 4 · header) · body · checksum 8
//
// The checksum is HighwayHash-64 over sequence to time, subject, header and body,
// under SHA-256("<stream>-<number of the block>") as its key. So a block under
// another block's name fails, and the three lengths are covered by nothing: they are
// checked by what they must fit. Bit 63 of the sequence marks an erased record, bit 62 the
// deletion of an earlier one. A log has neither.
//
// What a stop without warning leaves behind. The server writes one record with one
// write(2) to the last block and syncs it before it acknowledges, and begins the next one only
// then. So all but the last record of the last block are whole; of that one there may be
// a beginning (a kill: the kernel copies page by page) or any mixture of written and
// empty pages (power), or an empty new block. It was not acknowledged to anybody.
// That is [TornTail], and it is no damage, as long as nothing says that
// the record was once whole: neither a checkpoint nor index.db reaches it.
package blocks
