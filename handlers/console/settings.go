package console

import (
	"net/http"
	"net/url"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/organisation"
)

func (c *Console) settings() []screen {
	return []screen{{path: "/settings", menu: "Settings", icon: "gear", group: "Organisation", roles: readers, get: showSettings, post: map[string]func(*page) error{"save": saveSettings}}}
}

// settingsDocument is the organisation as /v1 answers it.
type settingsDocument struct {
	Name        string    `json:"name"`
	Issuer      string    `json:"issuer"`
	DualControl string    `json:"dual_control"`
	UpdatedAt   time.Time `json:"updated_at"`
	UpdatedBy   string    `json:"updated_by"`
}

var dualControls = []option{
	{string(organisation.Strict), "Strict: nobody activates what they wrote"},
	{string(organisation.Roles), "Roles: a security admin may activate what they wrote"},
}

// settingsSheet shows the settings, and to an owner the form: with what was typed, if anything was.
func settingsSheet(p *page, typed url.Values) (v sheet, err error) {
	var d settingsDocument
	if err := p.API(http.MethodGet, "/organisation", nil, nil, &d); err != nil {
		return v, err
	}
	says := d.DualControl
	for _, o := range dualControls {
		if o.Value == d.DualControl {
			says = o.Label
		}
	}
	v = sheet{Title: "Settings", Facts: []sheetFact{
		factOf("Organisation", textCell(d.Name)), factOf("Issuer", copyCell(d.Issuer)), factOf("Dual control of connections", textCell(says)),
	}}
	if d.UpdatedBy != "" {
		v.Facts = append(v.Facts, factOf("Changed", timeCell(d.UpdatedAt), quietCell("by "+d.UpdatedBy)))
	}
	if !p.Person.Has(domain.Owner) {
		return v, nil
	}
	value := d.DualControl
	if typed != nil {
		value = typed.Get("dual_control")
	}
	v.Form = &sheetForm{Path: p.url("/settings/save"), Heading: "Change them", Do: "Save", Hidden: map[string]string{"etag": p.ETag}, Fields: []sheetField{
		{Pointer: "/dual_control", Label: "Dual control of connections", Value: value, Options: dualControls, Required: true, Hint: "With roles alone, one person can write a trust and put it into force."},
	}}
	return v, nil
}

func showSettings(p *page) error {
	v, err := settingsSheet(p, nil)
	if err != nil {
		return err
	}
	return p.render("sheet", v)
}

func saveSettings(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	refusal := p.proved()
	if refusal == nil {
		refusal = p.API(http.MethodPut, "/organisation", ifMatch(form.Get("etag")), map[string]string{"dual_control": form.Get("dual_control")}, nil)
	}
	if refusal == nil {
		return p.done("/settings", "Saved.")
	}
	v, err := settingsSheet(p, form)
	if err != nil {
		return err
	}
	if stale(refusal) {
		v.Notes = append(v.Notes, sheetNote{"warn", "Somebody else changed the settings meanwhile. Above is how they are; what you chose is still in the form."})
	}
	return p.refused("sheet", v, refusal)
}
