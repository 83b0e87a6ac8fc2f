package console

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	virtual "github.com/descope/virtualwebauthn"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

func init() {
	views["enrol"] = []any{enrolView{}, enrolView{Person: "dana"}, enrolView{Person: "carol", Invited: true}}
}

// enrolsFirst is the link of an organisation that has no owner, and a device to open it with.
func enrolsFirst(t *testing.T) (*keyed, organisation.Enrolment) {
	t.Helper()
	d := newDevice(newSite(t))
	e, err := d.world.EnrolFirst(t.Context(), domain.Meta{Actor: domain.System("first_start"), Now: d.world.Now()})
	if err != nil || e.Secret == "" {
		t.Fatalf("%+v, %v", e, err)
	}
	return d, e
}

// recovers is the link that the host makes for a person.
func (d *keyed) recovers(who domain.Name) organisation.Enrolment {
	d.t.Helper()
	e, err := d.world.Enrol(context.Background(), domain.Meta{Actor: domain.System("host"), Now: d.world.Now()}, who)
	if err != nil {
		d.t.Fatal(err)
	}
	return e
}

// begins opens a link; what the authenticator says is nil where the server does not ask for it.
func (d *keyed) begins(secret, who, name string) (w *httptest.ResponseRecorder, answer url.Values) {
	d.t.Helper()
	w = d.send("/enrol/options", url.Values{"secret": {secret}, "person": {who}, "name": {name}})
	if w.Code != http.StatusOK {
		return w, nil
	}
	options, err := virtual.ParseAttestationOptions(w.Body.String())
	if err != nil {
		d.t.Fatalf("%v: %d %s", err, w.Code, w.Body)
	}
	d.Options.UserHandle = []byte(options.UserID)
	return w, url.Values{"credential": {virtual.CreateAttestationResponse(d.rp, d.Authenticator, d.key, *options)}}
}

func (d *keyed) enrols(secret, who, name string) *httptest.ResponseRecorder {
	d.t.Helper()
	w, answer := d.begins(secret, who, name)
	if answer == nil {
		return w
	}
	return d.send("/enrol/register", answer)
}

// another is another authenticator at another browser of the same site.
func (d *keyed) another() *keyed { return newDevice(d.site) }

// roles are those that a person bears.
func (d *keyed) roles(who domain.Name) (roles []domain.Role) {
	d.world.Read(func(s *control.State, _ domain.Head) {
		p, _ := s.Person(who)
		roles = p.Roles
	})
	return roles
}

// closed wants the one answer that tells nothing.
func closed(t *testing.T, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "This link opens nothing") {
		t.Errorf("%s: got %d %s", what, w.Code, w.Body)
	}
}

func TestTheFirstOwnerComesByALink(t *testing.T) {
	d, e := enrolsFirst(t)
	from := d.world.Last()
	if w := d.get("", d.path("/enrol")); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Your name") {
		t.Fatalf("the page: %d %s", w.Code, w.Body)
	}
	w := d.enrols(e.Secret, "dana", "laptop")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != d.path("/") {
		t.Fatalf("got %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	if got := d.roles("dana"); !slices.Equal(got, []domain.Role{domain.Owner}) {
		t.Errorf("dana is %v", got)
	}
	s, in := d.session()
	if !in || s.Person != "dana" || s.Method != "passkey" || s.MFAAt.IsZero() || s.FreshAt.IsZero() {
		t.Errorf("the session is %+v, %v", s, in)
	}
	if want := []string{"person.added", "enrolment.used", "passkey.registered", "person.signed_in"}; !slices.Equal(d.world.Types(from), want) {
		t.Errorf("recorded are %v, want %v", d.world.Types(from), want)
	}
	commits := map[uint64]bool{}
	for _, one := range d.world.Events() {
		if from.Less(one.Position) {
			commits[one.Position.Sequence] = true
		}
		if one.Type == "passkey.registered" && one.Actor != "dana" {
			t.Errorf("the passkey was registered by %s", one.Actor)
		}
	}
	if len(commits) != 1 {
		t.Errorf("it took %d commits: half of it could have been", len(commits))
	}
	r := httptest.NewRequest(http.MethodGet, d.path("/"), nil)
	for _, c := range d.cookies {
		r.AddCookie(c)
	}
	if page := d.as("", r); !strings.Contains(page.Body.String(), "You are an owner of") {
		t.Errorf("the overview: %d %s", page.Code, page.Body)
	}
	d.cookies = map[string]*http.Cookie{}
	if w := d.prove(signInPath); w.Code != http.StatusSeeOther {
		t.Errorf("signing in with the passkey: %d", w.Code)
	}
}

