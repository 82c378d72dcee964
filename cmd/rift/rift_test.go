package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rift/checker"
	"rift/harness"
	"rift/harness/history"
)

// rift runs the program without the process around it.
func rift(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

func TestBadUsageNamesTheFieldAndWhatIsAllowed(t *testing.T) {
	for args, mention := range map[string]string{
		"run --workload registr":               `--workload: "registr" given; did you mean "register"?`,
		"run --nemesis kil":                    `fault: "kil" given; did you mean "kill"?`,
		"run --nemesis kill:leder":             `did you mean "leader"?`,
		"run --nemesis kill,kill":              "given twice",
		"run --bug stale-raed":                 `did you mean "stale-read"?`,
		"run --system nod":                     `did you mean "node"?`,
		"run --time 0s":                        "--time: 0s given, more than 0 allowed",
		"run --time soon":                      "--time",
		"run --nodes 10":                       "--nodes: 10 given, 1 to 9 allowed",
		"run --nodes 0":                        "--nodes: 0 given, 1 to 9 allowed",
		"run --concurrency 2m":                 "--concurrency",
		"run --rate -1":                        "--rate",
		"run --rate NaN":                       "--rate",
		"run --op-timeout 0s":                  "--op-timeout",
		"run --cluster cloud":                  "--cluster",
		"run --name a/b":                       "--name",
		"run --bin /nowhere/node":              "--bin",
		"run --plan /nowhere/plan":             "--plan",
		"run --frobnicate":                     "--frobnicate",
		"run extra":                            "none allowed",
		"rnu":                                  `did you mean "run"?`,
		"check":                                "DIR",
		"bugs --only stale":                    "--only",
		"bugs --seeds 0":                       "--seeds",
		"bench --each 0s":                      "--each",
		"bench --faults -1":                    "--faults",
		"doctor --cluster cloud":               "--cluster",
		"bench --clients 0":                    "--clients",
		"plan --workload set --nemesis clock:": "target of clock",
	} {
		code, _, errOut := rift(t, strings.Fields(args)...)
		if code != exitUsage || !strings.Contains(errOut, mention) {
			t.Errorf("rift %s: exit %d, %q; want exit %d and %q", args, code, errOut, exitUsage, mention)
		}
	}
}

func TestAStoreThatCannotBeWrittenIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := rift(t, "run", "--time", "1s", "--store", filepath.Join(file, "store"))
	if code != exitFailed || !strings.Contains(errOut, "--store") {
		t.Errorf("exit %d, %q", code, errOut)
	}
}

func TestEveryCommandHasHelpWithExamples(t *testing.T) {
	for _, c := range (&app{}).root().Commands() {
		if c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		code, out, _ := rift(t, c.Name(), "--help")
		if code != exitValid || !strings.Contains(out, "Examples:") {
			t.Errorf("rift %s --help: exit %d, no examples:\n%s", c.Name(), code, out)
		}
	}
}

func TestTheSameSeedGivesTheSamePlan(t *testing.T) {
	args := []string{"plan", "--json", "--seed", "42", "--nemesis", "kill,partition,pause,clock", "--rate", "100"}
	_, first, _ := rift(t, args...)
	_, again, _ := rift(t, args...)
	if first != again {
		t.Error("the same seed gave two plans")
	}
	var plan history.Plan
	if err := json.Unmarshal([]byte(first), &plan); err != nil {
		t.Fatal(err)
	}
	if len(plan.Faults) < 4 || plan.Seed != 42 || plan.Streams[0].Digested != digested {
		t.Errorf("the plan is too small: %d faults, streams %+v", len(plan.Faults), plan.Streams)
	}
	args[3] = "43"
	if _, other, _ := rift(t, args...); other == strings.ReplaceAll(first, "42", "43") {
		t.Error("another seed gave the same plan")
	}
}

// TestTheWholePath makes a short run on real nodes: of the healthy node, then of one that is broken on purpose.
func TestTheWholePath(t *testing.T) {
	needCluster(t)
	bin, store := buildNode(t), t.TempDir()
	code, out, errOut := rift(t, "run", "--time", "8s", "--seed", "1", "--plan", mildPlan(t), "--bin", bin, "--store", store)
	if code != exitValid {
		t.Fatalf("the healthy node: exit %d\n%s\n%s", code, out, errOut)
	}
	checkFolder(t, filepath.Join(store, "latest"))
	code, out, errOut = rift(t, "run", "--time", "6s", "--seed", "1", "--bug", "stale-read", "--bin", bin, "--store", store)
	if code != exitInvalid || !strings.Contains(out, "INVALID") {
		t.Fatalf("stale reads: exit %d\n%s\n%s", code, out, errOut)
	}
	latest := filepath.Join(store, "latest")
	before := read(t, filepath.Join(latest, history.ResultsFile))
	if code, _, _ := rift(t, "check", latest); code != exitInvalid || read(t, filepath.Join(latest, history.ResultsFile)) != before {
		t.Errorf("judged again, the run came out with exit %d, or with other results", code)
	}
	truncate(t, filepath.Join(latest, history.HistoryFile))
	if _, out, _ := rift(t, "check", latest); !strings.Contains(out, "1 line(s) dropped") {
		t.Errorf("a truncated history was judged without a word:\n%s", out)
	}
}

func TestAnInterruptedRunIsJudgedAndCleanedUp(t *testing.T) {
	needCluster(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := &trigger{on: "main ", then: interrupt}
	code := run(ctx, []string{"run", "--time", "60s", "--seed", "1", "--nemesis", "kill,partition", "--bin", buildNode(t), "--store", t.TempDir()}, out, out)
	if code != exitUnknown || !strings.Contains(out.String(), "interrupted") {
		t.Errorf("exit %d\n%s", code, out.String())
	}
	_, tag, _ := strings.Cut(out.String(), "tag ")
	checkGone(t, tag[:len(harness.TagPrefix)+6])
}

func TestAMissingRecordProvesNothing(t *testing.T) {
	dir := t.TempDir()
	run := &history.Run{Dir: dir, Test: history.Test{Workload: "set"}, Problems: []string{"plan.json is missing"}}
	w, err := findWorkload("set")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 400 {
		op := history.Op{Index: 2 * i, F: "add", Type: history.Invoke, Value: json.RawMessage(fmt.Sprint(i))}
		done := op
		done.Index, done.Type = op.Index+1, history.OK
		run.History = append(run.History, op, done)
	}
	report := judge(t.Context(), run, w)
	for _, r := range report.Results {
		if r.Checker == "evidence" && (r.Verdict != checker.Unknown || !strings.Contains(r.Summary, "plan.json is missing")) {
			t.Errorf("%s: %s", r.Verdict, r.Summary)
		}
	}
	if report.Verdict == checker.Valid {
		t.Error("valid")
	}
}

func TestTheCommandThatRepeatsARunIsQuoted(t *testing.T) {
	got := commandLine(history.Test{
		Workload: "set", System: "node", Name: "my test", Options: map[string]string{"a": "it's"}, Nemesis: []string{"kill:leader+one"}, Cluster: "local", Seed: 7,
	}, "", "p")
	for _, want := range []string{"--name 'my test'", `--set 'a=it'\''s'`, "--nemesis kill:leader+one", "--seed 7"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}
