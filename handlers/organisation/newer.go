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

// understand wants every event that is served from to be of a type that this
// version knows. Control commits, and the activity of the last day, were read
// already, and what the audit trail lacks is read when it is fed. Left are
// old events in a trail that a newer version fed: where it knew more types than
// this one, all activity is looked through for them.
func (o *Organisation) understand(ctx context.Context, trailPath string) error {
	known := o.catalogue.Types()
	unknown, err := typesOf(trailPath)
	damaged := errors.Is(err, errTypes)
	if err != nil && !damaged {
		return err
	}
	unknown = slices.DeleteFunc(unknown, func(typ string) bool { return slices.Contains(known, typ) })
	if len(unknown) > 0 || damaged {
		last, err := o.journal.Last(ctx)
		if err != nil {
			return err
		}
		written := func(body []byte) bool { // all of it, where the file does not tell
			return damaged || slices.ContainsFunc(unknown, func(typ string) bool { return bytes.Contains(body, []byte(`"`+typ+`"`)) })
		}
		if err := o.journal.ReplayActivity(ctx, 0, last, written, func([]domain.Commit) error { return nil }); err != nil {
			return err
		}
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
