package events_test

func examplesOfSSH() map[string]example { return nil }
