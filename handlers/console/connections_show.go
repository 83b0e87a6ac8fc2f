package console

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
)

// connectionView is one connection.
type connectionView struct {
	State      connection.State
	Provider   string
	Trusts     specView      // what is in force, or of a draft what would be
	Changes    []changeWords // of the version that waits
	Warnings   []connection.Warning
	History    []connectionStep
	Longer     bool // the history has more
	Day        dayView
	LastIssued time.Time
	Quiet      bool // it issued on most days, and no more since
	LastDenied time.Time
	Reviewers  []domain.Name // who could activate it
	Use        *useView      // how workloads use it; nil where it is not active
	// What the person may do.
	MayEdit, MayActivate, MayDeactivate, MayDelete, MaySimulate bool
	WhyNot                                                      string // why those who draft may not edit this one
}

// connectionStep is something that happened to a connection.
type connectionStep struct {
	What, By, Position string
	At                 time.Time
}

// connection finds the connection in the path, as it is now.
func (p *page) connection() (c connection.State, err error) {
	name, err := p.name("name")
	if err != nil {
		return c, err
	}
	p.Org.Read(func(s *control.State, _ domain.Head) { c = s.Connection(name) })
	if c.Status == connection.None || c.Status == connection.Deleted {
		return c, connection.ErrNotFound
	}
	return c, nil
}

// whyNotEdit is why somebody who drafts connections may not edit this one, in
// the words of /v1; "" where they may, or edit none.
func whyNotEdit(c connection.State, who domain.Actor) string {
	var why *domain.Error
	if connection.MayDraft(who) != nil || !errors.As(connection.MayWrite(c, who), &why) {
		return ""
	}
	return why.Message
}

func showConnection(p *page) error {
	c, err := p.connection()
	if err != nil {
		return err
	}
	v := connectionView{
		State: c, Provider: providerTitle(c.Newest().Provider), Trusts: saySpec(c.Current), Changes: shortened(sayChanges(c)),
		Warnings: connection.Warnings(c.Newest(), p.Org.Issuer()), MayEdit: connection.MayWrite(c, p.Person) == nil,
		MayDeactivate: p.Person.Has(domain.SecurityAdmin) && c.Status != connection.Drafted,
		Reviewers:     p.couldActivate(c),
	}
	waits := c.Status != connection.Active || c.Pending != nil
	p.Org.Read(func(s *control.State, _ domain.Head) { v.MayActivate = waits && p.activation(s, c, p.Person) == nil })
	v.WhyNot, v.Use = whyNotEdit(c, p.Person), useOf(c, p.Org.Issuer())
	v.MaySimulate = slices.ContainsFunc(simulators, p.Person.Has)
	v.MayDelete = v.MayEdit && c.Status != connection.Active
	p.Org.Settle(p.Context())
	if v.History, err = p.history(c.Name); err != nil {
		return err
	}
	v.Longer = len(v.History) == historySteps
	days, err := p.Org.Trail().Activity(p.Context(), []string{c.Name.String()}, p.now(), dayHours)
	if err != nil {
		return err
	}
	day := days[c.Name.String()]
	v.Day, v.LastIssued, v.LastDenied = newDay(day), day.LastIssued, day.LastDenied
	quiet, err := p.quiet([]connection.State{c}, days)
	if err != nil {
		return err
	}
	v.Quiet = quiet[c.Name.String()]
	return p.render("connection", v)
}

// maxChange is how much of what was, and will be, a connection's page shows of each
// change, in bytes. Where somebody decides on it, it is whole.
const maxChange = 300

func shortened(changes []changeWords) []changeWords {
	for i, c := range changes {
		changes[i].From, changes[i].To = cut(c.From, maxChange), cut(c.To, maxChange)
	}
	return changes
}

// namedReviewers is how many people are named of those who could do something.
const namedReviewers = 10

