package events_test

import "sallyport.dev/domain/sshca"

func examplesOfSSH() map[string]example {
	const id = "SHA256:1jVCWocLtTUP1embt38m5nHHN+D2a6JoYsPGnDm/hEk"
	const public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDxXySP/Zu18hY6b/mJxFacPCtU/zX7zS5DnZvq1kmp"
	return map[string]example{
		"ssh_ca.created": {subject: "ssh_ca/" + id, actor: "system:keys", event: sshca.WasCreated{ID: id, Public: public, Status: sshca.Next},
			summary: "system:keys created the next key " + id + " of the SSH authority"},
		"ssh_ca.activated": {subject: "ssh_ca/" + id, actor: "security", event: sshca.WasActivated{ID: id},
			summary: "security rotated the SSH authority to key " + id},
		"ssh_ca.retired": {subject: "ssh_ca/" + id, actor: "security", event: sshca.WasRetired{ID: id},
			summary: "security retired key " + id + " of the SSH authority, which servers are to trust no more"},
	}
}
