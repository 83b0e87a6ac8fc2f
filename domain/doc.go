// Package domain holds what every noun of Sallyport shares: names, people's
// roles, who asked and when ([Meta]), the error a caller can act on ([Error]),
// and the shape of an event on its way into the log ([Fact]) and out of it
// ([Envelope], [Commit]).
//
// It answers no question of its own and imports nothing of ours. It never
// reads a clock, a random number or a context: time, identity and chance are
// arguments.
package domain
