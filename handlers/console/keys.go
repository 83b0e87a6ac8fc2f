package console

import (
	"fmt"
	"net/http"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/key"
)

func (c *Console) keys() []screen {
	return []screen{
		{path: "/keys", menu: "Keys", icon: "key", group: "Organisation", roles: readers, get: showKeys, post: map[string]func(*page) error{"rotate": rotateSSH}},
		{path: "/keys/rotate", roles: reviewers, get: askRotate},
	}
}

// sshDocument is the SSH authority as /v1 answers it.
type sshDocument struct {
	URL  string `json:"url"`
	Keys []struct {
		Fingerprint string    `json:"fingerprint"`
		PublicKey   string    `json:"public_key"`
		State       string    `json:"state"`
		CreatedAt   time.Time `json:"created_at"`
		RetiredAt   time.Time `json:"retired_at"`
	} `json:"keys"`
}

func keysSheet(p *page) (v sheet, err error) {
	var ca sshDocument
	if err := p.API(http.MethodGet, "/ssh/ca", nil, nil, &ca); err != nil {
		return v, err
	}
	v = sheet{Title: "Keys", Lead: "What tokens and SSH certificates are signed with. Private halves never leave the server."}
	ssh := sheetTable{Heading: "SSH authority", Caption: "SSH authority", Columns: []string{"Fingerprint", "State", "Made", "Retired", "Public key"},
		EmptyTitle: "No keys", EmptyText: "The authority has no keys yet."}
	for _, k := range ca.Keys {
		public, retired := textCell(""), textCell("")
		if k.RetiredAt.IsZero() {
			public = copyCell(k.PublicKey)
		} else {
			retired = timeCell(k.RetiredAt)
		}
		ssh.Rows = append(ssh.Rows, []cell{codeCell(k.Fingerprint), badgeCell(k.State), timeCell(k.CreatedAt), retired, public})
	}
	signing := sheetTable{Heading: "Signing keys of tokens", Caption: "Signing keys", Columns: []string{"Key", "Algorithm", "State", "Signs since", "Published until"},
		EmptyTitle: "No keys", EmptyText: "The organisation has no keys yet."}
	now := p.now()
	for _, k := range p.Org.SigningKeys() {
		until := textCell("it is retired, and a day longer")
		if k.Status == key.Retired {
			if until = exactCell(k.PublishedUntil); !now.Before(k.PublishedUntil) {
				continue // gone from the key set; the trail has it
			}
		}
		since := textCell("not yet")
		if !k.ActivatedAt.IsZero() {
			since = timeCell(k.ActivatedAt)
		}
		signing.Rows = append(signing.Rows, []cell{codeCell(k.KeyID), textCell(string(k.Algorithm)), badgeCell(string(k.Status)), since, until})
	}
	v.Tables = []sheetTable{ssh, signing}
	v.Below = []sheetSection{
		{ID: "sshd", Heading: "Have a server trust the SSH authority", Text: "On the server, and again at least daily and before each rotation. sshd reads the file at each login.", Code: trustScript(ca.URL)},
		{Heading: "Rotate the signing keys", Text: "That is done on the host, so that no session of a browser can. Whoever verifies by the published key set notices nothing.", Code: "sallyportd keys rotate"},
	}
	if p.Person.Has(domain.SecurityAdmin) {
		v.Actions = []sheetAction{{Do: "Rotate the SSH authority", Path: p.url("/keys/rotate")}}
	}
	return v, nil
}

// trustScript is what an administrator does on a server.
func trustScript(from string) string {
	return fmt.Sprintf(`curl -sf %s -o /etc/ssh/sallyport.pub.new &&
  grep -q '^ssh-ed25519 ' /etc/ssh/sallyport.pub.new && mv /etc/ssh/sallyport.pub.new /etc/ssh/sallyport.pub
echo 'TrustedUserCAKeys /etc/ssh/sallyport.pub' > /etc/ssh/sshd_config.d/sallyport.conf
sshd -t && systemctl reload ssh`, from)
}

func showKeys(p *page) error {
	v, err := keysSheet(p)
	if err != nil {
		return err
	}
	return p.render("sheet", v)
}

func askRotate(p *page) error {
	return p.render("confirm", confirmView{
		Heading: "Rotate the SSH authority?", Text: "The next key signs from then on, and a new next one is made.",
		Points: []string{
			"The key that signs now is retired, and servers need not trust it any more.",
			"A server that has not fetched the keys since the next one was made lets nobody in by certificate. Fetch them there first.",
		},
		Action: p.url("/keys/rotate"), Do: "Rotate", Danger: true, Cancel: p.url("/keys"),
	})
}

func rotateSSH(p *page) error {
	if _, err := p.form(); err != nil {
		return err
	}
	if ok, err := p.stepUp(); !ok {
		return err
	}
	if refusal := p.API(http.MethodPost, "/ssh/ca/rotate", nil, nil, nil); refusal != nil {
		v, err := keysSheet(p)
		if err != nil {
			return err
		}
		return p.refused("sheet", v, refusal)
	}
	return p.done("/keys", "The next key signs now.")
}
