package reports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"rift/checker"
	"rift/harness/history"
)

// scenario makes up a run of a register on five nodes from a seed, with faults, views and verdict. The reports have
// something to show then, long before there is a cluster.
type scenario struct {
	name    string // valid, stale, lost, unknown
	keys    int
	workers int
	length  time.Duration
	pace    time.Duration // mean time from one operation of a worker to the next
	broken  int           // how many keys show the violation; 0: one
}

// call is an operation with the instant at which it takes effect.
type call struct {
	history.Operation
	worker  int
	effect  time.Duration
	applied bool
}

const (
	heal    = 2 * time.Second // before the end
	timeout = time.Second
)

func (s scenario) run() (*history.Run, checker.Report) {
	r := rand.New(rand.NewPCG(42, 1))
	run := &history.Run{
		Dir: "store/register/20261121T022700.000-42",
		Test: history.Test{
			Name: "register", System: "rift", Workload: "register", Cluster: "docker", Nodes: 5, Concurrency: s.workers,
			Time: history.Duration(s.length - heal), OpTimeout: history.Duration(timeout), Nemesis: []string{"kill", "partition", "pause", "clock"},
			Seed: 42, Command: "rift run --workload register --nemesis kill,partition,pause,clock --time " + (s.length - heal).String() + " --seed 42 --nodes 5",
			Started: time.Date(2026, 11, 21, 2, 27, 0, 0, time.UTC), Version: "v0.1.0", Subject: map[string]string{"version": "v0.1.0"},
		},
	}
	if s.name == "stale" {
		run.Test.Bugs = []string{"stale-read"}
		run.Test.Command += " --bug stale-read"
	}
	s.faults(run, r)
	s.views(run)
	s.clocks(run)
	run.Phases = []history.Phase{
		{Name: "main", Start: 0, End: s.length - heal},
		{Name: "heal", Start: s.length - heal, End: s.length - heal*3/4},
		{Name: "final", Start: s.length - heal*3/4, End: s.length},
	}
	digest := "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	run.Plan.Version, run.Plan.Seed = 1, 42
	run.Plan.Streams = []history.Stream{{
		Phase: "main", Doc: "reads, writes and compare-and-sets over independent keys", Digest: digest, Digested: 1000,
		First: []json.RawMessage{json.RawMessage(`{"f":"read","key":"0"}`), json.RawMessage(`{"f":"write","key":"0","value":1}`)},
	}}
	calls := s.calls(run, r)
	victims := s.apply(calls)
	run.History = record(calls)
	return run, s.judge(run, victims)
}

// faults puts a fault into every 5 seconds, one kind after another.
func (s scenario) faults(run *history.Run, r *rand.Rand) {
	kinds := []string{"kill", "partition", "pause", "clock"}
	targets := []string{"leader", "isolate-leader", "minority", "one"}
	for i := 0; time.Duration(i)*5*time.Second < s.length-heal-3*time.Second; i++ {
		at := time.Duration(i)*5*time.Second + time.Second
		kind := kinds[i%len(kinds)]
		p := history.PlannedFault{
			ID: i + 1, Lane: kind, Kind: kind, Target: targets[i%len(targets)], At: history.Duration(at), For: history.Duration(2 * time.Second), Seed: int64(i),
		}
		run.Plan.Faults = append(run.Plan.Faults, p)
		node := fmt.Sprintf("n%d", r.IntN(5)+1)
		if kind == "kill" || kind == "partition" {
			node = leaderAt(at)
		}
		e := history.Evidence{Fault: p.ID, Kind: kind, Step: history.StepInject, Time: at, Took: 31 * time.Millisecond, Nodes: []string{node}, Proven: true}
		switch kind {
		case "kill":
			e.Summary = fmt.Sprintf("%s led and was killed: process 4711 is gone.", node)
		case "partition":
			for n := 1; n <= 5; n++ {
				if other := fmt.Sprintf("n%d", n); other != node {
					e.Links = append(e.Links, [2]string{node, other}, [2]string{other, node})
				}
			}
			e.Summary = fmt.Sprintf("%s led and was cut off: 8 of 8 cut links do not connect within 250 ms, 1 of 1 other link does.", node)
		case "pause":
			e.Summary = fmt.Sprintf("%s is stopped: its process is in state T.", node)
		case "clock":
			e.Summary = fmt.Sprintf("The wall clock of %s runs 4.000 s ahead of the host's.", node)
			e.Measures = map[string]float64{"offset_s": 4}
		}
		if s.name == "unknown" && kind == "partition" {
			e.Proven, e.Summary = false, "8 of 8 links that should be cut still connect."
		}
		healed := history.Evidence{Fault: p.ID, Kind: kind, Step: history.StepHeal, Time: at + 2*time.Second, Took: 12 * time.Millisecond, Nodes: e.Nodes, Proven: true, Summary: "The effect is gone."}
		run.Evidence = append(run.Evidence, e, healed)
	}
}

