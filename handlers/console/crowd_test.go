package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/key"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/domain/role"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
	"sallyport.dev/streams"
)

// crowd is an organisation with so many of everything, and a console for it. Its
// facts are written as they would have been decided, without being asked for one by one.
type crowd struct {
	*site
	connections, servers, secrets, policies, people, groups, pending, decided, glasses, checkouts, sessions int
	// hers is how many of the sessions are alice's.
	hers int
	// long makes every name and text as long as may be.
	long bool

	waits, glass string // a request that waits, and a glass that does
}

// called is a name of somebody or something; those that are long are 63 characters.
func (c *crowd) called(kind string, n int) domain.Name {
	name := kind + "-" + strconv.Itoa(n)
	if c.long {
		name += strings.Repeat("x", 63-len(name))
	}
	return domain.Name(name)
}

// text is what somebody wrote: short, or of so many characters.
func (c *crowd) text(most int) string {
	if !c.long {
		return "What it is for, in a line as people write it."
	}
	return strings.Repeat("So it was <agreed> & done. ", most/27+1)[:most]
}

// secret is a path; those that are long have 255 characters.
func (c *crowd) secret(n int) string {
	path := fmt.Sprintf("team-%d/app-%d/key", n%100, n)
	if c.long {
		path += strings.Repeat("-", 255-len(path))
	}
	return path
}

// put records facts, in commits as full as may be: most of what it takes is a commit's.
func (c *crowd) put(by string, facts ...domain.Fact) {
	c.t.Helper()
	const envelope, room = 600, streams.MaxCommitBytes * 3 / 4
	for len(facts) > 0 {
		n, size := 0, 0
		for n < len(facts) && n < 400 && size < room {
			data, err := json.Marshal(facts[n].Event)
			if err != nil {
				c.t.Fatal(err)
			}
			size += envelope + len(data)
			n++
		}
		some := facts[:n]
		if _, err := c.world.Execute(c.t.Context(), c.world.Meta(by, domain.Owner), func(*control.State) ([]domain.Fact, error) { return some, nil }); err != nil {
			c.t.Fatalf("recording %s of %s: %v", some[0].Event.EventType(), some[0].Subject, err)
		}
		facts = facts[n:]
	}
}

// each is facts of n things.
func each(n int, fact func(i int) domain.Fact) (facts []domain.Fact) {
	for i := range n {
		facts = append(facts, fact(i))
	}
	return facts
}

// gather fills the organisation. Everybody is in the first group, alice in as many
// as one person may be in, and whoever else signs in in the first twenty.
func (c *crowd) gather() {
	c.t.Helper()
	for who, role := range devPeople {
		c.signIn(who, role)
	}
	c.directory()
	c.trust()
	c.resources()
	c.rules()
	c.requests()
	c.holders()
	c.signedIn()
}