// couldActivate is who may activate the newest version, the first few: security
// admins that wrote nothing of it, and where roles alone decide, those that did too.
func (p *page) couldActivate(c connection.State) (names []domain.Name) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		for person := range s.EachPerson() {
			if !s.Bears(person, domain.SecurityAdmin, p.now()) {
				continue
			}
			actor := domain.Actor{ID: person.Name.String(), Roles: s.EffectiveRoles(person.Name, p.now())}
			if p.activation(s, c, actor) == nil {
				names = append(names, person.Name)
			}
			if len(names) == namedReviewers {
				return
			}
		}
	})
	return names
}

// activation is why somebody may not activate the newest version at all,
// whatever they acknowledge; nil: they may.
func (p *page) activation(s *control.State, c connection.State, who domain.Actor) error {
	settings := s.Organisation()
	_, err := connection.Decide(c, connection.Activate{
		Version: c.Version, DualControl: string(settings.DualControl), LoosenedBy: settings.UpdatedBy, Issuer: p.Org.Issuer(),
	}, domain.Meta{Actor: who, Now: p.now()})
	var known *domain.Error
	if errors.As(err, &known) && known.Kind == domain.KindForbidden {
		return err
	}
	return nil
}

// historySteps is how much of its history a connection's page tells.
const historySteps = 20

// history is what people did with a connection, newest first.
func (p *page) history(name domain.Name) (steps []connectionStep, err error) {
	found, err := p.Org.Trail().Query(p.Context(), trail.Query{
		Connection: name.String(), Order: trail.Descending, Limit: historySteps, Bare: true,
		Type: "connection.drafted,connection.edited,connection.activated,connection.deactivated,connection.tested",
	})
	if err != nil {
		return nil, err
	}
	for _, e := range found.Events {
		steps = append(steps, connectionStep{What: strings.TrimPrefix(e.Type, "connection."), By: e.Actor, At: e.Time, Position: e.Position.String()})
	}
	return steps, nil
}

// tested is the newest test of a version; nil if there was none of it lately.
func (p *page) tested(c connection.State) (*testEvidence, error) {
	found, err := p.Org.Trail().Query(p.Context(), trail.Query{
		Connection: c.Name.String(), Type: connection.WasTested{}.EventType(), Order: trail.Descending, Limit: historySteps,
	})
	if err != nil {
		return nil, err
	}
	for _, e := range found.Events {
		event, env, err := p.decode(e)
		if err != nil {
			return nil, err
		}
		if t := event.(connection.WasTested); t.Version == c.Version {
			return &testEvidence{By: env.Actor, At: env.Time, Verdict: t.Verdict, Identity: t.Identity, Checks: t.Checks}, nil
		}
	}
	return nil, nil
}

// decode reads an event of the trail.
func (p *page) decode(e trail.Entry) (domain.Event, domain.Envelope, error) {
	env, err := domain.ParseEvent(e.JSON)
	if err != nil {
		return nil, env, err
	}
	event, err := p.Org.Catalogue().Decode(env.Type, env.Data)
	return event, env, err
}

// version is the specification as it was written at a version, from the trail;
// ok is false where the trail does not have it.
func (p *page) version(ctx context.Context, name domain.Name, version uint64) (spec connection.Spec, ok bool, err error) {
	for e, err := range p.Org.Trail().All(ctx, trail.Query{Connection: name.String(), Type: "connection.drafted,connection.edited", Order: trail.Descending}) {
		if err != nil {
			return spec, false, err
		}
		event, _, err := p.decode(e)
		if err != nil {
			return spec, false, err
		}
		switch event := event.(type) {
		case connection.WasDrafted:
			return event.Spec, version == 1, nil
		case connection.WasEdited:
			if event.Version == version {
				return event.Spec, true, nil
			}
		}
	}
	return spec, false, nil
}

// blocking are the warnings that keep a version from being activated, and the others.
func blocking(all []connection.Warning) (block, warn []connection.Warning) {
	for _, w := range all {
		if w.Blocks {
			block = append(block, w)
		} else {
			warn = append(warn, w)
		}
	}
	return slices.Clip(block), slices.Clip(warn)
}
