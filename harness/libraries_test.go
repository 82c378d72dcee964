package harness

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dynamicProgram is the path of sleep, where it is a dynamic program as on most machines.
func dynamicProgram(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("NOT TESTED: this machine has no sleep")
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		t.Fatal(err)
	}
	if libs, err := findLibraries(path, ""); err != nil || len(libs) == 0 || filepath.Base(path) != "sleep" {
		t.Skipf("NOT TESTED: %s is no dynamic program called sleep (%v)", path, err)
	}
	return path
}

// TestTheLibrariesAreThoseThatTheLoaderFinds asks the machine's own loader for a second opinion.
func TestTheLibrariesAreThoseThatTheLoaderFinds(t *testing.T) {
	tried := 0
	for _, name := range []string{"sleep", "bash", "ls", "ip", "tar", "git", "curl"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		libs, err := findLibraries(path, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for loader := range libs {
			if !strings.HasPrefix(filepath.Base(loader), "ld-") {
				continue
			}
			said, err := exec.CommandContext(t.Context(), loader, "--list", path).Output()
			if err != nil {
				continue // a loader that cannot list
			}
			tried++
			if want, got := listed(string(said)), slices.Sorted(maps.Keys(bases(libs))); !slices.Equal(got, want) {
				t.Errorf("%s: found %v, the loader says %v", name, got, want)
			}
			break
		}
	}
	if tried == 0 {
		t.Skip("NOT TESTED: no loader of this machine can list what a program needs")
	}
}

// listed are the names in a loader's list: "libc.so.6 => /lib/libc.so.6 (0x7f...)", "/lib64/ld.so (0x7f...)".
func listed(said string) []string {
	names := make(map[string]bool)
	for line := range strings.Lines(said) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); name != "" && !strings.HasPrefix(name, "linux-vdso") {
			names[filepath.Base(name)] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func bases(libs libraries) map[string]bool {
	names := make(map[string]bool)
	for there := range libs {
		names[filepath.Base(there)] = true
	}
	return names
}

func TestAStaticProgramNeedsNoLibraries(t *testing.T) {
	libs, err := findLibraries(buildEcho(t), "")
	if err != nil || len(libs) != 0 || libs.inImage() != nil || libs.here() != nil {
		t.Errorf("%v, %v", libs, err)
	}
}

// TestAnUnpackedPackageComesFirst puts the C library into a package, and takes it out again.
func TestAnUnpackedPackageComesFirst(t *testing.T) {
	program, root := dynamicProgram(t), t.TempDir()
	before, err := findLibraries(program, root)
	if err != nil || before.here() != nil {
		t.Fatalf("an empty package: %v, %v", before, err)
	}
	const name = "libc.so.6"
	var there string
	for path := range before {
		if filepath.Base(path) == name {
			there = path
		}
	}
	if there == "" {
		t.Skipf("NOT TESTED: %s does not need %s but %v", program, name, before)
	}
	content, err := os.ReadFile(there)
	if err != nil {
		t.Fatal(err)
	}
	here := filepath.Join(root, there)
	if err := os.MkdirAll(filepath.Dir(here), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(here, content, 0o755); err != nil {
		t.Fatal(err)
	}
	libs, err := findLibraries(program, root)
	if err != nil || libs[there] != here {
		t.Errorf("%v, %v; want %s from %s", libs, err, there, here)
	}
	if want := []string{"LD_LIBRARY_PATH=" + filepath.Dir(here)}; !slices.Equal(libs.here(), want) {
		t.Errorf("environment here: %v, want %v", libs.here(), want)
	}
	if got := libs.inImage(); len(got) != 1 || !strings.Contains(got[0], filepath.Dir(there)) || strings.Contains(got[0], root) {
		t.Errorf("environment in an image: %v, want %s in it and not %s", got, filepath.Dir(there), root)
	}
}

func TestWhatCannotRunIsRefusedWithAReason(t *testing.T) {
	program := dynamicProgram(t)
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, tc := range map[string]struct {
		content []byte
		mention string
	}{
		"script":  {[]byte("#!/bin/sh\n"), "no program of this machine"},
		"loader":  {bytes.Replace(content, []byte("/ld-linux"), []byte("/ld-never"), 1), "needs the loader"},
		"library": {bytes.ReplaceAll(content, []byte("libc.so.6\x00"), []byte("libq.so.6\x00")), "libq.so.6, which " + filepath.Join(folder, "library") + " needs"},
	} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, tc.content, 0o755); err != nil {
			t.Fatal(err)
		}
		if libs, err := findLibraries(path, ""); err == nil || !strings.Contains(err.Error(), tc.mention) {
			t.Errorf("%s: %v, error %v; want %q in it", name, libs, err, tc.mention)
		}
	}
	if _, err := findLibraries(filepath.Join(folder, "none"), ""); err == nil {
		t.Error("a program that is not there has libraries")
	}
}

func TestALoadersConfigurationIsRead(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"ld.so.conf":       "# comment\n\ninclude more.d/*.conf\n/first # rest\nrelative\n",
		"more.d/a.conf":    "/a\n",
		"more.d/b.conf":    "/b\ninclude " + folder + "/deep\n",
		"deep":             "/deep\n",
		"more.d/not.other": "/other\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := toldFolders(filepath.Join(folder, "ld.so.conf"))
	if want := []string{"/a", "/b", "/deep", "/first"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}
