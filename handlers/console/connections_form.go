package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/provider"
	"sallyport.dev/handlers/api"
)

// connectionForm is a specification while a person writes it. Nothing of it is
// kept by us until it is saved: the page carries all of it.
type connectionForm struct {
	New      bool
	Live     bool // the preview alone is asked for, while the person types
	Name     string
	Kind     provider.Kind
	ETag     string            // of the version that was read
	Settings provider.Settings // as they are in the form
	// From are the settings that the conditions were last written from.
	From    provider.Settings
	Written bool // whether there are conditions to look at

	Description, JWKSURL, IssuerURL, JWKS, CACertificate string
	Rows                                                 []conditionRow
	IdentityClaim, IdentityPath                          string
	Audiences, AudienceClaims                            string // one a line
	TTL, Age                                             connection.Duration
	Algorithms                                           []string
	SingleUse, TTLWithinProof                            bool

	// What is told beside it.
	Note    string // why the form is as it is
	Changed []changeWords
	By      string // who changed it meanwhile
	At      time.Time
	Preview *previewView
}

// conditionRow is a condition as it is typed: values one a line.
type conditionRow struct{ Claim, Operator, Value string }

// previewView is what saving would write.
type previewView struct {
	Spec     specView
	Changes  []changeWords // against the version that is there
	Warnings []connection.Warning
}

// Title is the provider as people call it.
func (f connectionForm) Title() string { return providerTitle(f.Kind) }

// Asks are the settings of the provider, with what is typed.
func (f connectionForm) Asks() (asks []askView) {
	for _, a := range f.Kind.Asks() {
		hint := settingHints[string(f.Kind)+"."+a.Name]
		if hint == "" {
			hint = strings.ToUpper(a.Form[:1]) + a.Form[1:]
		}
		if a.Fallback != "" {
			hint += "; without it, this organisation's issuer"
		}
		if a.Needs != "" {
			hint += "; together with " + strings.ReplaceAll(a.Needs, "_", " ")
		}
		asks = append(asks, askView{Pointer: "/settings/" + a.Name, Label: settingLabel(a.Name), Value: f.Settings[a.Name], Hint: hint + ".", Required: a.Required})
	}
	return asks
}

// settingHints say where a person finds what a provider's preset asks for.
var settingHints = map[string]string{
	"circleci.organization_id": "From the organization's settings", "circleci.project_id": "From the project's settings; without it, every project of the organization",
	"gitlab.domain": "gitlab.com, or the host of your own GitLab", "gitlab.group": "Its path, such as acme/platform", "gitlab.project": "Its name in the group",
	"gitlab.project_id": "Its number, which stays the same when the project moves", "gitlab.audience": "What the job asks for as aud",
	"google_cloud.client_id": "The audience that the workload asks for", "google_cloud.email": "Address of the service account",
	"google_cloud.account_id": "Unique id of the service account, which is never given again",
	"github.owner":            "Organisation or user", "github.owner_id": "Its number, which is never given again", "github.repository": "Its name; without it, every repository of the owner",
	"github.repository_id": "Its number, which is never given again", "github.environment": "Of the deployment, such as production", "github.audience": "What the workflow asks for",
	"kubernetes.issuer": "The cluster's, as kubectl get --raw /.well-known/openid-configuration says it", "kubernetes.audience": "What the pod's projected volume asks for",
	"kubernetes.namespace": "Of the service account", "kubernetes.service_account": "Its name",
}

// Folded tells that the settings stand back: what was written from them is looked at.
func (f connectionForm) Folded() bool { return f.New && f.Written && len(f.Kind.Asks()) > 0 }

// Warned is how many warnings stand below the form of a new connection; "" is none.
func (f connectionForm) Warned() string {
	if !f.Folded() || f.Preview == nil || len(f.Preview.Warnings) == 0 {
		return ""
	}
	return plural(len(f.Preview.Warnings), "warning", "warnings")
}

// FirstStep is the query of the address at which the form has what was typed before
// there were conditions.
func (f connectionForm) FirstStep() string {
	q := url.Values{"provider": {string(f.Kind)}, "name": {f.Name}, "description": {f.Description}}
	for name, value := range f.Settings {
		q.Set("settings."+name, value)
	}
	return q.Encode()
}

type askView struct {
	Pointer, Label, Value, Hint string
	Required                    bool
}

