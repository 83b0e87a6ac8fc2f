package repair

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams/blocks"
)

// RestoreBucket is what can be done about a bucket: nothing else has what was in it.
const RestoreBucket = "nothing here has a second copy of it, and only a backup brings it back: `sallyportd restore`; docs/runbook-restore.md tells how"

// Bucket is what an inspection of a bucket of an organisation found, of its sealed
// keys or its sealed secrets.
// Nothing says how far it must reach: only what is there is looked at.
type Bucket struct {
	Org   string `json:"org"`
	Name  string `json:"bucket"`
	Store string `json:"store"`
	State State  `json:"state"` // intact or damaged
	// Configuration says what is wrong with meta.inf.
	Configuration string        `json:"configuration,omitempty"`
	Blocks        blocks.Report `json:"blocks"`
	// Repair is what to do; empty: nothing.
	Repair string `json:"repair,omitempty"`
}

// looks is how often a bucket that a server has open is looked at before it is
// called damaged: the server may have been writing to it.
const (
	looks   = 3
	between = 300 * time.Millisecond
)

// InspectBucket looks at a bucket and changes nothing. live says that a server has
// it open. Its error says that it could not look.
func InspectBucket(b blocks.Stream, live bool) (f Bucket, err error) {
	for i := range looks {
		if i > 0 {
			time.Sleep(between)
		}
		if f, err = inspectBucket(b); !live || err == nil && f.State == Intact {
			break
		}
	}
	return f, err
}

func inspectBucket(b blocks.Stream) (Bucket, error) {
	org, _ := bucketOf(b.Name())
	f := Bucket{Org: org, Name: b.Name(), Store: b.Dir, State: Intact}
	var err error
	if f.Blocks, err = b.Scan(blocks.Options{Bucket: true}, nil); err != nil {
		return f, fmt.Errorf("checking the bucket %s: %w", b.Name(), err)
	}
	if f.Blocks.Damages == nil {
		f.Blocks.Damages = []blocks.Damage{} // [] for whoever reads the report
	}
	meta, err := b.Meta()
	if err != nil {
		return f, fmt.Errorf("checking the bucket %s: %w", b.Name(), err)
	}
	if meta == blocks.MetaDamaged {
		f.Configuration = "meta.inf is not what it was"
	}
	if len(f.Blocks.Damages) > 0 || f.Configuration != "" {
		f.State, f.Repair = Damaged, RestoreBucket
	}
	return f, nil
}

// Err is a *[domain.Damage] that says what is wrong and what to do, nil if nothing is.
func (f Bucket) Err() error {
	switch {
	case len(f.Blocks.Damages) > 0:
		d := f.Blocks.Damages[0]
		return &domain.Damage{Log: f.Name, Check: check(d.Kind), Sequence: d.First, Found: "in " + f.Store + ": " + d.String(), Repair: RestoreBucket}
	case f.Configuration != "":
		return &domain.Damage{Log: f.Name, Check: "configuration", Found: "in " + f.Store + ": " + f.Configuration, Repair: RestoreBucket}
	}
	return nil
}

// Buckets inspects the buckets of each organisation, or of one.
func (d Data) Buckets(org string, live bool) ([]Bucket, error) {
	stores, err := d.buckets()
	if err != nil {
		return nil, err
	}
	all := []Bucket{} // [] for whoever reads the report
	for _, b := range stores {
		if of, _ := bucketOf(b.Name()); org != "" && of != org {
			continue
		}
		f, err := InspectBucket(b, live)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}
