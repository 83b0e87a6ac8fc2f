package events

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/key"
	"sallyport.dev/domain/organisation"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/token"
)

// definitions lists every type by its released name. A new type is one line
// here, a schema, a golden and a line in testdata/released.txt; the tests ask
// for each.
func definitions() []definition {
	return slices.Concat(ofTrust(), ofKeys(), ofPeople(), ofGroups(), ofRoles(), ofResources(), ofPolicies(), ofRequests(), ofAccess(), ofSSH(), ofIdentity(), ofNotifications())
}

// ofTrust is the types of connections and tokens.
func ofTrust() []definition {
	return []definition{
		control("connection.drafted", func(e connection.WasDrafted, v domain.Envelope) string {
			return fmt.Sprintf("%s drafted connection %s for %s", v.Actor, name(v), e.Spec.Provider)
		}),
		control("connection.edited", func(e connection.WasEdited, v domain.Envelope) string {
			if e.Pending {
				return fmt.Sprintf("%s edited connection %s (version %d, pending until somebody else activates it)", v.Actor, name(v), e.Version)
			}
			return fmt.Sprintf("%s edited connection %s (version %d)", v.Actor, name(v), e.Version)
		}),
		control("connection.activated", func(e connection.WasActivated, v domain.Envelope) string {
			s := fmt.Sprintf("%s activated connection %s (version %d)", v.Actor, name(v), e.Version)
			if len(e.Acknowledged) > 0 {
				s += " and acknowledged " + strings.Join(e.Acknowledged, ", ")
			}
			return s
		}),
		control("connection.deactivated", func(e connection.WasDeactivated, v domain.Envelope) string {
			if e.RevokedTokens {
				return fmt.Sprintf("%s deactivated connection %s and revoked every token it had issued", v.Actor, name(v))
			}
			return fmt.Sprintf("%s deactivated connection %s", v.Actor, name(v))
		}),
		control("connection.deleted", func(_ connection.WasDeleted, v domain.Envelope) string {
			return fmt.Sprintf("%s deleted connection %s; its name is never given again", v.Actor, name(v))
		}),
		activity("connection.tested", func(e connection.WasTested, v domain.Envelope) string {
			if f := proof.FirstFailure(e.Checks); f != nil {
				return fmt.Sprintf("%s tested connection %s (version %d), which refused the proof: %s", v.Actor, name(v), e.Version, reason(e.Checks, ""))
			}
			return fmt.Sprintf("%s tested connection %s (version %d), which accepted %s", v.Actor, name(v), e.Version, cmp.Or(e.Identity, "the proof"))
		}).outcome(func(e domain.Event) string {
			if e.(connection.WasTested).Verdict != "pass" {
				return Failed
			}
			return Success
		}).workload(func(e domain.Event) string { return e.(connection.WasTested).Identity }),
		control("keys.changed", func(e connection.KeysChanged, v domain.Envelope) string {
			return fmt.Sprintf("the keys of connection %s are now %s", name(v), listed(e.KeyIDs, "none"))
		}),

		activity("token.issued", func(e token.WasIssued, v domain.Envelope) string {
			return fmt.Sprintf("%s issued a token for %s to %s, until %s", e.Connection, e.Audience, e.Identity, clock(e.ExpiresAt))
		}).workload(func(e domain.Event) string { return e.(token.WasIssued).Identity }),
		activity("token.denied", func(e token.WasDenied, v domain.Envelope) string {
			return fmt.Sprintf("%s refused a token to %s: %s", e.Connection, cmp.Or(e.Identity, "an unknown workload"), reason(e.Checks, e.Code))
		}).outcome(func(domain.Event) string { return Denied }).
			workload(func(e domain.Event) string { return e.(token.WasDenied).Identity }),
		activity("token.denials_suppressed", func(e token.DenialsWereSuppressed, v domain.Envelope) string {
			codes := slices.Sorted(maps.Keys(e.Codes))
			return fmt.Sprintf("%s refused %d more tokens to %s between %s and %s: %s", e.Connection, e.Count,
				cmp.Or(e.Source, "several sources"), clock(e.From), clock(e.Until), listed(codes, "for various reasons"))
		}).outcome(func(domain.Event) string { return Denied }),
	}
}