// clocks looks at each node's clocks when they turn. The first node's go wrong in every way.
func (s scenario) clocks(run *history.Run) {
	add := func(at time.Duration, node string, c history.ClockSample) {
		c.Time, c.Node = at, node
		run.Clocks = append(run.Clocks, c)
	}
	truth := history.ClockSample{WallRate: 1, MonotonicRate: 1}
	for n := range 5 {
		add(0, fmt.Sprintf("n%d", n+1), truth)
	}
	for _, e := range run.Evidence {
		node := e.Nodes[0]
		switch {
		case e.Step == history.StepHeal:
			add(e.Time, node, truth)
		case e.Kind == "kill":
			add(e.Time, node, history.ClockSample{Down: true})
		case e.Kind == "clock":
			add(e.Time, node, history.ClockSample{Wall: 4 * time.Second, WallRate: 1, MonotonicRate: 1})
		}
	}
	third := s.length / 8
	add(third, "n1", history.ClockSample{Wall: -time.Hour, WallRate: 1, MonotonicRate: 1})
	add(2*third, "n1", history.ClockSample{Wall: 20 * time.Millisecond, WallRate: 1.5, MonotonicRate: 0.5})
	add(3*third, "n1", history.ClockSample{Wall: 0, WallRate: 1, Swing: time.Minute, Monotonic: -third / 2, MonotonicRate: 1})
	add(4*third, "n1", history.ClockSample{WallRate: 1, Monotonic: -third / 2, MonotonicRate: 1})
}

func leaderAt(t time.Duration) string {
	return fmt.Sprintf("n%d", (int(t.Seconds()+3.8)/5)%3+1)
}

// views asks each node five times a second.
func (s scenario) views(run *history.Run) {
	for t := 100 * time.Millisecond; t < s.length; t += 200 * time.Millisecond {
		for n := 1; n <= 5; n++ {
			v := history.View{Time: t, Node: fmt.Sprintf("n%d", n), State: "follower", Leader: leaderAt(t), Term: uint64(2 + int(t.Seconds()+3.8)/5)}
			if v.Leader == v.Node {
				v.State = "leader"
			}
			for _, e := range run.Evidence {
				if e.Step == history.StepInject && e.Nodes[0] == v.Node && t >= e.Time && t < e.Time+2*time.Second {
					switch {
					case e.Kind == "kill" || e.Kind == "pause":
						v = history.View{Time: t, Node: v.Node, State: history.Unreachable}
					case e.Kind == "partition" && t > e.Time+500*time.Millisecond:
						v.State, v.Leader = "candidate", ""
						v.Term++
					}
				}
			}
			run.Views = append(run.Views, v)
		}
	}
}

// calls draws what the workers call and how long it takes; what they are answered comes later.
func (s scenario) calls(run *history.Run, r *rand.Rand) []*call {
	var list []*call
	value := 0
	for w := range s.workers {
		process := w
		node := fmt.Sprintf("n%d", w%5+1)
		for t := time.Duration(r.ExpFloat64() * float64(s.pace)); t < s.length-timeout; {
			value++
			c := &call{worker: w}
			c.Process, c.Node, c.Key, c.Type = process, node, strconv.Itoa(r.IntN(s.keys)), history.OK
			switch p := r.Float64(); {
			case p < 0.45:
				c.F = "read"
			case p < 0.85:
				c.F, c.Input = "write", json.RawMessage(strconv.Itoa(value))
			default:
				c.F, c.Input = "cas", json.RawMessage(fmt.Sprintf("[%d,%d]", r.IntN(value), value))
			}
			t = t.Round(time.Microsecond)
			c.Invoked = t
			latency := time.Duration(float64(2*time.Millisecond) * math.Exp(r.NormFloat64()*0.6))
			if hard := trouble(run, node, t); hard > 0 {
				latency *= time.Duration(hard)
				switch p := r.Float64(); {
				case p < 0.10:
					c.Type, c.Error, latency = history.Info, "context deadline exceeded after 1s", timeout
				case p < 0.30:
					c.Type, c.Error = history.Fail, "no leader: did not happen"
				}
			}
			latency = latency.Round(time.Microsecond) // the last bits of floats differ between machines
			c.Completed = t + latency
			c.effect = t + time.Duration(r.Float64()*float64(latency))
			c.applied = c.Type == history.OK || c.Type == history.Info && r.IntN(2) == 0
			list = append(list, c)
			if c.Type == history.Info {
				process += s.workers
			}
			t = c.Completed + time.Duration(r.ExpFloat64()*float64(s.pace))
		}
	}
	return list
}