// Operators are the choices of a condition.
func (connectionForm) Operators() (all []option) {
	for _, o := range []claim.Operator{claim.Equals, claim.OneOf, claim.StartsWith, claim.Includes, claim.Exists} {
		all = append(all, option{string(o), operatorWords[o]})
	}
	return all
}

// Units are the choices of a span.
func (connectionForm) Units() []option {
	return []option{{"minutes", "minutes"}, {"hours", "hours"}, {"seconds", "seconds"}}
}

// algorithmChoice is one algorithm of the form.
type algorithmChoice struct {
	Name string
	On   bool
}

// AlgorithmChoices are all that a proof may be signed with.
func (f connectionForm) AlgorithmChoices() (all []algorithmChoice) {
	for _, a := range connection.Algorithms() {
		all = append(all, algorithmChoice{a, slices.Contains(f.Algorithms, a)})
	}
	return all
}

// Amount is a number as it is typed, nothing for none.
func (connectionForm) Amount(d connection.Duration) string {
	if d.Amount == 0 {
		return ""
	}
	return strconv.Itoa(d.Amount)
}

// formOf is the form of a specification.
func formOf(s connection.Spec) connectionForm {
	f := connectionForm{
		Kind: s.Provider, Settings: s.Settings, From: s.Settings, Written: true, Description: s.Description, JWKSURL: s.JWKSURL, IssuerURL: s.IssuerURL,
		JWKS: string(s.JWKS), CACertificate: s.CACertificate, IdentityClaim: string(s.IdentityClaim), IdentityPath: s.IdentityPath,
		Audiences: strings.Join(s.Audiences, "\n"), AudienceClaims: strings.Join(s.AudienceClaims, "\n"), TTL: s.TokenTTL, Algorithms: s.Algorithms,
		SingleUse: s.SingleUse, TTLWithinProof: s.TTLWithinProof,
	}
	if s.ProofMaxAge != nil {
		f.Age = *s.ProofMaxAge
	}
	for _, c := range s.Conditions {
		f.Rows = append(f.Rows, rowOf(c))
	}
	return f
}

func rowOf(c claim.Condition) conditionRow {
	value := c.Value
	if c.Operator == claim.OneOf {
		value = strings.Join(c.Values, "\n")
	}
	return conditionRow{string(c.Claim), string(c.Operator), value}
}

// Lines is how many lines of the value are shown.
func (r conditionRow) Lines() int { return min(8, 1+strings.Count(r.Value, "\n")) }

// condition is the row as /v1 takes it.
func (r conditionRow) condition() claim.Condition {
	c := claim.Condition{Claim: claim.Path(r.Claim), Operator: claim.Operator(r.Operator)}
	switch c.Operator {
	case claim.OneOf:
		c.Values = lines(r.Value)
	case claim.Exists:
	default:
		c.Value = r.Value
	}
	return c
}

