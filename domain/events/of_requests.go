package events

// ofRequests is the types of request types, access requests and delegations.
func ofRequests() []definition { return nil }
