package events_test

import "sallyport.dev/domain/resource"

func examplesOfResources() map[string]example {
	const (
		server, secret = "server/db-1", "secret/payments/db/password"
		path           = "payments/db/password"
		id             = "01KASE0000000000000000000D"
	)
	checkout := resource.Checkout{Required: true, MaxSeconds: 3600}
	labels := map[string]string{"env": "prod", "tier": "database"}
	spec := resource.ServerSpec{
		Description: "Payments database", Project: "payments", Address: "db-1.internal.example", Port: 22, Labels: labels,
		Accounts: []resource.Account{{Name: "me", Kind: resource.Personal}, {Name: "dba", Kind: resource.Vaulted, Username: "postgres"}},
		Owner:    resource.Owner{Group: "dbas"}, HostKeys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0000000000000000000000000000000000000000000"}, AnySource: true, OwnPrincipals: true,
	}
	about := resource.SecretSpec{Description: "Of the application", Project: "payments", Labels: labels, Owner: resource.Owner{Person: "alice"}}
	return map[string]example{
		"project.created": {subject: "project/payments", actor: "resource",
			event:   resource.ProjectWasCreated{Name: "payments", ProjectSpec: resource.ProjectSpec{Description: "What takes money", Checkout: checkout}},
			summary: "resource created project payments, whose accounts and secrets are checked out for up to 3600 seconds"},
		"project.edited": {subject: "project/payments", actor: "resource",
			event:   resource.ProjectWasEdited{Name: "payments", Version: 2, ProjectSpec: resource.ProjectSpec{Description: "What takes money", Checkout: resource.Checkout{MaxSeconds: 900}}},
			summary: "resource edited project payments (version 2)"},
		"project.deleted": {subject: "project/payments", actor: "resource", event: resource.ProjectWasDeleted{Name: "payments"},
			summary: "resource deleted project payments; its name is never given again"},
		"server.created": {subject: server, actor: "resource", event: resource.ServerWasCreated{Name: "db-1", ServerSpec: spec},
			summary: "resource created server db-1 (db-1.internal.example) in project payments"},
		"server.edited": {subject: server, actor: "resource", event: resource.ServerWasEdited{Name: "db-1", Version: 2, ServerSpec: spec},
			summary: "resource edited server db-1 (version 2), at db-1.internal.example in project payments"},
		"server.deleted": {subject: server, actor: "resource", event: resource.ServerWasDeleted{Name: "db-1"},
			summary: "resource deleted server db-1 and destroyed the passwords of its accounts; its name is never given again"},
		"secret.created": {subject: secret, actor: "resource", event: resource.SecretWasCreated{Path: path, SecretSpec: about},
			summary: "resource created secret payments/db/password in project payments"},
		"secret.edited": {subject: secret, actor: "resource", event: resource.SecretWasEdited{Path: path, Version: 2, SecretSpec: about},
			summary: "resource edited what is written about secret payments/db/password (version 2), in project payments"},
		"secret.deleted": {subject: secret, actor: "resource", event: resource.SecretWasDeleted{Path: path},
			summary: "resource deleted secret payments/db/password and destroyed all its versions; its path is never given again"},
		"secret.version_added": {subject: secret, actor: workload, connection: "gitlab-ci", workload: identity,
			event:   resource.VersionWasAdded{Path: path, Version: 3, ID: id, Hash: digest},
			summary: workload + " put version 3 of secret payments/db/password"},
		"secret.version_destroyed": {subject: server, actor: "resource",
			event:   resource.VersionWasDestroyed{Server: "db-1", Account: "dba", Version: 2, ID: id},
			summary: "resource destroyed version 2 of the password of dba on server db-1"},
	}
}
