package events

import (
	"fmt"
	"net/url"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

// ofResources is the types of projects, servers and secrets.
func ofResources() []definition {
	all := []definition{
		control("project.created", func(e resource.ProjectWasCreated, v domain.Envelope) string {
			return fmt.Sprintf("%s created project %s%s", v.Actor, e.Name, shared(e.Checkout))
		}),
		control("project.edited", func(e resource.ProjectWasEdited, v domain.Envelope) string {
			return fmt.Sprintf("%s edited project %s (version %d)%s", v.Actor, e.Name, e.Version, shared(e.Checkout))
		}),
		control("project.deleted", func(e resource.ProjectWasDeleted, v domain.Envelope) string {
			return fmt.Sprintf("%s deleted project %s; its name is never given again", v.Actor, e.Name)
		}),
		control("server.created", func(e resource.ServerWasCreated, v domain.Envelope) string {
			return fmt.Sprintf("%s created server %s (%s) in project %s", v.Actor, e.Name, e.Address, e.Project)
		}),
		control("server.edited", func(e resource.ServerWasEdited, v domain.Envelope) string {
			return fmt.Sprintf("%s edited server %s (version %d), at %s in project %s", v.Actor, e.Name, e.Version, e.Address, e.Project)
		}),
		control("server.deleted", func(e resource.ServerWasDeleted, v domain.Envelope) string {
			return fmt.Sprintf("%s deleted server %s and destroyed the passwords of its accounts; its name is never given again", v.Actor, e.Name)
		}),
		control("secret.created", func(e resource.SecretWasCreated, v domain.Envelope) string {
			return fmt.Sprintf("%s created secret %s in project %s", v.Actor, e.Path, e.Project)
		}),
		control("secret.edited", func(e resource.SecretWasEdited, v domain.Envelope) string {
			return fmt.Sprintf("%s edited what is written about secret %s (version %d), in project %s", v.Actor, e.Path, e.Version, e.Project)
		}),
		control("secret.deleted", func(e resource.SecretWasDeleted, v domain.Envelope) string {
			return fmt.Sprintf("%s deleted secret %s and destroyed all its versions; its path is never given again", v.Actor, e.Path)
		}),
		control("secret.version_added", func(e resource.VersionWasAdded, v domain.Envelope) string {
			return fmt.Sprintf("%s put version %d of %s", v.Actor, e.Version, valued(e.Path, e.Server, e.Account))
		}),
		control("secret.version_destroyed", func(e resource.VersionWasDestroyed, v domain.Envelope) string {
			return fmt.Sprintf("%s destroyed version %d of %s", v.Actor, e.Version, valued(e.Path, e.Server, e.Account))
		}),
	}
	for i := range all {
		all[i].Workload = byWorkload
	}
	return all
}

// byWorkload is the connection and the identity of the workload that did it, if it was one.
func byWorkload(v domain.Envelope) (connection, identity string) {
	rest, is := strings.CutPrefix(v.Actor, "workload://")
	parts := strings.SplitN(rest, "/", 3) // organisation, connection, identity
	if !is || len(parts) < 3 {
		return "", ""
	}
	identity, err := url.PathUnescape(parts[2])
	if err != nil {
		return "", ""
	}
	return parts[1], identity
}

// valued is what has a value: a secret, or the password of an account.
func valued(path string, server, account domain.Name) string {
	if path != "" {
		return "secret " + path
	}
	return fmt.Sprintf("the password of %s on server %s", account, server)
}

// shared tells of a project whose resources are used by one at a time.
func shared(c resource.Checkout) string {
	if !c.Required {
		return ""
	}
	return fmt.Sprintf(", whose accounts and secrets are checked out for up to %d seconds", c.MaxSeconds)
}
