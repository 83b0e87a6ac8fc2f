package events

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
)

// ofAccess is the types of grants, refusals, checkouts and broken glasses.
func ofAccess() []definition {
	return []definition{
		control("checkout.taken", func(e access.CheckoutWasTaken, _ domain.Envelope) string {
			return fmt.Sprintf("%s checked out %s until %s", e.By, spot(e.Resource, e.Account), clock(e.Until))
		}),
		control("checkout.released", func(e access.CheckoutWasReleased, v domain.Envelope) string {
			if v.Actor == e.Of {
				return fmt.Sprintf("%s released %s", v.Actor, spot(e.Resource, e.Account))
			}
			return fmt.Sprintf("%s released %s, which %s had checked out", v.Actor, spot(e.Resource, e.Account), e.Of)
		}),
		control("checkout.lapsed", func(e access.CheckoutHasLapsed, _ domain.Envelope) string {
			return fmt.Sprintf("the checkout of %s by %s was over at %s", spot(e.Resource, e.Account), e.Of, clock(e.Until))
		}),
		control("break_glass.used", func(e access.GlassWasBroken, v domain.Envelope) string {
			return fmt.Sprintf("%s broke glass for %s until %s, by rule %s/%s: %s", v.Actor, spot(e.Resource, e.Account), clock(e.Until), e.Policy, e.Rule, short(e.Reason))
		}),
		control("break_glass.reviewed", func(e access.GlassWasReviewed, v domain.Envelope) string {
			s := fmt.Sprintf("%s reviewed the glass that %s broke", v.Actor, e.By)
			if e.Comment != "" {
				s += ": " + short(e.Comment)
			}
			return s
		}),
		activity("access.granted", func(e access.WasGranted, _ domain.Envelope) string {
			s := fmt.Sprintf("%s %s by rule %s/%s", who(e.Who), opened(e), e.Policy, e.Rule)
			if e.BreakGlass != "" {
				s += ", by breaking glass"
			}
			return s
		}).who(func(e domain.Event) access.Who { return e.(access.WasGranted).Who }),
		activity("access.refused", func(e access.WasRefused, _ domain.Envelope) string {
			if len(e.Unmet) > 0 {
				return fmt.Sprintf("%s was refused %s: still to be met: %s%s", who(e.Who), e.Resource, conditions(e.Unmet), bore(e))
			}
			return fmt.Sprintf("%s was refused %s: no rule gives %s%s", who(e.Who), e.Resource, cmp.Or(e.Method, "any way to reach it"), bore(e))
		}).denied().who(func(e domain.Event) access.Who { return e.(access.WasRefused).Who }),
		activity("access.filtered", func(e access.WasFiltered, _ domain.Envelope) string {
			return fmt.Sprintf("%s was given %s to reach %s; %s a human",
				who(e.Who), counted(e.Given, "way", "ways"), e.Resource, counted(len(e.LeftOut), "other needs", "others need"))
		}).who(func(e domain.Event) access.Who { return e.(access.WasFiltered).Who }),
		activity("access.cancelled", func(e access.WasCancelled, _ domain.Envelope) string {
			var needs []policy.ConditionType
			for _, l := range e.LeftOut {
				needs = append(needs, l.Needs...)
			}
			slices.Sort(needs)
			return fmt.Sprintf("the request of %s for %s was cancelled: every way to reach it needs a human (%s)",
				who(e.Who), e.Resource, conditions(slices.Compact(needs)))
		}).denied().who(func(e domain.Event) access.Who { return e.(access.WasCancelled).Who }),
		activity("secret.revealed", func(e access.SecretWasRevealed, _ domain.Envelope) string {
			if e.Account != "" {
				return fmt.Sprintf("%s was shown the password of %s (version %d)", who(e.Who), spot(e.Resource, e.Account), e.Version)
			}
			return fmt.Sprintf("%s was shown %s (version %d)", who(e.Who), e.Resource, e.Version)
		}).who(func(e domain.Event) access.Who { return e.(access.SecretWasRevealed).Who }),
	}
}

// denied is the definition of a type that says what was not let happen.
func (d definition) denied() definition {
	return d.outcome(func(domain.Event) string { return Denied })
}

// who is the definition of a type that says itself which workload it is about, if any.
func (d definition) who(f func(domain.Event) access.Who) definition {
	d.Workload = func(v domain.Envelope) (string, string) {
		w := f(v.Event)
		return w.Connection.String(), w.Identity
	}
	return d
}

// who is a person's name, or a workload's connection and identity.
func who(w access.Who) string {
	if w.Connection == "" {
		return w.Subject
	}
	return fmt.Sprintf("%s of %s", short(w.Identity), w.Connection)
}

// spot is an account on a server, or a secret.
func spot(ref resource.Ref, account domain.Name) string {
	if account == "" {
		return string(ref)
	}
	return fmt.Sprintf("%s on %s", account, ref)
}

// bore says which role a workload that was refused asked as, and which it bore;
// "" where that is not known.
func bore(e access.WasRefused) string {
	if e.Roles == nil {
		return ""
	}
	said := "; it "
	if e.Role != "" {
		said += "asked as " + short(e.Role) + " and "
	}
	if len(e.Roles) == 0 {
		return said + "bore no role"
	}
	var names []string
	for _, r := range e.Roles {
		names = append(names, r.String())
	}
	return said + "bore " + strings.Join(names, ", ")
}

// opened says which door was.
func opened(e access.WasGranted) string {
	where := strings.TrimPrefix(string(e.Resource), "server/")
	switch e.Kind {
	case access.SSH:
		return fmt.Sprintf("got a certificate for %s on %s until %s", e.Username, where, clock(e.ValidUntil))
	case access.RevealPassword:
		return fmt.Sprintf("was let in to the password of %s on %s", e.Account, where)
	}
	return fmt.Sprintf("was let in to %s", e.Resource)
}

// conditions says of which types conditions are.
func conditions(types []policy.ConditionType) string {
	var names []string
	for _, t := range types {
		names = append(names, map[policy.ConditionType]string{
			policy.AccessRequest: "an approved access request", policy.MFA: "a second factor", policy.Checkout: "a checkout",
		}[t])
	}
	return listed(names, "something")
}

// counted is so many of something.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
