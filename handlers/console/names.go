package console

import (
	"errors"
	"slices"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/projections/control"
)

// maxLike is how many names are offered for one that nobody has.
const maxLike = 10

// byName is said where there are too many people for a list to choose from.
const byName = "Their name here, or how it begins: then you are told whose name begins so."

// orThose adds to the refusal of a person's field whose names begin as what was
// typed: of too many people for a list, one is found so.
func (p *page) orThose(err error, pointer, typed string) error {
	told := (*problem)(nil)
	if !errors.As(err, &told) || told.Fields[pointer] == "" {
		return err
	}
	switch like := p.peopleLike(typed); {
	case len(like) == 0:
	case len(like) > maxLike:
		told.Fields[pointer] += "; those begin so: " + strings.Join(like[:maxLike], ", ") + " and more"
	default:
		told.Fields[pointer] += "; those begin so: " + strings.Join(like, ", ")
	}
	return err
}

// peopleLike are the first names that begin as somebody typed, one more than are offered.
func (p *page) peopleLike(typed string) (names []string) {
	typed = strings.ToLower(strings.TrimSpace(typed))
	if typed == "" {
		return nil
	}
	p.Org.Read(func(s *control.State, _ domain.Head) {
		for who := range s.EachPerson() {
			if name := who.Name.String(); strings.HasPrefix(name, typed) {
				names = append(names, name)
			}
		}
	})
	slices.Sort(names)
	return names[:min(len(names), maxLike+1)]
}
