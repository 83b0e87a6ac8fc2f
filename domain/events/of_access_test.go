package events_test

func examplesOfAccess() map[string]example { return nil }
