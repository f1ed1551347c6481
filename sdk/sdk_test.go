package sdk

import (
	"context"
	"testing"
)

func TestBuild(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, cc := range []string{"gcc", "clang"} {
		if _, err := Install(context.Background(), cc); err != nil {
			t.Error(err)
		}
	}
}
