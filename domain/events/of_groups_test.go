package events_test

func examplesOfGroups() map[string]example { return nil }