// ofKeys is the types of our own keys and of the organisation.
func ofKeys() []definition {
	return []definition{
		control("signing_key.created", func(e key.WasCreated, v domain.Envelope) string {
			return fmt.Sprintf("%s created the %s %s signing key %s", v.Actor, e.Status, e.Algorithm, e.KeyID)
		}),
		control("signing_key.activated", func(e key.WasActivated, v domain.Envelope) string {
			return fmt.Sprintf("%s rotated to signing key %s", v.Actor, e.KeyID)
		}),
		control("signing_key.retired", func(e key.WasRetired, v domain.Envelope) string {
			return fmt.Sprintf("%s retired signing key %s, which stays published until %s", v.Actor, e.KeyID, clock(e.PublishedUntil))
		}),
		control("checkpoint_key.created", func(e key.CheckpointWasCreated, v domain.Envelope) string {
			return fmt.Sprintf("%s created the key %s, which signs the checkpoints of the log", v.Actor, e.KeyID)
		}),

		control("organisation.created", func(e organisation.WasCreated, v domain.Envelope) string {
			return fmt.Sprintf("%s created organisation %s with issuer %s", v.Actor, e.Name, e.Issuer)
		}),
		control("organisation.dual_control_changed", func(e organisation.DualControlWasChanged, v domain.Envelope) string {
			return fmt.Sprintf("%s changed dual control from %s to %s", v.Actor, e.From, e.To)
		}),
		activity("audit.exported", func(e organisation.TrailWasExported, v domain.Envelope) string {
			var only []string
			for _, f := range slices.Sorted(maps.Keys(e.Filters)) {
				only = append(only, f+" "+e.Filters[f])
			}
			return fmt.Sprintf("%s exported the audit trail up to %s: %s", v.Actor, e.UpTo, listed(only, "all of it"))
		}),
	}
}

// ofPeople is the types of people and their API tokens.
func ofPeople() []definition {
	return []definition{
		control("person.added", func(e person.WasAdded, v domain.Envelope) string {
			return fmt.Sprintf("%s added %s as %s", v.Actor, e.Name, roles(e.Roles))
		}),
		control("person.edited", func(e person.WasEdited, v domain.Envelope) string {
			return fmt.Sprintf("%s edited %s: email %s, manager %s", v.Actor, e.Name, cmp.Or(e.Email, "none"), cmp.Or(e.Manager, "none"))
		}),
		control("person.removed", func(e person.WasRemoved, v domain.Envelope) string {
			return fmt.Sprintf("%s removed %s; the name is never given again", v.Actor, e.Name)
		}),
		control("person.signed_out_everywhere", func(e person.WasSignedOutEverywhere, v domain.Envelope) string {
			const ended = "of sessions in the console and of programs that were let in"
			switch {
			case e.Kept != "":
				return fmt.Sprintf("%s signed out everywhere but in one session, %s", e.Person, ended)
			case v.Actor == e.Person.String():
				return fmt.Sprintf("%s signed out everywhere, %s", e.Person, ended)
			}
			return fmt.Sprintf("%s signed %s out everywhere, %s", v.Actor, e.Person, ended)
		}),
		control("person.role_granted", func(e person.RoleWasGranted, v domain.Envelope) string {
			return fmt.Sprintf("%s made %s %s", v.Actor, e.Name, e.Role)
		}),
		control("person.role_revoked", func(e person.RoleWasRevoked, v domain.Envelope) string {
			return fmt.Sprintf("%s took role %s from %s", v.Actor, e.Role, e.Name)
		}),
		control("api_token.created", func(e person.TokenWasCreated, v domain.Envelope) string {
			if v.Actor == e.Person.String() {
				return fmt.Sprintf("%s logged in with an API token as %s, until %s", v.Actor, roles(e.Roles), clock(e.ExpiresAt))
			}
			return fmt.Sprintf("%s created an API token for %s as %s, until %s", v.Actor, e.Person, roles(e.Roles), clock(e.ExpiresAt))
		}),
		control("api_token.revoked", func(e person.TokenWasRevoked, v domain.Envelope) string {
			return fmt.Sprintf("%s revoked an API token of %s", v.Actor, e.Person)
		}),
	}
}

// control defines a type that changes what is true.
func control[E domain.Event](name string, sentence func(E, domain.Envelope) string) definition {
	d := activity(name, sentence)
	d.Control = true
	return d
}

// activity defines a type that says what was done, successfully and about no
// workload unless outcome and workload say otherwise.
func activity[E domain.Event](name string, sentence func(E, domain.Envelope) string) definition {
	return definition{
		Type: Type{
			Name:    name,
			Summary: func(v domain.Envelope) string { return bounded(sentence(v.Event.(E), v)) },
			Outcome: func(domain.Envelope) string { return Success },
			Workload: func(v domain.Envelope) (string, string) {
				c, _ := strings.CutPrefix(v.Subject, "connection/")
				if c == v.Subject {
					return "", ""
				}
				return c, ""
			},
		},
		decode: func(b json.RawMessage) (domain.Event, error) { return strict[E](b) },
	}
}

// outcome is the definition with outcomes of its own.
func (d definition) outcome(f func(domain.Event) string) definition {
	d.Outcome = func(v domain.Envelope) string { return f(v.Event) }
	return d
}

// workload is the definition of a type that names an identity.
func (d definition) workload(f func(domain.Event) string) definition {
	of := d.Workload
	d.Workload = func(v domain.Envelope) (string, string) {
		c, _ := of(v)
		return c, f(v.Event)
	}
	return d
}

// name is the connection the event is about.
func name(v domain.Envelope) string { return strings.TrimPrefix(v.Subject, "connection/") }

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
