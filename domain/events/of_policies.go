package events

// ofPolicies is the types of policies.
func ofPolicies() []definition { return nil }
