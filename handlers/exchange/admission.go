package exchange

import "sync/atomic"

// maxInside bounds the requests of one organisation that are worked on at once.
// Behind it nobody waits: what comes is told to come again, which costs a tenth
// of a token. So however many ask, a token takes no longer than it takes to
// answer so many, about a fifth of a second on two cores, and is still wanted when it is there.
const maxInside = 320

// admission counts the requests that are inside. The zero value admits [maxInside].
type admission struct{ inside atomic.Int64 }

// enter admits a request, which must leave; or refuses it.
func (a *admission) enter() bool {
	if a.inside.Add(1) <= maxInside {
		return true
	}
	a.inside.Add(-1)
	return false
}

func (a *admission) leave() { a.inside.Add(-1) }
