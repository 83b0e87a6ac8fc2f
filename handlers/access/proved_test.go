package access_test

import (
	"net/http"
	"slices"
	"testing"

	"sallyport.dev/handlers/access"
	"sallyport.dev/handlers/organisation/orgtest"
)

// Of what people ask, decide and use by a policy, an old login keeps nobody: the
// policy may ask for a second factor itself. What stewards write is another matter.
func TestWhatStewardsWriteAsksForALoginOfTheLastHour(t *testing.T) {
	want := []string{"POST /secrets", "PUT /secrets", "POST /secrets/versions", "POST /secrets/destroy", "POST /secrets/delete", "PUT /access/delegation"}
	var got []string
	for _, r := range access.New(orgtest.New(t).Organisation, access.Options{}).Routes() {
		if r.Proved {
			got = append(got, r.Method+" "+r.Path)
		}
		if r.Proved && r.Method == http.MethodGet {
			t.Errorf("%s asks for it to be read", r.Path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
