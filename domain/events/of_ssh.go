package events

import (
	"fmt"

	"sallyport.dev/domain"
	"sallyport.dev/domain/sshca"
)

// ofSSH is the types of the SSH authority's keys.
func ofSSH() []definition {
	return []definition{
		control("ssh_ca.created", func(e sshca.WasCreated, v domain.Envelope) string {
			return fmt.Sprintf("%s created the %s key %s of the SSH authority", v.Actor, e.Status, e.ID)
		}),
		control("ssh_ca.activated", func(e sshca.WasActivated, v domain.Envelope) string {
			return fmt.Sprintf("%s rotated the SSH authority to key %s", v.Actor, e.ID)
		}),
		control("ssh_ca.retired", func(e sshca.WasRetired, v domain.Envelope) string {
			return fmt.Sprintf("%s retired key %s of the SSH authority, which servers are to trust no more", v.Actor, e.ID)
		}),
	}
}
