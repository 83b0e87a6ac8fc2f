package provider

// Ask is one setting that a preset asks for, as a form shows it.
type Ask struct {
	Name     string // in [Settings]
	Form     string // what a value looks like, in words
	Required bool
	Fallback string // used when it is not given; {our_issuer} in it is the organisation's issuer
	Needs    string // another setting without which this one means nothing
}

// Asks lists what the preset asks for, in the order of its documentation; nil
// for a kind that has none.
func (k Kind) Asks() []Ask {
	p, _ := presetOf(k)
	var asks []Ask
	for _, s := range p.settings {
		asks = append(asks, Ask{Name: s.name, Form: s.form.says, Required: s.required, Fallback: s.fallback, Needs: s.needs})
	}
	return asks
}
