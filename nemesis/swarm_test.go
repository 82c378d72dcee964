package nemesis

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
)

// everyKind are all kinds with all their targets.
func everyKind() []Choice {
	var all []Choice
	for _, k := range Kinds {
		all = append(all, Choice{Kind: k, Targets: k.Targets})
	}
	return all
}

func TestSwarmRunsDiffer(t *testing.T) {
	const seeds = 100
	plans, subsets := make(map[string]int64), make(map[string]int)
	drawn, lanes := make(map[string]int), make(map[int]int)
	for seed := range int64(seeds) {
		plan := Swarm(seed, 30*time.Second, everyKind())
		text := Text(plan)
		if before, same := plans[text]; same {
			t.Errorf("seeds %d and %d give the same plan", before, seed)
		}
		plans[text] = seed
		var kinds, names []string
		for _, f := range plan {
			kinds, names = append(kinds, f.Kind), append(names, f.Lane)
		}
		kinds, names = distinct(kinds), distinct(names)
		for _, kind := range kinds {
			drawn[kind]++
		}
		subsets[strings.Join(kinds, ",")]++
		lanes[len(names)]++
	}
	for _, k := range Kinds {
		if drawn[k.Name] < seeds/8 {
			t.Errorf("%s takes part in %d of %d plans", k.Name, drawn[k.Name], seeds)
		}
		if drawn[k.Name] > 3*seeds/4 {
			t.Errorf("%s is left out of %d of %d plans only", k.Name, seeds-drawn[k.Name], seeds)
		}
	}
	if len(subsets) < seeds/2 || len(lanes) < 3 {
		t.Errorf("%d subsets of the kinds, numbers of lanes %v", len(subsets), lanes)
	}
	t.Logf("%d subsets; plans with each kind %v; numbers of lanes %v", len(subsets), drawn, lanes)
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func TestEverySwarmIsAPlan(t *testing.T) {
	for _, length := range []time.Duration{200 * time.Millisecond, 2 * time.Second, 30 * time.Second, 5 * time.Minute} {
		for seed := range int64(100) {
			plan := Swarm(seed, length, everyKind())
			again, err := json.Marshal(Swarm(seed, length, everyKind()))
			if b, _ := json.Marshal(plan); err != nil || string(b) != string(again) {
				t.Fatalf("%s, seed %d: drawn twice, it differs", length, seed)
			}
			checkPlan(t, length, plan)
			for _, f := range plan {
				kind, err := Find(f.Kind)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := kind.New(f); err != nil {
					t.Fatalf("%s, seed %d: %v", length, seed, err)
				}
			}
			// Of the shortest runs, faults outlast the end, which Expand cuts.
			if read, err := Expand(Text(plan), seed, length+time.Minute); err != nil || Text(read) != Text(plan) {
				t.Fatalf("%s, seed %d: read again, it is %s\n%v", length, seed, Text(read), err)
			}
		}
	}
	if plan := Swarm(1, time.Minute, nil); plan != nil {
		t.Errorf("of no kinds, %v were drawn", plan)
	}
	if plan := Swarm(1, time.Minute, choices("kill")); len(plan) == 0 {
		t.Error("of one kind, nothing was drawn")
	}
}

func TestWhatDoesNotFitIsRefusedAndNotDrawn(t *testing.T) {
	before, fitted := Kinds, len(Fitting(Setting{}))
	t.Cleanup(func() { Kinds = before })
	picky := killKind
	picky.Name, picky.Fits = "picky", func(s Setting) error {
		if !slices.Contains(s.Abilities, "picking") {
			return errors.New("the system cannot be picked on")
		}
		return nil
	}
	Kinds = append(before[:len(before):len(before)], picky)
	plan := []history.PlannedFault{{Kind: "kill"}, {Kind: "picky"}}
	if err := Fit(plan, Setting{}); err == nil || err.Error() != "fault picky does not fit this run: the system cannot be picked on" {
		t.Error(err)
	}
	for _, c := range Fitting(Setting{OwnDisk: true}) {
		if c.Kind.Disk {
			t.Errorf("%s acts on lossy disks, of which there are none", c.Kind.Name)
		}
	}
	able := Setting{Abilities: []string{"picking"}}
	if err := Fit(plan, able); err != nil {
		t.Error(err)
	}
	if without, with := len(Fitting(Setting{})), len(Fitting(able)); without != fitted || with != fitted+1 {
		t.Errorf("%d kinds fit without it and %d with it, of %d and one more", without, with, fitted)
	}
}

func TestLivenessLeavesAMajorityInPeace(t *testing.T) {
	for n := 1; n <= 9; n++ {
		_, nodes := keptBoard(n)
		kinds, cores := make(map[string]bool), make(map[string]bool)
		for seed := range int64(60) {
			core, faults := Liveness(seed, 10*time.Second, nodes)
			if len(core) != n/2+1 || len(core)+len(faults) != n {
				t.Fatalf("of %d nodes, %v are left in peace and %v are hit", n, core, faults)
			}
			cores[joined(core)] = true
			lanes := make(map[string]bool)
			for _, f := range faults {
				kinds[f.Kind], lanes[f.Lane] = true, true
				kind, err := Find(f.Kind)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := kind.New(f); err != nil || slices.Contains(core, f.Target) || f.Phase != history.LivenessPhase {
					t.Errorf("%+v, error %v, where %v are left in peace", f, err, core)
				}
			}
			if len(lanes) != len(faults) {
				t.Errorf("%v share lanes", faults)
			}
		}
		if n >= 3 && (len(kinds) != len(lasting) || len(cores) < 3) {
			t.Errorf("of %d nodes: kinds %v, cores %v", n, kinds, cores)
		}
	}
}
