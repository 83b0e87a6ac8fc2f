package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"

	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/passkey"
)

// enrolLink is where an enrolment leads.
func enrolLink(baseURL, org string, e host.Enrolment) string {
	values := url.Values{}
	if e.Person != "" {
		values.Set("person", e.Person.String())
	}
	return organisation.EnrolmentLink(baseURL, org, values, e.Secret)
}

// hasPasskeys tells whether browsers have passkeys at a base URL: at names alone.
func hasPasskeys(baseURL string) (bool, error) {
	v, err := passkey.New(baseURL)
	return v != nil, err
}

// firstOwners prints on out, for each organisation that nobody owns, how its first
// owner comes to be: by a link, where browsers have passkeys. The link goes to out
// alone and to no log of ours. A link that cannot be made is no reason to end the
// server; recover makes one. flags are those that name this server to other commands.
func (m *Main) firstOwners(out io.Writer, flags string) func(context.Context, *host.Host) error {
	return func(ctx context.Context, h *host.Host) error {
		linked, err := hasPasskeys(m.Config.BaseURL)
		if err != nil {
			return err
		}
		for _, org := range m.Config.Organisations {
			its := flags
			if len(m.Config.Organisations) > 1 {
				its += " --org " + quote(org)
			}
			say := sayOwnerless
			if linked {
				say = m.sayFirstOwner
			}
			said, err := say(ctx, h, org, its)
			if err != nil {
				m.Log.WarnContext(ctx, "no link for a first owner could be made; sallyportd recover makes one", "organisation", org, "error", err)
				continue
			}
			if _, err := io.WriteString(out, said); err != nil {
				m.Log.WarnContext(ctx, "how the first owner comes to be could not be printed; sallyportd recover tells it again", "organisation", org, "error", err)
			}
		}
		return nil
	}
}

// sayOwnerless tells how an owner comes to be where no link can do it; "" where
// there is one.
func sayOwnerless(_ context.Context, h *host.Host, org, flags string) (string, error) {
	owned, err := h.Owned(org)
	if owned || err != nil {
		return "", err
	}
	return fmt.Sprintf("Organisation %s has no owner yet. Make one here, on the server's host: sallyportd token create%s --person NAME --role owner\n", org, flags), nil
}

// sayFirstOwner makes the link and tells of it; "" where there is an owner.
func (m *Main) sayFirstOwner(ctx context.Context, h *host.Host, org, flags string) (string, error) {
	e, err := h.EnrolFirst(ctx, org)
	if err != nil || e.ExpiresAt.IsZero() {
		return "", err
	}
	until := e.ExpiresAt.UTC().Format(time.RFC3339)
	if e.Secret == "" {
		return fmt.Sprintf("Organisation %s has no owner yet. A link that makes one was printed before, and is good until %s.\n"+
			"Another in its place: sallyportd recover%s --person NAME\n", org, until, flags), nil
	}
	return fmt.Sprintf(`Organisation %s has no owner yet. Whoever opens this link before %s becomes its owner, with a passkey:

  %s

It works once, and is shown this once: open it yourself, in the browser that you will use.
Another in its place: sallyportd recover%s --person NAME
`, org, until, enrolLink(m.Config.BaseURL, org, e), flags), nil
}
