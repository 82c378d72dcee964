package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"rift/harness"
	"rift/harness/history"
	"rift/nemesis"
)

// measuredFaults is what `rift bench --faults` measures, and docs/faults.md shows.
type measuredFaults struct {
	Date        string           `json:"date"`
	Version     string           `json:"version"`
	Machine     string           `json:"machine"`
	Cluster     string           `json:"cluster"`
	Nodes       int              `json:"nodes"`
	Repetitions int              `json:"repetitions"`
	Faults      []measuredFault  `json:"faults"`
	Overhead    measuredOverhead `json:"overhead"`
}

// measuredFault is one kind of fault, put in and taken out many times. Times are in milliseconds.
type measuredFault struct {
	Kind         string `json:"kind"`
	Nodes        string `json:"nodes"` // on which it was tried: echo nodes, or the system's
	Target       string `json:"target"`
	Proven       int    `json:"proven"`        // trials in which it was seen to bite, and to be gone
	Applied      spread `json:"applied_ms"`    // until it was in force
	AppliedProof spread `json:"proven_in_ms"`  // until its effect had been measured as well
	Healed       spread `json:"healed_ms"`     // until it was out
	HealedProof  spread `json:"proven_out_ms"` // until its effect had been seen to be gone
}

// measuredOverhead is how much of one processor rift itself used under a steady load, in percent.
type measuredOverhead struct {
	Rate  float64  `json:"rate"` // operations a second
	Plain float64  `json:"plain_percent"`
	Armed float64  `json:"armed_percent"`
	Kinds []string `json:"kinds"` // of the faults that were in, on a link that carried nothing
}

// spread is two quantiles.
type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// spreadOf takes quantiles by the nearest rank. Of a few figures the second is the largest.
func spreadOf(all []time.Duration) spread {
	if len(all) == 0 {
		return spread{}
	}
	slices.Sort(all)
	rank := func(share float64) float64 { return milliseconds(all[int(share*float64(len(all)-1)+0.5)]) }
	return spread{rank(0.5), rank(0.99)}
}

// The load under which rift's own use of processors is measured.
const (
	overheadRate    = 100 // operations a second
	overheadTime    = 10 * time.Second
	overheadClients = 6
)

// benchFaults carries each kind of fault out n times, prints how long they took, and stores that if it is told where.
func (a *app) benchFaults(ctx context.Context, o runOptions, n int, path string) error {
	a.sweepFirst(ctx)
	m := measuredFaults{
		Date: time.Now().UTC().Format(time.DateOnly), Version: fullVersion(), Machine: thisMachine(), Cluster: o.cluster, Nodes: trialNodes, Repetitions: n,
	}
	fmt.Fprintf(a.out, "%s; %d trials of each fault on %d nodes (%s); p50 and p99 in milliseconds\n\n", m.Machine, n, trialNodes, o.cluster)
	const row = "%-14s %-9s %7s %9s %9s %9s %9s %11s %11s\n"
	fmt.Fprintf(a.out, row, "fault", "nodes", "proven", "in p50", "in p99", "out p50", "out p99", "proven in", "proven out")
	var trials []attempt
	show := func() {
		if len(trials) == 0 {
			return
		}
		f := measure(trials)
		m.Faults, trials = append(m.Faults, f), nil
		figure := func(ms float64) string { return fmt.Sprintf("%.2f", ms) }
		fmt.Fprintf(a.out, row, f.Kind, f.Nodes, fmt.Sprintf("%d/%d", f.Proven, n), figure(f.Applied.P50), figure(f.Applied.P99),
			figure(f.Healed.P50), figure(f.Healed.P99), figure(f.AppliedProof.P50), figure(f.HealedProof.P50))
	}
	err := a.tryFaults(ctx, o.cluster, n, func(t attempt) {
		if len(trials) > 0 && trials[0].kind.Name != t.kind.Name {
			show()
		}
		trials = append(trials, t)
	})
	show()
	if err != nil {
		return err
	}
	if m.Overhead, err = a.overhead(ctx, o); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\nrift itself, with %d operations a second: %.1f %% of a processor, and %.1f %% with %d idle faults in\n",
		overheadRate, m.Overhead.Plain, m.Overhead.Armed, len(m.Overhead.Kinds))
	if path == "" {
		return nil
	}
	slices.SortFunc(m.Faults, func(a, b measuredFault) int { return cmp.Compare(a.Kind, b.Kind) })
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), history.WriteFile(path, append(b, '\n')))
}

// measure sums up the trials of one kind.
func measure(trials []attempt) measuredFault {
	f := measuredFault{Kind: trials[0].kind.Name, Nodes: trials[0].system, Target: trials[0].kind.Targets[0]}
	var in, inProven, out, outProven []time.Duration
	for _, t := range trials {
		if !t.Proven() {
			continue
		}
		f.Proven++
		in, inProven = append(in, applied(t.Inject)), append(inProven, t.Inject.Took)
		out, outProven = append(out, applied(t.Heal)), append(outProven, t.Heal.Took)
	}
	f.Applied, f.AppliedProof, f.Healed, f.HealedProof = spreadOf(in), spreadOf(inProven), spreadOf(out), spreadOf(outProven)
	return f
}

// overhead measures rift's own use of processors, on reference nodes, without faults and with one of every kind that can be aimed at a link on which
// the system sends nothing: that between two followers.
func (a *app) overhead(ctx context.Context, o runOptions) (m measuredOverhead, err error) {
	reference, err := findSystem("node", o.test.bin)
	if err != nil {
		return m, err
	}
	spec, done, err := a.scratch(ctx, o.cluster, reference, history.Test{Nodes: trialNodes, System: reference.Name(), OpTimeout: history.Duration(time.Second)})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, done()) }()
	m.Rate = overheadRate
	used, err := harness.MeasureOverhead(ctx, spec, harness.Load{F: "write", Clients: overheadClients, Time: overheadTime}, overheadRate,
		func(leader string, nodes []string) []history.PlannedFault {
			followers := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == leader })
			var idle []history.PlannedFault
			for _, k := range slices.Backward(nemesis.Kinds) { // partitions last: on links that they cut, nothing else can be put in
				if !slices.Contains(k.Targets, nemesis.Links) {
					continue
				}
				p := k.Draw(history.Rand(1, "trial/"+k.Name), []string{nemesis.Links})
				p.ID, p.Kind, p.Lane = len(idle)+1, k.Name, k.Name
				if p.Args == nil {
					p.Args = make(map[string]string)
				}
				p.Args[nemesis.Links] = followers[0] + ">" + followers[1]
				idle, m.Kinds = append(idle, p), append(m.Kinds, k.Name)
			}
			return idle
		})
	m.Plain, m.Armed = 100*used.Plain, 100*used.Armed
	return m, err
}

// thisMachine is the kernel and the number of processors.
func thisMachine() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return fmt.Sprintf("%d processors", runtime.NumCPU())
	}
	return fmt.Sprintf("%d processors, %s %s, %s", runtime.NumCPU(),
		unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:]))
}
