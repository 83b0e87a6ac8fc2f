package console

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
)

//go:embed templates
var templateFiles embed.FS

// readTemplates reads every screen's template together with the layout and the
// components. A screen's file defines "title" and "main", and may define pieces
// for htmx, named "#" and the id of the element they fill.
func (c *Console) readTemplates() (map[string]*template.Template, error) {
	shared, err := template.New("").Option("missingkey=error").Funcs(c.functions()).
		ParseFS(templateFiles, "templates/layout.html", "templates/components.html", "templates/charts.html")
	if err != nil {
		return nil, fmt.Errorf("reading the layout: %w", err)
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".html")
		if slices.Contains([]string{"layout", "components", "charts"}, name) {
			continue
		}
		t, err := shared.Clone()
		if err == nil {
			_, err = t.ParseFS(templateFiles, f)
		}
		if err == nil && (t.Lookup("title") == nil || t.Lookup("main") == nil) {
			err = errors.New(`it defines no "title" or no "main"`)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the template %s: %w", name, err)
		}
		all[name] = t
	}
	return all, nil
}

// frame is what a template sees: V is the screen's own view.
type frame struct {
	V          any
	Nonce      string // for hx-nonce, which every element with an hx attribute must have
	Org        string // "" where none is chosen
	Section    string // the menu's entry that the page is below; "" is the entry itself, or none
	SectionURL string // where it leads
	Person     string // "" where nobody is signed in
	Roles      []domain.Role
	Menu       []menuGroup
	Me         []menuEntry // below the menu
	Notice     string      // of the last action
	Problem    *problem    // why the form was refused; nil: it was not
	Request    string      // id of the request
	Path       string      // of the page, with its query
	Theme      string      // light, dark, or "" as the system has it

	home, root string
	static     static
}

func (p *page) frame(view any) (frame, error) {
	ec := p.Echo
	f := frame{
		V: view, Nonce: nonceOf(ec), Problem: p.problem, Request: api.RequestID(ec),
		Path: p.returnPath(), Theme: themeOf(ec), home: base + "/", root: base, static: p.console.static,
	}
	if p.Org != nil {
		f.Org, f.root, f.home = p.Org.Name().String(), p.url(""), p.url("/")
	}
	if p.Person.ID == "" {
		return f, nil
	}
	var err error
	f.Person, f.Roles, f.Menu = p.Person.ID, p.Person.Roles, p.console.menu(p)
	f.Me = p.console.entries(p, meGroup)
	f.Section, f.SectionURL = p.console.section(p)
	f.Notice, err = p.notice()
	return f, err
}

// URL is the address of a path in this organisation's console, given in parts:
// URL "/connections/" .Name.
func (f frame) URL(parts ...any) string {
	var b strings.Builder
	b.WriteString(f.root)
	for _, part := range parts {
		fmt.Fprint(&b, part)
	}
	return b.String()
}

// Home is the first page.
func (f frame) Home() string { return f.home }

// Static is where a static file is.
func (f frame) Static(file string) string { return f.static.url(file) }

// Once is a new text for the hidden field of a form, see [onceOf].
func (f frame) Once() string { return onceOf(f.Person) }

// Has tells whether the person bears a role.
func (f frame) Has(role domain.Role) bool { return slices.Contains(f.Roles, role) }

// wrong is what is wrong with the field at a pointer.
func (f frame) wrong(pointer string) string {
	if f.Problem == nil {
		return ""
	}
	return f.Problem.Fields[pointer]
}

// clock is for relative times alone.
func (c *Console) clock() time.Time { return c.now().UTC() }
