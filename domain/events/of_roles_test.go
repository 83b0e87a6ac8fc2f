package events_test

func examplesOfRoles() map[string]example { return nil }
