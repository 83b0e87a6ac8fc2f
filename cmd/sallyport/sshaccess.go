package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
)

// sshMethod is what the client understands of an access method.
type sshMethod struct {
	ID, Kind, Account, Username, Policy, Rule string
	Open                                      bool
	MayWait                                   bool `json:"may_wait"`
	BreakGlassSeconds                         int  `json:"break_glass_seconds"`
	Conditions                                []sshCondition
	CheckedOut                                *struct {
		By    string
		Until time.Time
	} `json:"checked_out"`
}

// sshCondition is what is to be met before a method opens.
type sshCondition struct {
	Type, Description, Request string
	RequestType                string `json:"request_type"`
	Met                        bool
	Until                      time.Time
}

// unmet is the conditions that are still to be met.
func (m sshMethod) unmet() (open []sshCondition) {
	for _, c := range m.Conditions {
		if !c.Met {
			open = append(open, c)
		}
	}
	return open
}

// emergency says how the method is opened where nobody can approve, "" if it is not.
func (m sshMethod) emergency(resource string) string {
	if m.Open || m.BreakGlassSeconds == 0 {
		return ""
	}
	return "; in an emergency: sallyport break-glass use " + resource + " --method " + m.ID + " --reason TEXT"
}

// state says in a few words whether the method is open, and else what is to be met.
func (m sshMethod) state() string {
	if m.Open {
		until := ""
		for _, c := range m.Conditions {
			if !c.Until.IsZero() {
				until = ", " + strings.ReplaceAll(c.Type, "_", " ") + " until " + c.Until.Local().Format("15:04 MST")
			}
		}
		return "open" + until
	}
	var open []string
	for _, c := range m.unmet() {
		open = append(open, c.Description)
	}
	if m.BreakGlassSeconds > 0 {
		open = append(open, "in an emergency, glass may be broken")
	}
	return strings.Join(open, "; ")
}

// sshFlags say by which method, for which role, and what to do when people have to approve.
type sshFlags struct {
	account, method, role, user string
	request, wait               bool
	justification               string
}

func (f *sshFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.account, "account", "", "account on the server")
	c.Flags().StringVar(&f.method, "method", "", "id of the access method, as sallyport access resolve shows it")
	c.Flags().StringVar(&f.role, "role", "", "of a workload: the role to use")
	c.Flags().BoolVar(&f.request, "request", false, "ask for approval where it is needed, print the request's id and exit with 4")
	c.Flags().StringVar(&f.justification, "justification", "", "why, for those who approve")
	c.Flags().BoolVar(&f.wait, "wait", false, "wait for the approval instead of exiting")
}

func (f *sshFlags) check(c *cobra.Command) error {
	switch {
	case f.request && strings.TrimSpace(f.justification) == "":
		return cli.Usage(c, "give --justification: who approves reads it")
	case f.justification != "" && !f.request:
		return cli.Usage(c, "--justification is for --request")
	}
	return nil
}

// parseHost reads the name of a server. It becomes a part of the command line of
// ssh and of paths, so that nothing else than a name passes.
func parseHost(c *cobra.Command, text string) (string, error) {
	name, err := domain.ParseName(text)
	if err != nil {
		return "", cli.Usage(c, "%q is not the name of a server: %v", text, err)
	}
	return name.String(), nil
}

// login is a login that was granted: where, as whom, with what.
type login struct {
	host        string // name of the server
	address     string
	port        int
	username    string
	hostKeys    []string // lines of a known_hosts file, without the name; none: the client's own decide
	key         *sshKey
	certificate *ssh.Certificate
}

// grantSSH resolves how the server can be reached, chooses, asks for approval if
// it is to, and has a certificate granted for a new key.
func (a *app) grantSSH(c *cobra.Command, f *sshFlags, host string, pty bool) (*login, error) {
	client, err := a.openAsPerson()
	if err != nil {
		return nil, err
	}
	method, err := a.methodFor(c, client, f, host)
	if err != nil {
		return nil, err
	}
	key, err := newSSHKey()
	if err != nil {
		return nil, err
	}
	body := map[string]any{"resource": "server/" + host, "method": method.ID, "public_key": key.public, "pty": pty}
	if f.role != "" {
		body["role"] = f.role
	}
	got, err := client.call(c.Context(), http.MethodPost, "/v1/access/grants", nil, body)
	if err != nil {
		return nil, err
	}
	return readLogin(got.body, host, key)
}

