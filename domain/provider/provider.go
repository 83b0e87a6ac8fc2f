// Package provider knows the identity providers by name. [Fill] turns what a
// person knows of their tenant (an organisation's id, a group, a repository)
// into where the keys are and which conditions pin that tenant; [SharedIssuer]
// knows which issuers serve everybody, and which claims tell one tenant from
// another there.
//
// The presets are data, one file a provider. It fetches nothing, and what it
// fills in is only a proposal: every value can be edited afterwards.
package provider

import (
	"maps"
	"slices"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
)

// Kind is a provider that has a preset, or [GenericJWT], which has none.
type Kind string

const (
	// GenericJWT is any issuer of JWTs: nothing is filled in.
	GenericJWT Kind = "generic_jwt"
	// CircleCI is CircleCI jobs, by organisation and project id.
	CircleCI Kind = "circleci"
	// GitLab is jobs of gitlab.com or of a GitLab of one's own.
	GitLab Kind = "gitlab"
	// GoogleCloud is identity tokens of Google service accounts.
	GoogleCloud Kind = "google_cloud"
	// GitHub is GitHub Actions workflows, by names, ids or both.
	GitHub Kind = "github"
	// Kubernetes is projected service account tokens of one cluster.
	Kubernetes Kind = "kubernetes"
)

// Kinds lists every kind, in the order in which people are told of them.
func Kinds() []Kind { return []Kind{GenericJWT, CircleCI, GitLab, GoogleCloud, GitHub, Kubernetes} }

// Settings are what a preset asks for, by documented name. An absent setting
// and an optional one that is left out are the same; an empty one is refused.
type Settings map[string]string

// Filled is what a preset makes of its settings: one key source, the
// conditions, and the claim that names the workload.
type Filled struct {
	JWKSURL       string
	IssuerURL     string
	Conditions    []claim.Condition
	IdentityClaim claim.Path
}

// preset is one provider as data. In its texts {name} stands for a setting, and
// {our_issuer} for the organisation's issuer. A condition is filled in when every
// setting it names is given.
type preset struct {
	settings   []setting
	jwksURL    string
	issuerURL  string
	conditions []row
}

// setting is one thing a preset asks for.
type setting struct {
	name     string
	form     form
	required bool
	fallback string // used when the setting is not given
	needs    string // another setting without which this one means nothing
	// under names a setting that the value may repeat in front of a slash:
	// acme/app for the repository app of the owner acme.
	under string
}

// row is one condition to fill in.
type row struct {
	claim    claim.Path
	operator claim.Operator
	value    string
	values   []string
	given    string // filled in only if this setting is given
	without  string // filled in only if this setting is not given
}

func presetOf(k Kind) (preset, bool) {
	switch k {
	case GenericJWT:
		return preset{}, true
	case CircleCI:
		return circleCI(), true
	case GitLab:
		return gitLab(), true
	case GoogleCloud:
		return googleCloud(), true
	case GitHub:
		return gitHub(), true
	case Kubernetes:
		return kubernetes(), true
	}
	return preset{}, false
}

// Fill turns settings into a key source and conditions. issuer is the
// organisation's issuer, which is the audience where the settings name none.
// It names every setting that breaks a rule, at /settings/NAME; then nothing is
// filled.
func Fill(k Kind, s Settings, issuer string) (Filled, []domain.FieldError) {
	p, ok := presetOf(k)
	if !ok {
		return Filled{}, []domain.FieldError{{Pointer: "/provider", Code: "unknown", Detail: "providers are " + join(Kinds())}}
	}
	values, errs := p.read(s, issuer)
	if len(errs) > 0 {
		return Filled{}, errs
	}
	f := Filled{JWKSURL: values.into(p.jwksURL), IssuerURL: values.into(p.issuerURL), IdentityClaim: "sub"}
	for _, r := range p.conditions {
		if values.have(r) {
			f.Conditions = append(f.Conditions, claim.Condition{
				Claim: r.claim, Operator: r.operator, Value: values.into(r.value), Values: r.values,
			})
		}
	}
	return f, nil
}

// read checks the settings and adds what is not given.
func (p preset) read(s Settings, issuer string) (values, []domain.FieldError) {
	v := values{"our_issuer": issuer}
	var errs []domain.FieldError
	refuse := func(name, code, detail string) {
		errs = append(errs, domain.FieldError{Pointer: "/settings/" + pointerStep(name), Code: code, Detail: detail})
	}
	for _, want := range p.settings {
		text, given := s[want.name]
		if above := s[want.under]; above != "" {
			text = strings.TrimPrefix(text, above+"/")
		}
		switch {
		case !given && want.required:
			refuse(want.name, "required", "the provider needs it")
		case !given && want.fallback != "":
			v[want.name] = v.into(want.fallback)
		case !given:
		case want.needs != "" && s[want.needs] == "":
			refuse(want.name, "not_allowed", "it needs "+want.needs+" beside it")
		case !want.form.is(text):
			refuse(want.name, "invalid", "expected is "+want.form.says)
		default:
			v[want.name] = text
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if !slices.ContainsFunc(p.settings, func(want setting) bool { return want.name == name }) {
			refuse(name, "unknown", "settings of this provider are "+p.names())
		}
	}
	return v, errs
}

func (p preset) names() string {
	if len(p.settings) == 0 {
		return "none: give a key source and conditions"
	}
	var names []string
	for _, s := range p.settings {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// values are the settings of one connection, with what was filled in.
type values map[string]string

// into puts the values where a text names them.
func (v values) into(text string) string {
	for _, name := range namedIn(text) {
		text = strings.ReplaceAll(text, "{"+name+"}", v[name])
	}
	return text
}

// have tells whether a row is to be filled in.
func (v values) have(r row) bool {
	for _, name := range namedIn(r.value) {
		if v[name] == "" {
			return false
		}
	}
	return (r.given == "" || v[r.given] != "") && (r.without == "" || v[r.without] == "")
}

// namedIn lists the names in braces of a preset's text. Settings hold no
// braces, so what is put in is never read as a name again.
func namedIn(text string) []string {
	var names []string
	for {
		_, rest, found := strings.Cut(text, "{")
		if !found {
			return names
		}
		name, after, _ := strings.Cut(rest, "}")
		names, text = append(names, name), after
	}
}

func pointerStep(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func join(kinds []Kind) string {
	var b strings.Builder
	for i, k := range kinds {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(k))
	}
	return b.String()
}
