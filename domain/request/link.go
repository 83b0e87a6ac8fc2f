package request

import "sallyport.dev/domain"

// Link is where people look at a request and decide it: a page, which decides
// nothing by being opened.
func Link(baseURL string, org domain.Name, id string) string {
	return baseURL + "/console/orgs/" + org.String() + "/requests/" + id
}
