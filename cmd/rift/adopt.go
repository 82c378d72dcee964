package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rift/harness/history"
	"rift/harness/sim"
)

// regressionsDir is where `go test ./cmd/rift -run Regressions` looks for cases, from the top of the repository.
const regressionsDir = "cmd/rift/testdata/regressions"

// regression is a violation that became a test: a file in regressionsDir. It is made in the simulation.
type regression struct {
	Doc       string            `json:"doc"`                // what the violation is, in a sentence
	Test      history.Test      `json:"test"`               // with its faults as a plan, and its operations
	Violation history.Violation `json:"violation,omitzero"` // that the run must show; none: it must show none at all
}

func (a *app) adoptCommand() *cobra.Command {
	var o adoptOptions
	c := &cobra.Command{
		Use: "adopt DIR", Short: "Make a simulated run's violation a regression test",
		Long: `Writes what a simulated run was asked for, with its seed, its plan and its operations, and the violation that it shows, as a case for
'go test ./cmd/rift -run Regressions', which makes it again in the simulation. The run is made once more first: what does not show the violation again
is not adopted. A run that 'rift shrink' has left is short and quick.

A case with a planted bug must show its violation, and without the bug it must show none. Once what was found is mended, adopt the run
again with --mended: from then on the case must show no violation.`,
		Example: "  rift adopt store/latest\n  rift adopt --as lost-ack-at-isolated-leader store/shrunk/20261125T005934.729-2",
		Args:    oneRun,
		RunE:    func(c *cobra.Command, args []string) error { return a.adopt(c.Context(), args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.as, "as", "", "name of the case (default: the bugs or the workload, and the seed)")
	f.StringVar(&o.into, "into", regressionsDir, "folder of the cases")
	f.StringVar(&o.bin, "bin", "", "program for WebAssembly to run as a node, in place of node.wasm")
	f.BoolVar(&o.mended, "mended", false, "the case must show no violation, and does not any more")
	f.BoolVar(&o.force, "force", false, "replace a case of the same name")
	return c
}

// adoptOptions are the flags of rift adopt.
type adoptOptions struct {
	as, into, bin string
	mended, force bool
}

func (a *app) adopt(ctx context.Context, dir string, o adoptOptions) error {
	run, c, err := recorded(dir, o.bin)
	if err != nil {
		return err
	}
	if run.Test.Cluster != history.Simulated {
		return usagef("%s: the run was made on %s, and a case is made in the simulation; look for the violation there with `rift sim --from %s`", dir, run.Test.Cluster, dir)
	}
	name := o.as
	if name == "" {
		name = caseName(run.Test)
	}
	if name != filepath.Base(name) || name == "." || name == ".." {
		return usagef("--as: %q given, a name without slashes allowed", name)
	}
	path := filepath.Join(o.into, name+".json")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) && !o.force {
		return usagef("--as: %s is there already; give another name, or --force to replace it", path)
	}
	r := regression{Test: plainTest(run.Test)}
	found := violations(judge(ctx, run, c.workload))
	if len(found) == 0 && !o.mended {
		return usagef("%s: the run shows no violation; --mended makes a case of that", dir)
	}
	if !o.mended {
		r.Violation = found[0]
	}
	program, err := loadProgram(ctx, o.bin)
	if err != nil {
		return err
	}
	defer program.Close(context.WithoutCancel(ctx))
	if r.Doc, err = r.holds(ctx, program, o.bin); err != nil {
		return fmt.Errorf("%s is not adopted: %w", dir, err)
	}
	if err := errors.Join(os.MkdirAll(o.into, 0o755), history.WriteJSON(path, r)); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s\n  %s\nIt is tested by:\n  go test ./cmd/rift -run 'Regressions/%s'\n", path, r.Doc, name)
	return nil
}

// caseName is the usual name of a case.
func caseName(t history.Test) string {
	name := t.Workload
	for i, b := range t.Bugs {
		if name += "-" + b; i == 0 {
			name = b
		}
	}
	return fmt.Sprintf("%s-%d", name, t.Seed)
}

// plainTest is a test without what was only true of one run of it.
func plainTest(t history.Test) history.Test {
	t.Name, t.Command, t.Replay, t.Version, t.Subject, t.Started = t.Workload, "", "", "", nil, time.Time{}
	return t
}

// regressionSeeds is under how many seeds, beginning with its own, a case is made before it is said not to show its violation: another build of the node
// draws other things at the same times.
const regressionSeeds = 5

// holds makes the case in the simulation, with a program and where it was read from; empty: the usual place. The error says that it does not come out as it must; the sentence is what it shows.
func (r regression) holds(ctx context.Context, program *sim.Program, bin string) (string, error) {
	var found []history.Violation
	for i := range int64(regressionSeeds) {
		t := r.Test
		t.Seed += i
		c, err := asked(t, bin)
		if err != nil {
			return "", err
		}
		_, report, err := simTrial(ctx, c, program)
		if err != nil {
			return "", err
		}
		found = violations(report)
		switch none := r.Violation == (history.Violation{}); {
		case none && len(found) > 0:
			return "", fmt.Errorf("it shows %v, and no violation is wanted: %s", found, report.Reason)
		case none || slices.Contains(found, r.Violation):
			return report.Reason, nil
		}
	}
	return "", fmt.Errorf("it shows %v under none of %d seeds; the last gave %v", r.Violation, regressionSeeds, found)
}

// healthy is the case without its planted bugs, which must show no violation.
func (r regression) healthy() regression {
	r.Test.Bugs, r.Violation = nil, history.Violation{}
	return r
}

// readRegression reads a case. Errors name the file and the field.
func readRegression(path string) (regression, error) {
	var r regression
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, fmt.Errorf("case %s: %w", path, err)
	}
	if r.Test.System == "" || r.Test.Workload == "" {
		return r, fmt.Errorf("case %s: test: system %q and workload %q given, names of both wanted", path, r.Test.System, r.Test.Workload)
	}
	return r, nil
}
