package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rift/checker"
	"rift/harness/history"
)

func (a *app) checkCommand() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use: "check DIR|FILE...", Short: "Judge runs again, and histories from anywhere",
		Long: `Judges runs and histories with today's checkers.

A run's folder is judged as its test.json says, and gets its results and reports anew. A history that is damaged or cut
off, because rift was killed, is judged up to the damage, and what was dropped is said.

Any other FILE is a history from anywhere: Rift's JSON lines, Jepsen's EDN, or lines of Jepsen's log, told apart by how
they begin. --workload says what it is to be judged by, see "rift list"; docs/histories.md explains the forms. Nothing is written
beside it; --out makes a folder with the report.`,
		Example: `  rift check store/latest
  rift check store/register/*
  rift check --workload register history.jsonl
  rift check --workload list-append --consistency-model serializable history.edn
  rift check --workload semaphore --model-arg n=3 --out report history.edn`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("DIR or FILE: nothing given, one or more run folders or histories wanted, such as store/latest")
			}
			if o.out != "" && len(args) > 1 {
				return usagef("--out: given with %d files, one allowed", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			for _, path := range args {
				if err := a.check(c, path, o); err != nil {
					return err
				}
			}
			return nil
		},
	}
	o.flags(c)
	return c
}

// fileFlags are those that make sense only for a history in a file.
var fileFlags = []string{"format", "independent", "failed-cas-observes", "out"}

// checkOptions are the flags of rift check.
type checkOptions struct {
	workload string
	told     map[string]string
	expect   string // consistency model
	source   source // without the path
	out      string
	json     bool
}

func (o *checkOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&o.workload, "workload", "w", "", "judge as this workload, model or checker (default: what test.json says)")
	f.StringToStringVar(&o.told, "model-arg", nil, "what the model is to know: n=3; see `rift list`")
	f.StringVar(&o.expect, consistencyModel, "", "what a database promises: serializable, snapshot-isolation, ... (default: strict-serializable)")
	f.StringVar(&o.source.format, "format", "", "form of the FILE: jsonl, edn or log (default: told by how it begins)")
	f.BoolVar(&o.source.Independent, "independent", false, "values are [key value], as jepsen.independent writes them")
	f.BoolVar(&o.source.Observed, "failed-cas-observes", false, "a cas that failed without an error found another value")
	f.StringVar(&o.out, "out", "", "folder to be made for history, results and report of the FILE")
	f.BoolVar(&o.json, "json", false, "print the results as JSON")
}

// settings are what the promise is told by flags.
func (o checkOptions) settings() map[string]string {
	s := make(map[string]string)
	maps.Copy(s, o.told)
	if o.expect != "" {
		s[consistencyModel] = o.expect
	}
	return s
}

func (a *app) check(c *cobra.Command, path string, o checkOptions) error {
	dir, isRun := runFolder(path)
	if !isRun {
		return a.checkFile(c.Context(), path, o)
	}
	for _, name := range fileFlags {
		if c.Flags().Changed(name) {
			return usagef("--%s: given for %s, which is a run's folder; it is for histories in files", name, dir)
		}
	}
	run, err := history.Load(dir)
	if err != nil {
		return usageError{err}
	}
	if run.Test.System == "" && run.Test.Workload != "" {
		return a.checkMade(c.Context(), run, o)
	}
	if s := o.settings(); len(s) > 0 {
		return usagef("--model-arg, --%s: given for %s, which is the folder of a run with a workload", consistencyModel, dir)
	}
	if o.workload == "" {
		o.workload = run.Test.Workload
	}
	w, err := findWorkload(o.workload)
	if err != nil {
		return err
	}
	quiet := *a
	if o.json {
		quiet.out = io.Discard
	}
	judged, err := quiet.judged(c.Context(), run, w, false)
	if err != nil {
		return err
	}
	a.conclude(judged.report.Verdict)
	if !o.json {
		return nil
	}
	return a.printJSON(dir, judged.report)
}

// runFolder says whether the path is a run's folder, or the history in one.
func runFolder(path string) (dir string, is bool) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return path, true
	}
	dir = filepath.Dir(path)
	_, err := os.Stat(filepath.Join(dir, history.TestFile))
	return dir, filepath.Base(path) == history.HistoryFile && !errors.Is(err, fs.ErrNotExist)
}

// printJSON prints a report with what was judged.
func (a *app) printJSON(path string, r checker.Report) error {
	out := json.NewEncoder(a.out)
	out.SetIndent("", "  ")
	return out.Encode(struct {
		Judged string `json:"judged"` // the folder or file
		checker.Report
	}{path, r})
}
