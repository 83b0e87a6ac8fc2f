package session

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
)

// DeviceLife is how long a program waits for somebody to let it log in as them.
const DeviceLife = 10 * time.Minute

// DeviceInterval is how long a program waits between two questions, at first.
const DeviceInterval = 5 * time.Second

// Keys of programs that wait, by the hash of their code, and of the keys of
// those, by the hash of the code that a person types.
const (
	ofDevices   = "d"
	ofUserCodes = "u"
)

// Device is a program that waits to be let in as a person (RFC 8628).
type Device struct {
	Program string        `json:"program"` // what it says it is, up to 200 bytes
	Source  string        `json:"source"`  // network that it asked from
	AskedAt time.Time     `json:"asked_at"`
	Answer  Answer        `json:"answer,omitempty"`
	By      Session       `json:"by,omitzero"` // in which somebody answered
	Polled  time.Time     `json:"polled,omitzero"`
	Every   time.Duration `json:"every"` // how long to wait between two questions
}

// Answer is what a person said to a program that waits.
type Answer string

// What they may say; nothing so far is "".
const (
	Allowed Answer = "allowed"
	Refused Answer = "refused"
)

// Errors of programs that wait, each as RFC 8628 section 3.5 calls it.
var (
	ErrDevicePending = errors.New("nobody has answered yet")
	ErrDeviceHasty   = errors.New("asked again too early")
	ErrDeviceRefused = errors.New("the person refused")
	ErrDeviceOver    = errors.New("the code is nobody's, too old, or was used")
)

// ErrUserCode means that no program waits with that code.
var ErrUserCode = &domain.Error{Kind: domain.KindNotFound, Code: "device.unknown",
	Message: "No program waits with this code: it was mistyped, is older than ten minutes, or was answered. Compare it, or run sallyport login again."}

// codeLetters spell no word, and none is taken for another (RFC 8628 section 6.1).
const codeLetters = "BCDFGHJKLMNPQRSTVWXZ"

var userCodeForm = regexp.MustCompile(`\A[` + codeLetters + `]{8}\z`)

// plainCode is a code as it is hashed, however somebody typed it; "" is none.
func plainCode(typed string) string {
	code := strings.NewReplacer("-", "", " ", "").Replace(strings.ToUpper(strings.TrimSpace(typed)))
	if !userCodeForm.MatchString(code) {
		return ""
	}
	return code
}

// ShownCode is a code as the program shows it, however somebody typed it; what is
// none stays as it is.
func ShownCode(typed string) string {
	code := plainCode(typed)
	if code == "" {
		return typed
	}
	return code[:4] + "-" + code[4:]
}

// newUserCode is 34 bits of chance that a person can type.
func newUserCode() (string, error) {
	var b strings.Builder
	for i := range 8 {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(codeLetters))))
		if err != nil {
			return "", err
		}
		if i == 4 {
			b.WriteByte('-')
		}
		b.WriteByte(codeLetters[n.Int64()])
	}
	return b.String(), nil
}

// AskIn has a program wait: it keeps the device code, and a person types the
// user code. Both are known here and now alone.
func (m *Manager) AskIn(ctx context.Context, d Device) (deviceCode, userCode string, err error) {
	d.AskedAt, d.Every = m.now(), DeviceInterval
	if len(d.Program) > maxUserAgent {
		d.Program = strings.ToValidUTF8(d.Program[:maxUserAgent], "")
	}
	b, err := json.Marshal(d)
	if err != nil {
		return "", "", fmt.Errorf("encoding a program that waits: %w", err)
	}
	deviceCode = newCookie()
	for {
		if userCode, err = newUserCode(); err != nil {
			return "", "", err
		}
		err = m.bucket.Create(ctx, ofUserCodes+"."+hash(plainCode(userCode)), []byte(hash(deviceCode)), DeviceLife)
		if !errors.Is(err, streams.ErrKeyMoved) { // as it is if another program waits with it
			break
		}
	}
	if err == nil {
		err = m.bucket.Create(ctx, ofDevices+"."+hash(deviceCode), b, DeviceLife)
	}
	return deviceCode, userCode, err
}

// Waiting is the program that waits with that user code and was not answered, or [ErrUserCode].
func (m *Manager) Waiting(ctx context.Context, userCode string) (Device, error) {
	d, _, _, err := m.waiting(ctx, userCode)
	return d, err
}

