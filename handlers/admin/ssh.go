package admin

import (
	"slices"
	"time"

	"sallyport.dev/domain/sshca"
	"sallyport.dev/handlers/api"
)

// sshKey is a key of the SSH authority as answered.
type sshKey struct {
	Fingerprint string       `json:"fingerprint"`
	PublicKey   string       `json:"public_key"`
	State       sshca.Status `json:"state"`
	CreatedAt   time.Time    `json:"created_at"`
	ActivatedAt time.Time    `json:"activated_at,omitzero"`
	RetiredAt   time.Time    `json:"retired_at,omitzero"`
}

// sshAuthority is the SSH authority as answered.
type sshAuthority struct {
	URL  string   `json:"url"`  // where servers get the keys that they are to trust
	Keys []sshKey `json:"keys"` // what is trusted first, then what was, youngest first
}

// maxRetired bounds how many retired keys are answered; all of them are in the trail.
const maxRetired = 50

func (h *Admin) showSSH(*api.Call) (api.Answer, error) {
	a := sshAuthority{URL: h.org.Issuer() + "/ssh/ca.pub"}
	keys := h.org.SSHKeys()
	for _, status := range []sshca.Status{sshca.Active, sshca.Next, sshca.Retired} {
		for _, k := range slices.Backward(keys) {
			if k.Status == status && len(a.Keys) < maxRetired+2 {
				a.Keys = append(a.Keys, sshKey{k.ID, k.Public, k.Status, k.CreatedAt, k.ActivatedAt, k.RetiredAt})
			}
		}
	}
	return api.Answer{Body: a}, nil
}

func (h *Admin) rotateSSH(c *api.Call, _ struct{}) (api.Answer, error) {
	pos, err := h.org.RotateSSH(c.Context(), c.Meta)
	if err != nil {
		return api.Answer{}, err
	}
	a, err := h.showSSH(c)
	a.Position = &pos
	return a, err
}
