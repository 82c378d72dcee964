package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rift/checker"
	"rift/harness/history"
)

// file puts text into a file of its own.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// exits are the exit codes of the verdicts.
var exits = map[string]int{"valid": exitValid, "invalid": exitInvalid, "unknown": exitUnknown}

// TestEveryPromiseRejectsAndAccepts judges the histories in testdata/promises.txt, of which there is at least one that is accepted and one that is
// rejected for each promise.
func TestEveryPromiseRejectsAndAccepts(t *testing.T) {
	seen := make(map[string]int)
	for _, section := range strings.Split(read(t, filepath.Join("testdata", "promises.txt")), "\n== ")[1:] {
		head, body, _ := strings.Cut(section, "\n")
		words := strings.Fields(head) // promise, verdict, perhaps settings
		seen[words[0]+" "+words[1]]++
		args := []string{"check", "--workload", words[0], file(t, "history.log", strings.TrimSpace(body)+"\n")}
		if len(words) == 3 {
			if model, is := strings.CutPrefix(words[2], consistencyModel+"="); is {
				args = append(args, "--"+consistencyModel, model)
			} else {
				args = append(args, "--model-arg", words[2])
			}
		}
		if code, out, errOut := rift(t, args...); code != exits[words[1]] {
			t.Errorf("%s: exit %d\n%s%s", head, code, out, errOut)
		}
	}
	for _, p := range promises {
		if seen[p.name+" valid"] == 0 || seen[p.name+" invalid"] == 0 {
			t.Errorf("%s has no history that it accepts, or none that it rejects", p.name)
		}
	}
}

func TestCheckNamesWhatIsWrongWithItsArguments(t *testing.T) {
	lines := file(t, "h.jsonl", `{"type":"invoke","f":"read"}`)
	for args, mention := range map[string]string{
		"check FILE":                 "--workload: nothing given",
		"check --workload mutx FILE": `did you mean "mutex"?`,
		"check --workload register --model-arg n=3 FILE":                     "nothing allowed with --workload register",
		"check --workload semaphore --model-arg m=3 FILE":                    `did you mean "n"?`,
		"check --workload semaphore --model-arg n=0 FILE":                    `"n=0" given, a whole number from 1 on allowed`,
		"check --workload multi-register --model-arg x=one FILE":             `"x=one" given, a value as JSON allowed`,
		"check --workload list-append --consistency-model serialisable FILE": `did you mean "serializable"?`,
		"check --workload list-append --model-arg keys=none FILE":            `--model-arg: "keys" given`,
		"check --workload rw-register --model-arg keys=linear FILE":          "allowed: none, sequential, linearizable",
		"check --workload mutex --consistency-model serializable FILE":       "--consistency-model",
		"check --workload stale-bound FILE":                                  "judges by times",
		"check --workload stale-bound --model-arg bound=soon FILE":           "a duration such as 1.5s allowed",
		"check --workload set-full --model-arg eventual=yes FILE":            "allowed: false, true",
		"check --workload register --format json FILE":                       `did you mean "jsonl"?`,
		"check --workload register --independent FILE":                       "--independent",
		"check --workload register /nowhere":                                 "/nowhere",
		"check --workload register --out x FILE FILE":                        "one allowed",
		"check --format edn DIR":                                             "it is for histories in files",
		"convert":                                                            "one history wanted",
		"convert --to xml FILE":                                              "--to",
		"convert --from xml FILE":                                            "--from",
		"convert /nowhere":                                                   "/nowhere",
	} {
		args = strings.NewReplacer("FILE", lines, "DIR", filepath.Dir(lines)).Replace(args)
		code, _, errOut := rift(t, strings.Fields(args)...)
		if code != exitUsage || !strings.Contains(errOut, mention) {
			t.Errorf("rift %s: exit %d, %q; want exit %d and %q", args, code, errOut, exitUsage, mention)
		}
	}
}

// stale is a read that misses what was acknowledged, in each form, and cut off in the middle of its last event.
var stale = map[string]string{
	"jsonl": `{"process":0,"type":"invoke","f":"write","value":1}
{"process":0,"type":"ok","f":"write","value":1}
{"process":1,"type":"invoke","f":"read"}
{"process":1,"type":"ok","f":"read","value":null}
{"process":1,"type":"inv`,
	"edn": `[{:process 0, :type :invoke, :f :write, :value 1}
 {:process 0, :type :ok, :f :write, :value 1}
 {:process 1, :type :invoke, :f :read, :value nil}
 {:process 1, :type :ok, :f :read, :value nil}
 {:process 1, :type :inv`,
	"log": `INFO  jepsen.util - 0	:invoke	:write	1
INFO  jepsen.util - 0	:ok	:write	1
INFO  jepsen.util - 1	:invoke	:read	nil
INFO  jepsen.util - 1	:ok	:read	nil
INFO  jepsen.util - 1	:invoke	:rea`,
}

