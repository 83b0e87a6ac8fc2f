package e2e

import (
	"testing"

	"sallyport.dev/e2e/contract"
)

func TestTheOpenAPIDocumentIsSound(t *testing.T) {
	doc, err := contract.Document()
	if err != nil {
		t.Fatal(err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Errorf("openapi.yaml says it is OpenAPI %s, want 3.1", doc.OpenAPI)
	}
}
