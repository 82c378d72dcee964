package main

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rift/checker"
	"rift/harness"
	"rift/harness/history"
)

// TestACoreThatCannotServeIsCaught makes a run whose core is no majority, as if no leader could be elected any more, and judges it. The clients of
// the healthy node must then be found without progress, and the run must still end with everything healed.
func TestACoreThatCannotServeIsCaught(t *testing.T) {
	needCluster(t)
	o := testOptions{
		system: "node", bin: buildNode(t), workload: "register", time: time.Second, opTimeout: 500 * time.Millisecond,
		nodes: 3, concurrency: "2n", seed: 1, liveness: 3 * time.Second,
	}
	chosen, err := o.lookUp()
	if err != nil {
		t.Fatal(err)
	}
	plan := chosen.plan()
	if len(plan.Core) != 2 || len(plan.Faults) != 1 {
		t.Fatalf("of three nodes, %v are left in peace and %v are hit", plan.Core, plan.Faults)
	}
	plan.Core = plan.Core[:1]
	plan.Faults = nil
	for _, node := range harness.NodeNames(3) {
		if node != plan.Core[0] {
			plan.Faults = append(plan.Faults, history.PlannedFault{
				ID: len(plan.Faults) + 1, Phase: history.LivenessPhase, Lane: node, Kind: "pause", Target: node, For: history.Duration(o.liveness),
			})
		}
	}
	run := carriedOut(t, chosen, plan)
	report := judge(t.Context(), run, chosen.workload)
	var found checker.Result
	for _, r := range report.Results {
		if r.Checker == "liveness" {
			found = r
		}
	}
	if found.Verdict != checker.Invalid || !strings.Contains(found.Summary, "was answered within 3 s") {
		t.Errorf("%s: %s", found.Verdict, found.Summary)
	}
	if last := run.Phases[len(run.Phases)-1]; last.Name != history.FinalPhase || last.Note != "" {
		t.Errorf("the last phase is %+v", last)
	}
}

// carriedOut makes a run of a plan that no command line gives.
func carriedOut(t *testing.T, c choice, plan history.Plan) *history.Run {
	t.Helper()
	owner, err := harness.Claim()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := owner.Release(); err != nil {
			t.Error(err)
		}
	}()
	dir, err := history.Create(t.TempDir(), c.test)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	hosts, err := harness.NewLocal(harness.HostsOptions{Tag: owner.Tag, Dir: dir, Data: filepath.Join(harness.DataRoot(), owner.Tag), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := history.WriteJSON(filepath.Join(dir, history.PlanFile), plan); err != nil {
		t.Fatal(err)
	}
	if err := harness.Run(t.Context(), harness.Spec{
		Test: c.test, Plan: plan, Main: c.main(), Final: c.final(), System: c.system, Hosts: hosts, Tag: owner.Tag, Dir: dir, Log: log,
	}); err != nil {
		t.Fatal(err)
	}
	run, err := history.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return run
}
