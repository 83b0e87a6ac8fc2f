package events

// ofRoles is the types of workload roles.
func ofRoles() []definition { return nil }