// trouble says how much slower a node answers because of a fault.
func trouble(run *history.Run, node string, t time.Duration) int {
	for _, e := range run.Evidence {
		if e.Step == history.StepInject && t >= e.Time && t < e.Time+2*time.Second && e.Kind != "clock" {
			if slices.Contains(e.Nodes, node) {
				return 20
			}
			if t < e.Time+time.Second {
				return 5
			}
		}
	}
	return 0
}

// victim is a violation that was put into the run.
type victim struct{ earlier, later, read *call }

// apply lets the calls take effect in their order, and puts the violation in.
func (s scenario) apply(calls []*call) []victim {
	slices.SortFunc(calls, func(a, b *call) int { return cmp.Compare(a.effect, b.effect) })
	state := make(map[string]string)
	writes := make(map[string][]*call) // acknowledged ones
	var victims []victim
	hurt := make(map[string]bool)
	for _, c := range calls {
		if !c.applied {
			continue
		}
		old := state[c.Key]
		switch c.F {
		case "write":
			state[c.Key] = string(c.Input)
			writes[c.Key] = append(writes[c.Key], c)
		case "cas":
			var in [2]int
			_ = json.Unmarshal(c.Input, &in)
			if strconv.Itoa(in[0]) != old && c.worker%3 > 0 && old != "" { // most would miss: let two of three aim well
				in[0], _ = strconv.Atoi(old)
				c.Input = json.RawMessage(fmt.Sprintf("[%d,%d]", in[0], in[1]))
			}
			if strconv.Itoa(in[0]) == old {
				state[c.Key] = strconv.Itoa(in[1])
			} else if c.Type == history.OK {
				c.Type, c.Error = history.Fail, "mismatch: the value is "+cmp.Or(old, "null")
			}
		case "read":
			c.Output = json.RawMessage(cmp.Or(old, "null"))
			w := writes[c.Key]
			if c.Type != history.OK || hurt[c.Key] || len(hurt) >= max(1, s.broken) || c.Invoked < s.length/3 || len(w) < 2 || old != string(w[len(w)-1].Input) {
				continue
			}
			earlier, later := w[len(w)-2], w[len(w)-1]
			if s.name != "stale" && s.name != "lost" || later.Type != history.OK || earlier.Type != history.OK ||
				later.Completed > c.Invoked || earlier.Completed > later.Invoked || c.Invoked-earlier.Invoked > 2*time.Second {
				continue
			}
			c.Output = earlier.Input
			hurt[c.Key] = true
			if s.name == "lost" {
				state[c.Key] = string(earlier.Input)
			}
			victims = append(victims, victim{earlier, later, c})
		}
	}
	return victims
}

// record turns the calls into events and gives the calls their indexes.
func record(calls []*call) history.History {
	type end struct {
		c    *call
		at   time.Duration
		last bool
	}
	var ends []end
	for _, c := range calls {
		ends = append(ends, end{c, c.Invoked, false}, end{c, c.Completed, true})
	}
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.c.Process, b.c.Process)) })
	var h history.History
	for i, e := range ends {
		op := history.Op{Index: i, Time: e.at, Process: e.c.Process, Type: history.Invoke, F: e.c.F, Key: e.c.Key, Value: e.c.Input, Node: e.c.Node}
		if e.last {
			op.Type, op.Error, e.c.End = e.c.Type, e.c.Error, i
			op.Value = nil
			if e.c.Type == history.OK {
				op.Value = e.c.Output
			}
		} else {
			e.c.Index = i
		}
		h = append(h, op)
	}
	return h
}

