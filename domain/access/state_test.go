package access_test

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/resource"
)

const (
	rootAlone = "prod/alone/ssh:root"
	askedDBA  = "prod/asked/ssh:dba"
	ownUser   = "prod/free/ssh:me"
)

// stateScene has a rule for each of what checkouts and glasses are about.
func stateScene(t testing.TB) *scene {
	x := newScene(t)
	x.publish("prod",
		onServer("alone", "web-1", ssh("root"), alone(900)),
		breakable(onServer("asked", "web-1", ssh("dba"), asks("prod")), 600),
		onServer("free", "web-1", ssh("me")),
		onServer("both", "web-1", ssh("dba"), asks("prod"), alone(900)),
		onServer("around", "web-1", ssh("root")),
	)
	return x
}

// does gives a command by somebody and folds what follows; it answers the code of a refusal.
func (x *scene) does(c access.Command, by domain.Actor) (types []string, code string) {
	x.t.Helper()
	facts, err := access.Decide(x.w.Access, c, x.meta(by))
	if err != nil {
		var known *domain.Error
		if !errors.As(err, &known) {
			x.t.Fatalf("%T: %v", c, err)
		}
		return nil, known.Code
	}
	for _, f := range facts {
		actor, id := by.ID, f.ID
		if f.Actor != "" {
			actor = f.Actor
		}
		if id == "" {
			id = x.id()
		}
		types = append(types, f.Event.EventType())
		x.w.Access, err = access.Evolve(x.w.Access, domain.Envelope{ID: id, Type: f.Event.EventType(), Subject: f.Subject, Event: f.Event, Time: x.now, Actor: actor})
		if err != nil {
			x.t.Fatalf("%T does not fold: %v", c, err)
		}
	}
	return types, ""
}

func (x *scene) take(s access.Subject, method string, seconds int) ([]string, string) {
	return x.does(access.TakeCheckout{World: x.w, Subject: s, Resource: "server/web-1", Method: method, Seconds: seconds}, domain.Actor{ID: s.ID})
}

func (x *scene) breaks(s access.Subject, method, reason string) ([]string, string) {
	return x.does(access.BreakGlass{World: x.w, Subject: s, Resource: "server/web-1", Method: method, Reason: reason, ID: x.id()}, domain.Actor{ID: s.ID})
}

// another is dave, who is in ops as carol is.
func another() access.Subject {
	return access.Subject{ID: "dave", Person: "dave", Groups: []domain.Name{"ops"}}
}

func TestWhoMayCheckOut(t *testing.T) {
	for _, tt := range []struct {
		name    string
		subject access.Subject
		method  string
		seconds int
		code    string
	}{
		{"who has the method", carol(), rootAlone, 0, ""},
		{"for less than the longest", carol(), rootAlone, 60, ""},
		{"for exactly the longest", carol(), rootAlone, 900, ""},
		{"not for longer", carol(), rootAlone, 901, "request.invalid"},
		{"not for a moment", carol(), rootAlone, 59, "request.invalid"},
		{"not for less than nothing", carol(), rootAlone, -1, "request.invalid"},
		{"not who is in no group of the policy", carol("others"), rootAlone, 0, "access.refused"},
		{"not by a method of nobody's", carol(), "prod/alone/ssh:dba", 0, "access.refused"},
		{"not what is free", carol(), ownUser, 0, "checkout.not_needed"},
		{"not before what else is asked for is met", carol(), "prod/both/ssh:dba", 0, "access.unmet"},
		{"not a workload", robot(), rootAlone, 0, "workload.not_allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := stateScene(t)
			types, code := x.take(tt.subject, tt.method, tt.seconds)
			if code != tt.code || (code == "") != slices.Equal(types, []string{"checkout.taken"}) {
				t.Errorf("got %v %q, want %q", types, code, tt.code)
			}
			if by, until, held := x.w.Access.Holder("server/web-1", "root", x.now); held != (tt.code == "") || held && (by != "carol" || until.Sub(x.now) > 15*time.Minute) {
				t.Errorf("it is %q's until %s: %v", by, until, held)
			}
		})
	}
	x := stateScene(t)
	if _, code := x.does(access.TakeCheckout{World: x.w, Subject: carol(), Resource: "server/nothing", Method: rootAlone}, domain.Actor{ID: "carol"}); code != "access.refused" {
		t.Errorf("what is not there answers %q", code)
	}
}

