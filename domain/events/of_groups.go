package events

// ofGroups is the types of groups and memberships.
func ofGroups() []definition { return nil }
