package events_test

func examplesOfPolicies() map[string]example { return nil }
