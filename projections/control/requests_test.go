package control_test

import (
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/request"
	"sallyport.dev/projections/control"
)

// An approval whose end is recorded holds no more, wherever the clock is put
// afterwards, and whoever folds the log anew.
func TestAClockThatIsPutBackRevivesNoApprovalWhoseEndIsRecorded(t *testing.T) {
	spec, err := request.Complete(request.Spec{Kind: request.ForAccess, Steps: []request.Step{
		{Name: "lead", Approvers: request.Approvers{People: []domain.Name{"ann"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	m := request.Matter{Requester: "ben", Type: "one", Resource: "server/web-1", Method: "p/r/ssh:a"}
	key := request.Key{Subject: "ben", Resource: "server/web-1", Method: "p/r/ssh:a", Type: "one"}
	const subject = "request/01KASE0000000000000000000R"
	until := noon.Add(15 * time.Minute)
	h := begin().
		control("person/ben", "system:host", person.WasAdded{Name: "ben", Roles: []domain.Role{domain.Member}}).
		control("person/ann", "system:host", person.WasAdded{Name: "ann", Roles: []domain.Role{domain.Member}}).
		control("request_type/one", "sven", request.TypeWasDrafted{Spec: spec}).
		control("request_type/one", "sven", request.TypeWasPublished{Version: 1}).
		control(subject, "ben", request.WasRaised{Matter: m, Version: 1}).
		control(subject, "ben", request.StepWasOpened{Matter: m, Step: 1, Name: "lead", ExpiresAt: noon.Add(time.Hour)})
	folded(t, h).Read(func(s *control.State, _ domain.Head) {
		if got := s.Approvers("01KASE0000000000000000000R", noon); len(got) != 1 || got[0] != "ann" {
			t.Errorf("%v may decide, want ann", got)
		}
		if due := s.Due(); !due.Equal(noon.Add(time.Hour)) {
			t.Errorf("the next deadline is %v", due)
		}
	})
	h.control(subject, "ann", request.WasDecided{Matter: m, Step: 1, Name: "lead", Verdict: request.Approved}).
		control(subject, "ann", request.WasApproved{Matter: m, ValidUntil: until})
	holds := func(at time.Time) (ok bool) {
		folded(t, h).Read(func(s *control.State, _ domain.Head) { _, _, ok = s.Requests().Approved(key, s.Later(at)) })
		return ok
	}
	if !holds(noon) || !holds(until.Add(-1)) || holds(until) {
		t.Error("it does not hold exactly as long as it should")
	}
	h.after(16*time.Minute).control(subject, "system:clock", request.HasLapsed{Matter: m, ValidUntil: until})
	if holds(noon) || holds(noon.Add(-time.Hour)) {
		t.Error("a clock that was put back revives it")
	}
}