// invited is the secret of an invitation that an owner makes in the console.
func (s *site) invited(who string) string {
	s.t.Helper()
	w := s.fills("olga", "/people/"+who+"/invite")
	m := regexp.MustCompile(`/enrol\?invited=yes&amp;person=` + who + `#(sallyport_[\w-]{43})</code>`).FindStringSubmatch(s.wants(http.StatusOK, w))
	if m == nil {
		s.t.Fatalf("no link: %s", mainOf(w.Body.String()))
	}
	return m[1]
}

func TestSomebodyIsInvitedToTheirFirstPasskeyOnce(t *testing.T) {
	d := newDevice(newSite(t))
	d.signIn("olga", domain.Owner)
	d.world.Token("carol", domain.Auditor)
	d.wants(http.StatusOK, d.get("olga", d.path("/people/carol")), "Invite by a link")
	older := d.invited("carol")
	secret := d.invited("carol")
	closed(t, "an older one", d.enrols(older, "carol", "laptop"))
	closed(t, "as somebody else", d.enrols(secret, "olga", "laptop"))
	closed(t, "as a newcomer", d.enrols(secret, "mallory", "laptop"))
	from := d.world.Last()
	d.wants(http.StatusSeeOther, d.enrols(secret, "carol", "laptop"))
	if want := []string{"passkey.registered", "person.signed_in"}; !slices.Equal(d.world.Types(from), want) {
		t.Errorf("recorded are %v, want %v", d.world.Types(from), want)
	}
	if got := d.roles("carol"); !slices.Equal(got, []domain.Role{domain.Auditor}) {
		t.Errorf("carol is %v", got)
	}
	if s, in := d.session(); !in || s.Person != "carol" {
		t.Errorf("the session is %+v, %v", s, in)
	}
	closed(t, "again", d.another().enrols(secret, "carol", "laptop"))
	if body := d.get("olga", d.path("/people/carol")).Body.String(); strings.Contains(body, "Invite by a link") {
		t.Error("who has signed in is offered to be invited")
	}
	d.wants(http.StatusConflict, d.fills("olga", "/people/carol/invite"), "invitation.proved")
}

func TestAnInvitationThatIsOverOpensNothing(t *testing.T) {
	for name, over := range map[string]func(d *keyed){
		"after a day": func(d *keyed) { d.world.Advance(identity.InvitationLife) },
		"of who has signed in since": func(d *keyed) {
			d.wants(http.StatusSeeOther, d.another().enrols(d.recovers("carol").Secret, "carol", "other"))
		},
		"of who was removed": func(d *keyed) {
			d.wants(http.StatusSeeOther, d.fills("olga", "/people/carol/delete", "etag", d.etag(d.get("olga", d.path("/people/carol/delete")).Body.String())))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(newSite(t))
			d.signIn("olga", domain.Owner)
			d.world.Token("carol", domain.Member)
			secret := d.invited("carol")
			over(d)
			closed(t, name, d.enrols(secret, "carol", "laptop"))
		})
	}
}

func TestOwnersAloneInviteAndProveWhoTheyAre(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	s.signIn("sam", domain.SecurityAdmin)
	s.world.Token("carol", domain.Member)
	s.wants(http.StatusForbidden, s.fills("sam", "/people/carol/invite"), "role.missing")
	s.wants(http.StatusNotFound, s.fills("olga", "/people/nobody/invite"))
	s.world.Advance(freshFor)
	s.wants(http.StatusSeeOther, s.fills("olga", "/people/carol/invite"))
	for _, e := range s.world.Events() {
		if e.Type == "person.invited" {
			t.Errorf("%s invited somebody", e.Actor)
		}
	}
}

