// Package claim answers one question: does a verified claim set meet a
// condition, and if not, what was the matter?
//
// Comparison is exact text: no case folding, trimming, normalisation, globs or
// regular expressions, and no number ever passes through a float. What is
// absent fails. A match is decided by [Condition.Match] alone;
// [Condition.Explain] says why, to people, and always agrees with it.
package claim
