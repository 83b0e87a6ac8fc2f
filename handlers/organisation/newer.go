package organisation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"sallyport.dev/domain"
)

// lookedAt is how many commits at most the start waits for that the audit trail
// does not have yet. What lies further back the trail meets as it is built, and
// then nothing more is served.
const lookedAt = 1000

// understand wants every event that is served from to be of a type that this
// version knows. The control commits were read already. Activity is not read at the
// start but where somebody may have written what we do not know: behind what the
// trail has, and all of it if the version that last wrote the trail knew more types.
func (o *Organisation) understand(ctx context.Context, trailPath string) error {
	last, err := o.journal.Last(ctx)
	if err != nil {
		return err
	}
	known := o.catalogue.Types()
	unknown, err := typesOf(trailPath)
	damaged := errors.Is(err, errTypes)
	if err != nil && !damaged {
		return err
	}
	unknown = slices.DeleteFunc(unknown, func(typ string) bool { return slices.Contains(known, typ) })
	from, wanted := o.trail.Applied(), func([]byte) bool { return true }
	switch {
	case damaged:
		o.log.Warn("all activity is read once, since a file of the trail does not tell what is in it", "error", err)
		from = 0
	case len(unknown) > 0:
		from, wanted = 0, func(body []byte) bool {
			return slices.ContainsFunc(unknown, func(typ string) bool { return bytes.Contains(body, []byte(`"`+typ+`"`)) })
		}
	case last < from || last-from > lookedAt:
		from = last
	}
	nothing := func([]domain.Commit) error { return nil }
	if err := o.journal.ReplayActivity(ctx, from, last, wanted, nothing); err != nil {
		return err
	}
	return setTypes(trailPath, known)
}

// typesFile is beside the trail: the types that the version knew that last wrote it.
func typesFile(trailPath string) string { return trailPath + ".types" }

// errTypes is a types file that was damaged.
var errTypes = errors.New("the file is damaged")

func typesOf(trailPath string) (types []string, err error) {
	b, err := os.ReadFile(typesFile(trailPath))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading which types of events the audit trail has: %w", err)
	}
	if err := json.Unmarshal(b, &types); err != nil {
		return nil, fmt.Errorf("reading %s: %w: %w", typesFile(trailPath), errTypes, err)
	}
	return types, nil
}

// setTypes writes the file in one step, where it says something else.
func setTypes(trailPath string, types []string) error {
	if old, err := typesOf(trailPath); err == nil && slices.Equal(old, types) {
		return nil
	}
	b, err := json.Marshal(types)
	if err != nil {
		return fmt.Errorf("encoding the types of events: %w", err)
	}
	f, err := os.OpenFile(typesFile(trailPath)+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(append(b, '\n'))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(f.Name(), typesFile(trailPath))
	}
	if err != nil {
		return fmt.Errorf("keeping which types of events the audit trail has: %w", err)
	}
	return nil
}
