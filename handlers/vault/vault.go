package vault

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/streams"
)

// MaxValue is how many bytes a value may have; it has at least one.
const MaxValue = resource.MaxValueBytes

// Errors of the vault. Any other is the vault's own, and the value is not to be had.
var (
	// ErrUnavailable means that the vault cannot be reached: nobody knows whether
	// the value is there.
	ErrUnavailable = &domain.Error{Kind: domain.KindUnavailable, Code: "vault.unavailable",
		Message: "The vault cannot be reached at the moment. Try again in a few seconds."}
	// ErrLost means that the vault has no such value, or none that opens, though
	// nobody destroyed it.
	ErrLost = &domain.Error{Kind: domain.KindConflict, Code: "secret.lost",
		Message: "The log knows this version and the vault does not have it: restore the vault from a backup, or put a new version."}
	// ErrSize is a value that is empty or too long.
	ErrSize = domain.Invalid("secret.size", "A value is 1 byte to 64 KiB.")
)

// Store is the bucket of an organisation: [streams.Bucket].
type Store interface {
	Put(ctx context.Context, key string, val []byte) error
	Create(ctx context.Context, key string, val []byte) error
	Get(ctx context.Context, key string) ([]byte, error)
	Delete(ctx context.Context, key string) error
	Keys(ctx context.Context) ([]string, error)
}

// Owner is whose a value is. A value opens for the owner it was put for and no other.
type Owner struct {
	Ref     resource.Ref
	Account domain.Name // whose password it is, on a server; "" of a secret
	Version int         // counts from 1
}

// Vault is the values of one organisation. It prints as nothing of them. It is
// safe for concurrent use.
type Vault struct {
	store   Store
	sealer  *jose.Sealer
	org     domain.Name
	hashKey []byte
}

func (v *Vault) String() string       { return "vault of " + v.org.String() }
func (v *Vault) GoString() string     { return v.String() }
func (v *Vault) LogValue() slog.Value { return slog.StringValue(v.String()) }

// Open opens the vault of an organisation. The first time it makes the key of
// its hashes; of several processes that do, one wins and the others take its key.
func Open(ctx context.Context, store Store, sealer *jose.Sealer, org domain.Name) (*Vault, error) {
	v := &Vault{store: store, sealer: sealer, org: org}
	var err error
	if v.hashKey, err = v.openHashKey(ctx); err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	return v, nil
}

const hashName = "hash"

// openHashKey is the organisation's key of hashes, made where there is none.
func (v *Vault) openHashKey(ctx context.Context) ([]byte, error) {
	owner := "vault hash " + v.org.String()
	for try := 0; ; try++ {
		sealed, err := v.store.Get(ctx, hashName)
		if err == nil {
			return v.sealer.Open(sealed, owner)
		}
		// One that another process is storing at this moment is taken, and not there yet.
		if !errors.Is(err, streams.ErrNoKey) || try == hashTries {
			return nil, err
		}
		if err := v.makeHashKey(ctx, owner); err != nil {
			return nil, err
		}
	}
}

// hashTries bounds how often the key of hashes is looked for.
const hashTries = 100

// makeHashKey makes and stores the key of hashes; that somebody else has is no error.
func (v *Vault) makeHashKey(ctx context.Context, owner string) error {
	fresh := make([]byte, sha256.Size)
	defer clear(fresh)
	if _, err := rand.Read(fresh); err != nil {
		return err
	}
	sealed, err := v.sealer.Seal(fresh, owner)
	if err != nil {
		return err
	}
	if err := v.store.Create(ctx, hashName, sealed); !errors.Is(err, streams.ErrKeyTaken) {
		return err
	}
	return nil
}

// binding is the associated data of a seal. None of its parts has a space.
func (v *Vault) binding(what, id string, o Owner) string {
	account := o.Account.String()
	if account == "" {
		account = "-" // which is no name
	}
	return strings.Join([]string{"vault", what, v.org.String(), id, string(o.Ref), account, strconv.Itoa(o.Version)}, " ")
}

// Put seals value and stores it under id, a ULID that was never used. It
// returns once that is durable. That the version exists is the caller's to
// record; one that is not gets destroyed. After an error something may be
// stored: the caller destroys it, or [Vault.IDs] finds it later.
func (v *Vault) Put(ctx context.Context, id string, o Owner, value []byte) error {
	if len(value) == 0 || len(value) > MaxValue {
		return ErrSize
	}
	dataKey := make([]byte, 32)
	defer clear(dataKey)
	if _, err := rand.Read(dataKey); err != nil {
		return err
	}
	cipher, err := subtle.NewAESGCM(dataKey)
	if err != nil {
		return err
	}
	sealedValue, err := cipher.Encrypt(value, []byte(v.binding("value", id, o)))
	if err != nil {
		return fmt.Errorf("sealing a version of %s: %w", o.Ref, err)
	}
	sealedKey, err := v.sealer.Seal(dataKey, v.binding("key", id, o))
	if err != nil {
		return err
	}
	if err := v.store.Create(ctx, id+keySuffix, sealedKey); err != nil {
		return unavailable(err)
	}
	return unavailable(v.store.Create(ctx, id+valueSuffix, sealedValue))
}

