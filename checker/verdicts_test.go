package checker_test

import (
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"rift/checker"
	"rift/harness/history"
	"rift/harness/history/jepsen"
)

func succeeded(o history.Op) bool { return o.Type == history.OK && !o.Nemesis() }

// collection finds the folder of real histories with known verdicts.
func collection(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("RIFT_HISTORIES")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "histories")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("RIFT_REQUIRE_HISTORIES") == "1" {
			t.Fatal("the histories are required: ", err)
		}
		t.Skipf("SKIPPED: the real histories are not here (%v); RIFT_HISTORIES names their folder", err)
	}
	return dir
}

// verdictsOf reads a folder's verdicts.csv: file, perhaps model, linearizable.
func verdictsOf(t *testing.T, dir string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "verdicts.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("verdicts.csv: %d rows, %v", len(rows), err)
	}
	return rows[1:]
}

// TestKnownVerdicts judges real histories of etcd, MongoDB, RethinkDB and others. In those of etcd a cas that failed without an error is one that
// did not match. Two of MongoDB hold no operation that succeeded: they are linearizable, but Rift says unknown.
func TestKnownVerdicts(t *testing.T) {
	dir := collection(t)
	models := map[string]checker.Model{
		"cas-register": checker.Register(), "mutex": checker.Mutex(),
		"multi-register": checker.MultiRegister(map[string]string{"x": "0", "y": "0"}),
	}
	for _, folder := range []string{"register-etcd", "knossos"} {
		for _, row := range verdictsOf(t, filepath.Join(dir, folder)) {
			name, model, want := row[0], "cas-register", row[len(row)-1]
			if len(row) == 3 {
				model = row[1]
			}
			t.Run(folder+"/"+name, func(t *testing.T) {
				f, err := os.Open(filepath.Join(dir, folder, name))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				h, err := jepsen.Read(f, jepsen.Options{Observed: folder == "register-etcd"})
				if err != nil {
					t.Fatal(err)
				}
				r := checker.Linearizable{Model: models[model]}.Check(context.Background(), h)
				if want == "true" && r.Verdict == checker.Unknown && !slices.ContainsFunc(h, succeeded) {
					t.Logf("linearizable for want of answers, which proves nothing: %s", r.Summary)
					return
				}
				if got := map[checker.Verdict]string{checker.Valid: "true", checker.Invalid: "false"}[r.Verdict]; got != want {
					t.Errorf("linearizable: %s wanted, got %s: %s", want, r.Verdict, r.Summary)
				}
				t.Log(r.Method, r.Counts, r.Summary)
			})
		}
	}
}
