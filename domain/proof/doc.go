// Package proof says what a workload's JWT looks like once its signature has
// been looked at ([Proof]), and how each thing looked at is reported ([Check]).
//
// It verifies nothing itself: the edge does, with the keys; connections judge
// the claims. Both leave their findings here, in one order:
//
//	format → keys → key → algorithm → signature → times → condition (one each) → identity
//
// and the exchange adds replay and audience. A report names every failure, not
// only the first.
package proof