func TestSomebodyIsRecoveredUnderTheirNameAlone(t *testing.T) {
	d := newDevice(newSite(t))
	d.world.Token("carol", domain.Auditor)
	e := d.recovers("carol")
	page := d.get("", d.path("/enrol?person=carol"))
	if !strings.Contains(page.Body.String(), "<strong>carol</strong>") || strings.Contains(page.Body.String(), "Your name") {
		t.Errorf("the page: %s", page.Body)
	}
	closed(t, "as somebody else", d.enrols(e.Secret, "mallory", "laptop"))
	if w := d.enrols(e.Secret, "carol", "laptop"); w.Code != http.StatusSeeOther {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if got := d.roles("carol"); !slices.Equal(got, []domain.Role{domain.Owner, domain.Auditor}) {
		t.Errorf("carol is %v", got)
	}
	other := d.another()
	if w := other.enrols(d.recovers("newcomer").Secret, "newcomer", "phone"); w.Code != http.StatusSeeOther || other.roles("newcomer") == nil {
		t.Errorf("somebody new: %d %s", w.Code, w.Body)
	}
	// Who has lost their passkeys, or not, makes another with the same authenticator.
	d.key = virtual.NewCredential(virtual.KeyTypeEC2)
	for len(d.key.Key.AttestationData()) < wholeKey {
		d.key = virtual.NewCredential(virtual.KeyTypeEC2)
	}
	if w, _ := d.begins(d.recovers("carol").Secret, "carol", "laptop"); strings.Contains(w.Body.String(), "excludeCredentials") {
		t.Errorf("it names the passkeys that carol has, and would not make another: %s", w.Body)
	}
	if w := d.enrols(d.recovers("carol").Secret, "carol", "laptop again"); w.Code != http.StatusSeeOther {
		t.Errorf("a second time: %d %s", w.Code, w.Body)
	}
	for _, query := range []string{"?person=%3Cscript%3E", "?person=..", "?person=a&person=b"} {
		if w := d.get("", d.path("/enrol"+query)); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<script>") {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
}

// Every reason gives the same answer, and the log has no more than that somebody was refused.
func TestALinkThatIsOverOpensNothing(t *testing.T) {
	for name, over := range map[string]func(*testing.T, *keyed, organisation.Enrolment) string{
		"used": func(t *testing.T, d *keyed, e organisation.Enrolment) string {
			if w := d.another().enrols(e.Secret, "first", "phone"); w.Code != http.StatusSeeOther {
				t.Fatalf("the first: %d %s", w.Code, w.Body)
			}
			return e.Secret
		},
		"expired": func(_ *testing.T, d *keyed, e organisation.Enrolment) string {
			d.world.Advance(identity.EnrolmentLife)
			return e.Secret
		},
		"superseded": func(_ *testing.T, d *keyed, e organisation.Enrolment) string {
			d.recovers("carol")
			return e.Secret
		},
		"of an organisation that has an owner meanwhile": func(_ *testing.T, d *keyed, e organisation.Enrolment) string {
			d.world.Token("olga", domain.Owner)
			return e.Secret
		},
		"the hash that the log has": func(_ *testing.T, _ *keyed, e organisation.Enrolment) string { return person.HashToken(e.Secret) },
		"the id that the log has":   func(_ *testing.T, _ *keyed, e organisation.Enrolment) string { return e.ID },
		"made up": func(_ *testing.T, _ *keyed, e organisation.Enrolment) string {
			return e.Secret[:len(e.Secret)-2] + "AA"
		},
		"empty": func(*testing.T, *keyed, organisation.Enrolment) string { return "" },
		"of another organisation": func(t *testing.T, _ *keyed, _ organisation.Enrolment) string {
			other := orgtest.New(t)
			e, err := other.EnrolFirst(t.Context(), domain.Meta{Actor: domain.System("first_start"), Now: other.Now()})
			if err != nil {
				t.Fatal(err)
			}
			return e.Secret
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, e := enrolsFirst(t)
			secret := over(t, d, e)
			from := d.world.Last()
			closed(t, name, d.enrols(secret, "mallory", "laptop"))
			closed(t, name+", with a name that is none", d.enrols(secret, "<b>", ""))
			if _, in := d.session(); in || d.roles("mallory") != nil {
				t.Error("somebody was let in")
			}
			recorded := 0
			for _, one := range d.world.Events() {
				if from.Less(one.Position) {
					refused, ok := one.Event.(identity.WasRefused)
					if recorded++; !ok || refused.Code != "enrolment.invalid" || refused.Source == "" {
						t.Errorf("recorded is %s %s", one.Type, one.Data)
					}
				}
			}
			if recorded != 2 {
				t.Errorf("%d refusals are recorded, want 2", recorded)
			}
		})
	}
}

func TestALinkThatEndsWhileItIsUsedOpensNothing(t *testing.T) {
	for name, end := range map[string]func(d *keyed, secret string){
		"by its time":         func(d *keyed, _ string) { d.world.Advance(7 * time.Minute) },
		"by a newer one":      func(d *keyed, _ string) { d.recovers("carol") },
		"by another owner":    func(d *keyed, _ string) { d.world.Token("olga", domain.Owner) },
		"by who was quicker":  func(d *keyed, secret string) { d.another().enrols(secret, "quick", "phone") },
		"as its name is gone": func(d *keyed, _ string) { d.world.Token("dana", domain.Member) },
	} {
		t.Run(name, func(t *testing.T) {
			d, e := enrolsFirst(t)
			d.world.Advance(8 * time.Minute)
			_, answer := d.begins(e.Secret, "dana", "laptop")
			end(d, e.Secret)
			if w := d.send("/enrol/register", answer); w.Code != http.StatusForbidden && w.Code != http.StatusConflict {
				t.Errorf("got %d", w.Code)
			}
			if _, in := d.session(); in {
				t.Error("somebody was let in")
			}
		})
	}
}

func TestOfTwoWhoUseALinkAtOnceOneIsLetIn(t *testing.T) {
	d, e := enrolsFirst(t)
	var devices []*keyed
	var answers []url.Values
	for range 8 {
		one := d.another()
		_, answer := one.begins(e.Secret, "dana", "laptop")
		devices, answers = append(devices, one), append(answers, answer)
	}
	codes := make([]int, len(devices))
	var all sync.WaitGroup
	for i, one := range devices {
		all.Go(func() { codes[i] = one.send("/enrol/register", answers[i]).Code })
	}
	all.Wait()
	let := 0
	for i, code := range codes {
		if code == http.StatusSeeOther {
			let++
		} else if code != http.StatusForbidden {
			t.Errorf("device %d: %d", i, code)
		}
	}
	types := strings.Join(d.world.Types(domain.Position{}), " ")
	if let != 1 || strings.Count(types, "passkey.registered") != 1 || strings.Count(types, "enrolment.used") != 1 {
		t.Errorf("%d were let in: %v, %s", let, codes, types)
	}
}

func TestANewcomerIsNobodyWhoIsOrWasHere(t *testing.T) {
	d, e := enrolsFirst(t)
	d.world.Token("carol", domain.Member)
	d.world.Token("gone", domain.Member)
	m := domain.Meta{Actor: domain.System("host"), Now: d.world.Now()}
	if _, err := d.world.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) {
		gone, _ := s.Person("gone")
		return person.Decide(s.People(), person.Remove{Name: "gone", Version: gone.Version}, m)
	}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, person, passkey string
		status                int
		code                  string
	}{
		{"somebody who is here", "carol", "laptop", http.StatusConflict, "person.taken"},
		{"somebody who was removed", "gone", "laptop", http.StatusConflict, "person.taken"},
		{"a word of the audit trail", "system", "laptop", http.StatusUnprocessableEntity, "person.reserved"},
		{"no name", "", "laptop", http.StatusUnprocessableEntity, "name.invalid"},
		{"a name with markup", "<b>x</b>", "laptop", http.StatusUnprocessableEntity, "name.invalid"},
		{"a passkey without a name", "dana", " ", http.StatusUnprocessableEntity, "passkey.name"},
		{"a passkey whose name turns the text around", "dana", "a\u202eb", http.StatusUnprocessableEntity, "passkey.name"},
	} {
		w := d.enrols(e.Secret, tt.person, tt.passkey)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.code) || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
	if w := d.enrols(e.Secret, "dana", "laptop"); w.Code != http.StatusSeeOther {
		t.Errorf("the link is good still, and answers %d %s", w.Code, w.Body)
	}
}

