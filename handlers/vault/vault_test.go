package vault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/vault"
	"sallyport.dev/streams"
)

// telltale is a value that must be nowhere but where it was put.
const telltale = "a telltale value, 0f3a7c"

var (
	ctx   = context.Background()
	owner = vault.Owner{Ref: "secret/payments/db/password", Version: 1}
)

const (
	one = "01KASE0000000000000000000A"
	two = "01KASE0000000000000000000B"
)

// safe is a bucket of its own, and the vaults that are opened on it.
type safe struct {
	t      *testing.T
	bucket *streams.Bucket
	sealer *jose.Sealer
}

func newSafe(t *testing.T) *safe {
	t.Helper()
	t.Parallel()
	w := orgtest.New(t)
	bucket, err := w.Conn.Bucket(t.Context(), "SECRETS_elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	return &safe{t, bucket, newSealer(t)}
}

func newSealer(t *testing.T) *jose.Sealer {
	t.Helper()
	kek, err := jose.NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.ParseKEK(kek)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *safe) open(org domain.Name) *vault.Vault {
	s.t.Helper()
	v, err := vault.Open(ctx, s.bucket, s.sealer, org)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

func put(t *testing.T, v *vault.Vault, id string, o vault.Owner, value string) {
	t.Helper()
	if err := v.Put(ctx, id, o, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

// lost wants the value not to be had, and nothing of it to be told.
func lost(t *testing.T, v *vault.Vault, id string, o vault.Owner) {
	t.Helper()
	got, err := v.Reveal(ctx, id, o)
	if !errors.Is(err, vault.ErrLost) || len(got) > 0 {
		t.Errorf("it revealed %q, %v, want %v", got, err, vault.ErrLost)
	}
}

func TestAValueComesBackAsItWasPut(t *testing.T) {
	s := newSafe(t)
	v := s.open("default")
	for i, value := range []string{"x", telltale, "line\nbreaks\r\n", "zero\x00byte", "日本語 ✓", strings.Repeat("x", vault.MaxValue)} {
		id := fmt.Sprintf("01KASE000000000000000000%02d", i)
		put(t, v, id, owner, value)
		for _, reader := range []*vault.Vault{v, s.open("default")} {
			if got, err := reader.Reveal(ctx, id, owner); err != nil || string(got) != value {
				t.Errorf("of %.20q it reveals %.20q, %v", value, got, err)
			}
		}
	}
	for _, value := range []string{"", strings.Repeat("x", vault.MaxValue+1)} {
		if err := v.Put(ctx, two, owner, []byte(value)); !errors.Is(err, vault.ErrSize) {
			t.Errorf("of %d bytes it says %v", len(value), err)
		}
	}
}

// Whoever can write into the bucket can put the sealed text of one thing in the
// place of another, and it opens for nobody.
func TestAValueOpensForItsOwnerAlone(t *testing.T) {
	s := newSafe(t)
	v := s.open("default")
	put(t, v, one, owner, telltale)
	password := vault.Owner{Ref: "server/db-1", Account: "dba", Version: 1}
	put(t, v, two, password, telltale)
	for name, o := range map[string]vault.Owner{
		"another version":        {Ref: owner.Ref, Version: 2},
		"another path":           {Ref: "secret/payments/db", Version: 1},
		"a path in another case": {Ref: "secret/payments/db/Password", Version: 1},
		"a path with a slash":    {Ref: owner.Ref + "/", Version: 1},
		"an account":             {Ref: owner.Ref, Account: "dba", Version: 1},
		"a server":               {Ref: "server/db-1", Version: 1},
	} {
		t.Run(name, func(t *testing.T) { lost(t, v, one, o) })
	}
	lost(t, v, two, vault.Owner{Ref: "server/db-1", Account: "admin", Version: 1})
	lost(t, v, two, vault.Owner{Ref: "server/db-2", Account: "dba", Version: 1})

	// Of two versions of one secret, what seals them is swapped in the bucket.
	later := vault.Owner{Ref: owner.Ref, Version: 2}
	const three = "01KASE0000000000000000000C"
	put(t, v, three, later, "the new value")
	for _, suffix := range []string{".key", ".value"} {
		a, b := s.get(one+suffix), s.get(three+suffix)
		s.put(one+suffix, b)
		s.put(three+suffix, a)
		lost(t, v, one, owner)
		lost(t, v, three, later)
	}
	lost(t, v, three, owner) // both are swapped now: the id is bound, too
}

func (s *safe) get(key string) []byte {
	s.t.Helper()
	b, err := s.bucket.Get(ctx, key)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *safe) put(key string, b []byte) {
	s.t.Helper()
	if err := s.bucket.Put(ctx, key, b); err != nil {
		s.t.Fatal(err)
	}
}

func TestAnotherOrganisationAndAnotherKeyOpenNothing(t *testing.T) {
	s := newSafe(t)
	put(t, s.open("default"), one, owner, telltale)
	if _, err := vault.Open(ctx, s.bucket, s.sealer, "other"); !errors.Is(err, jose.ErrSealed) {
		t.Errorf("another organisation opens it: %v", err)
	}
	if _, err := vault.Open(ctx, s.bucket, newSealer(t), "default"); !errors.Is(err, jose.ErrSealed) {
		t.Errorf("another key-encryption key opens it: %v", err)
	}
	hash := s.get("hash")
	if err := s.bucket.Delete(ctx, "hash"); err != nil {
		t.Fatal(err)
	}
	// Even if the key of hashes were the other's.
	sealed, err := s.sealer.Seal(bytes.Repeat([]byte{1}, 32), "vault hash other")
	if err != nil {
		t.Fatal(err)
	}
	s.put("hash", sealed)
	lost(t, s.open("other"), one, owner)
	s.put("hash", hash)
	if got, err := s.open("default").Reveal(ctx, one, owner); err != nil || string(got) != telltale {
		t.Errorf("its own organisation reads %q, %v", got, err)
	}
}

func TestWhatIsDestroyedIsGone(t *testing.T) {
	s := newSafe(t)
	v := s.open("default")
	put(t, v, one, owner, telltale)
	put(t, v, two, owner, "stays")
	kept := s.get(one + ".value")
	for range 2 { // twice is once
		if err := v.Destroy(ctx, one); err != nil {
			t.Fatal(err)
		}
		lost(t, v, one, owner)
	}
	s.put(one+".value", kept) // as from an old backup of it alone
	lost(t, v, one, owner)
	if err := v.Put(ctx, one, owner, []byte("another")); err == nil {
		t.Error("its id was used again")
	}
	if got, err := v.Reveal(ctx, two, owner); err != nil || string(got) != "stays" {
		t.Errorf("another version reveals %q, %v", got, err)
	}
	if ids, err := v.IDs(ctx); err != nil || len(ids) != 2 || ids[0] != one || ids[1] != two {
		t.Errorf("it has something of %v, %v", ids, err)
	}
}

// stuck is a store that deletes nothing.
type stuck struct{ memory }

func (stuck) Delete(context.Context, string) error { return errDown }

// A destroy that is broken off behind its first step has done what counts: the
// data key is overwritten.
func TestHalfOfADestroyIsEnough(t *testing.T) {
	m := memory{}
	v, err := vault.Open(ctx, stuck{m}, newSealer(t), "default")
	if err != nil {
		t.Fatal(err)
	}
	put(t, v, one, owner, telltale)
	key := m[one+".key"]
	if err := v.Destroy(ctx, one); !errors.Is(err, vault.ErrUnavailable) {
		t.Errorf("it says %v, want %v", err, vault.ErrUnavailable)
	}
	lost(t, v, one, owner)
	if bytes.Equal(m[one+".key"], key) || len(m[one+".value"]) == 0 {
		t.Error("the data key stands, or the value went first")
	}
}

func TestOneOfManyPutsUnderAnIDWins(t *testing.T) {
	s := newSafe(t)
	v := s.open("default")
	var won sync.Map
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if v.Put(ctx, one, owner, fmt.Appendf(nil, "value %d", i)) == nil {
				won.Store(i, true)
			}
		})
	}
	wg.Wait()
	var winners []any
	won.Range(func(i, _ any) bool { winners = append(winners, i); return true })
	if len(winners) > 1 {
		t.Fatalf("%v all won", winners)
	}
	got, err := v.Reveal(ctx, one, owner)
	if len(winners) == 1 && (err != nil || string(got) != fmt.Sprintf("value %d", winners[0])) {
		t.Errorf("%d won and it reveals %q, %v", winners[0], got, err)
	}
	if len(winners) == 0 && err == nil {
		t.Errorf("nobody won and it reveals %q", got)
	}
}

func TestAHashIsKeyedAndBound(t *testing.T) {
	s := newSafe(t)
	v := s.open("default")
	want := v.Hash(owner, []byte(telltale))
	if got := s.open("default").Hash(owner, []byte(telltale)); got != want || len(want) != 43 {
		t.Errorf("another process has hash %q, want %q", got, want)
	}
	seen := map[string]bool{want: true}
	for _, o := range []vault.Owner{
		{Ref: owner.Ref, Version: 2}, {Ref: owner.Ref, Version: 11}, {Ref: owner.Ref, Account: "a", Version: 1}, {Ref: owner.Ref + "1", Version: 1},
	} {
		if h := v.Hash(o, []byte(telltale)); seen[h] {
			t.Errorf("%+v has the hash of another", o)
		} else {
			seen[h] = true
		}
	}
	s2 := newSealer(t)
	other, err := vault.Open(ctx, memory{}, s2, "default")
	if err != nil {
		t.Fatal(err)
	}
	if other.Hash(owner, []byte(telltale)) == want {
		t.Error("two installations have one hash")
	}
	if v.HashText(telltale) == other.HashText(telltale) || v.HashText("a") == v.HashText("b") {
		t.Error("hashes of text are not keyed, or not of the text")
	}
}

// Processes that open a new vault at once have one key of hashes.
func TestAllWhoOpenANewVaultHaveOneKey(t *testing.T) {
	s := newSafe(t)
	hashes := make([]string, 6)
	var wg sync.WaitGroup
	for i := range hashes {
		wg.Go(func() {
			if v, err := vault.Open(ctx, s.bucket, s.sealer, "default"); err != nil {
				t.Error(err)
			} else {
				hashes[i] = v.Hash(owner, []byte("x"))
			}
		})
	}
	wg.Wait()
	for _, h := range hashes {
		if h != hashes[0] {
			t.Fatalf("they have different keys: %v", hashes)
		}
	}
}

// memory is a store that has nothing, or cannot be reached.
type memory map[string][]byte

var errDown = errors.New("nobody answers")

func (m memory) Put(_ context.Context, key string, val []byte) error {
	m[key] = val
	return nil
}

func (m memory) Create(_ context.Context, key string, val []byte) error {
	if _, there := m[key]; there {
		return streams.ErrKeyTaken
	}
	m[key] = val
	return nil
}

func (m memory) Get(_ context.Context, key string) ([]byte, error) {
	if b, ok := m[key]; ok {
		return b, nil
	}
	return nil, streams.ErrNoKey
}

func (m memory) Delete(_ context.Context, key string) error {
	delete(m, key)
	return nil
}

func (m memory) Keys(context.Context) (keys []string, err error) { return nil, nil }

// down is a store that was there when the vault was opened.
type down struct {
	memory
	is bool
}

func (d *down) Get(ctx context.Context, key string) ([]byte, error) {
	if d.is {
		return nil, errDown
	}
	return d.memory.Get(ctx, key)
}

func (d *down) Create(ctx context.Context, key string, val []byte) error {
	if d.is {
		return errDown
	}
	return d.memory.Create(ctx, key, val)
}

func (d *down) Put(ctx context.Context, key string, val []byte) error {
	if d.is {
		return errDown
	}
	return d.memory.Put(ctx, key, val)
}

func (d *down) Keys(context.Context) ([]string, error) { return nil, errDown }

// Who cannot look does not say that there is nothing.
func TestAVaultThatCannotBeReachedIsUnavailable(t *testing.T) {
	d := &down{memory: memory{}}
	v, err := vault.Open(ctx, d, newSealer(t), "default")
	if err != nil {
		t.Fatal(err)
	}
	put(t, v, one, owner, telltale)
	d.is = true
	_, reveal := v.Reveal(ctx, one, owner)
	_, ids := v.IDs(ctx)
	for what, err := range map[string]error{
		"reveal": reveal, "list": ids, "put": v.Put(ctx, two, owner, []byte(telltale)), "destroy": v.Destroy(ctx, one),
	} {
		if !errors.Is(err, vault.ErrUnavailable) || errors.Is(err, vault.ErrLost) {
			t.Errorf("%s: %v, want %v", what, err, vault.ErrUnavailable)
		}
	}
}

// What is in the bucket, what a vault prints, and every error is without the value.
func TestTheValueIsNowhere(t *testing.T) {
	sealer, m := newSealer(t), memory{}
	v, err := vault.Open(ctx, m, sealer, "default")
	if err != nil {
		t.Fatal(err)
	}
	put(t, v, one, owner, telltale)
	var said bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&said, nil))
	log.Info("a vault", "vault", v)
	for key, b := range m {
		if bytes.Contains(b, []byte(telltale)) {
			t.Errorf("%s has the value in the clear", key)
		}
	}
	m[one+".key"][10] ^= 1
	_, altered := v.Reveal(ctx, one, owner)
	again := v.Put(ctx, one, owner, []byte(telltale))
	//lint:ignore SA9005 that there is nothing to print is what is tested
	printed, _ := json.Marshal(v)
	text := fmt.Sprintf("%v %+v %#v %s %v %v %s", v, v, v, said.String(), altered, again, printed)
	if altered == nil || again == nil || strings.Contains(text, telltale) {
		t.Errorf("it says %s", text)
	}
	for _, word := range []string{"telltale", "0f3a7c"} {
		if strings.Contains(text, word) {
			t.Errorf("%q is in %s", word, text)
		}
	}
}
