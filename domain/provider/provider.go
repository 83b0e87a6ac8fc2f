// Package provider knows the identity providers by name: what a person tells
// about their tenant in, and where the keys are and what must hold out.
package provider

import (
	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
)

// Kind is a provider that has a preset, or [GenericJWT], which has none.
type Kind string

const (
	GenericJWT  Kind = "generic_jwt"
	CircleCI    Kind = "circleci"
	GitLab      Kind = "gitlab"
	GoogleCloud Kind = "google_cloud"
	GitHub      Kind = "github"
	Kubernetes  Kind = "kubernetes"
)

// Settings are what a preset asks for, by documented name.
type Settings map[string]string

// Filled is what a preset makes of its settings.
type Filled struct {
	JWKSURL       string
	IssuerURL     string
	Conditions    []claim.Condition
	IdentityClaim claim.Path
}

// Fill turns settings into a key source and conditions, or names every setting that breaks a rule.
func Fill(k Kind, s Settings, issuer string) (Filled, []domain.FieldError) { return Filled{}, nil }
