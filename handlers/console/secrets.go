package console

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
	"sallyport.dev/projections/control"
)

// A secret's path has slashes, and so is in the query.
const (
	secretsPath = "/secrets"
	secretPath  = "/secrets/-/one"
)

func (c *Console) secrets() []screen {
	return []screen{
		{path: secretsPath, menu: "Secrets", icon: "lock", group: "Directory", roles: readers, get: listSecrets},
		{path: secretsPath + newPath, roles: stewards, get: func(p *page) error { return p.render("sheet", secretEditor(p, url.Values{}, "")) },
			post: map[string]func(*page) error{"save": addSecret}},
		{path: secretPath, roles: readers, get: withPath(showSecret), post: map[string]func(*page) error{
			"put": func(p *page) error { return p.putValue(secretOf) }, "destroy": func(p *page) error { return p.destroyValue(secretOf) },
			"delete": deleteSecret,
		}},
		{path: secretPath + "/destroy", roles: stewards, get: withPath(func(p *page) error { return p.askDestroy(secretOf) })},
		{path: secretPath + "/delete", roles: stewards, get: withPath(askDeleteSecret)},
		{path: secretPath + "/edit", roles: stewards, get: withPath(editSecret), post: map[string]func(*page) error{"save": saveSecret}},
	}
}

// withPath is a page about the secret that the address names; without one it is the list.
func withPath(show func(*page) error) func(*page) error {
	return func(p *page) error {
		if p.query("path") == "" {
			return p.redirect(p.url(secretsPath))
		}
		return show(p)
	}
}

// valued is something with values in the vault: a secret, or a password.
type valued struct {
	title, one string
	typed      string // to be typed before something is destroyed
	up         sheetLink
	path       string     // of its page
	query      url.Values // of its page
	versions   []version
	put        func(value string) error
	destroy    func(n int) error
}

// valuedOf finds what the page is about, in the form of an action or in the address.
type valuedOf func(p *page, form url.Values) (valued, error)

// page is the path of its page, with its query.
func (v valued) page(word string, more ...string) string {
	q := url.Values{}
	maps.Copy(q, v.query)
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	if path := v.path + word; len(q) == 0 {
		return path
	} else {
		return path + "?" + q.Encode()
	}
}

// hidden are the fields by which a form names it.
func (v valued) hidden(more ...string) map[string]string {
	h := map[string]string{}
	for name := range v.query {
		h[name] = v.query.Get(name)
	}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	return h
}

// sheet shows its versions, and to who may a form for a further one. No value is
// ever on a page: not of the vault's, and not of one that was just sent.
func (v valued) sheet(p *page) sheet {
	writes := p.Person.Has(domain.ResourceAdmin)
	t := sheetTable{Heading: "Versions", Caption: "Versions", Columns: []string{"#Version", "State", "Added", "By", "-Actions"}, EmptyTitle: "No value yet", EmptyText: "Nothing can be revealed before a value is put."}
	shown := p.pageOf(len(v.versions), func(i int) []cell { return v.row(p, v.versions[len(v.versions)-1-i], writes) }, v.path, v.query)
	t.Rows, t.Pager = shown.Rows, shown.Pager
	s := sheet{Title: v.title, Up: v.up, Tables: []sheetTable{t}}
	if writes {
		s.Form = &sheetForm{Path: p.url(v.path + "/put"), Heading: "Put a new version", Do: "Put", Hidden: v.hidden(), Fields: []sheetField{valueField(true)}}
	}
	return s
}

// row is one version of it.
func (v valued) row(p *page, one version, writes bool) []cell {
	row := []cell{numberCell(one.Version), toneCell("good", "can be revealed"), timeCell(one.AddedAt), textCell(one.AddedBy), textCell("")}
	if !one.DestroyedAt.IsZero() {
		row[1] = toneCell("", "destroyed")
	} else if writes {
		row[4] = actionCell(sheetAction{Do: "Destroy", About: "version " + strconv.Itoa(one.Version), Path: p.url(v.page("/destroy", "version", strconv.Itoa(one.Version)))})
	}
	return row
}

// valueField is for a value. What was typed is never in an answer, also not after a refusal.
func valueField(required bool) sheetField {
	return sheetField{Pointer: "/value", Label: "Value", Rows: 4, Mono: true, Required: required,
		Hint: "Up to 64 KiB of text, to the last character. It is not shown again, also not if something is wrong."}
}

