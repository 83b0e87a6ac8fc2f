package console

import (
	"net/url"
	"regexp"
	"strings"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/provider"
)

// useView is how a workload gets tokens of a connection, in the words of its provider.
type useView struct {
	Where, Code string // where the code belongs, and the code, to be copied
	Then        string // what to know beside it
	Program     string // the same by our program; "" where it reads no environment or file
}

// plainWord is what needs no quotes in a shell and in a provider's own language, and
// ends none in YAML, which reads 123 and true as something else. People write audiences, and others run what is copied from the page.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]*$`)

// useOf tells how workloads use a connection that is active; nil where nothing
// that is safe to copy can be said.
func useOf(c connection.State, issuer string) *useView {
	audience := audienceOf(c.Current, issuer)
	if c.Status != connection.Active || !plainWord.MatchString(issuer) || !plainWord.MatchString(audience) {
		return nil
	}
	u := uses[c.Current.Provider]
	if u.Code == "" {
		u = uses[provider.GenericJWT]
	}
	fill := strings.NewReplacer("ISSUER", issuer, "AUDIENCE", audience, "ASKED", url.QueryEscape(audience), "NAME", c.Name.String())
	u.Code = fill.Replace(putIn(u.Code, strings.Split(exchangeCode, "\n")))
	u.Where, u.Then, u.Program = fill.Replace(u.Where), fill.Replace(u.Then), fill.Replace(u.Program)
	return &u
}

// putIn puts the lines of the exchange where a text names them, each as far in as
// the line that does.
func putIn(text string, exchange []string) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		before, after, is := strings.Cut(line, "EXCHANGE")
		if !is {
			out = append(out, line)
			continue
		}
		in := strings.Repeat(" ", len(before)-len(strings.TrimLeft(before, " ")))
		for i, l := range exchange {
			if i == 0 {
				l = before + l
			} else {
				l = in + l
			}
			out = append(out, l)
		}
		out[len(out)-1] += after
	}
	return strings.Join(out, "\n")
}

// audienceOf is the audience that a proof has to be made for: the first that a
// condition compares aud with, or our issuer.
func audienceOf(s connection.Spec, issuer string) string {
	for _, c := range s.Conditions {
		if !c.Claim.Is("aud") {
			continue
		}
		switch {
		case c.Operator == claim.OneOf && len(c.Values) > 0:
			return c.Values[0]
		case c.Operator == claim.Equals || c.Operator == claim.Includes:
			return c.Value
		}
	}
	return issuer
}

// exchangeCode reads a proof from curl's stdin and prints our token, or ends with
// the code of the refusal. The proof is in no argument, which others could read.
const exchangeCode = `curl -sS --fail-with-body ISSUER/token \
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
  -d subject_token_type=urn:ietf:params:oauth:token-type:jwt \
  -d connection=NAME --data-urlencode subject_token@- |
  jq -r '.access_token // error(tostring)'`

// uses are the providers' own words.
var uses = map[provider.Kind]useView{
	provider.GitLab: {
		Where: "Into .gitlab-ci.yml, with the name of your job:",
		Code: `deploy:
  id_tokens:
    SALLYPORT_ID_TOKEN:
      aud: 'AUDIENCE'
  script:
    - |
      TOKEN=$(printf %s "$SALLYPORT_ID_TOKEN" | EXCHANGE)`,
		Then: "The job's image needs curl and jq.", Program: "sallyport wl auth --connection NAME --jwt-env SALLYPORT_ID_TOKEN",
	},
	provider.GitHub: {
		Where: "Into the workflow, with the name of your job:",
		Code: `permissions:
  id-token: write   # without it GitHub gives no token
  contents: read
jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - run: |
          set -o pipefail
          TOKEN=$(curl -sSf -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
            "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=ASKED" | jq -j .value | EXCHANGE)
          echo "::add-mask::$TOKEN"`,
		Then: "GitHub's token lives five minutes: exchange it in the step that fetches it. TOKEN is there in this step alone.",
	},
	provider.CircleCI: {
		Where: "Into .circleci/config.yml, among the steps of your job. The job needs at least one context:",
		Code: `- run: |
    TOKEN=$(printf %s "$CIRCLE_OIDC_TOKEN_V2" | EXCHANGE)`,
		Then: "The job's image needs curl and jq. TOKEN is there in this step alone.", Program: "sallyport wl auth --connection NAME --jwt-env CIRCLE_OIDC_TOKEN_V2",
	},
	provider.Kubernetes: {
		Where: "Into the pod, so that it has a token for this audience; then run the lines of the end in it:",
		Code: `spec:
  containers:
    - name: app
      volumeMounts:
        - { name: sallyport, mountPath: /var/run/secrets/sallyport, readOnly: true }
  volumes:
    - name: sallyport
      projected:
        sources:
          - serviceAccountToken: { path: token, audience: 'AUDIENCE', expirationSeconds: 600 }

# in the container
TOKEN=$(cat /var/run/secrets/sallyport/token | EXCHANGE)`,
		Then: "The kubelet renews the file: read it each time.", Program: "sallyport wl auth --connection NAME --jwt-file /var/run/secrets/sallyport/token",
	},
	provider.GoogleCloud: {
		Where: "On the machine, or in the container that runs as the service account:",
		Code: `TOKEN=$(curl -sSf -H 'Metadata-Flavor: Google' \
  "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity?audience=ASKED&format=full" | EXCHANGE)`,
		Then: "It needs curl and jq.",
	},
	provider.GenericJWT: {
		Where: "Have your platform make a token for the audience AUDIENCE, and put it into job.jwt:",
		Code:  `TOKEN=$(cat job.jwt | EXCHANGE)`,
		Then:  "It needs curl and jq.", Program: "sallyport wl auth --connection NAME --jwt-file job.jwt",
	},
}
