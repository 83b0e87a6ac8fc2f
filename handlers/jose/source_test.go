package jose

import (
	"testing"
	"time"

	"sallyport.dev/domain/connection"
)

// recordedSet is what the log remembers: the corpus's r1, fetched at some time.
func recordedSet(t testing.TB, version uint64, at time.Time) *connection.KeySet {
	t.Helper()
	set := setOf(t, hostKey(t, "rsa_r1"))
	return &connection.KeySet{Version: version, Keys: set.Public(), KeyIDs: set.KeyIDs(), At: at, SourceURL: "https://" + idp + "/jwks"}
}
