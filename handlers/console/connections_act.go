package console

import (
	"errors"
	"net/http"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
)

// testView is the test of a token, before and after it.
type testView struct {
	State  connection.State
	Result *testResult
}

// testResult is what became of a test. The token is not in it.
type testResult struct {
	Passed    bool
	Checks    []checkWords
	Identity  string
	Would     any // claims of the token that would be issued; nil: none
	HasClaims bool
}

// checkWords is a check as its table shows it.
type checkWords struct {
	proof.Check
	Number int
	Said   string // operator and value in words
}

func sayChecks(all []proof.Check) (words []checkWords) {
	for i, c := range all {
		w := checkWords{Check: c, Number: i, Said: c.Expected}
		if c.Check == proof.Keys || c.Check == proof.Times { // what others say is left as it is
			w.Message = readableTimes(c.Message)
		}
		if c.Check == proof.Condition && (c.Expected != "" || c.Operator == string(claim.Exists)) { // of what is no token nothing was asked
			w.Said = sayOperator(c)
		}
		words = append(words, w)
	}
	return words
}

// sayOperator is what a condition asks for in words.
func sayOperator(c proof.Check) string {
	for operator, words := range operatorWords {
		if string(operator) != c.Operator {
			continue
		}
		if c.Operator == "exists" {
			return words
		}
		return words + " " + c.Expected
	}
	return c.Expected
}

func startTest(p *page) error {
	c, err := p.connection()
	if err != nil {
		return err
	}
	if err := connection.MayWrite(c, p.Person); err != nil {
		return err
	}
	return p.render("connection_test", testView{State: c})
}

// runTest holds a token against the newest version. The token is in no answer.
func runTest(p *page) error {
	c, err := p.connection()
	if err != nil {
		return err
	}
	form, err := p.form()
	if err != nil {
		return err
	}
	p.once = "" // a test changes nothing, and is done as often as it is asked for
	var report organisation.Report
	err = p.API(http.MethodPost, "/connections/"+c.Name.String()+"/test", nil, map[string]string{"token": form.Get("token")}, &report)
	if err != nil {
		return p.refused("connection_test", testView{State: c}, err)
	}
	r := &testResult{Passed: report.Verdict == connection.VerdictPass, Checks: sayChecks(report.Checks), Identity: report.Identity, HasClaims: report.WouldIssue != nil}
	r.Would = report.WouldIssue
	return p.render("connection_test", testView{State: c, Result: r})
}

// testEvidence is a test that was done.
type testEvidence struct {
	By, Verdict, Identity string
	At                    time.Time
	Checks                []proof.Check
}

// reviewView is what is looked at before an activation.
type reviewView struct {
	State     connection.State
	ETag      string
	Spec      specView
	Changes   []changeWords
	Blocking  []connection.Warning
	Others    []connection.Warning
	Evidence  *testEvidence
	Refused   string // why this person may not; "" they may
	Reviewers []domain.Name
	Accepted  map[string]bool // warnings that were ticked
}

// Nothing tells that there is nothing to activate.
func (v reviewView) Nothing() bool {
	return v.State.Status == connection.Active && v.State.Pending == nil
}

// review is the newest version as it is looked at.
func (p *page) review() (v reviewView, err error) {
	c, err := p.connection()
	if err != nil {
		return v, err
	}
	v = reviewView{State: c, ETag: etagOf(c), Spec: saySpec(c.Newest()), Changes: sayChanges(c), Reviewers: p.couldActivate(c), Accepted: map[string]bool{}}
	v.Blocking, v.Others = blocking(connection.Warnings(c.Newest(), p.Org.Issuer()))
	p.Org.Read(func(s *control.State, _ domain.Head) { err = p.activation(s, c, p.Person) })
	var why *domain.Error
	if errors.As(err, &why) {
		v.Refused = why.Message
	}
	p.Org.Settle(p.Context())
	v.Evidence, err = p.tested(c)
	return v, err
}

func showReview(p *page) error {
	v, err := p.review()
	if err != nil {
		return err
	}
	if v.Refused == "" && !v.Nothing() {
		if ok, err := p.stepUp(); !ok {
			return err
		}
	}
	return p.render("connection_activate", v)
}

// activate puts the version that was looked at in force.
func activate(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	if ok, err := p.stepUp(); !ok {
		return err
	}
	body := struct {
		Acknowledge []string `json:"acknowledge"`
	}{form["acknowledge"]}
	if body.Acknowledge == nil {
		body.Acknowledge = []string{}
	}
	path := "/connections/" + p.param("name")
	if err := p.API(http.MethodPost, path+"/activate", ifMatch(form.Get("etag")), body, nil); err != nil {
		v, again := p.review()
		if again != nil {
			return again
		}
		if told := (*problem)(nil); errors.As(err, &told) && told.Status == http.StatusPreconditionFailed {
			told.Detail = "Nothing is activated: the connection was changed while you looked at it. This is what it says now."
			return p.refused("connection_activate", v, told) // and what was accepted of another version is not of this one
		}
		for _, code := range body.Acknowledge {
			v.Accepted[code] = true
		}
		if told := (*problem)(nil); errors.As(err, &told) && told.Code == connection.ErrBlocked.Code {
			told.Detail = "Nothing is activated yet: tick every warning below that you accept, or have it repaired."
			told.Fields = map[string]string{"/acknowledge": plural(len(v.Blocking)-len(v.Accepted), "warning is", "warnings are") + " not ticked."}
		}
		return p.refused("connection_activate", v, err)
	}
	return p.done(path, "Activated. From now on it decides. How a workload gets its first token is below, under Use it.")
}

// endView asks before a connection is deactivated or deleted.
type endView struct {
	State connection.State
	ETag  string
	Typed string
}

func showEnd(template string) func(*page) error {
	return func(p *page) error {
		c, err := p.connection()
		if err != nil {
			return err
		}
		return p.render(template, endView{State: c, ETag: etagOf(c)})
	}
}

func deactivate(p *page) error {
	c, err := p.connection()
	if err != nil {
		return err
	}
	form, err := p.form()
	if err != nil {
		return err
	}
	revoke := form.Get("revoke_tokens") == "true"
	path := "/connections/" + c.Name.String()
	if err := p.API(http.MethodPost, path+"/deactivate", ifMatch(form.Get("etag")), map[string]bool{"revoke_tokens": revoke}, nil); err != nil {
		return p.refused("connection_deactivate", endView{State: c, ETag: etagOf(c)}, err)
	}
	if revoke {
		return p.done(path, "Deactivated. It issues nothing, and every token of it is dead for good.")
	}
	return p.done(path, "Deactivated. It issues nothing, and its tokens are not good while it is inactive.")
}

func deleteConnection(p *page) error {
	c, err := p.connection()
	if err != nil {
		return err
	}
	form, err := p.form()
	if err != nil {
		return err
	}
	if ok, err := p.stepUp(); !ok {
		return err
	}
	v := endView{State: c, ETag: etagOf(c), Typed: form.Get("name")}
	if v.Typed != c.Name.String() {
		return p.refused("connection_delete", v, p.invalid("/name", "Type the name of the connection as it is written above."))
	}
	if err := p.API(http.MethodDelete, "/connections/"+c.Name.String(), ifMatch(form.Get("etag")), nil, nil); err != nil {
		return p.refused("connection_delete", v, err)
	}
	return p.done("/connections", "Deleted. The name is never given again.")
}
