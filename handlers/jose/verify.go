package jose

import (
	"context"
	"time"

	"sallyport.dev/domain/proof"
)

// Skew is how far the clocks of a provider and ours may be apart.
const Skew = 30 * time.Second

// MaxLifetime is the longest life of a proof, exp minus iat.
const MaxLifetime = 24 * time.Hour

// Rules are what a connection asks of a proof besides its conditions.
type Rules struct {
	Algorithms []string      // allow-list; empty allows nothing
	MaxAge     time.Duration // since iat; zero asks nothing
}

// Found is a KeyFinder's answer.
type Found struct {
	Key   Key
	Known bool      // whether the set holds the kid
	At    time.Time // when the key set was fetched or uploaded
	Stale bool      // the provider could not be reached since the set expired
}

// KeyFinder knows a provider's keys. An error means that no key set can be
// had now (keys.unavailable). Safe for concurrent use.
type KeyFinder interface {
	Find(ctx context.Context, kid string) (Found, error)
}

// Verify checks a proof as far as it can be checked without knowing its
// connection: the checks format, keys, key, algorithm, signature and times,
// always all six and in that order, each failed, passed or skipped. The Proof
// may be used only if [proof.Passed] says so of the checks.
func Verify(ctx context.Context, compact string, rules Rules, src KeyFinder, now time.Time) (proof.Proof, []proof.Check) {
	return proof.Proof{}, []proof.Check{{Check: "format", Result: proof.Fail, Code: "proof.malformed"}}
}