func TestACheckoutIsOneSubjectsUntilItEnds(t *testing.T) {
	x := stateScene(t)
	x.take(carol(), rootAlone, 0)
	x.now = noon.Add(time.Minute)
	if types, code := x.take(carol(), rootAlone, 900); types != nil || code != "" {
		t.Errorf("taking it again did %v %q", types, code)
	}
	if _, until, _ := x.w.Access.Holder("server/web-1", "root", x.now); !until.Equal(noon.Add(15 * time.Minute)) {
		t.Errorf("it was prolonged until %s", until)
	}
	if _, code := x.take(another(), rootAlone, 0); code != "checkout.taken" && code != "access.unmet" {
		t.Errorf("dave got %q", code)
	}
	for _, s := range []access.Subject{carol(), another(), robot()} {
		m, given := access.Find(x.resolve(s, "server/web-1"), "prod/around/ssh:root")
		if opens := given && m.Open(); opens != (s.ID == "carol") {
			t.Errorf("by a rule that asks for no checkout it opens for %s: %v", s.ID, opens)
		}
	}
	release := access.ReleaseCheckout{Resource: "server/web-1", Account: "root"}
	if types, code := x.does(release, domain.Actor{ID: "dave"}); types != nil || code != "" {
		t.Errorf("dave released it: %v %q", types, code)
	}
	if !x.w.Access.Next().Equal(noon.Add(15 * time.Minute)) {
		t.Errorf("the next deadline is %s", x.w.Access.Next())
	}
	x.now = noon.Add(15*time.Minute - time.Nanosecond)
	if facts := x.w.Access.Lapse(x.meta(admin)); len(facts) > 0 {
		t.Errorf("it lapsed early: %v", facts)
	}
	x.now = noon.Add(15 * time.Minute)
	if _, _, held := x.w.Access.Holder("server/web-1", "root", x.now); held {
		t.Error("it is held at its end, since nothing recorded it")
	}
	if types, code := x.does(release, domain.Actor{ID: "carol"}); types != nil || code != "" {
		t.Errorf("what is over was released: %v %q", types, code)
	}
	if types, _ := x.take(another(), rootAlone, 0); !slices.Equal(types, []string{"checkout.lapsed", "checkout.taken"}) {
		t.Errorf("dave's checkout is %v", types)
	}
	if types, _ := x.does(release, domain.Actor{ID: "res", Roles: []domain.Role{domain.ResourceAdmin}}); !slices.Equal(types, []string{"checkout.released"}) {
		t.Errorf("the resource admin's release did %v", types)
	}
	if len(x.w.Access.Checkouts(x.now)) > 0 || !x.w.Access.Next().IsZero() {
		t.Error("something is checked out still")
	}
}

func TestWhoMayBreakGlass(t *testing.T) {
	for _, tt := range []struct {
		name, method, reason string
		subject              access.Subject
		before               func(*scene)
		code                 string
	}{
		{"who lacks the approval", askedDBA, "fire", carol(), nil, ""},
		{"not without a reason", askedDBA, " \n", carol(), nil, "request.invalid"},
		{"not with a novel", askedDBA, strings.Repeat("x", 2049), carol(), nil, "request.invalid"},
		{"not with bytes that are no text", askedDBA, "\xff", carol(), nil, "request.invalid"},
		{"with as much as is allowed", askedDBA, strings.Repeat("x", 2048), carol(), nil, ""},
		{"not where the rule has none", rootAlone, "fire", carol(), nil, "break_glass.not_allowed"},
		{"not where nothing is missing", askedDBA, "fire", carol(), func(x *scene) { x.approve(carol(), "server/web-1", askedDBA, "prod", 900) }, "break_glass.not_needed"},
		{"not a second time", askedDBA, "fire", carol(), func(x *scene) { x.glass("carol", "server/db-1", "other/rule/ssh:dba", time.Minute) }, "break_glass.unreviewed"},
		{"not who is in no group of the policy", askedDBA, "fire", carol("others"), nil, "access.refused"},
		{"not a workload", askedDBA, "fire", robot(), nil, "workload.not_allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := stateScene(t)
			if tt.before != nil {
				tt.before(x)
			}
			if _, code := x.breaks(tt.subject, tt.method, tt.reason); code != tt.code {
				t.Errorf("got %q, want %q", code, tt.code)
			}
		})
	}
}

