package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rift/harness/history"
)

func (a *app) checkCommand() *cobra.Command {
	var workload string
	c := &cobra.Command{
		Use: "check DIR...", Short: "Judge runs again, with today's checkers",
		Long: `Judges the runs in the folders again, and writes results and reports anew. A history that is damaged or cut off, because
rift was killed, is judged up to the damage, and what was dropped is said.`,
		Example: `  rift check store/latest
  rift check store/register/*`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("DIR: nothing given, one or more run folders wanted, such as store/latest")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			for _, dir := range args {
				if err := a.check(c, dir, workload); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&workload, "workload", "", "judge as this workload (default: what test.json says)")
	return c
}

func (a *app) check(c *cobra.Command, dir, workload string) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() && filepath.Base(dir) == history.HistoryFile {
		dir = filepath.Dir(dir)
	}
	run, err := history.Load(dir)
	if err != nil {
		return usageError{err}
	}
	if workload == "" {
		workload = run.Test.Workload
	}
	w, err := findWorkload(workload)
	if err != nil {
		return err
	}
	judged, err := a.judged(c.Context(), run, w, false)
	if err != nil {
		return err
	}
	a.conclude(judged.report.Verdict)
	return nil
}
