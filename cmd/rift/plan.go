package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rift/harness"
	"rift/harness/gen"
	"rift/harness/history"
	"rift/nemesis"
	"rift/workloads"
)

// How much of a stream is digested, and how much is written out for people to read.
const (
	digested = 1000
	written  = 5
)

func (a *app) planCommand() *cobra.Command {
	var o testOptions
	var asJSON bool
	c := &cobra.Command{
		Use: "plan", Short: "Print what a seed will do, without doing it",
		Long: `Prints the faults that a test and a seed give, in the form that --plan reads, or, with --json, the whole plan.

A plan has a line for each fault, or for each fault that comes again and again:

  at 5s partition isolate-leader for 4s
  at 1s..3s kill leader for 500ms..2s                                  a range is drawn from the seed
  at 2s every 10s times 3 clock leader skew=bump offset=-1m for 6s     repeated, without times until the main phase ends
  lane second at 3s pause n1,n3 for 1s                                 faults of one lane never overlap; default: the kind's name

What a run did stands in its folder in the same form: ran.txt, with the nodes that each fault hit.`,
		Example: "  rift plan --seed 42 --nemesis kill,partition --time 30s > my.plan\n  rift run --seed 42 --plan my.plan\n  rift plan --swarm --seed 7", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			chosen, err := o.resolve(c)
			if err != nil {
				return err
			}
			plan := chosen.plan()
			if !asJSON {
				_, err := fmt.Fprintf(a.out, "# seed %d\n%s", plan.Seed, nemesis.Text(plan.Faults))
				return err
			}
			b, err := json.MarshalIndent(plan, "", "  ")
			if err != nil {
				return fmt.Errorf("print the plan: %w", err)
			}
			_, err = fmt.Fprintf(a.out, "%s\n", b)
			return err
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the whole plan, operation streams included, as JSON")
	return c
}

// params are what the workload's streams are a function of.
func (c choice) params() workloads.Params {
	t := c.test
	return workloads.Params{Seed: t.Seed, Nodes: t.Nodes, Concurrency: t.Concurrency, Options: t.Options}
}

// main is the generator of the main phase: what the test lists, or what the workload draws, with the test's rate.
func (c choice) main() gen.Generator {
	if c.test.Ops != nil {
		return gen.Listed(c.test.Ops)
	}
	g := c.workload.Main(c.params())
	if c.test.Rate > 0 {
		g = gen.Stagger(int64(gen.Draw(c.test.Seed, 0)), c.test.Rate, g)
	}
	return g
}

// planned are the faults of the main phase: a pure function of the test.
func (c choice) planned() []history.PlannedFault {
	t := c.test
	length := time.Duration(t.Time)
	switch {
	case c.recorded != nil:
		return slices.Clone(c.recorded)
	case t.Plan != "":
		faults, _ := nemesis.Expand(t.Plan, t.Seed, length) // it was checked when it was looked up
		return faults
	case t.Swarm:
		return nemesis.Swarm(t.Seed, length, c.faults)
	}
	return nemesis.Schedule(t.Seed, length, c.faults)
}

// plan is everything that the run will do: a pure function of the test.
func (c choice) plan() history.Plan {
	t, faults := c.test, c.planned()
	var core []string
	if t.Liveness > 0 {
		var others []history.PlannedFault
		core, others = nemesis.Liveness(t.Seed, time.Duration(t.Liveness), harness.NodeNames(t.Nodes))
		for _, f := range others {
			f.ID = len(faults) + 1
			faults = append(faults, f)
		}
	}
	if faults == nil {
		faults = []history.PlannedFault{}
	}
	return history.Plan{
		Version: 1, Seed: t.Seed, Faults: faults, Core: core,
		Streams: []history.Stream{describe("main", c.workload.Doc, c.main(), t.Concurrency)},
	}
}

// describe draws the beginning of a stream, with the workers asking in turn.
func describe(phase, doc string, g gen.Generator, workers int) history.Stream {
	s := history.Stream{Phase: phase, Doc: doc}
	sum := sha256.New()
	for i := range digested {
		var step gen.Step
		step, g = g.Next(gen.Context{Worker: i % workers, Workers: workers})
		if step.Status != gen.Ready {
			break
		}
		line, _ := json.Marshal(struct {
			gen.Op
			At history.Duration `json:"at,omitzero"`
		}{step.Op, history.Duration(step.At)})
		sum.Write(append(line, '\n'))
		s.Digested++
		if i < written {
			s.First = append(s.First, line)
		}
	}
	s.Digest = hex.EncodeToString(sum.Sum(nil))
	return s
}
