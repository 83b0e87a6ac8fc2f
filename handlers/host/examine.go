package host

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"sallyport.dev/domain/key"
	"sallyport.dev/handlers/organisation"
)

// Finding is what one check of a doctor found.
type Finding struct {
	Check  string `json:"check"`  // such as keys/default
	Result string `json:"result"` // ok, warn, fail, or unknown where it could not be found out
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"` // what to do; empty where nothing is to be done
}

// The results of a check.
const (
	FoundOK      = "ok"
	FoundWarn    = "warn"
	FoundFail    = "fail"
	FoundUnknown = "unknown"
)

// examineWithin bounds an examination; what was not found out by then failed.
const examineWithin = 20 * time.Second

// Examine looks at everything an organisation depends on, the providers' keys
// included, which nothing else asks for without need.
func (h *Host) Examine(ctx context.Context, org string) ([]Finding, error) {
	o, err := h.org(org)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	all := readiness(ctx, o)
	all = append(all, configured(ctx, o), clockOf(ctx, o), rotation(o), values(ctx, o), sessions(ctx, o))
	return append(all, sources(ctx, o)...), nil
}

// readiness is what /readyz would say, with the reasons.
func readiness(ctx context.Context, o *organisation.Organisation) (all []Finding) {
	checks := o.Ready(ctx)
	next := map[string]string{
		"log":   "see the server's log and docs/operations.md; if it was halted, docs/runbook-damaged-log.md",
		"fold":  "the log has something that this version cannot read: start the version that wrote it",
		"trail": "see the server's log; the trail is built again by itself once there is room and a log",
		"keys":  "see the server's log: without signing keys no token is issued", "sealer": "see the server's log, and whether the disk has room",
	}
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		f := Finding{Check: name + "/" + o.Name().String(), Result: FoundOK, Detail: "well"}
		if err := checks[name]; err != nil {
			f.Result, f.Detail, f.Next = FoundFail, err.Error(), next[name]
		}
		all = append(all, f)
	}
	return all
}

// configured tells whether the log's configuration and extent are what they must be.
func configured(ctx context.Context, o *organisation.Organisation) Finding {
	f := Finding{Check: "stream/" + o.Name().String(), Result: FoundOK, Detail: "configured as it must be, whole, as long as it was"}
	if err := o.CheckLog(ctx); err != nil {
		f.Result, f.Detail, f.Next = FoundFail, err.Error(), "docs/runbook-damaged-log.md"
	}
	return f
}

// skew is how far clocks may differ.
const skew = key.Skew

func clockOf(ctx context.Context, o *organisation.Organisation) Finding {
	f := Finding{Check: "clock of the log/" + o.Name().String(), Result: FoundOK}
	asked := time.Now()
	theirs, _, err := o.Clock(ctx)
	if err != nil {
		f.Result, f.Detail = FoundUnknown, err.Error()
		return f
	}
	off := theirs.Sub(asked.Add(time.Since(asked) / 2))
	f.Detail = fmt.Sprintf("differs by %s", off.Abs().Round(time.Millisecond))
	if off.Abs() > skew {
		f.Result, f.Next = FoundFail, "set the clocks of this host and of the NATS servers by NTP"
	}
	return f
}

// rotation tells how old the keys are that sign.
func rotation(o *organisation.Organisation) Finding {
	f := Finding{Check: "signing keys/" + o.Name().String(), Result: FoundOK}
	now, oldest := o.Now(), time.Time{}
	for _, k := range o.SigningKeys() {
		if k.Status == key.Active && (oldest.IsZero() || k.ActivatedAt.Before(oldest)) {
			oldest = k.ActivatedAt
		}
	}
	age := now.Sub(oldest)
	f.Detail = fmt.Sprintf("the oldest that signs is %d days old", int(age.Hours()/24))
	if age > organisation.RotateWithin {
		f.Result, f.Next = FoundWarn, "sallyportd keys rotate"
	}
	return f
}

// values tells whether the vault has what the log says it has.
func values(ctx context.Context, o *organisation.Organisation) Finding {
	f := Finding{Check: "secrets/" + o.Name().String(), Result: FoundOK}
	standing, lost, err := o.LostValues(ctx)
	switch {
	case err != nil:
		f.Result, f.Detail = FoundUnknown, err.Error()
	case lost > 0:
		f.Result, f.Next = FoundFail, "restore a backup (docs/runbook-restore.md), or put new versions of what is lost"
		f.Detail = fmt.Sprintf("the vault lacks %d of the %d values that the log says it has", lost, standing)
	default:
		f.Detail = fmt.Sprintf("the vault has all %d values that the log says it has", standing)
	}
	return f
}

// sessions tells whether people can be signed in to the console, on every replica.
func sessions(ctx context.Context, o *organisation.Organisation) Finding {
	f := Finding{Check: "sessions/" + o.Name().String(), Result: FoundOK}
	if err := o.CheckSessions(ctx); err != nil {
		f.Result, f.Detail = FoundFail, err.Error()
		f.Next = "as the administrator of NATS, delete the bucket " + organisation.SessionsBucket(o.Name()) + " and run sallyportd nats prepare: everybody signs in again"
		return f
	}
	n, err := o.Sessions().Count(ctx)
	if err != nil {
		f.Result, f.Detail, f.Next = FoundFail, err.Error(), "see whether NATS is up, and whether this user may read the bucket: docs/deploy-nats-cluster.md"
		return f
	}
	f.Detail = fmt.Sprintf("%d in the console; the bucket is as it must be", n)
	return f
}

// sources tells which providers' keys cannot be fetched, and how many can.
func sources(ctx context.Context, o *organisation.Organisation) (all []Finding) {
	errs := o.TrySources(ctx)
	good := 0
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		if errs[name] == nil {
			good++
			continue
		}
		all = append(all, Finding{Check: "key source/" + o.Name().String() + "/" + name.String(), Result: FoundFail, Detail: errs[name].Error(),
			Next: "see whether the provider is up, and whether this host may reach it; keys that are cached serve for an hour"})
	}
	return append(all, Finding{Check: "key sources/" + o.Name().String(), Result: FoundOK,
		Detail: fmt.Sprintf("%d of %d active connections have keys that can be had now", good, len(errs))})
}

// Examine is [Host.Examine].
func (c *Client) Examine(ctx context.Context, org string) (all []Finding, err error) {
	err = c.call(ctx, http.MethodGet, nil, &all, org, "examination")
	return all, err
}
