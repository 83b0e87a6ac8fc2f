// Package vault keeps the values of secrets, and of the passwords of vaulted
// accounts. It decides nothing: who may have a value, and whether it is
// destroyed, is in the log, and whoever calls has recorded it.
//
// Each version has a data key of its own (AES-256-GCM), which seals the value
// and is itself sealed by the organisation's key-encryption key. Both seals
// are bound to the organisation, the resource, the account, the version and
// the id, so that nothing in the bucket can take another's place:
//
//	<id>.key     the data key, sealed by the key-encryption key
//	<id>.value   the value, sealed by the data key
//	hash         the key of [Vault.Hash], sealed by the key-encryption key
//
// Destroying a version overwrites its data key. The server keeps one value of
// each key and takes older ones off the disk when it compacts; a backup made
// before still has both.
//
// No value is ever printed, logged or in an error.
package vault
