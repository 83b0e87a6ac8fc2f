package policy

import "sallyport.dev/domain"

// reserved is the one name that no policy has: /v1/policies/simulate is a question.
const reserved domain.Name = "simulate"

// ParseName turns text from outside into the name of a policy.
func ParseName(s string) (domain.Name, error) {
	n, err := domain.ParseName(s)
	if n == reserved {
		return "", domain.Invalid("name.invalid", "no policy is called simulate: the API answers there who can reach what")
	}
	return n, err
}