func (p *page) showValue(of valuedOf) error {
	v, err := of(p, p.Echo.QueryParams())
	if err != nil {
		return err
	}
	return p.render("sheet", v.sheet(p))
}

// maxValueForm bounds a form with a value, which is sent with escapes.
const maxValueForm = 4*resource.MaxValueBytes + 4096

// unbroken has lines as they were typed: browsers send each break as two characters.
func unbroken(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

func (p *page) putValue(of valuedOf) error {
	form, err := p.formUpTo(maxValueForm)
	if err != nil {
		return err
	}
	v, err := of(p, form)
	if err != nil {
		return err
	}
	if err = p.proved(); err == nil {
		err = v.put(unbroken(form.Get("value")))
	}
	if err != nil {
		return p.refused("sheet", v.sheet(p), err)
	}
	return p.done(v.page(""), "A new version is in the vault.")
}

// destroySheet asks to type what is meant: destroying cannot be undone.
func (v valued) destroySheet(p *page, number string) sheet {
	return sheet{
		Title: "Destroy version " + number + "?", Up: sheetLink{v.title, p.url(v.page(""))},
		Lead: "Nobody can reveal it from then on. A backup that was made before still has it, sealed.",
		Form: &sheetForm{Path: p.url(v.path + "/destroy"), Do: "Destroy", Danger: true, Cancel: p.url(v.page("")), Hidden: v.hidden("version", number), Fields: []sheetField{v.typedField()}},
	}
}

func (v valued) typedField() sheetField {
	return sheetField{Pointer: "/confirm", Label: "Type " + v.typed, Required: true, Mono: true, Hint: "So that it is not another one by mistake."}
}

func (p *page) askDestroy(of valuedOf) error {
	v, err := of(p, p.Echo.QueryParams())
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(p.query("version"))
	if err != nil {
		return errNothing
	}
	return p.render("sheet", v.destroySheet(p, strconv.Itoa(n)))
}

func (p *page) destroyValue(of valuedOf) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	v, err := of(p, form)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(form.Get("version"))
	if err != nil {
		return errNothing
	}
	if form.Get("confirm") != v.typed {
		err = p.invalid("/confirm", "this is not "+v.typed)
	}
	if err = cmp.Or(p.proved(), err); err == nil {
		err = v.destroy(n)
	}
	if err != nil {
		return p.refused("sheet", v.destroySheet(p, strconv.Itoa(n)), err)
	}
	return p.done(v.page(""), fmt.Sprintf("Version %d is destroyed.", n))
}

func listSecrets(p *page) error {
	n := noun{path: secretsPath, one: "secret", many: "secrets", first: "Put one at a path; a policy then says who may see it.", lead: "A secret is a value at a path, with its versions. Values are revealed under My access, by who a policy lets.",
		writers: stewards, columns: []string{"Path", "Project", "#Versions", "Labels", "Description"},
		entries: listSecretEntries}
	return n.list(p)
}

func listSecretEntries(p *page, s *control.State) iter.Seq[entry] {
	secrets := func(yield func(*resource.Resource) bool) {
		for r := range s.Resources().Behind(resource.SecretRef("")) {
			if r.Kind != resource.Secret || !yield(r) {
				return
			}
		}
	}
	return entriesOf(secrets, func(to *sought, r *resource.Resource) { to.resource(r, r.Description) }, func(r *resource.Resource) []cell {
		var n int
		for _, v := range r.Versions {
			if v.DestroyedAt.IsZero() {
				n++
			}
		}
		return []cell{linkCell(r.Name, p.secretURL(r.Name)), linkCell(r.Project.String(), p.url("/projects/"+r.Project.String())), numberCell(n), quietCell(labelsSay(r.Labels)), quietCell(r.Description)}
	})
}

func (p *page) secretURL(path string) string {
	return p.url(secretPath) + "?" + url.Values{"path": {path}}.Encode()
}

// secretDocument is a secret as /v1 answers it.
type secretDocument struct {
	Path        string            `json:"path"`
	Project     string            `json:"project"`
	Description string            `json:"description"`
	Labels      map[string]string `json:"labels"`
	Owner       *ownerDocument    `json:"owner"`
	Versions    []version         `json:"versions"`
	Version     uint64            `json:"version"`
}

