package organisation

import (
	"context"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/session"
)

// SessionsBucket names the bucket in which an organisation's sessions are. It is
// in no backup: after a restore everybody signs in again.
func SessionsBucket(org domain.Name) string { return "SESSIONS_" + org.String() }

// openSessions opens who is signed in to the console.
func (o *Organisation) openSessions(ctx context.Context) error {
	bucket, err := o.conn.ExpiringBucket(ctx, SessionsBucket(o.name))
	if err != nil {
		return err
	}
	o.sessions, o.sessionsIn = session.New(bucket, o.Now), bucket
	return nil
}

// CheckSessions tells what of the bucket of sessions is not as it was made.
func (o *Organisation) CheckSessions(ctx context.Context) error { return o.sessionsIn.Check(ctx) }

// Sessions is who is signed in to the console.
func (o *Organisation) Sessions() *session.Manager { return o.sessions }
