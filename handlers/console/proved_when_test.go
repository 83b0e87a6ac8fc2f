package console

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"sallyport.dev/domain/access"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/session"
	"sallyport.dev/handlers/signin"
)

// cameBack signs carol in, whose provider says that she proved a second factor then.
func (s *site) cameBack(at time.Time) session.Session {
	s.t.Helper()
	provider := s.console.opt.SignIn.Of(s.world.Name())[0]
	p := s.console.stranger(s.handler.NewContext(httptest.NewRequest(http.MethodGet, "/console/callback", nil), httptest.NewRecorder()))
	p.Org = s.world.Organisation
	proof := signin.Proof{Account: identity.Account{Issuer: provider.Issuer, Subject: "demo-carol"}, Username: "carol", MFA: true, At: at}
	if err := p.enterWith(provider, signin.Attempt{}, proof); err != nil {
		s.t.Fatal(err)
	}
	return p.Session
}

// A provider that does not say when it asked for a second factor may have done so
// long ago: that proves none.
func TestASecondFactorOfNobodyKnowsWhenIsNone(t *testing.T) {
	if got := newSignIn(t).cameBack(time.Time{}); !got.MFAAt.IsZero() {
		t.Errorf("it was proved at %s", got.MFAAt)
	}
}

// A provider whose clock is ahead says the same of one proof at every sign-in that
// rests on it: it stays one proof, however often somebody comes back with it.
func TestAProofOfAClockThatIsAheadIsOneProof(t *testing.T) {
	s := newSignIn(t)
	at := s.world.Now().Add(20 * time.Second).UTC().Truncate(time.Second)
	first := s.cameBack(at)
	s.world.Advance(time.Second)
	second := s.cameBack(at)
	if one, other := access.ProofKey("carol", first.MFAAt), access.ProofKey("carol", second.MFAAt); first.ID == second.ID || one != other {
		t.Errorf("it is proved at %s, and at %s", first.MFAAt, second.MFAAt)
	}
	if second.FreshAt.After(s.world.Now()) {
		t.Errorf("it is fresh from %s", second.FreshAt)
	}
}
