package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"rift/checker"
	"rift/harness/history"
	"rift/reports"
)

// problems is what is known of a subject whose history was read with problems.
const problems = "problems"

// checkFile judges a history from anywhere.
func (a *app) checkFile(ctx context.Context, path string, o checkOptions) error {
	p, err := findPromise(o.workload)
	if err != nil {
		return err
	}
	told := o.settings()
	if _, err := p.told(told); err != nil {
		return err
	}
	s := o.source
	s.path = path
	got, err := s.load()
	if err != nil {
		return err
	}
	if p.timed && !got.timed {
		return usagef("%s: %s judges by times, and the history has none", path, p.name)
	}
	run := got.run
	run.Test.Workload, run.Test.Options = p.name, told
	run.Test.Subject = map[string]string{"source": path, "form": got.form.name}
	if len(run.Problems) > 0 {
		run.Problems = []string{path + ": " + strings.Join(run.Problems, "; ")}
	}
	if o.out != "" {
		if err := a.saveAsRun(run, o.out); err != nil {
			return err
		}
	}
	if !o.json {
		fmt.Fprintf(a.out, "%s (%s)\n", path, got.form.name)
	}
	return a.judgeAlone(ctx, run, path, o.json)
}

// checkMade judges a folder that checkFile has made: what is not said anew is as it was.
func (a *app) checkMade(ctx context.Context, run *history.Run, o checkOptions) error {
	if o.workload != "" && o.workload != run.Test.Workload {
		run.Test.Workload, run.Test.Options = o.workload, nil
	}
	if told := o.settings(); len(told) > 0 {
		maps.Copy(told, run.Test.Options)
		maps.Copy(told, o.settings())
		run.Test.Options = told
	}
	run.Problems = nil // it never had a plan or evidence
	if s := run.Damage.String(); s != "" {
		run.Problems = append(run.Problems, history.HistoryFile+": "+s)
	}
	if s := run.Test.Subject[problems]; s != "" {
		run.Problems = append(run.Problems, s)
		delete(run.Test.Subject, problems)
	}
	return a.judgeAlone(ctx, run, run.Dir, o.json)
}

// judgeAlone judges a history by its promise and nothing else. Results and reports are written only if it has a folder.
func (a *app) judgeAlone(ctx context.Context, run *history.Run, path string, asJSON bool) error {
	p, err := findPromise(run.Test.Workload)
	if err != nil {
		return err
	}
	checkers, err := p.told(run.Test.Options)
	if err != nil {
		return err
	}
	report := checker.NewReport(checker.Run(ctx, p.renamed(run.History), checkers), run.Problems)
	run.Problems = nil // they stand in the report
	if run.Dir != "" {
		if err := reports.Write(run.Dir, run, report); err != nil {
			return err
		}
	}
	a.conclude(report.Verdict)
	if asJSON {
		return a.printJSON(path, report)
	}
	if err := reports.Text.Write(a.out, run, report); err != nil {
		return err
	}
	if run.Dir != "" {
		fmt.Fprintln(a.out, "report", filepath.Join(run.Dir, history.ReportFile))
	}
	return nil
}

// saveAsRun puts the history into a new folder, so that it can be judged again from there.
func (a *app) saveAsRun(run *history.Run, dir string) error {
	path := filepath.Join(dir, history.HistoryFile)
	if _, err := os.Stat(path); err == nil {
		return usagef("--out: %q given, which holds a history; a new folder allowed", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder for the report: %w", err)
	}
	run.Dir = dir
	test := run.Test
	if len(run.Problems) > 0 {
		test.Subject = maps.Clone(test.Subject)
		test.Subject[problems] = run.Problems[0]
	}
	if err := history.WriteJSON(filepath.Join(dir, history.TestFile), test); err != nil {
		return err
	}
	return a.toFile(path, func(out io.Writer) error { return history.Write(out, run.History) })
}
