package events

// ofAccess is the types of grants, refusals, checkouts and broken glasses.
func ofAccess() []definition { return nil }
