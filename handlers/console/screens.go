package console

import (
	"slices"

	"sallyport.dev/domain"
)

// screen is one page: where it is, who may see it, its entry in the menu, what it
// answers.
type screen struct {
	path  string        // below /console/orgs/:org, with parameters such as :name
	menu  string        // its entry; "" has none
	icon  string        // of the entry, of icons.go
	group string        // of the menu, one of menuGroups, or meGroup
	roles []domain.Role // who has it in the menu and may open it; nil: everybody. What they may do there /v1 decides
	// open lets in who is not signed in; the page then has no Person and no Session.
	open bool
	get  func(*page) error
	asks bool // its page asks by itself, see [page.asksByItself]
	// count is how many things wait there, told beside the entry; nil counts nothing.
	count func(*page) int
	// post has the screen's actions: POST to path/name. A GET there leads back to the screen.
	post map[string]func(*page) error
}

// screens is every screen there is, in the order of the menu; one line a part.
func (c *Console) screens() []screen {
	return slices.Concat(
		c.overview(),
		c.signIn(),
		c.sessions(),
		c.myPasskeys(),
		c.enrol(),
		c.device(),
		c.access(),
		c.connections(),
		c.denials(),
		c.audit(),
		c.people(),
		c.groups(),
		c.policies(),
		c.roles(),
		c.requestTypes(),
		c.resources(),
		c.secrets(),
		c.keys(),
		c.settings(),
	)
}

// meGroup is what stands below the menu, with the person's name.
const meGroup = "me"

// menuGroups orders the menu; the first has no heading.
var menuGroups = []string{"", "Access", "Trust", "Directory", "Organisation"}

// Who sees what, as /v1 lets them in.
var (
	readers   = []domain.Role{domain.Owner, domain.DevOpsAdmin, domain.SecurityAdmin, domain.ResourceAdmin, domain.Auditor}
	drafters  = []domain.Role{domain.DevOpsAdmin, domain.SecurityAdmin}
	reviewers = []domain.Role{domain.SecurityAdmin}
	owners    = []domain.Role{domain.Owner}
)

// menuGroup is one part of the menu.
type menuGroup struct {
	Name    string
	Entries []menuEntry
}

// menuEntry is one line of the menu.
type menuEntry struct {
	Name, Icon, URL string
	Current         bool // the page is it, or below it
	Count           int  // of what waits there
}

// menu is what the person of p may open.
func (c *Console) menu(p *page) (groups []menuGroup) {
	for _, name := range menuGroups {
		if entries := c.entries(p, name); len(entries) > 0 {
			groups = append(groups, menuGroup{Name: name, Entries: entries})
		}
	}
	return groups
}

// entries are those of one group.
func (c *Console) entries(p *page, group string) (entries []menuEntry) {
	current := c.current(p)
	for _, s := range c.all {
		if s.menu != "" && s.group == group && s.admits(p.Person) {
			entry := menuEntry{Name: s.menu, Icon: s.icon, URL: p.url(s.path), Current: s.path == current}
			if n, known := p.counted[s.path]; known {
				entry.Count = n
			} else if s.count != nil {
				entry.Count = s.count(p)
			}
			entries = append(entries, entry)
		}
	}
	return entries
}

// current is the path of the menu's entry that the page is below: the longest.
func (c *Console) current(p *page) (path string) {
	for _, s := range c.all {
		if s.menu != "" && len(s.path) > len(path) && p.within(s.path) {
			path = s.path
		}
	}
	return path
}

// section is the menu's entry that the page is below, and its address; "" where
// the page is the entry itself.
func (c *Console) section(p *page) (name, url string) {
	current := c.current(p)
	for _, s := range c.all {
		if s.path == current && s.menu != "" && current != "/" && current != p.screen.path {
			return s.menu, p.url(s.path)
		}
	}
	return "", ""
}

// admits tells whether somebody may open the screen.
func (s screen) admits(a domain.Actor) bool {
	return len(s.roles) == 0 || slices.ContainsFunc(s.roles, a.Has)
}
