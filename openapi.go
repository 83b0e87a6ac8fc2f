// Package sallyport carries the contract with outside clients: the OpenAPI 3.1
// document that the server answers at /openapi.yaml and that the tests hold
// every route and every answer against. It is written by hand and says nothing
// that the server does not do.
package sallyport

import _ "embed" // for OpenAPI

// OpenAPI is the document openapi.yaml, as served and as published.
//
//go:embed openapi.yaml
var OpenAPI []byte