// readSecret is the secret at the path that the form or the address names.
func readSecret(p *page, form url.Values) (d secretDocument, err error) {
	path, err := resource.ParsePath(form.Get("path"))
	if err != nil {
		return d, errNothing
	}
	var found struct {
		Secrets []secretDocument `json:"secrets"`
	}
	if err := p.API(http.MethodGet, "/secrets?"+url.Values{"path": {path}}.Encode(), nil, nil, &found); err != nil {
		return d, err
	}
	if len(found.Secrets) == 0 {
		return d, errNothing
	}
	return found.Secrets[0], nil
}

// secretOf is the secret that the page is about.
func secretOf(p *page, form url.Values) (valued, error) {
	d, err := readSecret(p, form)
	return d.valued(p), err
}

func (d secretDocument) valued(p *page) valued {
	return valued{
		title: d.Path, one: "secret", typed: d.Path, up: sheetLink{"Secrets", p.url(secretsPath)}, path: secretPath,
		query: url.Values{"path": {d.Path}}, versions: d.Versions,
		put: func(value string) error {
			return p.API(http.MethodPost, "/secrets/versions", nil, map[string]string{"path": d.Path, "value": value}, nil)
		},
		destroy: func(n int) error {
			return p.API(http.MethodPost, "/secrets/destroy", nil, map[string]any{"path": d.Path, "version": n}, nil)
		},
	}
}

func showSecret(p *page) error {
	d, err := readSecret(p, p.Echo.QueryParams())
	if err != nil {
		return err
	}
	v := d.valued(p)
	s := v.sheet(p)
	s.Lead = d.Description
	s.Facts = []sheetFact{
		factOf("Project", linkCell(d.Project, p.url("/projects/"+d.Project))), factOf("Labels", textCell(orNone(labelsSay(d.Labels), "none"))),
		factOf("Answers for it", d.Owner.cells(p)...),
	}
	if p.Person.Has(domain.ResourceAdmin) {
		s.Actions = []sheetAction{{Do: "Edit", Path: p.url(v.page("/edit"))}, {Do: "Delete", Path: p.url(v.page("/delete"))}}
	}
	if slices.ContainsFunc(simulators, p.Person.Has) {
		s.Actions = append(s.Actions, sheetAction{Do: "Who can reach it", Path: p.url(reachPath) + "?resource=" + url.QueryEscape("secret/"+d.Path)})
	}
	return p.render("sheet", s)
}

// secretEditor is the form for a secret that is added, or, with a version, changed.
func secretEditor(p *page, v url.Values, etag string) sheet {
	project := sheetField{Pointer: "/project", Label: "Project", Value: v.Get("project"), Required: true, Options: []option{{"", "choose"}}}
	p.Org.Read(func(s *control.State, _ domain.Head) {
		all := s.Resources().Projects()
		if len(all) > maxOptions {
			project.Options = nil
			return
		}
		for _, d := range all {
			project.Options = append(project.Options, option{d.Name.String(), d.Name.String()})
		}
	})
	rest := []sheetField{
		project, {Pointer: "/description", Label: "Description", Value: v.Get("description")},
		{Pointer: "/labels", Label: "Labels", Value: v.Get("labels"), Rows: 3, Mono: true, Hint: "One in a line, such as env=prod."},
		{Pointer: "/owner/person", Label: "Who answers for it: a person", Value: v.Get("owner.person"), Mono: true},
		{Pointer: "/owner/group", Label: "Or a group", Value: v.Get("owner.group"), Mono: true},
	}
	if etag != "" {
		at := p.url(secretPath) + "?" + url.Values{"path": {v.Get("path")}}.Encode()
		return sheet{Title: "Edit " + v.Get("path"), Up: sheetLink{v.Get("path"), at}, Form: &sheetForm{Path: p.url(secretPath + "/edit/save"), Do: "Save", Cancel: at,
			Fields: rest, Hidden: map[string]string{"path": v.Get("path"), "etag": etag}}}
	}
	path := sheetField{Pointer: "/path", Label: "Path", Value: v.Get("path"), Required: true, Mono: true, Hint: "Such as payments/db/password: 1 to 8 parts of a-z, 0-9, dot, underscore and hyphen. It never changes, and is never given again."}
	return sheet{Title: "Add a secret", Up: sheetLink{"Secrets", p.url(secretsPath)}, Form: &sheetForm{Path: p.url(secretsPath + newPath + "/save"), Do: "Add", Cancel: p.url(secretsPath),
		Fields: append(append([]sheetField{path}, rest...), valueField(false))}}
}

