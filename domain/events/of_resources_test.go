package events_test

func examplesOfResources() map[string]example { return nil }
