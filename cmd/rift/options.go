package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rift/harness"
	"rift/harness/history"
	"rift/harness/system"
	"rift/nemesis"
	"rift/workloads"
)

// The bounds of what may be asked for.
const (
	mostNodes       = 9
	mostConcurrency = 1000
)

// testOptions are the flags that say what is to be tested.
type testOptions struct {
	name        string
	system      string
	bin         string
	workload    string
	nemesis     []string
	planFile    string
	plan        string // the text in planFile
	opsFile     string
	ops         []history.TimedOp // those in opsFile
	swarm       bool
	keepQuorum  bool
	liveness    time.Duration
	disk        diskFlags
	bugs        []string
	time        time.Duration
	opTimeout   time.Duration
	nodes       int
	spares      int
	concurrency string
	rate        float64
	seed        int64
	set         map[string]string
}

func (o *testOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.name, "name", "", "name of the test, and of its folder in the store (default: the workload)")
	f.StringVar(&o.system, "system", "node", "system under test; see 'rift list'")
	f.StringVar(&o.bin, "bin", "", "program to run as a node, in place of the system's usual one")
	f.StringVarP(&o.workload, "workload", "w", "register", "what the clients do; see 'rift list'")
	f.StringSliceVar(&o.nemesis, "nemesis", nil, "faults, with targets if wanted: kill,partition:ring+halves (default: none)")
	f.StringVar(&o.planFile, "plan", "", "file with a plan of faults, in place of --nemesis; see 'rift help plan'")
	f.StringVar(&o.opsFile, "ops", "", "file with the operations of the main phase, one by one, as 'rift shrink' leaves it, in place of those that the workload draws")
	f.BoolVar(&o.swarm, "swarm", false, "let the seed draw some of the faults in --nemesis (default: of all that fit), and how dense they come")
	f.BoolVar(&o.keepQuorum, "keep-quorum", false, "let faults always leave a majority of the nodes up, and in touch with each other")
	f.DurationVar(&o.liveness, "liveness", 0, "after the main phase, leave a majority in peace and the others broken: it must serve within this time")
	o.disk.flags(c)
	f.StringSliceVar(&o.bugs, "bug", nil, "bugs to switch on in the system; see 'rift list'")
	f.DurationVarP(&o.time, "time", "t", 60*time.Second, "length of the main phase")
	f.DurationVar(&o.opTimeout, "op-timeout", time.Second, "after which an operation counts as indeterminate")
	f.IntVarP(&o.nodes, "nodes", "n", 5, "number of nodes, 1 to 9")
	f.IntVar(&o.spares, "spares", 0, "further nodes, which run only while a membership fault has made them members")
	f.StringVarP(&o.concurrency, "concurrency", "c", "2n", "clients: a number, or a multiple of the nodes such as 3n")
	f.Float64Var(&o.rate, "rate", 0, "operations a second over all clients; 0: as fast as they go")
	f.Int64Var(&o.seed, "seed", 0, "seed of the plan (default: a random one, printed first)")
	f.StringToStringVar(&o.set, "set", nil, "further options of the workload and the system: --set consistency=stale")
}

// choice is what the options name, looked up.
type choice struct {
	test     history.Test
	workload workloads.Workload
	system   harness.System
	faults   []nemesis.Choice
	ownDisk  bool // the machine's own disk was asked for
	bin      string
	recorded []history.PlannedFault // of the main phase of a run that is made again, in place of what the seed draws; nil: none
}

// resolve checks everything that was asked for, before anything starts, and draws a seed if none was given.
func (o *testOptions) resolve(c *cobra.Command) (choice, error) {
	if !c.Flags().Changed("seed") {
		o.seed = int64(rand.Uint32()) // short enough to be typed
	}
	if o.planFile != "" {
		text, err := os.ReadFile(o.planFile)
		if err != nil {
			return choice{}, usagef("--plan: %w", err)
		}
		o.plan = string(text)
	}
	if o.opsFile != "" {
		text, err := os.ReadFile(o.opsFile)
		if err != nil {
			return choice{}, usagef("--ops: %w", err)
		}
		if o.ops, err = history.ReadOps(bytes.NewReader(text)); err != nil {
			return choice{}, usagef("--ops: %s: %w", o.opsFile, err)
		}
	}
	return o.lookUp()
}