func TestWhatNoAuthenticatorOfThisAttemptSaidEnrolsNobody(t *testing.T) {
	for name, change := range map[string]func(d *keyed){
		"of another origin":         func(d *keyed) { d.rp.Origin = "https://sallyport.evil" },
		"of another relying party":  func(d *keyed) { d.rp.ID = "evil.test" },
		"without user verification": func(d *keyed) { d.Options.UserNotVerified = true },
		"without anybody there":     func(d *keyed) { d.Options.UserNotPresent = true },
	} {
		t.Run(name, func(t *testing.T) {
			d, e := enrolsFirst(t)
			change(d)
			if w := d.enrols(e.Secret, "dana", "laptop"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "sign_in.passkey") {
				t.Errorf("an answer %s: %d %s", name, w.Code, w.Body)
			}
			if _, in := d.session(); in || d.roles("dana") != nil {
				t.Errorf("an answer %s enrolled somebody", name)
			}
		})
	}
}

func TestAnAnswerIsOfItsAttemptAlone(t *testing.T) {
	d, e := enrolsFirst(t)
	other := d.another()
	_, answer := d.begins(e.Secret, "dana", "laptop")
	other.begins(e.Secret, "mallory", "phone")
	if w := other.send("/enrol/register", answer); w.Code != http.StatusForbidden {
		t.Errorf("of another attempt: %d", w.Code)
	}
	if w := d.another().send("/enrol/register", answer); w.Code < 400 {
		t.Errorf("in a browser that began nothing: %d", w.Code)
	}
	other.signedIn("alice")
	other.send("/passkeys/new/options", nil)
	if w := other.send("/enrol/register", answer); w.Code < 400 {
		t.Errorf("of an attempt to add a passkey: %d", w.Code)
	}
	if w := d.send("/enrol/register", answer); w.Code != http.StatusSeeOther {
		t.Errorf("the answer itself: %d %s", w.Code, w.Body)
	}
	if w := d.send("/enrol/register", answer); w.Code < 400 {
		t.Errorf("the answer again: %d", w.Code)
	}
}