// judge is what checkers would say of the run.
func (s scenario) judge(run *history.Run, victims []victim) checker.Report {
	ops, err := run.History.Operations()
	if err != nil {
		panic(err)
	}
	linear := checker.Result{
		Checker: "linearizable", Verdict: checker.Valid, Method: "porcupine, per key",
		Summary: fmt.Sprintf("All %d operations on %d keys can be put in an order that a single copy of the data allows.", len(ops), s.keys),
		Counts:  map[string]int{checker.CountOperations: len(ops), checker.CountKeys: s.keys, "steps": 3 * len(ops)},
	}
	for _, v := range victims {
		linear.Verdict = checker.Invalid
		linear.Anomalies = append(linear.Anomalies, s.anomaly(ops, v))
		linear.Summary = linear.Anomalies[0].Summary
	}
	evidence := checker.Result{Checker: "evidence", Verdict: checker.Valid, Summary: "Every kind of fault was proven to have bitten, and 812 operations succeeded while faults were on."}
	if s.name == "unknown" {
		evidence.Verdict = checker.Unknown
		evidence.Summary = "No partition was proven to have bitten, so the run says nothing about partitions: the cut links still connected."
	}
	stats := checker.Result{Checker: "stats", Verdict: checker.Valid, Summary: "Every function succeeded at least once.", Table: outcomes(ops)}
	return checker.NewReport([]checker.Result{linear, evidence, stats}, nil)
}

func (s scenario) anomaly(ops []history.Operation, v victim) checker.Anomaly {
	a := checker.Anomaly{
		Kind: "stale-read", Key: v.read.Key, Node: v.read.Node,
		Rule: "A read must return the value of the latest write that was acknowledged before the read began, or of one that ran at the same time.",
		Summary: fmt.Sprintf("%s answered %s to a read that began %s after %s had acknowledged the write of %s.",
			v.read.Node, v.read.Output, seconds(v.read.Invoked-v.later.Completed), v.later.Node, v.later.Input),
		Steps: []string{
			fmt.Sprintf("Process %d wrote %s through %s; it was acknowledged at %s.", v.earlier.Process, v.earlier.Input, v.earlier.Node, seconds(v.earlier.Completed)),
			fmt.Sprintf("Process %d began to write %s through %s at %s, and it was acknowledged at %s.", v.later.Process, v.later.Input, v.later.Node, seconds(v.later.Invoked), seconds(v.later.Completed)),
			fmt.Sprintf("Process %d began to read through %s at %s. Only %s or something newer was possible, but it got %s.", v.read.Process, v.read.Node, seconds(v.read.Invoked), v.later.Input, v.read.Output),
		},
		Ops: []int{v.earlier.Index, v.later.Index, v.read.Index},
	}
	if s.name == "lost" {
		a.Kind = "lost-write"
		a.Rule = "A write that was acknowledged must stay, until another one takes its place."
		a.Summary = fmt.Sprintf("The write of %s was acknowledged by %s and then lost: from %s on, every read saw the older value %s.", v.later.Input, v.later.Node, seconds(v.read.Invoked), v.read.Output)
	}
	a.Frontier = &checker.Frontier{State: string(v.later.Input), Stuck: []int{v.read.Index}, Linearized: []int{}}
	var before []*history.Operation
	for i := range ops {
		o := &ops[i]
		if o.Key != v.read.Key {
			continue
		}
		if o.Index != v.read.Index && o.Completed < v.read.Completed && o.Type == history.OK {
			before = append(before, o)
		}
		if o.Invoked > v.earlier.Invoked-time.Second && o.Invoked < v.read.Completed+time.Second {
			a.Context = append(a.Context, o.Index)
		}
	}
	slices.SortStableFunc(before, func(x, y *history.Operation) int { return cmp.Compare(x.Completed, y.Completed) })
	for _, o := range before {
		a.Frontier.Linearized = append(a.Frontier.Linearized, o.Index)
	}
	return a
}

func outcomes(ops []history.Operation) *checker.Table {
	t := &checker.Table{Columns: []string{"function", "ok", "fail", "info"}}
	for _, f := range []string{"cas", "read", "write"} {
		var n [history.Info + 1]int
		for _, o := range ops {
			if o.F == f {
				n[o.Type]++
			}
		}
		t.Rows = append(t.Rows, []string{f, strconv.Itoa(n[history.OK]), strconv.Itoa(n[history.Fail]), strconv.Itoa(n[history.Info])})
	}
	return t
}

// The runs that the reports were looked at with.
var scenarios = map[string]scenario{
	"valid":   {name: "valid", keys: 8, workers: 10, length: 32 * time.Second, pace: 20 * time.Millisecond},
	"stale":   {name: "stale", keys: 6, workers: 10, length: 32 * time.Second, pace: 60 * time.Millisecond},
	"lost":    {name: "lost", keys: 6, workers: 5, length: 22 * time.Second, pace: 80 * time.Millisecond},
	"unknown": {name: "unknown", keys: 8, workers: 10, length: 32 * time.Second, pace: 40 * time.Millisecond},
	"keys":    {name: "stale", keys: 200, workers: 20, length: 62 * time.Second, pace: 4 * time.Millisecond, broken: 12},
}
