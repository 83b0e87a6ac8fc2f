package jose

import (
	"errors"
	"net/netip"
)

// Gate decides where keys may be fetched from. The zero value lets through
// https on the ports 443, 8443 and 6443 of public addresses.
type Gate struct {
	LoopbackHTTP bool             // also http and https on any port of the loopback: dev only
	Private      []netip.Prefix   // ranges that the operator allows although they are not public
	Ports        []uint16         // instead of 443, 8443, 6443
	Self         []netip.AddrPort // our own listeners: never dialled
}

// CheckURL tells whether keys may be fetched from the URL, without resolving its host.
func (g Gate) CheckURL(raw string) error { return errors.New("checking a URL: refused") }

// CheckAddr tells whether an address may be dialled for keys.
func (g Gate) CheckAddr(a netip.Addr) error { return errors.New("checking an address: refused") }