func TestWhoIsCalledLikeAUserOfTheSystemIsNotThatUser(t *testing.T) {
	x := stateScene(t)
	for _, name := range []domain.Name{"root", "admin", "postgres", "ubuntu", "ec2-user", "www-data"} {
		s := access.Subject{ID: name.String(), Person: name, Groups: []domain.Name{"ops"}}
		if m, given := access.Find(x.resolve(s, "server/web-1"), ownUser); given {
			t.Errorf("%s gets in as %s", name, m.Username)
		}
	}
	if m, given := access.Find(x.resolve(carol(), "server/web-1"), ownUser); !given || m.Username != "carol" {
		t.Error("carol does not get in as herself")
	}
}

func TestABrokenGlassIsReviewedBySomebodyElse(t *testing.T) {
	x := stateScene(t)
	x.breaks(carol(), askedDBA, "fire")
	g := kept(x.w.Access.Newest())[0]
	if g.By != "carol" || g.Reason != "fire" || g.Until.Sub(g.At) != 10*time.Minute || !slices.Equal(g.RequestTypes, []domain.Name{"prod"}) || g.ReviewedBy != "" {
		t.Fatalf("it is %+v", g)
	}
	if id, _, ok := x.w.Access.Broken("carol", "server/web-1", askedDBA, "postgres", x.now); !ok || id != g.ID || !x.w.Access.Unreviewed("carol") {
		t.Error("it lets nobody in")
	}
	for name, opens := range map[string]bool{
		"another person":  brokenFor(x, "dave", "server/web-1", askedDBA),
		"another server":  brokenFor(x, "carol", "server/db-1", askedDBA),
		"another account": brokenFor(x, "carol", "server/web-1", "prod/asked/ssh:root"),
		"before its time": func() bool {
			_, _, ok := x.w.Access.Broken("carol", "server/web-1", askedDBA, "postgres", g.At.Add(-time.Second))
			return ok
		}(),
		"an account that became another user's": func() bool {
			_, _, ok := x.w.Access.Broken("carol", "server/web-1", askedDBA, "root", x.now)
			return ok
		}(),
		"at its very end": func() bool {
			_, _, ok := x.w.Access.Broken("carol", "server/web-1", askedDBA, "postgres", g.Until)
			return ok
		}(),
		"nobody in person": brokenFor(x, "", "server/web-1", askedDBA),
	} {
		if opens {
			t.Errorf("%s is let in", name)
		}
	}
	review := access.Review{ID: g.ID, Comment: "seen"}
	everything := domain.Actor{ID: "carol", Roles: domain.Roles()}
	if _, code := x.does(access.Review{ID: g.ID, Approver: true}, everything); code != "break_glass.own" {
		t.Errorf("carol reviews her own: %q", code)
	}
	if _, code := x.does(review, domain.Actor{ID: "dave", Roles: []domain.Role{domain.Owner, domain.ResourceAdmin, domain.Auditor}}); code != "role.missing" {
		t.Errorf("dave reviews it: %q", code)
	}
	if _, code := x.does(access.Review{ID: "01KASE"}, everything); code != "break_glass.not_found" {
		t.Errorf("what is not there: %q", code)
	}
	anna := domain.Actor{ID: "anna"}
	if _, code := x.does(access.Review{ID: g.ID, Approver: true, Comment: strings.Repeat("x", 2049)}, anna); code != "request.invalid" {
		t.Errorf("a novel: %q", code)
	}
	x.now = noon.Add(time.Minute)
	if types, code := x.does(access.Review{ID: g.ID, Approver: true, Comment: "seen"}, anna); !slices.Equal(types, []string{"break_glass.reviewed"}) {
		t.Fatalf("anna's review did %v %q", types, code)
	}
	if types, code := x.does(access.Review{ID: g.ID, Approver: true}, anna); types != nil || code != "" {
		t.Errorf("anna's second review did %v %q", types, code)
	}
	if _, code := x.does(review, domain.Actor{ID: "sec", Roles: []domain.Role{domain.SecurityAdmin}}); code != "break_glass.reviewed" {
		t.Errorf("another's: %q", code)
	}
	if g, _ := x.w.Access.Glass(g.ID); g.ReviewedBy != "anna" || g.Comment != "seen" || !g.ReviewedAt.Equal(x.now) || x.w.Access.Unreviewed("carol") {
		t.Errorf("it is %+v", g)
	}
	if !brokenFor(x, "carol", "server/web-1", askedDBA) {
		t.Error("a review ended the access before its time")
	}
}