// lookUp checks everything that was asked for, the seed being known.
func (o *testOptions) lookUp() (choice, error) {
	var chosen choice
	workload, err := findWorkload(o.workload)
	if err != nil {
		return chosen, err
	}
	sys, err := findSystem(o.system, o.bin)
	if err != nil {
		return chosen, err
	}
	for _, f := range workload.Needs {
		if !slices.Contains(sys.Functions(), f) {
			return chosen, usagef("--workload: %s needs the function %q, which the client of %s does not have; it has %s",
				workload.Name, f, sys.Name(), strings.Join(sys.Functions(), ", "))
		}
	}
	for _, b := range o.bugs {
		if _, err := named("--bug", b, sys.Bugs(), func(b harness.Bug) string { return b.Name }); err != nil {
			return chosen, err
		}
	}
	if err := checkSet(o.set, optionsOf(workload, sys)); err != nil {
		return chosen, err
	}
	faults, err := nemesis.ParseChoices(o.nemesis)
	if err != nil {
		return chosen, withNearest(err)
	}
	if o.plan != "" && (len(o.nemesis) > 0 || o.swarm) {
		return chosen, usagef("--plan and --nemesis or --swarm are both given; one of them is allowed")
	}
	concurrency, err := o.numbers()
	if err != nil {
		return chosen, err
	}
	if err := checkOps(o.ops, concurrency, sys); err != nil {
		return chosen, err
	}
	if b, ok := sys.(harness.Bounded); ok {
		if most, why := b.MostNodes(); o.nodes > most {
			return chosen, usagef("--nodes: %d given, at most %d allowed with --system %s: %s", o.nodes, most, sys.Name(), why)
		}
	}
	if o.name == "" {
		o.name = workload.Name
	}
	if strings.ContainsAny(o.name, "/\\\x00") || o.name == "." || o.name == ".." || o.name == "latest" {
		return chosen, usagef("--name: %q given, a name without slashes allowed, and not \"latest\"", o.name)
	}
	chosen = choice{bin: o.bin, workload: workload, system: sys, faults: faults, ownDisk: o.disk.disk == diskHost, test: history.Test{
		Name: o.name, System: sys.Name(), Workload: workload.Name, Nodes: o.nodes, Spares: o.spares, Concurrency: concurrency, Rate: o.rate,
		Time: history.Duration(o.time), OpTimeout: history.Duration(o.opTimeout), Nemesis: o.nemesis, Plan: o.plan, Ops: o.ops, Bugs: o.bugs, Options: o.set,
		Swarm: o.swarm, KeepQuorum: o.keepQuorum, Liveness: history.Duration(o.liveness),
		Seed: o.seed, Version: fullVersion(),
	}}
	if chosen, err = chosen.fitted(); err != nil {
		return chosen, err
	}
	return chosen, o.disk.resolve(&chosen.test, chosen.planned())
}

// fitted checks that the run can have the faults that were asked for, as far as that is known before anything starts. A swarm of which nothing
// is said gets all that fit, by their names, so that the plan stays the same when others are added.
func (c choice) fitted() (choice, error) {
	setting := nemesis.Setting{Test: c.test, Abilities: harness.Abilities(c.system), OwnDisk: c.ownDisk}
	if c.test.Swarm && len(c.faults) == 0 {
		c.faults = nemesis.Fitting(setting)
		for _, f := range c.faults {
			c.test.Nemesis = append(c.test.Nemesis, f.Kind.Name)
		}
	}
	given, err := nemesis.Expand(c.test.Plan, c.test.Seed, time.Duration(c.test.Time))
	if err != nil {
		return c, withNearest(err)
	}
	if err := nemesis.CheckNodes(given, harness.NodeNames(c.test.Nodes)); err != nil {
		return c, withNearest(err)
	}
	for _, f := range c.faults {
		given = append(given, history.PlannedFault{Kind: f.Kind.Name})
	}
	if err := nemesis.Fit(given, setting); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// numbers checks what is counted, and works out the concurrency.
func (o *testOptions) numbers() (concurrency int, err error) {
	switch {
	case o.time <= 0:
		return 0, usagef("--time: %s given, more than 0 allowed", o.time)
	case o.opTimeout <= 0:
		return 0, usagef("--op-timeout: %s given, more than 0 allowed", o.opTimeout)
	case o.nodes < 1 || o.nodes > mostNodes:
		return 0, usagef("--nodes: %d given, 1 to %d allowed", o.nodes, mostNodes)
	case o.spares < 0 || o.nodes+o.spares > mostNodes:
		return 0, usagef("--spares: %d given, 0 to %d allowed with --nodes %d", o.spares, mostNodes-o.nodes, o.nodes)
	case o.liveness < 0:
		return 0, usagef("--liveness: %s given, 0 (no such phase) or more allowed", o.liveness)
	case !(o.rate >= 0) || math.IsInf(o.rate, 1):
		return 0, usagef("--rate: %g given, 0 (as fast as they go) or more allowed", o.rate)
	}
	number, perNode := strings.CutSuffix(o.concurrency, "n")
	concurrency, err = strconv.Atoi(number)
	if perNode {
		concurrency *= o.nodes
	}
	if err != nil || concurrency < 1 || concurrency > mostConcurrency {
		return 0, usagef("--concurrency: %q given, a number from 1 to %d or a multiple of the nodes such as 3n allowed", o.concurrency, mostConcurrency)
	}
	return concurrency, nil
}

func findSystem(name, bin string) (harness.System, error) {
	var all []harness.System
	for _, make := range system.All {
		all = append(all, make(bin))
	}
	if bin != "" {
		if _, err := os.Stat(bin); err != nil {
			return nil, usagef("--bin: %w", err)
		}
	}
	return named("--system", name, all, harness.System.Name)
}
