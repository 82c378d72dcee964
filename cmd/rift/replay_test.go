package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rift/checker"
	"rift/harness/history"
)

// simRun makes a short simulated run that shows a stale read, and returns its folder.
func simRun(t *testing.T, wasm, store string) string {
	t.Helper()
	code, out, errOut := rift(t, "sim", "--bin", wasm, "--bug", "stale-read", "--seed", "2", "--time", "300ms", "--nodes", "3", "--rate", "200", "--store", store)
	if code != exitInvalid {
		t.Fatalf("exit %d, %s\n%s", code, errOut, out)
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(store, "latest"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestFromARunToATest goes the whole way: a run that fails is made again, shrunk and adopted.
func TestFromARunToATest(t *testing.T) {
	wasm, store := simNode(t), t.TempDir()
	dir := simRun(t, wasm, store)
	code, out, errOut := rift(t, "replay", "--bin", wasm, "--times", "2", "--store", store, dir)
	if code != exitInvalid || !strings.Contains(out, "2 of 2 replays in the simulation were the same to the byte") {
		t.Errorf("replay: exit %d, %s\n%s", code, errOut, out)
	}
	if text := read(t, filepath.Join(dir, history.ReportFile)); !strings.Contains(text, "2 of 2 replays") {
		t.Error("the report says nothing of the replays")
	}
	code, out, errOut = rift(t, "shrink", "--bin", wasm, "--store", store, "--seeds", "1", dir)
	if code != exitInvalid || !strings.Contains(out, "rift adopt ") {
		t.Fatalf("shrink: exit %d, %s\n%s", code, errOut, out)
	}
	small, err := history.Load(filepath.Join(store, "latest"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(small.Test.Ops); n == 0 || n > 10 {
		t.Errorf("%d operations are left", n)
	}
	if again, err := history.ReadOps(strings.NewReader(read(t, filepath.Join(small.Dir, history.OpsFile)))); err != nil || len(again) != len(small.Test.Ops) {
		t.Errorf("%s has %d operations: %v", history.OpsFile, len(again), err)
	}
	cases := t.TempDir()
	args := []string{"adopt", "--bin", wasm, "--into", cases, "--as", "stale", small.Dir}
	if code, out, errOut := rift(t, args...); code != exitValid {
		t.Fatalf("adopt: exit %d, %s\n%s", code, errOut, out)
	}
	r, err := readRegression(filepath.Join(cases, "stale.json"))
	if err != nil || r.Violation != (history.Violation{Checker: "linearizable", Anomaly: "stale-read"}) || len(r.Test.Ops) != len(small.Test.Ops) {
		t.Errorf("the case is %+v: %v", r, err)
	}
	if code, _, errOut := rift(t, args...); code != exitUsage || !strings.Contains(errOut, "is there already") {
		t.Errorf("adopting twice: exit %d, %s", code, errOut)
	}
	if code, _, errOut := rift(t, "adopt", "--bin", wasm, "--into", cases, "--as", "mended", "--mended", small.Dir); code != exitFailed ||
		!strings.Contains(errOut, "no violation is wanted") {
		t.Errorf("adopting as mended what still fails: exit %d, %s", code, errOut)
	}
}

// TestReplaySaysWhereASimulationParts changes one byte of what was recorded.
func TestReplaySaysWhereASimulationParts(t *testing.T) {
	wasm, store := simNode(t), t.TempDir()
	dir := simRun(t, wasm, store)
	path := filepath.Join(dir, history.HistoryFile)
	lines := strings.SplitAfter(read(t, path), "\n")
	lines[6] = strings.Replace(lines[6], `"time":`, `"time":1`, 1)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := rift(t, "replay", "--bin", wasm, "--store", store, dir)
	if code != exitFailed || !strings.Contains(errOut, history.HistoryFile) || !strings.Contains(errOut, "differ from line 7 on") {
		t.Errorf("exit %d, %s", code, errOut)
	}
}

func TestCompared(t *testing.T) {
	stale := history.Violation{Checker: "linearizable", Anomaly: "stale-read"}
	report := func(kinds ...string) checker.Report {
		r := checker.Result{Checker: "linearizable", Verdict: checker.Valid}
		for _, k := range kinds {
			r.Verdict = checker.Invalid
			r.Anomalies = append(r.Anomalies, checker.Anomaly{Kind: k})
		}
		return checker.NewReport([]checker.Result{r, {Checker: "stats", Verdict: checker.Valid}}, nil)
	}
	for name, tc := range map[string]struct {
		report     checker.Report
		reproduced bool
		says       string
	}{
		"the same":     {report("stale-read"), true, "reproduced: linearizable (stale-read); dir"},
		"among others": {report("cas-violation", "stale-read", "stale-read"), true, "reproduced: linearizable (cas-violation), linearizable (stale-read); dir"},
		"another":      {report("cas-violation"), false, "not reproduced, but another violation: linearizable (cas-violation); dir"},
		"none":         {report(), false, "not reproduced: valid; dir"},
		"no anomaly": {
			checker.NewReport([]checker.Result{{Checker: "linearizable", Verdict: checker.Invalid}}, nil), false,
			"not reproduced, but another violation: linearizable; dir",
		},
	} {
		r := compared("dir", tc.report, []history.Violation{stale})
		if r.Reproduced != tc.reproduced || told(r) != tc.says {
			t.Errorf("%s: %v, %q; want %v, %q", name, r.Reproduced, told(r), tc.reproduced, tc.says)
		}
	}
}

func TestParting(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		line int
	}{
		{"", "", 0},
		{"a\nb\n", "a\nb\n", 0},
		{"a\nb\n", "a\nc\n", 2},
		{"a\nb\n", "a\n", 2},
		{"a\nb", "a\nb\n", 2},
		{"", "a\n", 1},
	} {
		if got := parting([]byte(tc.a), []byte(tc.b)); got != tc.line {
			t.Errorf("%q and %q part at line %d, want %d", tc.a, tc.b, got, tc.line)
		}
	}
}

// TestFoldersThatCannotBeMadeAgain has damaged, foreign and hostile folders: each command says what is wrong with which file.
func TestFoldersThatCannotBeMadeAgain(t *testing.T) {
	const history1 = `{"index":0,"time":1,"process":0,"type":"invoke","f":"read","key":"r0"}` + "\n"
	const test = `{"system":"node","workload":"register","cluster":"sim","nodes":3,"concurrency":3,"rate":10,"time":"1s","op_timeout":"1s","seed":1`
	for name, tc := range map[string]struct {
		files   map[string]string
		mention string
	}{
		"empty":        {nil, history.HistoryFile},
		"no test":      {map[string]string{history.HistoryFile: history1}, "test.json is missing"},
		"damaged test": {map[string]string{history.HistoryFile: history1, history.TestFile: test}, "test.json: unexpected end of JSON input"},
		"other system": {map[string]string{history.HistoryFile: history1, history.TestFile: `{"system":"nod","workload":"register"}`}, `"nod" given`},
		"no nodes":     {map[string]string{history.HistoryFile: history1, history.TestFile: strings.Replace(test, `"nodes":3`, `"nodes":-1`, 1) + "}"}, "-1 given, 1 to 9 allowed"},
		"bad plan":     {map[string]string{history.HistoryFile: history1, history.TestFile: test + `,"plan":"at 1s kil for 1s"}`}, `"kil" given`},
		"bad client":   {map[string]string{history.HistoryFile: history1, history.TestFile: test + `,"ops":[{"client":7,"at":"0s","f":"read"}]}`}, "of client 7"},
		"bad function": {map[string]string{history.HistoryFile: history1, history.TestFile: test + `,"ops":[{"client":0,"at":"0s","f":"explode"}]}`}, `"explode"`},
		"option":       {map[string]string{history.HistoryFile: history1, history.TestFile: test + `,"options":{"x":"y"}}`}, `"x" given`},
	} {
		dir := t.TempDir()
		for file, text := range tc.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, command := range []string{"replay", "shrink", "adopt"} {
			code, _, errOut := rift(t, command, dir)
			if code != exitUsage || !strings.Contains(errOut, tc.mention) {
				t.Errorf("%s, %s: exit %d, %q, want %q", command, name, code, errOut, tc.mention)
			}
		}
	}
}

func TestNothingToShrink(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{
		history.HistoryFile: `{"index":0,"time":1,"process":0,"type":"invoke","f":"read","key":"r0"}` + "\n" +
			`{"index":1,"time":2,"process":0,"type":"ok","f":"read","key":"r0","value":null}` + "\n",
		history.TestFile: `{"system":"node","workload":"register","cluster":"local","nodes":3,"concurrency":3,"rate":10,"time":"1s","op_timeout":"1s","seed":1}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for command, mention := range map[string]string{
		"shrink": "shows no violation", "adopt": "was made on local", "shrink --seeds 0": "--seeds", "shrink --budget 0s": "--budget",
		"shrink --trials 0": "--trials", "replay --times 0": "--times", "replay --as it": "--as",
	} {
		code, _, errOut := rift(t, append(strings.Fields(command), dir)...)
		if code != exitUsage || !strings.Contains(errOut, mention) {
			t.Errorf("%s: exit %d, %q, want %q", command, code, errOut, mention)
		}
	}
}
