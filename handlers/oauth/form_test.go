package oauth_test

import (
	"net/url"
	"strings"
	"testing"

	"sallyport.dev/handlers/oauth"
)

func TestAFormIsReadAsItWasMeant(t *testing.T) {
	f, err := oauth.ParseForm("a=b%20c&audience=x&audience=y%2Fz&empty=&plus=a+b&%61%62=%C3%A9")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "b c", "audience": "x", "empty": "", "absent": "", "plus": "a b", "ab": "é"} {
		if got := f.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := strings.Join(f["audience"], " "); got != "x y/z" {
		t.Errorf("audience = %q", got)
	}
}

func TestAFormThatCouldMeanTwoThingsIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"a parameter twice":             "a=1&a=2",
		"twice under an escape":         "assertion=1&%61ssertion=2",
		"no equals sign":                "a",
		"no name":                       "=a",
		"an empty pair":                 "a=1&&b=2",
		"a broken escape":               "a=%4",
		"an escape that is no hex":      "a=%zz",
		"a NUL":                         "a=%00",
		"a raw line end":                "a=b\nc",
		"a delete character":            "a=%7f",
		"overlong UTF-8":                "a=%c0%af",
		"half a character":              "a=%c3",
		"33 parameters":                 strings.Repeat("a=1&", 32) + "b=1",
		"a value over 2 KiB":            "role_hint=" + strings.Repeat("a", 2049),
		"a semicolon between the pairs": "a=1;b=%zz",
	} {
		if f, err := oauth.ParseForm(body); err == nil {
			t.Errorf("%s: got %v, want an error", name, f)
		}
	}
}

func TestAnErrorNeverRepeatsWhatAStrangerCalledAParameter(t *testing.T) {
	_, err := oauth.ParseForm("<script>=1&<script>=2")
	if err == nil || strings.Contains(err.Error(), "script") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseForm(f *testing.F) {
	for _, s := range []string{"", "a=b", "a=b&a=c", "audience=a&audience=b", "a=%41+%c3%a9", "subject_token=eyJ.eyJ.sig", "a=%00", "&", "=", "a;b=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := oauth.ParseForm(body)
		if err != nil {
			return
		}
		want, err := url.ParseQuery(body)
		if err != nil {
			return // a semicolon, which net/url refuses and forms of ours may hold
		}
		if len(want) != len(got) {
			t.Fatalf("read %v, net/url reads %v", got, want)
		}
		for name, values := range want {
			if strings.Join(got[name], "\x00") != strings.Join(values, "\x00") || len(values) > 1 && name != "audience" && name != "resource" {
				t.Fatalf("%q is %q, net/url reads %q", name, got[name], values)
			}
		}
	})
}