// signedIn is sessions, the first of them alice's. Making one is waiting for the disk.
func (c *crowd) signedIn() {
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for first := range 32 {
		all.Go(func() {
			for i := first; i < c.sessions; i += 32 {
				who := session.Session{Person: c.called("person", i%c.people), Method: "oidc", Provider: "okta", UserAgent: c.text(200), Source: "192.0.2.7"}
				if i < c.hers {
					who.Person = "alice"
				}
				cookie, _ := session.Name()
				if _, err := c.world.Sessions().Create(c.t.Context(), cookie, who); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		c.t.Fatal(*err)
	}
}

func (c *crowd) directory() {
	var proofs []domain.Fact
	c.put("owner", each(c.people, func(i int) domain.Fact {
		n := c.called("person", i)
		e := person.WasAdded{Name: n, Roles: []domain.Role{domain.Member}, Email: n.String() + "@example.com"}
		if c.long {
			e.Roles, e.Manager = domain.Roles(), c.called("person", 0)
		}
		token := person.TokenWasCreated{ID: fmt.Sprintf("01KAR%021d", i), Person: n, Roles: []domain.Role{domain.Member}, Hash: fmt.Sprintf("%064x", i), ExpiresAt: c.world.Now().Add(24 * time.Hour)}
		account := identity.WasLinked{Person: n, Account: identity.Account{Issuer: "https://login.example", Subject: n.String()}}
		proofs = append(proofs, domain.Fact{Subject: "api_token/" + token.ID, Event: token}, domain.Fact{Subject: "person/" + n.String(), Event: account})
		return domain.Fact{Subject: "person/" + n.String(), Event: e}
	})...)
	c.put("owner", proofs...)
	c.put("owner", each(c.groups, func(i int) domain.Fact {
		n := c.called("group", i)
		return domain.Fact{Subject: "group/" + n.String(), Event: group.WasCreated{Name: n, Spec: group.Spec{Description: c.text(1000)}}}
	})...)
	var members []domain.Fact
	for i := range c.groups {
		n := c.called("group", i)
		for _, who := range c.membersOf(i) {
			members = append(members, domain.Fact{Subject: "group/" + n.String(), Event: group.MemberWasAdded{Group: n, Person: who, Source: group.Local}})
		}
	}
	c.put("owner", members...)
}

// membersOf is who is in a group.
func (c *crowd) membersOf(i int) (in []domain.Name) {
	for _, who := range slices.Sorted(maps.Keys(devPeople)) {
		if i < 20 || i < 200 && who == "alice" {
			in = append(in, who)
		}
	}
	most := min(c.people, 20)
	if i == 0 {
		most = c.people
	}
	for j := range most {
		in = append(in, c.called("person", (i*7+j)%c.people))
	}
	return in
}

// trust is connections, two in a hundred of which are drafts and as many have a
// change that waits, and workload roles.
func (c *crowd) trust() {
	spec, err := connection.Complete(gitLab("acme"), c.world.Issuer())
	if err != nil {
		c.t.Fatal(err)
	}
	spec.Description = c.text(1000)
	for n := range 18 {
		if c.long {
			spec.Conditions = append(spec.Conditions, claim.Condition{Claim: claim.Path("claim_" + strconv.Itoa(n)), Operator: claim.Equals, Value: c.text(1024)})
		}
	}
	spec.Conditions = append(spec.Conditions, claim.Condition{Claim: "ref_protected", Operator: claim.Equals, Value: "true"})
	subject := func(i int) string { return "connection/" + c.called("ci", i).String() }
	c.put("devops", each(c.connections, func(i int) domain.Fact {
		return domain.Fact{Subject: subject(i), Event: connection.WasDrafted{Spec: spec}}
	})...)
	var active []domain.Fact
	for i := range c.connections {
		if i%50 > 0 {
			active = append(active, domain.Fact{Subject: subject(i), Event: connection.WasActivated{Version: 1}})
		}
	}
	c.put("security", active...)
	changed := spec
	changed.Description, changed.Conditions = c.text(999), slices.Clone(spec.Conditions)
	for i := range changed.Conditions {
		if c.long && i > 0 {
			changed.Conditions[i].Value = c.text(1023)
		}
	}
	var edited []domain.Fact
	for i := 2; i < c.connections; i += 50 {
		edited = append(edited, domain.Fact{Subject: subject(i), Event: connection.WasEdited{Version: 2, Spec: changed, Pending: true}})
	}
	c.put("devops", edited...)
	c.put("security", each(20, func(i int) domain.Fact {
		return domain.Fact{Subject: "role/" + fmt.Sprintf("role-%d", i), Event: role.WasCreated{Spec: role.Spec{Description: c.text(1000), Requirements: []role.Requirement{{Connection: c.called("ci", i)}}}}}
	})...)
}

func (c *crowd) resources() {
	labels := func(i int) map[string]string {
		all := map[string]string{"team": "team-" + strconv.Itoa(i%100), "env": "prod"}
		for j := range 48 {
			if c.long {
				all[fmt.Sprintf("label-%d%s", j, strings.Repeat("y", 50))] = strings.Repeat("z", 128)
			}
		}
		return all
	}
	c.put("resource", each(50, func(i int) domain.Fact {
		n := c.called("project", i)
		return domain.Fact{Subject: "project/" + n.String(), Event: resource.ProjectWasCreated{Name: n, ProjectSpec: resource.ProjectSpec{Description: c.text(1000)}}}
	})...)
	c.put("resource", each(c.servers, func(i int) domain.Fact {
		n := c.called("server", i)
		spec := resource.ServerSpec{
			Description: c.text(1000), Project: c.called("project", i%50), Address: "192.0.2.1", Port: 22, Labels: labels(i),
			Accounts: []resource.Account{{Name: "own", Kind: resource.Personal}, {Name: "root", Kind: resource.Vaulted, Username: "root"}, {Name: "dba", Kind: resource.Vaulted, Username: "dba"}},
			Owner:    resource.Owner{Group: c.called("group", i%c.groups)},
		}
		for j := range 47 {
			if c.long {
				spec.Accounts = append(spec.Accounts, resource.Account{Name: c.called("account", j), Kind: resource.Vaulted, Username: "user" + strconv.Itoa(j)})
			}
		}
		return domain.Fact{Subject: "server/" + n.String(), Event: resource.ServerWasCreated{Name: n, ServerSpec: spec}}
	})...)
	c.put("resource", each(c.secrets, func(i int) domain.Fact {
		return domain.Fact{Subject: "secret/" + c.secret(i), Event: resource.SecretWasCreated{Path: c.secret(i), SecretSpec: resource.SecretSpec{
			Description: c.text(1000), Project: c.called("project", i%50), Labels: labels(i),
		}}}
	})...)
	c.put("resource", each(100, func(i int) domain.Fact {
		return domain.Fact{Subject: "secret/" + c.secret(0), Event: resource.VersionWasAdded{Path: c.secret(0), Version: i + 1, ID: ulid.Make().String(), Hash: strings.Repeat("h", 43)}}
	})...)
	c.put("resource", each(100, func(i int) domain.Fact {
		n := c.called("server", 0)
		return domain.Fact{Subject: "server/" + n.String(), Event: resource.VersionWasAdded{Server: n, Account: "root", Version: i + 1, ID: ulid.Make().String(), Hash: strings.Repeat("h", 43)}}
	})...)
}

// rules are policies of three rules each, for a group each.
func (c *crowd) rules() {
	c.put("security", domain.Fact{Subject: "request_type/prod", Event: request.TypeWasDrafted{Spec: c.approval()}},
		domain.Fact{Subject: "request_type/prod", Event: request.TypeWasPublished{Version: 1}})
	var facts []domain.Fact
	for i := range c.policies {
		n := c.called("policy", i)
		spec := policy.Spec{Description: c.text(1000), Principals: policy.Principals{Groups: []domain.Name{c.called("group", i%c.groups)}}, Rules: []policy.Rule{
			{Name: "asks", Resource: policy.Selector{Server: c.called("server", i%c.servers)}, Privileges: []policy.Privilege{{Type: policy.SSH, Accounts: []domain.Name{"root", "dba"}}},
				Conditions: []policy.Condition{{Type: policy.AccessRequest, RequestType: "prod", ApprovalSeconds: 3600}}, BreakGlass: &policy.BreakGlass{AccessSeconds: 900}},
			{Name: "stands", Resource: policy.Selector{Labels: map[string]string{"team": "team-" + strconv.Itoa(i%100), "env": "prod"}}, Privileges: []policy.Privilege{{Type: policy.SSH, Accounts: []domain.Name{"own"}}}, Expression: `time.getHours() < 24`},
			{Name: "reads", Resource: policy.Selector{Folder: "team-" + strconv.Itoa(i%100)}, Privileges: []policy.Privilege{{Type: policy.Secret, Actions: []policy.Action{policy.List, policy.Reveal}}}},
		}}
		facts = append(facts, domain.Fact{Subject: "policy/" + n.String(), Event: policy.WasDrafted{Spec: spec}}, domain.Fact{Subject: "policy/" + n.String(), Event: policy.WasPublished{Version: 1}})
	}
	c.put("security", facts...)
}

// approval is a type of requests that the first group approves, of ten steps where it is long.
func (c *crowd) approval() request.Spec {
	spec := request.Spec{Description: c.text(1000), Kind: request.ForAccess, Justification: request.Required}
	for i := range 10 {
		st := request.Step{Name: domain.Name("step-" + strconv.Itoa(i)), Approvers: request.Approvers{Group: c.called("group", 0)}, Needed: 1, ExpiresAfterSeconds: 86400}
		if c.long {
			st.Needed = 4
		}
		if i == 0 || c.long {
			spec.Steps = append(spec.Steps, st)
		}
	}
	return spec
}

// requests are those that wait, all of them for the first group, those that were
// decided with a comment, and broken glass.
func (c *crowd) requests() {
	matter := func(i int) request.Matter {
		n := i % max(c.policies, 1)
		return request.Matter{Requester: c.called("person", i%c.people).String(), Type: "prod", Resource: resource.ServerRef(c.called("server", n%c.servers)), Method: c.called("policy", n).String() + "/asks/ssh:root"}
	}
	asked := request.Asked{Policy: c.called("policy", 0), Rule: "asks", Username: "root", ApprovalSeconds: 3600, Justification: c.text(2048)}
	spec := c.approval()
	until := c.world.Now().Add(24 * time.Hour)
	raised := func(i int) (id string, facts []domain.Fact) {
		id = ulid.Make().String()
		return id, []domain.Fact{
			{Subject: "request/" + id, Event: request.WasRaised{Matter: matter(i), Asked: asked, Version: 1}},
			{Subject: "request/" + id, Event: request.StepWasOpened{Matter: matter(i), Step: 1, Name: "step-0", ExpiresAt: until}},
		}
	}
	word := func(id string, i, step int) domain.Fact {
		return domain.Fact{Subject: "request/" + id, Event: request.WasDecided{Matter: matter(i), Step: step, Name: spec.Steps[step-1].Name, Verdict: request.Approved, Comment: c.text(2048)}}
	}
	var asks, approved, ended []domain.Fact
	for i := range c.decided {
		id, facts := raised(i)
		asks = append(asks, facts...)
		approved = append(approved, word(id, i, 1))
		if len(spec.Steps) == 1 {
			ended = append(ended, domain.Fact{Subject: "request/" + id, Event: request.WasApproved{Matter: matter(i), ValidUntil: until}})
		}
	}
	for i := range c.pending {
		id, facts := raised(c.decided + i)
		asks, c.waits = append(asks, facts...), id
	}
	c.put("requester", asks...)
	c.put("security", approved...)
	c.put("security", ended...)
	if c.long { // nine steps of four decisions each, and the tenth waits
		n := c.decided + c.pending - 1
		for step := 1; step < len(spec.Steps); step++ {
			for by := range 4 {
				c.put(c.called("person", step*4+by).String(), word(c.waits, n, step))
			}
			c.put("security", domain.Fact{Subject: "request/" + c.waits, Event: request.StepWasOpened{Matter: matter(n), Step: step + 1, Name: spec.Steps[step].Name, ExpiresAt: until}})
		}
	}
	c.put("host", each(c.glasses, func(i int) domain.Fact {
		c.glass = ulid.Make().String()
		m := matter(i)
		return domain.Fact{ID: c.glass, Subject: "break_glass/" + c.glass, Event: access.GlassWasBroken{Resource: m.Resource, Method: m.Method, Policy: asked.Policy, Rule: "asks", Account: "root",
			Username: "root", RequestTypes: []domain.Name{"prod"}, By: m.Requester, Reason: c.text(2048), Until: until}}
	})...)
}

// holders have a password each that is checked out, alice one of them.
func (c *crowd) holders() {
	until := c.world.Now().Add(time.Hour)
	c.put("owner", each(c.checkouts, func(i int) domain.Fact {
		of := domain.Name("alice")
		if i > 0 {
			of = c.called("person", i%c.people)
		}
		ref := resource.ServerRef(c.called("server", i%c.servers))
		return domain.Fact{Subject: string(ref), Event: access.CheckoutWasTaken{Resource: ref, Account: domain.Name([]string{"root", "dba"}[i/c.servers]), Method: c.called("policy", 0).String() + "/asks/ssh:root",
			By: of.String(), From: c.world.Now(), Until: until}}
	})...)
}

// exchanged is commits of 64 exchanges each, as the trail gets them, in the time
// up to now: one in fifty is denied. They are not in the log.
func (c *crowd) exchanged(first uint64, events int, over time.Duration) (commits []domain.Commit) {
	begun, source := c.world.Now().Add(-over), c.world.Issuer()
	for k := 0; k < events; {
		commit := domain.Commit{ID: fmt.Sprintf("C%025d", first), Sequence: first}
		for i := 0; i < 64 && k < events; i, k = i+1, k+1 {
			commit.Events = append(commit.Events, c.exchangeEvent(commit, i, k, begun.Add(over*time.Duration(k)/time.Duration(events)), source))
		}
		commits = append(commits, commit)
		first++
	}
	return commits
}

func (c *crowd) exchangeEvent(in domain.Commit, i, k int, at time.Time, source string) domain.Envelope {
	of, identity := c.called("ci", k%min(c.connections, 20)), fmt.Sprintf("repo:acme/app-%d:ref:refs/heads/branch-%d", k*7%200, k*13%50)
	var e domain.Event = token.WasIssued{Connection: of, Version: 1, Identity: identity, ID: fmt.Sprintf("%022x", k*2654435761), Audience: source, Algorithm: string(key.ES256),
		IssuedAt: at, ExpiresAt: at.Add(15 * time.Minute), Grant: "token-exchange", Source: "192.0.2.0/24",
		Proof: token.Proof{Digest: fmt.Sprintf("%043x", k), ID: fmt.Sprintf("%036x", k), Issuer: "https://token.actions.githubusercontent.com", Algorithm: "RS256", ExpiresAt: at.Add(time.Minute), SkewSeconds: 30}}
	if k%50 == 0 {
		denied := token.WasDenied{Connection: of, Version: 1, Identity: identity, Code: token.CodeConditions, Source: "192.0.2.0/24"}
		for n := range 20 {
			if n == 0 || c.long {
				denied.Checks = append(denied.Checks, proof.Check{Check: proof.Condition, Claim: "claim_" + strconv.Itoa(n), Operator: "equals", Expected: c.text(256), Actual: c.text(256), Result: proof.Fail, Message: "not equal"})
			}
		}
		e = denied
	}
	stored := domain.Envelope{ID: fmt.Sprintf("E%020d%05d", in.Sequence, i), Type: e.EventType(), Source: source, Subject: "connection/" + of.String(), Time: at,
		Actor: "workload://default/" + of.String() + "/" + url.PathEscape(identity), RequestID: fmt.Sprintf("01KAR%021d", k), CommitID: in.ID, Event: e,
		Position: domain.Position{Sequence: in.Sequence, Index: i}}
	var err error
	if stored.Data, err = json.Marshal(e); err != nil {
		c.t.Fatal(err)
	}
	return stored
}

// happen puts exchanges into the trail, behind what is in the log.
func (c *crowd) happen(events int, over time.Duration) {
	c.t.Helper()
	c.world.Settle(c.t.Context())
	if err := c.world.Trail().Apply(c.exchanged(c.world.Trail().Applied()+1, events, over)); err != nil {
		c.t.Fatal(err)
	}
}

// where is the addresses of a screen: of most, its path; of those with
// parameters, of some that there are; of lists, with filters.
func (c *crowd) where(path string) []string {
	of := func(kind, query string) string {
		return strings.ReplaceAll(path, ":name", c.called(kind, 0).String()) + query
	}
	at := func(ref, method string) string {
		return "?" + url.Values{"resource": {ref}, "method": {method}}.Encode()
	}
	server := string(resource.ServerRef(c.called("server", 0)))
	secret := "?" + url.Values{"path": {c.secret(0)}, "version": {"1"}}.Encode()
	ci := c.called("ci", 1).String() // one that is active; that of number 0 is a draft, and that of number 2 has a change that waits
	switch first, _, _ := strings.Cut(path[1:], "/"); {
	case path == "/audit":
		hour := c.world.Now().Truncate(time.Hour).Add(-time.Hour)
		return []string{path, path + "?since=" + hour.Format(time.RFC3339) + "&until=" + hour.Add(time.Hour).Format(time.RFC3339),
			path + "?type=token.denied", path + "?outcome=denied", path + "?connection=" + ci, path + "?actor=owner", path + "?workload=" + ci, path + "?q=branch"}
	case path == "/connections":
		return []string{path, path + "?q=ci&page=50", path + "?status=draft", path + "?status=pending", path + "?provider=gitlab"}
	case path == "/denials":
		return []string{path, path + "?connection=" + ci, path + "?code=" + token.CodeConditions}
	case path == "/workloads":
		return []string{path + "?identity=" + url.QueryEscape("repo:acme/app-7:ref:refs/heads/branch-13")}
	case path == "/people" || path == "/groups" || path == "/policies" || path == "/servers" || path == "/secrets":
		return []string{path, path + "?q=1&from=50", path + "?q=nothing+like+it"}
	case path == "/people/:name":
		return []string{"/people/alice", of("person", "")}
	case path == "/groups/:name":
		return []string{of("group", ""), of("group", "?from=50"), strings.ReplaceAll(path, ":name", c.called("group", 1).String())}
	case path == "/requests":
		return []string{path, path + "?view=all"}
	case path == "/access":
		return []string{path, path + "?kind=secret", path + "?q=9", path + "?q=nothing"}
	case strings.HasPrefix(path, "/connections/:name"):
		return []string{of("ci", ""), strings.ReplaceAll(path, ":name", ci), strings.ReplaceAll(path, ":name", c.called("ci", 2).String())}
	case path == "/access/resource":
		return []string{path + at(server, "")}
	case path == "/access/request" || path == "/access/break-glass":
		return []string{path + at(server, c.called("policy", 0).String()+"/asks/ssh:root")}
	case strings.HasSuffix(path, ":position"):
		return []string{strings.ReplaceAll(path, ":position", c.newestDenial())}
	case path == "/audit/live" || path == "/audit/export/:file" || strings.HasSuffix(path, "/take-away"):
		return nil // a stream, a file, and what nobody here has
	case path == "/requests/:id":
		return []string{"/requests/" + c.waits}
	case path == "/break-glass/:id":
		return []string{"/break-glass/" + c.glass}
	case first == "servers" && strings.Contains(path, ":account"):
		return []string{strings.ReplaceAll(of("server", "?version=1"), ":account", "root")}
	case strings.HasPrefix(path, "/secrets/-/one"):
		return []string{path + secret}
	case !strings.Contains(path, ":"):
		return []string{path}
	case first == "request-types":
		return []string{strings.ReplaceAll(path, ":name", "prod")}
	case first == "roles":
		return []string{strings.ReplaceAll(path, ":name", "role-0")}
	}
	kinds := map[string]string{"people": "person", "groups": "group", "policies": "policy", "projects": "project", "servers": "server"}
	first, _, _ := strings.Cut(path[1:], "/")
	return []string{of(kinds[first], "")}
}

func (c *crowd) newestDenial() string {
	c.t.Helper()
	found, err := c.world.Trail().Query(c.t.Context(), trail.Query{Type: token.WasDenied{}.EventType(), Order: trail.Descending, Limit: 1})
	if err != nil || len(found.Events) == 0 {
		c.t.Fatalf("no denial: %v", err)
	}
	return found.Events[0].Position.String()
}
