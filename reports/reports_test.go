package reports

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/checker"
	"rift/harness/history"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// small are runs short enough to keep what is written of them.
var small = map[string]scenario{
	"valid":   {name: "valid", keys: 3, workers: 3, length: 8 * time.Second, pace: 400 * time.Millisecond},
	"invalid": {name: "stale", keys: 1, workers: 4, length: 12 * time.Second, pace: 300 * time.Millisecond},
	"unknown": {name: "unknown", keys: 3, workers: 3, length: 14 * time.Second, pace: 800 * time.Millisecond},
}

func TestFormatsMatchTheirGoldens(t *testing.T) {
	for name, s := range small {
		run, rep := s.run()
		for _, f := range Formats {
			b, kind := written(t, f, run, rep), f.Name
			if f.Name == "html" {
				b, kind = dataBlock(t, b), "data"
			}
			golden(t, name+"."+kind, b)
		}
	}
}

func written(t testing.TB, f Format, run *history.Run, rep checker.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, run, rep); err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	return b.Bytes()
}

// dataBlock is what the page's scripts work on, indented; the markup around it may change freely.
func dataBlock(t *testing.T, page []byte) []byte {
	t.Helper()
	_, rest, _ := bytes.Cut(page, []byte(`<script type="application/json" id="data">`))
	block, _, found := bytes.Cut(rest, []byte("</script>"))
	var b bytes.Buffer
	if err := json.Indent(&b, block, "", " "); err != nil || !found {
		t.Fatalf("the page's data block is damaged: %v", err)
	}
	return append(flat.ReplaceAllFunc(b.Bytes(), func(list []byte) []byte { return breaks.ReplaceAll(list, nil) }), '\n')
}

// flat finds lists of plain values, and breaks their line breaks: such a list takes one line of a golden file.
var (
	flat   = regexp.MustCompile(`\[[^\[\]{}]*\]`)
	breaks = regexp.MustCompile(`\n\s*`)
)

func TestReportsAreTheSameEachTimeAndChangeNothing(t *testing.T) {
	run, rep := small["invalid"].run()
	anomaly := &rep.Results[0].Anomalies[0]
	anomaly.Frontier = nil
	slices.Reverse(anomaly.Ops)
	before := slices.Clone(anomaly.Ops)
	for _, f := range Formats {
		if !bytes.Equal(written(t, f, run, rep), written(t, f, run, rep)) {
			t.Errorf("%s differs from one time to the next", f.Name)
		}
	}
	if !slices.Equal(anomaly.Ops, before) {
		t.Error("the report was changed by writing it")
	}
}

func TestWritePutsTheFilesIntoTheFolder(t *testing.T) {
	dir := t.TempDir()
	run, rep := small["valid"].run()
	if err := Write(dir, run, rep); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{history.ReportFile, history.ResultsFile, history.JUnitFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s must be there and not be empty: %v", name, err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, history.ResultsFile))
	if err != nil {
		t.Fatal(err)
	}
	if back, err := checker.ParseReport(b); err != nil || back.Verdict != rep.Verdict || len(back.Results) != len(rep.Results) {
		t.Errorf("results.json reads back as %+v, %v", back, err)
	}
	if err := Write(filepath.Join(dir, "missing"), run, rep); err == nil || !strings.Contains(err.Error(), "html") {
		t.Errorf("a folder that is missing gives %v, but the error must name the format", err)
	}
}

func TestReportsOfAlmostNothing(t *testing.T) {
	damaged := &history.Run{History: history.History{{Process: 1, Type: history.OK, F: "read"}}, Problems: []string{"test.json is missing"}}
	panics := checker.Result{Checker: "node-logs", Verdict: checker.Invalid, Anomalies: []checker.Anomaly{{Kind: "panic", Node: "n1"}}}
	for name, run := range map[string]*history.Run{"empty": {}, "damaged": damaged} {
		for _, f := range Formats {
			if len(written(t, f, run, checker.NewReport(nil, nil))) == 0 || len(written(t, f, run, checker.NewReport([]checker.Result{panics}, nil))) == 0 {
				t.Errorf("%s of an %s run is empty", f.Name, name)
			}
		}
	}
}

// golden compares with testdata, or rewrites it under -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := history.WriteFile(path, got); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	is, was := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(is), len(was)) {
		if i >= len(is) || i >= len(was) || is[i] != was[i] {
			t.Errorf("%s has changed from line %d on; look at the difference after -update. Got:\n%s", path, i+1, clip(strings.Join(is[min(i, len(is)):], "\n"), 1000))
			return
		}
	}
}