func TestAnotherSiteEnrolsNobody(t *testing.T) {
	d, e := enrolsFirst(t)
	for _, action := range []string{"options", "register"} {
		body := url.Values{"secret": {e.Secret}, "person": {"mallory"}, "name": {"x"}}.Encode()
		for header, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "": ""} {
			r := httptest.NewRequest(http.MethodPost, d.path("/enrol/"+action), strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if header != "" {
				r.Header.Set(header, value)
			}
			if w := d.as("", r); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "form.cross_origin") {
				t.Errorf("%s with %s %s: %d", action, header, value, w.Code)
			}
		}
		if w := d.get("", d.path("/enrol/"+action+"?"+body)); w.Code != http.StatusSeeOther {
			t.Errorf("by GET: %d", w.Code)
		}
	}
}

func TestGuessingALinkIsBoundedAndSoIsWhatIsRecordedOfIt(t *testing.T) {
	d, _ := enrolsFirst(t)
	from := d.world.Last()
	var throttled int
	for range signInsAtOnce + 20 {
		if w := d.enrols("sallyport_"+strings.Repeat("A", 43), "mallory", "x"); w.Code == http.StatusTooManyRequests {
			throttled++
		}
	}
	if throttled < 15 || len(d.world.Types(from)) > refusalsAtOnce {
		t.Errorf("%d were throttled, %d recorded", throttled, len(d.world.Types(from)))
	}
}

