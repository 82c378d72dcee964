package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rift/checker"
	"rift/harness/history"
)

func TestParseSeeds(t *testing.T) {
	for given, want := range map[string]seedRange{"7": {7, 7}, "1..100": {1, 100}, "-3..-1": {-3, -1}} {
		if got, err := parseSeeds(given); err != nil || got != want {
			t.Errorf("%q: %v, %v", given, got, err)
		}
	}
	for _, given := range []string{"", "x", "1..", "..5", "5..1", "1-5", "1..99999999999999999999"} {
		if _, err := parseSeeds(given); err == nil || !strings.Contains(err.Error(), given) {
			t.Errorf("%q: %v", given, err)
		}
	}
}

// TestFailuresAreGroupedByWhatBroke adds results out of order, as several workers give them.
func TestFailuresAreGroupedByWhatBroke(t *testing.T) {
	found := newTally()
	found.wall = 2 * time.Minute
	stale := []string{"linearizable: stale-read"}
	for _, r := range []seedResult{
		{Seed: 9, Verdict: checker.Invalid, Broke: stale, Reason: "of nine", Command: "rift sim --seed 9"},
		{Seed: 1, Verdict: checker.Valid, Assertions: map[string]int{"one-leader-a-term": 3}, Situations: map[string]int{"leader killed": 2}},
		{Seed: 4, Verdict: checker.Invalid, Broke: stale, Reason: "of four", Dir: "store/four", Command: "rift sim --seed 4"},
		{Seed: 3, Verdict: checker.Invalid, Broke: []string{"invariants: one-vote-a-term", "set: lost"}, Reason: "of three"},
		{Seed: 5, Verdict: checker.Valid, Assertions: map[string]int{"one-leader-a-term": 4}, Situations: map[string]int{"leader killed": 1}},
		{Seed: 6, Verdict: checker.Unknown, Reason: "no fault bit"},
		{Seed: 7, Interrupted: true},
	} {
		found.add(r)
	}
	var out bytes.Buffer
	if err := found.write(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"7 seeds in 2m0s (3.5 a minute)", "2 valid, 3 failed, 1 proved nothing, 1 interrupted",
		"linearizable: stale-read\n  seeds   2, the first is 4\n  reason  of four\n  folder  store/four\n  again   rift sim --seed 4\n",
		"invariants: one-vote-a-term + set: lost\n  seeds   1, the first is 3\n", "proved nothing\n  seeds   1, the first is 6\n  reason  no fault bit\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	words := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{"one-leader-a-term 7", "one-vote-a-term never", "leader killed 2", "two leaders at once never"} {
		if !strings.Contains(words, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	if strings.Index(text, "stale-read") > strings.Index(text, "one-vote-a-term +") {
		t.Errorf("the largest group does not come first:\n%s", text)
	}
}

func TestSearchProgressIsPlainLinesWherePiped(t *testing.T) {
	var out bytes.Buffer
	p, found := newSearchProgress(&out, 10), newTally()
	found.add(seedResult{Seed: 1, Verdict: checker.Valid})
	p.show(found) // too soon for a line
	if out.Len() > 0 {
		t.Errorf("at once: %q", out.String())
	}
	p.began, p.last = p.began.Add(-time.Minute), p.last.Add(-plainEvery)
	found.add(seedResult{Seed: 2, Verdict: checker.Invalid, Broke: []string{"set: lost"}})
	p.show(found)
	p.end()
	if got, want := out.String(), "2 of 10 seeds (2 a minute): 1 valid, 1 failed\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOptionsAreDrawnUnlessGiven(t *testing.T) {
	subject, err := findSystem("node", "")
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{"trailing-logs": "7"}
	usual, drawn := 0, make(map[string]bool)
	for seed := range int64(40) {
		set := drawOptions(seed, subject, given)
		if set["trailing-logs"] != "7" || len(given) != 1 {
			t.Fatalf("seed %d: %v of %v", seed, set, given)
		}
		if again := drawOptions(seed, subject, given); again["snapshot-threshold"] != set["snapshot-threshold"] {
			t.Errorf("seed %d: %v, and again %v", seed, set, again)
		}
		drawn[set["snapshot-threshold"]] = true
		if set["snapshot-threshold"] == "" {
			usual++
		}
	}
	if usual == 0 || len(drawn) < 10 {
		t.Errorf("%d of 40 seeds have the usual options; drawn were %v", usual, drawn)
	}
}

// buildSimulation builds rift, and the node for the simulation beside it, once for all tests.
func buildSimulation(t *testing.T) (rift, wasm string) {
	t.Helper()
	rift = buildRift(t)
	wasm = filepath.Join(filepath.Dir(rift), "node.wasm")
	if _, err := os.Stat(wasm); err == nil {
		return rift, wasm
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", wasm, "rift/cmd/node")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return rift, wasm
}

// searchArgs are the command line of a small search.
func searchArgs(wasm, store string, more ...string) []string {
	return append([]string{"sim", "--bin", wasm, "--store", store, "--nodes", "3", "--time", "6s", "--nemesis", "partition,pause"}, more...)
}

func TestSearchFindsAPlantedBugAndStops(t *testing.T) {
	rift, wasm := buildSimulation(t)
	store := t.TempDir()
	out, err := exec.CommandContext(t.Context(), rift, searchArgs(wasm, store, "--bug", "stale-read", "--seeds", "1..30")...).CombinedOutput()
	failed := new(exec.ExitError)
	if !errors.As(err, &failed) || failed.ExitCode() != exitInvalid {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	if !strings.Contains(text, "1 failed") || !strings.Contains(text, "linearizable: stale-read\n") {
		t.Errorf("it tells:\n%s", text)
	}
	words := strings.Join(strings.Fields(text), " ")
	if strings.Contains(words, "committed-entries-same never") || !strings.Contains(words, "snapshot taken") {
		t.Errorf("it tells:\n%s", text)
	}
	folders, err := filepath.Glob(filepath.Join(store, "register", "*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("the folder of the failing run alone should be kept: %v, %v", folders, err)
	}
	checkComplete(t, folders[0])
}

func TestSearchOfAHealthyNodeLeavesNothing(t *testing.T) {
	rift, wasm := buildSimulation(t)
	store := t.TempDir()
	cmd := exec.CommandContext(t.Context(), rift, searchArgs(wasm, store, "--seeds", "1..2", "--jobs", "2", "--keep-going")...)
	out, err := cmd.CombinedOutput()
	// A run as short as these may prove nothing, if its faults find nobody to hit.
	if code := cmd.ProcessState.ExitCode(); code != exitValid && code != exitUnknown || !strings.Contains(string(out), "2 seeds in") || !strings.Contains(string(out), ", 0 failed") {
		t.Fatalf("%v\n%s", err, out)
	}
	if folders, err := filepath.Glob(filepath.Join(store, "register", "*")); err != nil || len(folders) > 0 {
		t.Errorf("left: %v, %v", folders, err)
	}
}

func TestCtrlCLeavesCompleteFolders(t *testing.T) {
	rift, wasm := buildSimulation(t)
	store := t.TempDir()
	cmd := exec.CommandContext(t.Context(), rift, searchArgs(wasm, store, "--seeds", "1..1000", "--time", "10m")...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir := firstRecord(t, store)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitUnknown {
		t.Errorf("%v\n%s", err, said.String())
	}
	if !strings.Contains(said.String(), "1 interrupted") {
		t.Errorf("it tells:\n%s", said.String())
	}
	checkComplete(t, dir)
}

// firstRecord waits until a run has recorded something, and gives its folder.
func firstRecord(t *testing.T, store string) string {
	t.Helper()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-t.Context().Done():
			t.Fatal("no run has recorded anything")
		case <-every.C:
		}
		files, err := filepath.Glob(filepath.Join(store, "register", "*", history.HistoryFile))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err == nil && info.Size() > 0 {
				return filepath.Dir(file)
			}
		}
	}
}

// checkComplete checks that a run's folder has whatever a run leaves that came to its end.
func checkComplete(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{history.TestFile, history.PlanFile, history.HistoryFile, history.ResultsFile, history.ReportFile, history.JUnitFile, "nodes/n1.log"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, or it is empty", name, err)
		}
	}
}

// TestAWorkerThatHangsIsGivenUp asks a worker whose simulation takes longer than anybody waits.
func TestAWorkerThatHangsIsGivenUp(t *testing.T) {
	sleeper := hangingWorker(t)
	r, alive := sleeper.ask(3, 10*time.Millisecond)
	if alive || !r.failed() || r.Seed != 3 || !strings.Contains(r.Broke[0], "hung") || !strings.Contains(r.Reason, "--give-up") {
		t.Errorf("%+v, alive %t", r, alive)
	}
}

// hangingWorker is a worker that reads its seeds, and says nothing.
func hangingWorker(t *testing.T) *worker {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &worker{cmd: cmd, seeds: in, results: make(chan seedResult), ended: make(chan error, 1)}
	go func() {
		w.ended <- cmd.Wait()
		close(w.results)
	}()
	return w
}
