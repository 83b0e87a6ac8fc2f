package jose

import (
	"cmp"
	"net"
	"net/http"
	"time"
)

// NewClient is a client for calls to an address that the operator named: through
// the gate like every fetch of keys, with no redirects, no proxy, no cookies and
// no connection kept. A call takes at most as long as it is given.
//
// A nil resolver is the system's.
func NewClient(g Gate, r Resolver, longest time.Duration) (*http.Client, error) {
	if r == nil {
		r = net.DefaultResolver
	}
	f, err := newFetcher(g, r, "")
	if err != nil {
		return nil, err
	}
	f.client.Timeout = cmp.Or(longest, totalTimeout)
	f.client.Transport.(*http.Transport).ResponseHeaderTimeout = f.client.Timeout
	return f.client, nil
}