// lines are the lines of a text that are not empty.
func lines(text string) (all []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// maxRows bounds the rows that are read, so that a form is answered in its time.
const maxRows = 50

// readConnection is the form as it was sent.
func readConnection(v url.Values) connectionForm {
	text := func(name string) string {
		return strings.TrimSpace(strings.ReplaceAll(v.Get(name), "\r\n", "\n"))
	}
	f := connectionForm{
		Name: text("name"), Kind: provider.Kind(text("provider")), ETag: text("etag"), Written: text("written") == "true", Description: text("description"),
		JWKSURL: text("jwks_url"), IssuerURL: text("issuer_url"), JWKS: text("jwks"), CACertificate: text("ca_certificate"),
		IdentityClaim: text("identity_claim"), IdentityPath: text("identity_path"), Audiences: text("audiences"), AudienceClaims: text("audience_claims"),
		TTL: readDuration(v, "token_ttl"), Age: readDuration(v, "proof_max_age"), Algorithms: v["algorithms"],
		SingleUse: text("single_use") == "true", TTLWithinProof: text("ttl_within_proof") == "true",
		Settings: provider.Settings{}, From: provider.Settings{},
	}
	for _, a := range f.Kind.Asks() {
		for prefix, to := range map[string]provider.Settings{"settings.": f.Settings, "from.": f.From} {
			if value := text(prefix + a.Name); value != "" {
				to[a.Name] = value
			}
		}
	}
	for i := range maxRows {
		at := "conditions." + strconv.Itoa(i) + "."
		if r := (conditionRow{text(at + "claim"), text(at + "operator"), text(at + "value")}); v.Has(at+"claim") && (r.Claim != "" || r.Value != "") {
			f.Rows = append(f.Rows, r)
		}
	}
	return f
}

// readDuration is a span as typed; what is no number is none that is allowed.
func readDuration(v url.Values, name string) connection.Duration {
	amount := strings.TrimSpace(v.Get(name + ".amount"))
	if amount == "" {
		return connection.Duration{}
	}
	n, err := strconv.Atoi(amount)
	if err != nil {
		n = -1
	}
	return connection.Duration{Amount: n, Unit: v.Get(name + ".unit")}
}

// spec is what the person wrote.
func (f connectionForm) spec() connection.Spec {
	s := connection.Spec{
		Description: f.Description, Provider: f.Kind, Settings: f.Settings, JWKSURL: f.JWKSURL, IssuerURL: f.IssuerURL, CACertificate: f.CACertificate,
		IdentityClaim: claim.Path(f.IdentityClaim), IdentityPath: f.IdentityPath, Audiences: lines(f.Audiences), AudienceClaims: lines(f.AudienceClaims),
		TokenTTL: f.TTL, Algorithms: f.Algorithms, SingleUse: f.SingleUse, TTLWithinProof: f.TTLWithinProof,
	}
	if f.JWKS != "" {
		s.JWKS = json.RawMessage(f.JWKS)
	}
	if f.Age != (connection.Duration{}) {
		s.ProofMaxAge = &f.Age
	}
	for _, r := range f.Rows {
		s.Conditions = append(s.Conditions, r.condition())
	}
	return s
}

// check refuses what cannot even be sent to /v1.
func (p *page) check(f connectionForm) error {
	if f.JWKS != "" && !json.Valid([]byte(f.JWKS)) {
		return p.invalid("/jwks", `This is not JSON: a key set is {"keys": [...]}, as your provider answers it.`)
	}
	return nil
}

// write has the preset write its conditions where that is not done yet, or was
// done for other settings; what the person added stays. changed tells that there
// is something new to look at.
func (f *connectionForm) write(issuer string) (changed bool, err error) {
	if len(f.Kind.Asks()) == 0 {
		changed, f.Written = !f.Written, true
		return changed, nil
	}
	if f.Written && same(f.From, f.Settings) {
		return false, nil
	}
	filled, broken := provider.Fill(f.Kind, f.Settings, issuer)
	if len(broken) > 0 {
		return false, domain.ErrFields(broken)
	}
	before, _ := provider.Fill(f.Kind, f.From, issuer)
	var rows []conditionRow
	for _, c := range filled.Conditions {
		rows = append(rows, rowOf(c))
	}
	for _, r := range f.Rows {
		if !slices.ContainsFunc(before.Conditions, func(c claim.Condition) bool { return rowOf(c) == r }) && !slices.Contains(rows, r) {
			rows = append(rows, r)
		}
	}
	if f.JWKSURL == before.JWKSURL && f.IssuerURL == before.IssuerURL && f.JWKS == "" {
		f.JWKSURL, f.IssuerURL = filled.JWKSURL, filled.IssuerURL
	}
	f.defaults()
	f.Rows, f.From, f.Written = rows, f.Settings, true
	return true, nil
}

// defaults are what connection.Complete would take, so that a person sees it.
func (f *connectionForm) defaults() {
	if f.TTL == (connection.Duration{}) {
		f.TTL = connection.Duration{Amount: 15, Unit: "minutes"}
	}
	if len(f.Algorithms) == 0 {
		f.Algorithms = []string{"RS256", "ES256"}
	}
	if f.IdentityClaim == "" {
		f.IdentityClaim = "sub"
	}
}

func same(a, b provider.Settings) bool {
	for _, pair := range [][2]provider.Settings{{a, b}, {b, a}} {
		for name, value := range pair[0] {
			if pair[1][name] != value {
				return false
			}
		}
	}
	return true
}

// look adds what saving would write. before is the version that is there, nil for none.
func (p *page) look(f *connectionForm, before *connection.Spec) error {
	spec, err := connection.Complete(f.spec(), p.Org.Issuer())
	if err != nil {
		return err
	}
	f.Preview = &previewView{Spec: saySpec(spec), Warnings: connection.Warnings(spec, p.Org.Issuer())}
	if before != nil {
		f.Preview.Changes = between(*before, spec)
	}
	return nil
}

// Where the form is, for the one that drafts and the one that edits.
const (
	draftTemplate = "connection_form"
	draftPath     = "/new-connection"
)

// startDraft lets a person pick a provider, or shows its form.
func startDraft(p *page) error {
	kind := provider.Kind(p.query("provider"))
	if !slices.Contains(provider.Kinds(), kind) {
		return p.render("connection_new", newConnectionViews())
	}
	sent := readConnection(p.Echo.QueryParams()) // who came back to it
	f := connectionForm{New: true, Kind: kind, Name: sent.Name, Description: sent.Description, Settings: sent.Settings}
	f.defaults()
	if len(kind.Asks()) == 0 {
		f.Written = true
		f.Rows = []conditionRow{{"iss", "equals", ""}, {"aud", "equals", p.Org.Issuer()}, {"sub", "equals", ""}}
	}
	return p.render(draftTemplate, f)
}

// newConnectionView is one provider to pick.
type newConnectionView struct {
	Kind        provider.Kind
	Title, Says string
}

func newConnectionViews() (all []newConnectionView) {
	says := map[provider.Kind]string{
		provider.GenericJWT: "You say where the keys are and what the token must say.", provider.CircleCI: "Jobs, by the ids of organisation and project.",
		provider.GitLab: "Jobs of gitlab.com or of your own GitLab, by group and project.", provider.GoogleCloud: "Service accounts, by address or by account id.",
		provider.GitHub: "Workflows, by owner and repository.", provider.Kubernetes: "Service accounts of a cluster, by namespace and name.",
	}
	for _, k := range provider.Kinds() {
		all = append(all, newConnectionView{k, providerTitle(k), says[k]})
	}
	return all
}

// sentConnection is the form that was sent, ready to be shown again.
func (p *page) sentConnection() (f connectionForm, form url.Values, err error) {
	if form, err = p.formUpTo(maxLargeForm); err != nil {
		return f, nil, err
	}
	f = readConnection(form)
	if !slices.Contains(provider.Kinds(), f.Kind) {
		return f, nil, errForm
	}
	return f, form, p.check(f)
}

// newForm answers an action of the form of a new connection.
func newForm(act func(*page, *connectionForm, url.Values) error) func(*page) error {
	return func(p *page) error {
		f, form, err := p.sentConnection()
		f.New = true
		if err == nil {
			err = act(p, &f, form)
		}
		return p.formAgain(f, err)
	}
}

// formAgain shows a form again where something is wrong with it. What /v1 says
// of a part of a field is told at the field.
func (p *page) formAgain(f connectionForm, err error) error {
	f.Live = asksForPart(p.Echo)
	if err == nil || errors.Is(err, errForm) {
		return err
	}
	var told *problem
	if !errors.As(err, &told) {
		status, e := api.Explain(err)
		if status >= http.StatusInternalServerError {
			return err
		}
		told = &problem{Status: status, Code: e.Code, Detail: e.Message, Fields: map[string]string{}}
		for _, field := range e.Fields {
			told.add(field.Pointer, field.Detail)
		}
	}
	return p.refused(draftTemplate, f, atFields(told))
}

// atFields moves what is told of a part to the field that has it.
func atFields(told *problem) *problem {
	moved := *told
	moved.Fields, moved.Order = map[string]string{}, nil
	for _, pointer := range told.Order {
		moved.add(fieldAt(pointer), told.Fields[pointer])
	}
	return &moved
}

func fieldAt(pointer string) string {
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	switch steps[0] {
	case "conditions":
		switch {
		case len(steps) == 1:
			return "/conditions/0/claim"
		case len(steps) == 2:
			return pointer + "/claim"
		case steps[2] == "values":
			return "/conditions/" + steps[1] + "/value"
		}
	case "jwks", "audiences", "audience_claims", "algorithms":
		return "/" + steps[0]
	}
	return pointer
}

// previewDraft shows what saving would write.
func previewDraft(p *page, f *connectionForm, _ url.Values) error {
	if _, err := f.write(p.Org.Issuer()); err != nil {
		return err
	}
	if err := p.look(f, nil); err != nil {
		return err
	}
	return p.render(draftTemplate, *f)
}

// changeRows adds a condition, or takes one away.
func changeRows(f *connectionForm, form url.Values) {
	if i, err := strconv.Atoi(form.Get("remove")); err == nil {
		if i >= 0 && i < len(f.Rows) {
			f.Rows = slices.Delete(f.Rows, i, i+1)
		}
		return
	}
	f.Rows = append(f.Rows, conditionRow{Operator: string(claim.Equals)})
}

func rowsOfDraft(p *page, f *connectionForm, form url.Values) error {
	changeRows(f, form)
	return p.render(draftTemplate, *f)
}

// written is a connection as /v1 takes it.
type writtenConnection struct {
	Name string `json:"name,omitempty"`
	connection.Spec
}

const writtenAnew = "The settings changed since the conditions were written, so they were written anew. Look at them, then save."

// saveDraft writes the draft; never what the person has not seen.
func saveDraft(p *page, f *connectionForm, _ url.Values) error {
	changed, err := f.write(p.Org.Issuer())
	if err != nil {
		return err
	}
	if changed {
		f.Note = writtenAnew
		return previewDraft(p, f, nil)
	}
	if err := p.API(http.MethodPost, "/connections", nil, writtenConnection{f.Name, f.spec()}, nil); err != nil {
		return err
	}
	return p.done("/connections/"+f.Name, "Drafted. Test it with a real token, then ask another person to activate it.")
}

// startEdit shows the newest version to be edited; with a denial's check in the
// query, with the condition that failed changed to what the claim was.
func startEdit(p *page) error {
	c, err := p.connection()
	if err != nil {
		return err
	}
	if err := connection.MayWrite(c, p.Person); err != nil {
		return err
	}
	f := formOf(c.Newest())
	f.Name, f.ETag = c.Name.String(), etagOf(c)
	if p.query("denial") != "" {
		if err := p.suggest(&f, c); err != nil {
			return err
		}
		before := c.Newest()
		_ = p.look(&f, &before) // what is wrong with it is told when it is saved
	}
	return p.render(draftTemplate, f)
}

// etagOf is the ETag of a connection, as /v1 answers it.
func etagOf(c connection.State) string { return strconv.Quote(strconv.FormatUint(c.Version, 10)) }

// editForm answers an action of the form of a connection that there is.
func editForm(act func(*page, *connectionForm, url.Values, connection.State) error) func(*page) error {
	return func(p *page) error {
		c, err := p.connection()
		if err != nil {
			return err
		}
		f, form, err := p.sentConnection()
		f.Name = c.Name.String()
		if err == nil {
			err = act(p, &f, form, c)
		}
		return p.formAgain(f, err)
	}
}

func previewEdit(p *page, f *connectionForm, _ url.Values, c connection.State) error {
	if _, err := f.write(p.Org.Issuer()); err != nil {
		return err
	}
	before := c.Newest()
	if err := p.look(f, &before); err != nil {
		return err
	}
	return p.render(draftTemplate, *f)
}

func rowsOfEdit(p *page, f *connectionForm, form url.Values, _ connection.State) error {
	changeRows(f, form)
	return p.render(draftTemplate, *f)
}

func saveEdit(p *page, f *connectionForm, _ url.Values, c connection.State) error {
	changed, err := f.write(p.Org.Issuer())
	if err != nil {
		return err
	}
	if changed {
		f.Note = writtenAnew
		return previewEdit(p, f, nil, c)
	}
	err = p.API(http.MethodPut, "/connections/"+f.Name, ifMatch(f.ETag), writtenConnection{Spec: f.spec()}, nil)
	if told := (*problem)(nil); errors.As(err, &told) && told.Status == http.StatusPreconditionFailed {
		told.Detail = "Nothing is saved: somebody saved another version while you wrote. Look at what they changed, then save yours or leave it."
		return errors.Join(p.meanwhile(f), told)
	}
	if err != nil {
		return err
	}
	notice := "Saved."
	if c.EverActivated {
		notice = "Saved as a pending change. What is active stays until another person activates it."
	}
	return p.done("/connections/"+f.Name, notice)
}

// meanwhile tells what others changed since the form was opened, and makes the
// next save one of what is there now.
func (p *page) meanwhile(f *connectionForm) error {
	now, err := p.connection()
	if err != nil {
		return err
	}
	seen, _ := strconv.ParseUint(strings.Trim(f.ETag, `"`), 10, 64)
	p.Org.Settle(p.Context())
	was, known, err := p.version(p.Context(), now.Name, seen)
	if err != nil {
		return err
	}
	if known {
		f.Changed = between(was, now.Newest())
	}
	f.ETag, f.By, f.At = etagOf(now), now.UpdatedBy, now.UpdatedAt
	return nil
}
