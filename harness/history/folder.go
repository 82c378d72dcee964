package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"
)

// The files of a run's folder. docs/results.md explains each field.
const (
	TestFile     = "test.json"
	PlanFile     = "plan.json"
	PlanTextFile = "plan.txt"
	OpsFile      = "ops.jsonl"
	ReplaysFile  = "replays.json"
	RanFile      = "ran.txt"
	HistoryFile  = "history.jsonl"
	EvidenceFile = "evidence.jsonl"
	ViewsFile    = "views.jsonl"
	PhasesFile   = "phases.jsonl"
	ClocksFile   = "clocks.jsonl"
	ResultsFile  = "results.json"
	ReportFile   = "report.html"
	JUnitFile    = "junit.xml"
	NodesDir     = "nodes"
)

// Create makes the folder <store>/<test name>/<time>-<seed>.
func Create(store string, t Test) (string, error) {
	name := fmt.Sprintf("%s-%d", t.Started.UTC().Format("20060102T150405.000"), t.Seed)
	dir := filepath.Join(store, t.Name, name)
	if err := os.MkdirAll(filepath.Join(dir, NodesDir), 0o755); err != nil {
		return "", fmt.Errorf("store folder %q cannot be written: %w; choose another with --store", store, err)
	}
	return dir, nil
}

// PointLatest points <store>/latest to a run's folder in the store.
func PointLatest(store, dir string) error {
	to, err := filepath.Rel(store, dir)
	if err != nil {
		return fmt.Errorf("point %s/latest to %s: %w", store, dir, err)
	}
	latest := filepath.Join(store, "latest")
	next := fmt.Sprintf("%s.%s", latest, filepath.Base(dir)) // of this run alone
	if err := os.Symlink(to, next); err != nil {
		return fmt.Errorf("point %s to the run: %w", latest, err)
	}
	if err := os.Rename(next, latest); err != nil {
		return fmt.Errorf("point %s to the run: %w", latest, err)
	}
	return nil
}

// WriteJSON writes v, indented, so that the file is either the old or the new one.
func WriteJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return WriteFile(path, append(b, '\n'))
}

// WriteFile writes a file so that it is either the old or the new one.
func WriteFile(path string, b []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, b, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(next, path)
}

// Run is what a run's folder holds. Everything but the history may be missing: a harness that died left
// what it had written, and Problems says what is not there.
type Run struct {
	Dir      string
	Test     Test
	Plan     Plan
	History  History
	Damage   Damage // of the history
	Evidence []Evidence
	Views    []View
	Phases   []Phase
	Clocks   []ClockSample // of runs since rift draws them
	Logs     []string      // paths of the nodes' logs, sorted
	Replays  *Replays      // of a run that was made again; nil: it was not
	Problems []string      // sentences for people
}

// Load reads a run's folder. An error means that there is no history to judge.
func Load(dir string) (*Run, error) {
	r := &Run{Dir: dir}
	var err error
	if r.History, r.Damage, err = ReadFile(filepath.Join(dir, HistoryFile)); err != nil {
		return nil, fmt.Errorf("%w; a run's folder holds %s", err, HistoryFile)
	}
	if s := r.Damage.String(); s != "" {
		r.Problems = append(r.Problems, HistoryFile+": "+s)
	}
	r.readJSON(TestFile, &r.Test)
	r.readJSON(PlanFile, &r.Plan)
	r.readReplays()
	r.Evidence = readRecords[Evidence](r, EvidenceFile)
	r.Views = readRecords[View](r, ViewsFile)
	r.Phases = readRecords[Phase](r, PhasesFile)
	if _, err := os.Stat(filepath.Join(dir, ClocksFile)); !errors.Is(err, fs.ErrNotExist) { // older runs have none
		r.Clocks = readRecords[ClockSample](r, ClocksFile)
	}
	r.Logs, _ = filepath.Glob(filepath.Join(dir, NodesDir, "*.log"))
	sort.Strings(r.Logs)
	return r, nil
}

// Length is the time of the last thing that the run recorded.
func (r *Run) Length() time.Duration {
	var end time.Duration
	if n := len(r.History); n > 0 {
		end = r.History[n-1].Time
	}
	for _, p := range r.Phases {
		end = max(end, p.End)
	}
	return end
}

func (r *Run) readJSON(name string, v any) {
	b, err := os.ReadFile(filepath.Join(r.Dir, name))
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	r.note(name, err)
}

// readReplays reads what became of a run's replays; most runs have none.
func (r *Run) readReplays() {
	if _, err := os.Stat(filepath.Join(r.Dir, ReplaysFile)); errors.Is(err, fs.ErrNotExist) {
		return
	}
	var replays Replays
	problems := len(r.Problems)
	if r.readJSON(ReplaysFile, &replays); len(r.Problems) == problems {
		r.Replays = &replays
	}
}

func (r *Run) note(name string, err error) {
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		r.Problems = append(r.Problems, name+" is missing")
	default:
		r.Problems = append(r.Problems, fmt.Sprintf("%s: %v", name, err))
	}
}

func readRecords[T any](r *Run, name string) []T {
	f, err := os.Open(filepath.Join(r.Dir, name))
	if err != nil {
		r.note(name, err)
		return nil
	}
	defer f.Close()
	var records []T
	damage, err := readLines(bufio.NewReader(f), func(line []byte) error {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return err
		}
		records = append(records, v)
		return nil
	})
	r.note(name, err)
	if s := damage.String(); s != "" {
		r.Problems = append(r.Problems, name+": "+s)
	}
	return records
}
