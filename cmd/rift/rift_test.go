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

	"github.com/spf13/cobra"

	"rift/checker"
	"rift/harness"
	"rift/harness/history"
	"rift/harness/system"
	"rift/workloads"
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
		"run --disk host --nemesis power":      "fault power does not fit this run: it needs a lossy disk",
		"run --cluster cloud":                  "--cluster",
		"run --name a/b":                       "--name",
		"run --bin /nowhere/node":              "--bin",
		"run --plan /nowhere/plan":             "--plan",
		"run --set consistncy=stale":           `--set: "consistncy" given; did you mean "consistency"?`,
		"run --set consistency=stael":          `--set consistency: "stael" given; did you mean "stale"?`,
		"run --system redis --nodes 3":         "--nodes: 3 given, at most 1 allowed with --system redis",
		"run --liveness -1s":                   "--liveness: -1s given, 0 (no such phase) or more allowed",
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

// TestBugsAskForOptionsThatThereAre keeps the options of planted bugs, which are not typed by anybody, from being misspelled.
func TestBugsAskForOptionsThatThereAre(t *testing.T) {
	asked := 0
	for _, make := range system.All {
		s := make("")
		for _, b := range s.Bugs() {
			w, err := findWorkload(b.Workload)
			if err != nil {
				t.Errorf("%s: %v", b.Name, err)
			}
			if err := checkSet(b.Options, optionsOf(w, s)); err != nil {
				t.Errorf("%s: %v", b.Name, err)
			}
			asked += len(b.Options)
		}
	}
	if asked == 0 {
		t.Error("no bug asks for an option")
	}
}

func TestAWorkloadsOptionsAreTakenToo(t *testing.T) {
	w := workloads.Workload{Options: []history.Option{{Name: "keys"}}}
	options := optionsOf(w, system.Redis{})
	if err := checkSet(map[string]string{"keys": "7", "appendfsync": "no"}, options); err != nil {
		t.Error(err)
	}
	if err := checkSet(map[string]string{"kyes": "7"}, options); err == nil || !strings.Contains(err.Error(), `did you mean "keys"?`) {
		t.Errorf("got %v", err)
	}
}

func TestAPlansErrorsNameLineFieldAndTheNearestName(t *testing.T) {
	for text, mention := range map[string]string{
		"at 1s kill for 1s\nat 2s kil for 1s":    `plan line 2: fault: "kil" given; did you mean "kill"?`,
		"at 1s kill leadr for 1s":                `plan line 1: target of kill: "leadr" given; did you mean "leader"?`,
		"at 1s kill leader fro 2s":               `plan line 1: word after the target: "fro" given; did you mean "for"?`,
		"at 1s clock one skeww=bump for 1s":      `plan line 1: argument of clock: "skeww" given; did you mean "skew"?`,
		"at 1s kill n1,n6 for 1s":                `target of kill: "n6" given; did you mean "n1"?`,
		"at 1s kil for 1s\nat 2s pauze for 1s":   `plan line 2: fault: "pauze" given; did you mean "pause"?`,
		"at 1s kill for 1s\nat 1.5s kill for 1s": "lane kill",
	} {
		path := filepath.Join(t.TempDir(), "plan")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, errOut := rift(t, "run", "--plan", path)
		if code != exitUsage || !strings.Contains(errOut, mention) {
			t.Errorf("%q: exit %d, %q; want exit %d and %q", text, code, errOut, exitUsage, mention)
		}
	}
	if code, _, errOut := rift(t, "run", "--plan", filepath.Join(repository, "docs/plans.md"), "--swarm"); code != exitUsage || !strings.Contains(errOut, "both given") {
		t.Errorf("a plan and a swarm: exit %d, %q", code, errOut)
	}
}

func TestASwarmsPlanIsAFunctionOfItsTest(t *testing.T) {
	_, all, _ := rift(t, "plan", "--swarm", "--seed", "7")
	var o testOptions
	o.flags(&cobra.Command{})
	o.seed, o.swarm = 7, true
	chosen, err := o.lookUp()
	if err != nil || len(chosen.test.Nemesis) == 0 {
		t.Fatalf("candidates %v, error %v", chosen.test.Nemesis, err)
	}
	_, named, _ := rift(t, "plan", "--swarm", "--seed", "7", "--nemesis", strings.Join(chosen.test.Nemesis, ","))
	if all != named || !strings.Contains(all, "lane 1 at ") {
		t.Errorf("drawn from all kinds it is\n%s\nand from their names\n%s", all, named)
	}
	if line := commandLine(chosen.test, "", ""); !strings.Contains(line, "--swarm") || !strings.Contains(line, "--nemesis kill,") {
		t.Error(line)
	}
	if line := replayLine(chosen.test, "", "dir/ran.txt"); strings.Contains(line, "--swarm") || strings.Contains(line, "--nemesis") || !strings.Contains(line, "--plan dir/ran.txt") {
		t.Error(line)
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
