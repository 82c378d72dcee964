package system

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAProgramIsLookedForWhereItMayBe goes from nowhere through an installed one and an unpacked one to one that was given.
func TestAProgramIsLookedForWhereItMayBe(t *testing.T) {
	const name = "rift-test-server"
	installed, here := t.TempDir(), t.TempDir()
	t.Chdir(here)
	t.Setenv("PATH", installed)
	if _, _, err := packaged("sys", name, ""); err == nil || !strings.Contains(err.Error(), "make systems") {
		t.Errorf("nowhere: %v", err)
	}
	put := func(path ...string) string {
		program := filepath.Join(path...)
		if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(program, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		return program
	}
	for _, tc := range []struct{ folder, bin, root string }{
		{installed, "", ""},
		{filepath.Join(here, "bin", "systems", "sys", "usr", "bin"), "", filepath.Join(here, "bin", "systems", "sys")},
		{filepath.Join(here, "own"), filepath.Join("own", name), ""},
		{filepath.Join(here, "other", "usr", "bin"), filepath.Join("other", "usr", "bin", name), filepath.Join(here, "other")},
	} {
		want := put(tc.folder, name)
		program, root, err := packaged("sys", name, tc.bin)
		if err != nil || program != want || root != tc.root {
			t.Errorf("%q given: got %s of %s, %v; want %s of %s", tc.bin, program, root, err, want, tc.root)
		}
	}
}