func TestEachFormIsToldApartAndJudgedUpToTheDamage(t *testing.T) {
	for name, text := range stale {
		path := file(t, "history", text)
		code, out, errOut := rift(t, "check", "--workload", "register", path)
		if code != exitInvalid || !strings.Contains(out, "("+name+")") || !strings.Contains(out, "1 line(s) dropped from line 5 on") {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errOut)
		}
		if beside, _ := os.ReadDir(filepath.Dir(path)); len(beside) != 1 {
			t.Errorf("%s: something was written beside the history: %v", name, beside)
		}
	}
}

func TestGarbageProvesNothing(t *testing.T) {
	for _, text := range []string{"", "# A heading\n", "{\"index\":", "{:process", "[{\"type\":\"ok\"}]", "\x00\xff"} {
		if code, out, errOut := rift(t, "check", "--workload", "register", file(t, "history", text)); code != exitUnknown || !strings.Contains(out, "\n! ") {
			t.Errorf("%q: exit %d, without a note\n%s%s", text, code, out, errOut)
		}
	}
}

func TestResultsAsJSON(t *testing.T) {
	path := file(t, "h.jsonl", stale["jsonl"])
	code, out, _ := rift(t, "check", "--json", "--workload", "register", path)
	var got struct {
		Judged string
		checker.Report
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, out)
	}
	if code != exitInvalid || got.Judged != path || got.Verdict != checker.Invalid || len(got.Results) != 1 || len(got.Notes) != 1 {
		t.Errorf("exit %d, %+v", code, got)
	}
}

func TestWithOutAFolderIsMadeThatCanBeJudgedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	args := []string{"check", "--workload", "semaphore", "--model-arg", "n=3", "--out", dir, file(t, "h.log", "0 :invoke :acquire 3\n0 :ok :acquire 3\n1 :invoke :acq")}
	if code, out, errOut := rift(t, args...); code != exitValid || !strings.Contains(out, "report "+dir) {
		t.Fatalf("exit %d\n%s%s", code, out, errOut)
	}
	for _, name := range []string{history.ReportFile, history.ResultsFile, history.HistoryFile, history.TestFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	before := read(t, filepath.Join(dir, history.ResultsFile))
	if code, out, errOut := rift(t, "check", dir); code != exitValid || read(t, filepath.Join(dir, history.ResultsFile)) != before {
		t.Errorf("judged again: exit %d, or other results\n%s%s", code, out, errOut)
	}
	if code, _, _ := rift(t, "check", "--model-arg", "n=2", filepath.Join(dir, history.HistoryFile)); code != exitInvalid {
		t.Errorf("told otherwise: exit %d", code)
	}
	if code, _, _ := rift(t, args...); code != exitUsage {
		t.Errorf("an old folder was overwritten: exit %d", code)
	}
}

// TestKnownVerdicts judges the real histories of others through the command. Histories in which nothing succeeded are
// linearizable, but prove nothing.
func TestKnownVerdicts(t *testing.T) {
	dir := os.Getenv("RIFT_HISTORIES")
	if dir == "" {
		dir = filepath.Join(repository, "..", "shared", "histories")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("RIFT_REQUIRE_HISTORIES") == "1" {
			t.Fatal("the histories are required: ", err)
		}
		t.Skipf("SKIPPED: the real histories are not here (%v); RIFT_HISTORIES names their folder", err)
	}
	judged := func(want string, args ...string) {
		t.Helper()
		code, out, errOut := rift(t, append([]string{"check"}, args...)...)
		nothing := want == "valid" && code == exitUnknown && strings.Contains(out, "No operation succeeded")
		if code != exits[want] && !nothing {
			t.Errorf("rift check %s: exit %d, %s wanted\n%s%s", args, code, want, out, errOut)
		}
	}
	for folder, args := range map[string][]string{
		"register-etcd": {"--workload", "cas-register", "--failed-cas-observes"},
		"knossos":       {"--workload"},
	} {
		for _, row := range rows(t, filepath.Join(dir, folder, "verdicts.csv")) {
			args := append(slices.Clone(args), row[1:len(row)-1]...) // the model, where there is a column of it
			if slices.Contains(row, "multi-register") {
				args = append(args, "--model-arg", "x=0,y=0")
			}
			judged(map[string]string{"true": "valid", "false": "invalid"}[row[len(row)-1]], append(args, filepath.Join(dir, folder, row[0]))...)
		}
	}
	for _, c := range [][3]string{
		{"paper-example.edn", "strict-serializable", "invalid"},
		{"paper-example.edn", "snapshot-isolation", "invalid"},
		{"paper-example.edn", "read-atomic", "valid"},
		{"si-without-g-single.edn", "serializable", "invalid"},
		{"si-without-g-single.edn", "snapshot-isolation", "valid"},
	} {
		judged(c[2], "--workload", "list-append", "--consistency-model", c[1], filepath.Join(dir, "elle", c[0]))
	}
}

// rows reads a CSV file without its heading.
func rows(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil || len(all) < 2 {
		t.Fatalf("%s: %d rows, %v", path, len(all), err)
	}
	return all[1:]
}
