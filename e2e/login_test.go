package e2e

import (
	"bufio"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport.dev/e2e/program"
)

// browser is somebody at the console, without scripts.
type browser struct {
	t    *testing.T
	http *http.Client
}

// signedIn is a person who signed in at the demo provider, with a second factor.
func signedIn(t *testing.T, s *program.Server, person string) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := browser{t, &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		req.Header.Del("Origin") // no browser sends it along
		return nil
	}}}
	_, on := b.post(s.BaseURL+"/console/orgs/default/sign-in/with", url.Values{"provider": {"demo"}})
	link := regexp.MustCompile(`<a class="button primary" href="([^"]*)">Go on to demo</a>`).FindStringSubmatch(on)
	if link == nil {
		t.Fatalf("nothing leads on to the provider: %s", on)
	}
	picking, err := url.Parse(html.UnescapeString(link[1]))
	if err != nil {
		t.Fatal(err)
	}
	form := picking.Query() // what the provider's page carries along
	form.Set("person", person)
	form.Set("mfa", "true")
	if at, page := b.post(picking.Scheme+"://"+picking.Host+"/authorize", form); at.Path != "/console/orgs/default/" {
		t.Fatalf("%s ended at %s: %s", person, at, page)
	}
	return b
}

// post sends a form as our own page does, and tells where that led.
func (b browser) post(to string, form url.Values) (*url.URL, string) {
	b.t.Helper()
	return b.send(http.MethodPost, to, strings.NewReader(form.Encode()))
}

func (b browser) send(method, to string, body io.Reader) (*url.URL, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, to, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
	}
	res, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s answered %d (%v): %s", method, to, res.StatusCode, err, page)
	}
	return res.Request.URL, string(page)
}

// Somebody logs in at a terminal by what they confirm in the console, and out.
func TestSomebodyLogsInFromTheCommandLine(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	s := program.Dev(t)
	b := signedIn(t, s, "alice")
	home := t.TempDir()
	sallyport := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), filepath.Join(program.Build(t), "sallyport"), args...)
		cmd.Env = []string{"SALLYPORT_ADDR=" + s.BaseURL, "HOME=" + home}
		return cmd
	}
	login := sallyport("login")
	said, err := login.StderrPipe()
	if err == nil {
		err = login.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`http\S+\?user_code=[A-Z-]+`)
	var all, found string
	for lines := bufio.NewScanner(said); lines.Scan(); {
		all += lines.Text() + "\n"
		if m := link.FindString(lines.Text()); m != "" && found == "" {
			found = m
			u, err := url.Parse(m)
			if err != nil {
				t.Fatal(err)
			}
			if _, page := b.send(http.MethodGet, m, nil); !strings.Contains(page, u.Query().Get("user_code")) || !strings.Contains(page, "127.0.0.1") {
				t.Errorf("the page does not show what asks: %s", page)
			}
			b.post(s.BaseURL+u.Path+"/allow", url.Values{"user_code": {u.Query().Get("user_code")}})
		}
	}
	if err := login.Wait(); err != nil {
		t.Fatalf("login: %v\n%s", err, all)
	}
	out, err := sallyport("whoami", "-o", "json").Output()
	var who struct {
		Person string
		Roles  []string
	}
	if err != nil || json.Unmarshal(out, &who) != nil || who.Person != "alice" || len(who.Roles) != 1 {
		t.Errorf("whoami says %s (%v)", out, err)
	}
	info, err := os.Stat(filepath.Join(home, ".config", "sallyport", "credentials.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token is kept as %v, %v", info, err)
	}
	if out, err := sallyport("logout").CombinedOutput(); err != nil {
		t.Errorf("logout: %v\n%s", err, out)
	}
	if out, err := sallyport("whoami").CombinedOutput(); err == nil || !strings.Contains(string(out), "sallyport login") {
		t.Errorf("after the logout whoami says %s (%v)", out, err)
	}
}
