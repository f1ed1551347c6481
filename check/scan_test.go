package check

import (
	"bytes"
	"slices"
	"testing"
)

// A name of the catalog that no part is found in would not be looked for among strings.
func TestCatalogParts(t *testing.T) {
	for name := range catalog {
		if !slices.ContainsFunc(catalogParts, func(p []byte) bool { return bytes.Contains([]byte(name), p) }) {
			t.Errorf("%s has none of the parts", name)
		}
	}
}