const keySuffix, valueSuffix = ".key", ".value"

// Reveal is the value that was put under id for that owner. The caller has
// recorded that it is revealed, and clears it when it is done with it.
// [ErrLost] if there is none, or it does not open; [ErrUnavailable] if nobody knows.
func (v *Vault) Reveal(ctx context.Context, id string, o Owner) ([]byte, error) {
	sealedKey, err := v.get(ctx, id+keySuffix)
	if err != nil {
		return nil, err
	}
	sealedValue, err := v.get(ctx, id+valueSuffix)
	if err != nil {
		return nil, err
	}
	dataKey, err := v.sealer.Open(sealedKey, v.binding("key", id, o))
	if err != nil {
		return nil, errAltered
	}
	defer clear(dataKey)
	cipher, err := subtle.NewAESGCM(dataKey)
	if err != nil {
		return nil, errAltered
	}
	value, err := cipher.Decrypt(sealedValue, []byte(v.binding("value", id, o)))
	if err != nil {
		return nil, errAltered
	}
	return value, nil
}

// errAltered is what does not open.
var errAltered = ErrLost.With("What the vault has of this version does not open: another key-encryption key sealed it, it belongs to something else, or it was changed. Restore the vault from a backup, or put a new version.")

func (v *Vault) get(ctx context.Context, key string) ([]byte, error) {
	b, err := v.store.Get(ctx, key)
	if errors.Is(err, streams.ErrNoKey) {
		return nil, ErrLost
	}
	return b, unavailable(err)
}

// destroyed is put in place of a data key: it is no seal of anything.
var destroyed = []byte("destroyed")

// Destroy makes the value under id unreadable for good: it overwrites the data
// key, then deletes both. It returns once the key is overwritten on disk. What
// is not there is no error, and a second time changes nothing.
func (v *Vault) Destroy(ctx context.Context, id string) error {
	if err := v.store.Put(ctx, id+keySuffix, destroyed); err != nil {
		return unavailable(err)
	}
	if err := v.store.Delete(ctx, id+valueSuffix); err != nil {
		return unavailable(err)
	}
	return unavailable(v.store.Delete(ctx, id+keySuffix))
}

// IDs lists what the vault has something of, sorted: a data key, a value, or both.
func (v *Vault) IDs(ctx context.Context) (ids []string, err error) {
	keys, err := v.store.Keys(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	for _, k := range keys { // sorted, so what is of one id is together
		id, _, ok := strings.Cut(k, ".")
		if ok && (len(ids) == 0 || ids[len(ids)-1] != id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Whole is the ids of which the vault has both data key and value. Whether they
// open is not tried.
func (v *Vault) Whole(ctx context.Context) (map[string]bool, error) {
	keys, err := v.store.Keys(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	halves, whole := map[string]int{}, map[string]bool{}
	for _, k := range keys {
		if id, _, ok := strings.Cut(k, "."); ok {
			halves[id]++
			whole[id] = halves[id] == 2
		}
	}
	return whole, nil
}

// Hash is a keyed hash of a value (HMAC-SHA-256, base64url) under a key that
// only this organisation has: what the log says of a value, by which who holds
// the vault can tell whether a value is the one that was put. It is bound to
// the owner, so that equal values have different hashes.
func (v *Vault) Hash(o Owner, value []byte) string {
	h := hmac.New(sha256.New, v.hashKey)
	// No part has a line break but the value, which is last.
	fmt.Fprintf(h, "%s\n%s\n%d\n", o.Ref, o.Account, o.Version)
	h.Write(value)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// HashText is a keyed hash (HMAC-SHA-256, hex) of text that is no value of an
// owner's, such as a request that has one in it.
func (v *Vault) HashText(text string) string {
	h := hmac.New(sha256.New, v.hashKey)
	// What [Vault.Hash] is made of begins with a reference, which has no space.
	fmt.Fprintf(h, "text %s", text)
	return hex.EncodeToString(h.Sum(nil))
}

// unavailable makes any failure of the bucket one that a caller can act on.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