func brokenFor(x *scene, who string, ref resource.Ref, method string) bool {
	_, _, ok := x.w.Access.Broken(who, ref, method, x.user(who, ref, method), x.now)
	return ok
}

func TestWhatCannotHaveHappenedDoesNotFold(t *testing.T) {
	taken := access.CheckoutWasTaken{Resource: "server/web-1", Account: "root", By: "carol", From: noon, Until: noon.Add(time.Hour)}
	broken := access.GlassWasBroken{Resource: "server/web-1", Method: "m", By: "carol", Until: noon.Add(time.Hour)}
	for _, tt := range []struct {
		name   string
		given  []access.Event
		then   access.Event
		actor  string
		of, id string
	}{
		{"a checkout of what is checked out", []access.Event{taken}, taken, "carol", "", ""},
		{"one of nobody's", nil, access.CheckoutWasTaken{Resource: "server/web-1", From: noon, Until: noon.Add(time.Hour)}, "x", "", ""},
		{"one that ends as it begins", nil, access.CheckoutWasTaken{Resource: "server/web-1", By: "carol", From: noon, Until: noon}, "x", "", ""},
		{"a release of what is not checked out", nil, access.CheckoutWasReleased{Resource: "server/web-1", Account: "root", Of: "carol"}, "carol", "", ""},
		{"a release of another's", []access.Event{taken}, access.CheckoutWasReleased{Resource: "server/web-1", Account: "root", Of: "dave"}, "dave", "", ""},
		{"a lapse of what is not checked out", nil, access.CheckoutHasLapsed{Resource: "server/web-1", Of: "carol"}, "system:clock", "", ""},
		{"glass that is broken before the first was reviewed", []access.Event{broken}, broken, "carol", "", "b"},
		{"glass that nobody broke", nil, access.GlassWasBroken{Resource: "server/web-1"}, "carol", "", ""},
		{"a review of glass that nobody broke", nil, access.GlassWasReviewed{By: "carol"}, "anna", "break_glass/a", ""},
		{"a review of one's own", []access.Event{broken}, access.GlassWasReviewed{By: "carol"}, "carol", "break_glass/a", ""},
		{"a review of another glass", []access.Event{broken}, access.GlassWasReviewed{By: "carol"}, "anna", "break_glass/b", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s access.State
			var err error
			for _, e := range tt.given {
				if s, err = access.Evolve(s, domain.Envelope{ID: "a", Event: e, Time: noon, Actor: "carol"}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := access.Evolve(s, domain.Envelope{ID: "a" + tt.id, Event: tt.then, Time: noon, Actor: tt.actor, Subject: tt.of}); err == nil {
				t.Error("it folds")
			}
		})
	}
	if _, err := access.Evolve(access.State{}, domain.Envelope{Event: access.WasGranted{}}); err == nil {
		t.Error("what was granted changes what is true")
	}
	for _, e := range []domain.Event{access.WasGranted{}, access.WasRefused{}, access.WasFiltered{}, access.WasCancelled{}, access.SecretWasRevealed{}} {
		if !access.IsActivity(e.EventType()) {
			t.Errorf("%s is no activity", e.EventType())
		}
	}
	if access.IsActivity("checkout.taken") || access.IsActivity("") {
		t.Error("a checkout is activity")
	}
}

// Whatever people do in whatever order: one at a time has it, never past its
// time, and glass lets in who broke it, until its end, and no second one before
// the first was reviewed.
func TestInNoOrderIsSomethingTwoPeoples(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		x := stateScene(t)
		subjects := map[string]access.Subject{"carol": carol(), "dave": another()}
		holder, until := "", time.Time{}                         // as the model has it
		glass, open := map[string]time.Time{}, map[string]bool{} // until when; unreviewed
		who := rapid.SampledFrom([]string{"carol", "dave"})
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			by := who.Draw(r, "who")
			held := holder != "" && x.now.Before(until)
			switch rapid.SampledFrom([]string{"take", "release", "lapse", "wait", "break", "review"}).Draw(r, "what") {
			case "take":
				seconds := rapid.IntRange(60, 900).Draw(r, "seconds")
				types, code := x.take(subjects[by], rootAlone, seconds)
				switch {
				case held && holder != by && code == "":
					r.Fatalf("%s took what %s has", by, holder)
				case held && holder == by && (code != "" || types != nil):
					r.Fatalf("%s took it again: %v %q", by, types, code)
				case !held && code != "":
					r.Fatalf("%s may not take what is free: %q", by, code)
				case !held:
					holder, until = by, x.now.Add(time.Duration(seconds)*time.Second)
				}
			case "release":
				types, _ := x.does(access.ReleaseCheckout{Resource: "server/web-1", Account: "root"}, domain.Actor{ID: by})
				if (len(types) > 0) != (held && holder == by) {
					r.Fatalf("%s released %v of %s's", by, types, holder)
				}
				if len(types) > 0 {
					holder = ""
				}
			case "lapse":
				for _, f := range x.w.Access.Lapse(x.meta(admin)) {
					x.accesses(f.Event.(access.Event), f.Actor)
				}
			case "wait":
				x.now = x.now.Add(time.Duration(rapid.IntRange(1, 700).Draw(r, "seconds")) * time.Second)
			case "break":
				_, code := x.breaks(subjects[by], askedDBA, "fire")
				if (code == "") != (!open[by] && !x.now.Before(glass[by])) {
					r.Fatalf("%s broke glass: %q, unreviewed %v, until %s at %s", by, code, open[by], glass[by], x.now)
				}
				if code == "" {
					glass[by], open[by] = x.now.Add(10*time.Minute), true
				}
			case "review":
				for _, g := range kept(x.w.Access.Newest()) {
					if g.ReviewedBy == "" && g.By != by {
						x.does(access.Review{ID: g.ID, Approver: true}, domain.Actor{ID: by})
						open[g.By] = false
					}
				}
			}
			waiting := kept(x.w.Access.Newest())
			waiting = slices.DeleteFunc(waiting, func(g access.Glass) bool { return g.ReviewedBy != "" })
			if slices.Reverse(waiting); !slices.EqualFunc(kept(x.w.Access.Waiting()), waiting, func(a, b access.Glass) bool { return a.ID == b.ID }) {
				r.Fatalf("%v wait for a review, and %v are told", waiting, kept(x.w.Access.Waiting()))
			}
			for name, s := range subjects {
				a := x.resolve(s, "server/web-1")
				m, _ := access.Find(a, rootAlone)
				if has := holder == name && x.now.Before(until); m.Open() != has {
					r.Fatalf("%s's is open %v, and has it %v", name, m.Open(), has)
				}
				m, _ = access.Find(a, askedDBA)
				if in := x.now.Before(glass[name]); m.Open() != in || x.w.Access.Unreviewed(name) != open[name] {
					r.Fatalf("%s is let in %v by glass until %s at %s", name, m.Open(), glass[name], x.now)
				}
			}
		}
	})
}

// kept is glasses that are told one after the other.
func kept(all iter.Seq[*access.Glass]) (out []access.Glass) {
	for g := range all {
		out = append(out, *g)
	}
	return out
}