// The link's secret is told in one answer of the host and one request body, and nowhere else.
func TestTheSecretOfALinkIsNowhere(t *testing.T) {
	var logged bytes.Buffer
	var mu sync.Mutex
	s := newSite(t)
	s.console.log = slog.New(slog.NewJSONHandler(guarded{&mu, &logged}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d := newDevice(s)
	e := d.recovers("dana")
	s.console.log.Info("made", "enrolment", e)
	page := d.get("", d.path("/enrol?person=dana"))
	d.Options.UserNotVerified = true
	refused := d.enrols(e.Secret, "dana", "laptop")
	wrong := d.enrols(e.Secret, "mallory", "laptop")
	d.Options.UserNotVerified = false
	done := d.enrols(e.Secret, "dana", "laptop")
	again := d.enrols(e.Secret, "dana", "laptop")
	if done.Code != http.StatusSeeOther {
		t.Fatalf("got %d %s", done.Code, done.Body)
	}
	for what, w := range map[string]*httptest.ResponseRecorder{"the page": page, "a refusal": refused, "another": wrong, "the answer": done, "the answer again": again} {
		for header, values := range w.Header() {
			if strings.Contains(strings.Join(values, " "), e.Secret) {
				t.Errorf("%s has it in %s", what, header)
			}
		}
		if strings.Contains(w.Body.String(), e.Secret) {
			t.Errorf("%s has it: %s", what, w.Body)
		}
	}
	for _, one := range d.world.Events() {
		if bytes.Contains(one.Stored, []byte(e.Secret)) {
			t.Errorf("%s has it", one.Type)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Contains(logged.String(), e.Secret) || !strings.Contains(logged.String(), "enrolment "+e.ID) {
		t.Errorf("logged was %s", &logged)
	}
}

func TestOneOfSeveralReplicasHasTheLinkOfTheFirstOwner(t *testing.T) {
	s := newSite(t)
	replicas := []*organisation.Organisation{s.world.Organisation}
	for range 2 {
		replicas = append(replicas, orgtest.Join(t, s.world.Conn).Organisation)
	}
	made := make([]organisation.Enrolment, len(replicas))
	var all sync.WaitGroup
	for i, o := range replicas {
		all.Go(func() {
			var err error
			if made[i], err = o.EnrolFirst(t.Context(), domain.Meta{Actor: domain.System("first_start"), Now: o.Now()}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	links := 0
	for _, e := range made {
		if e.Secret != "" {
			links++
		}
		if e.ExpiresAt.IsZero() {
			t.Error("a replica believes that there is an owner")
		}
	}
	if types := s.world.Types(domain.Position{}); links != 1 || strings.Count(strings.Join(types, " "), "enrolment.created") != 1 {
		t.Errorf("%d replicas have a link: %v", links, types)
	}
}

func TestAFirstLinkIsMadeUntilThereIsAnOwner(t *testing.T) {
	s := newSite(t)
	first := func() organisation.Enrolment {
		t.Helper()
		e, err := s.world.EnrolFirst(t.Context(), domain.Meta{Actor: domain.System("first_start"), Now: s.world.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := first(); e.Secret == "" {
		t.Error("nobody is owner, and there is no link")
	}
	if e := first(); e.Secret != "" || e.ExpiresAt.IsZero() {
		t.Errorf("a second start has %+v", e)
	}
	s.world.Advance(identity.EnrolmentLife)
	if e := first(); e.Secret == "" {
		t.Error("the first link is over, and there is no other")
	}
	s.world.Token("olga", domain.Owner)
	if e := first(); e != (organisation.Enrolment{}) || !s.world.Owned() {
		t.Errorf("olga is owner, and there is %+v", e)
	}
}

func TestNobodyIsRecoveredUnderANameThatIsNotGiven(t *testing.T) {
	s := newSite(t)
	m := domain.Meta{Actor: domain.System("host"), Now: s.world.Now()}
	if _, err := s.world.Enrol(t.Context(), m, "system"); !errors.Is(err, person.ErrReserved) {
		t.Errorf("got %v", err)
	}
	m.Actor = domain.Actor{ID: "olga", Roles: []domain.Role{domain.Owner}}
	if _, err := s.world.Enrol(t.Context(), m, "olga"); err == nil {
		t.Error("an owner made a link")
	}
}

// guarded is a buffer that several goroutines write.
type guarded struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (g guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(p)
}
