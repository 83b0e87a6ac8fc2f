package events

import (
	"cmp"
	"fmt"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
)

// ofIdentity is the types of accounts and sign-ins.
func ofIdentity() []definition {
	return []definition{
		control("person.identity_linked", func(e identity.WasLinked, _ domain.Envelope) string {
			return fmt.Sprintf("%s signs in with account %s of %s from now on", e.Person, e.Account.Subject, e.Account.Issuer)
		}),
		control("person.identity_unlinked", func(e identity.WasUnlinked, v domain.Envelope) string {
			s := fmt.Sprintf("%s took account %s of %s from %s", v.Actor, e.Account.Subject, e.Account.Issuer, e.Person)
			if e.MayReturn {
				return s + "; it may return with a sign-in"
			}
			return s
		}),
		control("person.signed_in", func(e identity.WasSignedIn, _ domain.Envelope) string {
			s := fmt.Sprintf("%s signed in", e.Person)
			if e.Again {
				s = fmt.Sprintf("%s proved anew who they are", e.Person)
			}
			s += " with " + with(e.Method, e.Provider)
			if e.MFA {
				s += " and a second factor"
			}
			return s + " from " + e.Source
		}),
		control("person.signed_out", func(e identity.WasSignedOut, v domain.Envelope) string {
			if v.Actor == e.Person.String() {
				return fmt.Sprintf("%s signed out of a session that began at %s", v.Actor, clock(e.Began))
			}
			return fmt.Sprintf("%s ended a session of %s that began at %s", v.Actor, e.Person, clock(e.Began))
		}),
		control("person.sessions_ended", func(e identity.SessionsWereEnded, v domain.Envelope) string {
			return fmt.Sprintf("%s ended %d more sessions of %s", v.Actor, e.Sessions, e.Person)
		}),
		control("person.sign_in_refused", func(e identity.WasRefused, _ domain.Envelope) string {
			s := "a sign-in"
			if e.Provider != "" {
				s += " with " + e.Provider
			}
			return fmt.Sprintf("%s from %s was refused (%s): %s", s, e.Source, e.Code, cmp.Or(e.Account.Subject, "an unknown account"))
		}).outcome(func(domain.Event) string { return Denied }),
		control("passkey.registered", func(e identity.PasskeyWasRegistered, _ domain.Envelope) string {
			return fmt.Sprintf("%s registered passkey %s", e.Person, e.Name)
		}),
		control("passkey.removed", func(e identity.PasskeyWasRemoved, v domain.Envelope) string {
			if v.Actor != e.Person.String() {
				return fmt.Sprintf("%s removed passkey %s of %s", v.Actor, e.Name, e.Person)
			}
			return fmt.Sprintf("%s removed passkey %s", e.Person, e.Name)
		}),
		control("passkey.used", func(e identity.PasskeyWasUsed, _ domain.Envelope) string {
			s := fmt.Sprintf("%s proved with passkey %s who they are", e.Person, e.Name)
			if e.Back {
				s += "; its counter went back, so there may be a copy of it"
			}
			return s
		}),
		control("person.invited", func(e identity.WasInvited, v domain.Envelope) string {
			return fmt.Sprintf("%s invited %s by a one-time link to register a passkey, until %s", v.Actor, e.Person, clock(e.ExpiresAt))
		}),
		control("person.identity_invited", func(e identity.AccountWasInvited, v domain.Envelope) string {
			return fmt.Sprintf("%s said that whoever first signs in with account %s of %s is %s", v.Actor, e.Account.Subject, e.Account.Issuer, e.Person)
		}),
		control("person.identity_uninvited", func(e identity.AccountWasUninvited, v domain.Envelope) string {
			return fmt.Sprintf("%s said that account %s of %s is not to be %s", v.Actor, e.Account.Subject, e.Account.Issuer, e.Person)
		}),
		control("enrolment.created", func(e identity.EnrolmentWasCreated, v domain.Envelope) string {
			who := "whoever opens it first"
			if e.Person != "" {
				who = e.Person.String()
			}
			return fmt.Sprintf("%s made a one-time link by which %s becomes an owner with a passkey, until %s", v.Actor, who, clock(e.ExpiresAt))
		}),
		control("enrolment.used", func(e identity.EnrolmentWasUsed, _ domain.Envelope) string {
			return fmt.Sprintf("%s used a one-time link that was made on the server's host", e.Person)
		}),
	}
}

// with names for people how somebody proved who they are.
func with(method, provider string) string {
	if method == "passkey" {
		return "a passkey"
	}
	return cmp.Or(provider, method)
}