var (
	hostNames = regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?\z`)
	usernames = regexp.MustCompile(`\A[a-z_][a-z0-9_-]{0,31}\z`)
)

// readLogin reads the answer to a grant. It is the server's, and still nothing
// of it becomes an option of ssh, a second line of a file, or another host.
func readLogin(body json.RawMessage, host string, key *sshKey) (*login, error) {
	var g struct {
		Certificate, Username, Address string
		Port                           int
		HostKeys                       []string `json:"host_keys"`
	}
	wrong := func(what string) error {
		return cli.Fail("have a resource_admin look at `sallyport server show "+host+"`", "the server's answer is refused: %s", what)
	}
	if err := json.Unmarshal(body, &g); err != nil {
		return nil, fmt.Errorf("reading the grant: %w", err)
	}
	ip, err := netip.ParseAddr(g.Address)
	switch {
	case (err != nil || ip.Zone() != "") && !hostNames.MatchString(g.Address):
		return nil, wrong("its address is no host name and no IP address")
	case g.Port < 1 || g.Port > 65535:
		return nil, wrong("its port is none")
	case !usernames.MatchString(g.Username):
		return nil, wrong("its user's name is none")
	}
	l := &login{host: host, address: g.Address, port: g.Port, username: g.Username, key: key}
	for _, text := range g.HostKeys {
		k, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
		if err != nil || len(options) > 0 || len(rest) > 0 {
			return nil, wrong("a host key of it cannot be read")
		}
		l.hostKeys = append(l.hostKeys, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))))
	}
	l.certificate, err = key.certificate(g.Certificate)
	if err == nil && !slices.Equal(l.certificate.ValidPrincipals, []string{g.Username}) {
		err = wrong("its certificate is for another user")
	}
	return l, err
}

// knownHosts writes the server's keys to file, under its name.
func (l *login) knownHosts(file string) error {
	var b strings.Builder
	for _, k := range l.hostKeys {
		b.WriteString(l.host + " " + k + "\n")
	}
	return cli.WriteSecret(file, []byte(b.String()))
}

// target is address:port.
func (l *login) target() string { return net.JoinHostPort(l.address, strconv.Itoa(l.port)) }

// methodFor is the method to use: an open one, or one that became open since
// somebody approved it.
func (a *app) methodFor(c *cobra.Command, client *client, f *sshFlags, host string) (sshMethod, error) {
	for approved := ""; ; {
		m, err := a.resolveSSH(c, client, f, host)
		if err != nil || m.Open {
			return m, err
		}
		id, err := a.askApproval(c, client, f, host, m)
		switch {
		case err != nil:
			return m, err
		case id == approved:
			return m, cli.Fail("see `sallyport access resolve server/"+host+"`", "request %s is approved, and does not open it: %s", id, m.state())
		}
		if _, err := a.waitFor(c.Context(), client, id); err != nil {
			return m, err
		}
		approved, f.method = id, m.ID // the one that was approved, and no other
	}
}

func (a *app) resolveSSH(c *cobra.Command, client *client, f *sshFlags, host string) (sshMethod, error) {
	body := map[string]any{"resource": "server/" + host}
	if f.role != "" {
		body["role"] = f.role
	}
	got, err := client.call(c.Context(), http.MethodPost, "/v1/access/resolve", nil, body)
	if err != nil {
		return sshMethod{}, err
	}
	var answer struct {
		Outcome string
		Methods []sshMethod
	}
	if err := json.Unmarshal(got.body, &answer); err != nil {
		return sshMethod{}, fmt.Errorf("reading the access methods: %w", err)
	}
	m, err := a.choose(c, f, host, answer.Methods)
	return m, filtered(answer.Outcome, err)
}

// filtered adds to why there is no access method that a workload was not given all
// there are.
func filtered(outcome string, err error) error {
	var e *cli.Error
	if outcome == "filtered" && errors.As(err, &e) && e.Exit != cli.ExitUsage {
		e.Details = append(e.Details, "there are further ones, which need a human: a workload is not given them")
	}
	return err
}

// choose is one of the methods for SSH that the flags leave: the one that there
// is, or the only open one, or the one that the person at the terminal says.
func (a *app) choose(c *cobra.Command, f *sshFlags, host string, all []sshMethod) (sshMethod, error) {
	var fit, open []sshMethod
	isAccount := slices.ContainsFunc(all, func(m sshMethod) bool { return m.Kind == "ssh" && m.Account == f.account })
	for _, m := range all {
		named := f.method == "" || m.ID == f.method
		if m.Kind == "ssh" && named && (f.account == "" || m.Account == f.account || !isAccount && m.Username == f.account) && (f.user == "" || m.Username == f.user) {
			fit = append(fit, m)
			if m.Open {
				open = append(open, m)
			}
		}
	}
	switch {
	case len(fit) == 0 && f.user != "" && len(described(all)) > 0:
		return sshMethod{}, otherUser(f.user, host, all)
	case len(fit) == 0:
		e := &cli.Error{Exit: cli.ExitDenied, Message: "no access method for SSH on " + host + " is yours", Next: "see `sallyport access resolve server/" + host + "`"}
		if f.method+f.account != "" {
			e.Message += " with that " + first(given(f.method, "--method"), "--account")
			e.Details = described(all)
		}
		return sshMethod{}, e
	case len(fit) == 1:
		return fit[0], nil
	case len(open) == 1:
		return open[0], nil
	case len(open) > 1:
		fit = open
	}
	if !a.interactive() {
		return sshMethod{}, &cli.Error{
			Exit: cli.ExitUsage, Message: fmt.Sprintf("%d access methods lead to %s: say which one", len(fit), host),
			Details: described(fit), Next: howToSay(fit),
		}
	}
	return a.ask(c.Context(), host, fit)
}

// otherUser is the error of plain ssh that goes to a server as a user of no access
// method: it was told none, or an account by its name, which is another user there.
func otherUser(user, host string, all []sshMethod) error {
	e := &cli.Error{Exit: cli.ExitDenied, Message: "no access method for SSH on " + host + " is yours as the user that ssh was told", Next: "name one of these users"}
	for _, m := range all {
		if m.Kind != "ssh" {
			continue
		}
		account := ""
		if m.Account != "" {
			account = " (account " + m.Account + ")"
		}
		e.Details = append(e.Details, "ssh "+m.Username+"@"+host+account+": "+m.state())
		if m.Account == user {
			e.Message, e.Next = "the account "+user+" of "+host+" is the user "+m.Username+" there", "run: ssh "+m.Username+"@"+host
		}
	}
	return e
}

func given(value, flag string) string {
	if value == "" {
		return ""
	}
	return flag
}

// described is a line for each method for SSH.
func described(all []sshMethod) (lines []string) {
	for _, m := range all {
		if m.Kind == "ssh" {
			lines = append(lines, fmt.Sprintf("--method %s  as %s: %s", m.ID, m.Username, m.state()))
		}
	}
	return lines
}

// interactive tells whether a person is there to answer a question.
func (a *app) interactive() bool { return terminal(a.In) && terminal(a.Err) }

// terminal tells whether it is one.
func terminal(v any) bool {
	f, ok := v.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Mode()&os.ModeDevice != 0 && f.Name() != os.DevNull
}

// ask has the person choose one by its number.
func (a *app) ask(ctx context.Context, host string, fit []sshMethod) (sshMethod, error) {
	a.Note("Access methods for %s:", host)
	rows := cli.Rows{}
	for i, m := range fit {
		rows = append(rows, []string{"  " + strconv.Itoa(i+1), m.Username, m.state(), "(" + m.Policy + "/" + m.Rule + ")"})
	}
	if err := rows.Write(a.Err, nil); err != nil {
		return sshMethod{}, err
	}
	chosen := make(chan int, 1)
	go func() { chosen <- a.number(len(fit)) }()
	select {
	case n := <-chosen:
		if n > 0 {
			return fit[n-1], nil
		}
	case <-ctx.Done(): // whoever reads the terminal goes down with us
	}
	return sshMethod{}, &cli.Error{Exit: cli.ExitUsage, Message: "none was chosen", Next: howToSay(fit)}
}

// number asks for one of 1 to last until it is told one; 0 at the end of the input.
func (a *app) number(last int) int {
	in := bufio.NewReader(oneByOne{a.In})
	for {
		fmt.Fprintf(a.Err, "Number (1 to %d): ", last)
		line, err := in.ReadString('\n')
		if n, bad := strconv.Atoi(strings.TrimSpace(line)); bad == nil && n >= 1 && n <= last {
			return n
		}
		if err != nil {
			return 0
		}
	}
}

// oneByOne reads a byte at a time, so that what follows the answer is left to ssh.
type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// askApproval tells the id of the request for a method that people have to
// approve, raising one where it is to, or why there is none to wait for.
func (a *app) askApproval(c *cobra.Command, client *client, f *sshFlags, host string, m sshMethod) (string, error) {
	pending, requestable := "", false
	for _, u := range m.unmet() {
		if u.Type == "access_request" {
			requestable = true
			pending = first(pending, u.Request)
		}
	}
	if requestable && f.request {
		body := map[string]any{"resource": "server/" + host, "method": m.ID, "justification": f.justification}
		if f.role != "" {
			body["role"] = f.role
		}
		got, err := client.call(c.Context(), http.MethodPost, "/v1/access/requests", nil, body)
		if err != nil {
			return "", err
		}
		var raised struct{ ID string }
		if json.Unmarshal(got.body, &raised) != nil || raised.ID == "" {
			return "", cli.Fail("check that SALLYPORT_ADDR names a Sallyport server", "the server's answer holds no id of a request")
		}
		pending = raised.ID
		if !f.wait {
			fmt.Fprintln(a.Out, pending)
		}
	}
	switch {
	case pending != "" && f.wait:
		a.Note("Waiting for the approval of request %s.", pending)
		return pending, nil
	case pending != "":
		return "", &cli.Error{Exit: cli.ExitWaiting, Message: "request " + pending + " waits for approval", Next: "repeat once it is approved, or add --wait"}
	}
	e := &cli.Error{Exit: cli.ExitDenied, Message: "the way to " + host + " as " + m.Username + " is not open yet", Details: []string{m.state()}, Next: "meet that and repeat"}
	if requestable {
		e.Next = "ask for it: add --request --justification TEXT"
		if typ := client.unusable(c.Context(), m); typ != "" {
			e.Next = noneApproves(typ)
		}
	}
	e.Next += m.emergency("server/" + host)
	return "", e
}

// unusable is the request type of the method's condition of which none can be
// raised, since it is not published or not there; "" if there is none.
func (c *client) unusable(ctx context.Context, m sshMethod) string {
	for _, u := range m.unmet() {
		if u.Type != "access_request" || u.Request != "" || u.RequestType == "" {
			continue
		}
		got, err := c.call(ctx, http.MethodGet, "/v1/request-types/"+url.PathEscape(u.RequestType), nil, nil)
		var refused *cli.Error
		var doc struct{ Status string }
		if errors.As(err, &refused) && refused.Code == "request_type.not_found" ||
			err == nil && json.Unmarshal(got.body, &doc) == nil && doc.Status != "" && doc.Status != "published" {
			return u.RequestType
		}
	}
	return ""
}

// noneApproves says what to do where a request type cannot be used.
func noneApproves(typ string) string {
	return "ask a security_admin to run: sallyport request-type publish " + typ
}

// howToSay tells how one of the methods is chosen: accounts differ, or the roles
// of a workload that is a user of its own in each.
func howToSay(methods []sshMethod) string {
	if slices.ContainsFunc(methods, func(m sshMethod) bool { return m.Account != "" }) {
		return "add --account NAME, or --method ID"
	}
	return "add --role ROLE, or --method ID"
}

// pollEvery is how often an approval is asked for, unless the server wants it less often.
const pollEvery = 5 * time.Second