// secretBody is what the form says of a secret, without its value.
func secretBody(p *page, v url.Values) (map[string]any, error) {
	labels := map[string]string{}
	for line := range strings.Lines(unbroken(v.Get("labels"))) {
		line = strings.TrimSpace(line)
		name, value, found := strings.Cut(line, "=")
		if line != "" && !found {
			return nil, p.invalid("/labels", "each line is a name, = and a value")
		}
		if line != "" {
			labels[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return map[string]any{
		"path": v.Get("path"), "project": v.Get("project"), "description": v.Get("description"), "labels": labels,
		"owner": map[string]string{"person": v.Get("owner.person"), "group": v.Get("owner.group")},
	}, nil
}

func addSecret(p *page) error {
	form, err := p.formUpTo(maxValueForm)
	if err != nil {
		return err
	}
	body, err := secretBody(p, form)
	if err = cmp.Or(p.proved(), err); err == nil {
		body["value"] = unbroken(form.Get("value"))
		err = p.API(http.MethodPost, "/secrets", nil, body, nil)
	}
	if err != nil {
		return p.refused("sheet", secretEditor(p, form, ""), err)
	}
	return p.done(secretPath+"?"+url.Values{"path": {form.Get("path")}}.Encode(), "The secret is added.")
}

// form is what its editor has of a secret.
func (d secretDocument) form() url.Values {
	v := url.Values{"path": {d.Path}, "project": {d.Project}, "description": {d.Description}, "labels": {strings.ReplaceAll(labelsSay(d.Labels), ", ", "\n")}}
	if d.Owner != nil {
		v.Set("owner.person", d.Owner.Person)
		v.Set("owner.group", d.Owner.Group)
	}
	return v
}

func (d secretDocument) etag() string { return `"` + strconv.FormatUint(d.Version, 10) + `"` }

func editSecret(p *page) error {
	d, err := readSecret(p, p.Echo.QueryParams())
	if err != nil {
		return err
	}
	return p.render("sheet", secretEditor(p, d.form(), d.etag()))
}

func saveSecret(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	body, err := secretBody(p, form)
	if err = cmp.Or(p.proved(), err); err == nil {
		err = p.API(http.MethodPut, "/secrets", ifMatch(form.Get("etag")), body, nil)
	}
	if err == nil {
		return p.done(secretPath+"?"+url.Values{"path": {form.Get("path")}}.Encode(), "Saved.")
	}
	s := secretEditor(p, form, form.Get("etag"))
	if stale(err) {
		d, gone := readSecret(p, form)
		if gone != nil {
			return gone
		}
		s = meanwhile(secretEditor(p, form, d.etag()), d.form(), form)
	}
	return p.refused("sheet", s, err)
}

func deleteSheet(p *page, v valued) sheet {
	return sheet{
		Title: "Delete " + v.title + "?", Up: sheetLink{v.title, p.url(v.page(""))},
		Lead: "Every version of it is destroyed, and the path is never given again.",
		Form: &sheetForm{Path: p.url(v.path + "/delete"), Do: "Delete", Danger: true, Cancel: p.url(v.page("")), Hidden: v.hidden(), Fields: []sheetField{v.typedField()}},
	}
}

func askDeleteSecret(p *page) error {
	v, err := secretOf(p, p.Echo.QueryParams())
	if err != nil {
		return err
	}
	return p.render("sheet", deleteSheet(p, v))
}

func deleteSecret(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	v, err := secretOf(p, form)
	if err != nil {
		return err
	}
	if form.Get("confirm") != v.typed {
		err = p.invalid("/confirm", "this is not "+v.typed)
	}
	if err = cmp.Or(p.proved(), err); err == nil {
		err = p.API(http.MethodPost, "/secrets/delete", nil, map[string]string{"path": v.typed}, nil)
	}
	if err != nil {
		return p.refused("sheet", deleteSheet(p, v), err)
	}
	return p.done(secretsPath, v.title+" is deleted.")
}
