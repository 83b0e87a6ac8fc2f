package api

// Check is check, for the fuzz test.
var Check = check
