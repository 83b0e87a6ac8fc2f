package events_test

func examplesOfRequests() map[string]example { return nil }
