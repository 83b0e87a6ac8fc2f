package passkey_test

import (
	"net/url"
	"testing"

	"sallyport.dev/handlers/passkey"
)

// What the configuration writes and what a browser says are compared as text.
func TestAnOriginIsAsBrowsersWriteIt(t *testing.T) {
	for base, want := range map[string]string{
		"https://sallyport.example.com":      "https://sallyport.example.com",
		"https://sallyport.example.com:443":  "https://sallyport.example.com",
		"https://sallyport.example.com:8443": "https://sallyport.example.com:8443",
		"https://Sallyport.Example.com":      "https://sallyport.example.com",
		"http://localhost:80":                "http://localhost",
		"http://localhost:443":               "http://localhost:443",
		"http://[::1]:80":                    "http://[::1]",
	} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		if got := passkey.Origin(u); got != want {
			t.Errorf("%s: got %s, want %s", base, got, want)
		}
	}
}
