package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rift/harness/sim"
)

// wasmHere is the folder of the node's program for the simulation, to be removed in the end.
var wasmHere string

// simNode builds the node's program for the simulation as `make build` does, once for all tests, and returns its path.
var simNode = func() func(t *testing.T) string {
	var once sync.Once
	return func(t *testing.T) string {
		t.Helper()
		once.Do(func() {
			dir, err := os.MkdirTemp("", "rift-test-wasm-")
			if err != nil {
				t.Fatal(err)
			}
			wasmHere = dir
			goroot, err := exec.Command("go", "env", "GOROOT").Output()
			if err != nil {
				t.Fatal(err)
			}
			overlay, err := sim.WriteOverlay(strings.TrimSpace(string(goroot)), dir)
			if err != nil {
				t.Fatal(err)
			}
			build := exec.Command("go", "build", "-trimpath", "-overlay", overlay, "-o", filepath.Join(dir, "node.wasm"), "rift/cmd/node")
			build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
		return filepath.Join(wasmHere, "node.wasm")
	}
}()

// TestRegressions makes every violation that was adopted again: with its planted bug it shows, and without it nothing does.
func TestRegressions(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "regressions", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d cases: %v", len(paths), err)
	}
	program, err := loadProgram(t.Context(), simNode(t))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close(context.WithoutCancel(t.Context()))
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			r, err := readRegression(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.holds(t.Context(), program, simNode(t)); err != nil {
				t.Error(err)
			}
			if len(r.Test.Bugs) == 0 {
				return
			}
			if _, err := r.healthy().holds(t.Context(), program, simNode(t)); err != nil {
				t.Errorf("without %v: %v", r.Test.Bugs, err)
			}
		})
	}
}