func (m *Manager) waiting(ctx context.Context, userCode string) (d Device, key string, revision uint64, err error) {
	code := plainCode(userCode)
	if code == "" {
		return Device{}, "", 0, ErrUserCode
	}
	of, _, err := m.bucket.Get(ctx, ofUserCodes+"."+hash(code))
	if errors.Is(err, streams.ErrNoKey) {
		return Device{}, "", 0, ErrUserCode
	}
	if err != nil {
		return Device{}, "", 0, err
	}
	key = ofDevices + "." + string(of)
	d, revision, err = m.device(ctx, key)
	if errors.Is(err, ErrDeviceOver) || err == nil && d.Answer != "" {
		err = ErrUserCode
	}
	return d, key, revision, err
}

// device is the program under a key, or [ErrDeviceOver].
func (m *Manager) device(ctx context.Context, key string) (d Device, revision uint64, err error) {
	b, revision, err := m.bucket.Get(ctx, key)
	if errors.Is(err, streams.ErrNoKey) {
		return Device{}, 0, ErrDeviceOver
	}
	if err != nil {
		return Device{}, 0, err
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return Device{}, 0, fmt.Errorf("reading a program that waits: %w", err)
	}
	if !m.now().Before(d.AskedAt.Add(DeviceLife)) {
		return Device{}, 0, ErrDeviceOver
	}
	return d, revision, nil
}

// AnswerDevice tells the program that waits with the user code what a person
// said, once: who answers later, or twice, is told [ErrUserCode].
func (m *Manager) AnswerDevice(ctx context.Context, userCode string, a Answer, by Session) error {
	for {
		d, key, revision, err := m.waiting(ctx, userCode)
		if err != nil {
			return err
		}
		d.Answer, d.By = a, by
		if err = m.keepDevice(ctx, key, d, revision); !errors.Is(err, streams.ErrKeyMoved) {
			return err
		}
	}
}

func (m *Manager) keepDevice(ctx context.Context, key string, d Device, revision uint64) error {
	b, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encoding a program that waits: %w", err)
	}
	return m.bucket.Replace(ctx, key, b, revision, d.AskedAt.Add(DeviceLife).Sub(m.now()))
}

// LetIn is whom the program with the device code was let in as, once: the code
// is spent by an answer. Before that it is [ErrDevicePending], or [ErrDeviceHasty]
// for a program that asks too often, which waits five seconds longer from then on.
func (m *Manager) LetIn(ctx context.Context, deviceCode string) (Device, error) {
	if !cookieForm.MatchString(deviceCode) {
		return Device{}, ErrDeviceOver
	}
	key := ofDevices + "." + hash(deviceCode)
	d, revision, err := m.device(ctx, key)
	if err != nil {
		return Device{}, err
	}
	if d.Answer == "" {
		return Device{}, m.notYet(ctx, key, d, revision)
	}
	err = m.bucket.Take(ctx, key, revision)
	switch {
	case errors.Is(err, streams.ErrKeyMoved), errors.Is(err, streams.ErrNoKey):
		return Device{}, ErrDeviceOver
	case err != nil:
		return Device{}, err
	case d.Answer != Allowed:
		return Device{}, ErrDeviceRefused
	}
	// What was said stays said when their session is renewed, or they sign out of it;
	// unless somebody ended it from elsewhere since. The state tells the rest ([Caller]).
	gone, err := m.disowned(ctx, d.By.ID)
	if gone {
		err = ErrDeviceRefused
	}
	return d, err
}

// notYet notes that the program asked, and tells it to go on waiting.
func (m *Manager) notYet(ctx context.Context, key string, d Device, revision uint64) error {
	told := ErrDevicePending
	if now := m.now(); !d.Polled.IsZero() && now.Sub(d.Polled) < d.Every-clockSlack {
		d.Every += DeviceInterval
		told = ErrDeviceHasty
	}
	d.Polled = m.now()
	err := m.keepDevice(ctx, key, d, revision)
	if err != nil && !errors.Is(err, streams.ErrKeyMoved) { // moved: answered this moment, or asked twice at once
		return err
	}
	return told
}

// clockSlack is what a program's wait may be short of by the network.
const clockSlack = 500 * time.Millisecond
