package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"rift/checker"
	"rift/harness/history"
	"rift/nemesis"
	"rift/reports"
	"rift/workloads"
)

// judge gives a run's verdict: a function of its folder, whether the run has just ended or was made years ago.
func judge(ctx context.Context, r *history.Run, w workloads.Workload, notes ...string) checker.Report {
	checkers := w.Checkers()
	if slices.ContainsFunc(r.Views, func(v history.View) bool { return v.StateHash != "" }) {
		checkers = append(checkers, checker.Named{Name: "convergence", Checker: checker.Convergence{Views: r.Views, Phases: r.Phases}})
	}
	if within := time.Duration(r.Test.Liveness); within > 0 {
		checkers = append(checkers, checker.Named{Name: "liveness", Checker: checker.Liveness{
			Plan: r.Plan, Evidence: r.Evidence, Phases: r.Phases, Within: within,
		}})
	}
	if trace, err := checker.ReadTrace(r.Logs); err == nil && len(trace) > 0 { // what cannot be read, node-logs says
		checkers = append(checkers, checker.Named{Name: "invariants", Checker: checker.Invariants{Trace: trace, Phases: r.Phases}})
	}
	checkers = append(checkers,
		checker.Named{Name: "availability", Checker: checker.Availability{Phases: r.Phases, Evidence: r.Evidence}},
		checker.Named{Name: "stats", Checker: checker.Stats{}},
		checker.Named{Name: "evidence", Checker: checker.Evidence{Plan: r.Plan, Evidence: r.Evidence, Phases: r.Phases, Problems: r.Problems, Nodes: r.Test.Nodes, Swarm: r.Test.Swarm}},
		checker.Named{Name: "node-logs", Checker: checker.NodeLogs{Files: r.Logs}},
	)
	results := checker.Run(ctx, r.History, checkers)
	addCircumstances(r, results)
	return checker.NewReport(results, append(notes, r.Problems...))
}

// judgeAndReport judges a run's folder, writes results and reports into it, and prints the summary.
func (a *app) judgeAndReport(ctx context.Context, dir string, interrupted bool) (outcome, error) {
	run, err := history.Load(dir)
	if err != nil {
		return outcome{}, err
	}
	w, err := findWorkload(run.Test.Workload)
	if err != nil {
		return outcome{}, err
	}
	return a.judged(ctx, run, w, interrupted)
}

func (a *app) judged(ctx context.Context, run *history.Run, w workloads.Workload, interrupted bool) (outcome, error) {
	var notes []string
	if interrupted {
		notes = append(notes, "the run was interrupted, and is judged as far as it went")
	}
	report := judge(ctx, run, w, notes...)
	if err := ctx.Err(); err != nil {
		return outcome{}, fmt.Errorf("judging was interrupted, and %s stays as it was: %w", run.Dir, err)
	}
	if err := writeRan(run); err != nil {
		return outcome{}, err
	}
	if err := reports.Write(run.Dir, run, report); err != nil {
		return outcome{}, err
	}
	if err := reports.Text.Write(a.out, run, report); err != nil {
		return outcome{}, err
	}
	fmt.Fprintln(a.out, "report", filepath.Join(run.Dir, history.ReportFile))
	return outcome{run.Dir, run, report}, nil
}

// writeRan writes what became of the run's faults into its folder, as a plan.
func writeRan(run *history.Run) error {
	var start time.Duration
	for _, p := range run.Phases {
		if p.Name == history.MainPhase {
			start = p.Start
		}
	}
	head := fmt.Sprintf("# What the faults of %s hit, as a plan; seed %d.\n", filepath.Base(run.Dir), run.Plan.Seed)
	return history.WriteFile(filepath.Join(run.Dir, history.RanFile), []byte(head+nemesis.Ran(run.Plan.Faults, run.Evidence, start)))
}

func findWorkload(name string) (workloads.Workload, error) {
	return named("--workload", name, workloads.All, func(w workloads.Workload) string { return w.Name })
}
