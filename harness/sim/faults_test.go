package sim_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"rift/harness"
	"rift/harness/history"
	"rift/harness/sim"
)

// everyKind is a plan with every kind of fault that can be simulated, each where others leave it something to hit.
const everyKind = `
at 0s kill one for 300ms
at 500ms power all loss=torn-sectors for 300ms
at 2s clock n1 skew=bump offset=-1h for 500ms
at 2600ms clock n2,n3 skew=slow rate=0.5 for 500ms
at 2s duplicate all share=0.5 for 500ms
at 2s delay all delay=5ms jitter=2ms for 500ms
at 3s partition isolate-leader for 1s
at 4500ms pause n1 for 300ms
at 4500ms freeze n2 for 300ms
at 5s loss all share=0.2 for 500ms
at 5s reorder all share=0.5 hold=5ms for 500ms
at 5s corrupt all share=0.1 checksum=mended for 500ms
at 5s bandwidth all mbit=1 for 500ms
at 6s transfer any for 500ms
at 7s kill-snapshot leader for 1s
at 9s restart one signal=term for 1s
at 11s leader-kill leader every=1s down=300ms for 1500ms
at 14s crash-loop one up=300ms for 1s
at 16s disk-slow leader delay=5ms for 500ms
at 17s disk-error leader op=fsync nth=3 for 1s
at 19s disk-full leader for 1s
`

func TestEveryKindOfFaultBitesAndIsHealed(t *testing.T) {
	left := trial{seed: 1, length: 21 * time.Second, faults: everyKind}.run(t, node(t))
	proven, healed := make(map[string]bool), make(map[string]bool)
	for _, e := range left.Evidence {
		if e.Step == history.StepInject {
			proven[e.Kind] = proven[e.Kind] || e.Proven
		} else {
			healed[e.Kind] = healed[e.Kind] || e.Proven
		}
		if e.Error != "" || e.Step == history.StepInject && !e.Proven {
			t.Logf("%s at %s: %s %s", e.Kind, e.Time, e.Error, e.Summary)
		}
	}
	for _, kind := range sim.Kinds() {
		if !proven[kind] || !healed[kind] && kind != "transfer" {
			t.Errorf("%s: proven %t, healed %t", kind, proven[kind], healed[kind])
		}
	}
	if n := succeeded(left.History); n < 100 {
		t.Errorf("%d operations succeeded", n)
	}
}

func TestWhatCannotBeSimulatedIsRefused(t *testing.T) {
	for plan, want := range map[string]string{
		"at 1s memory one limit=64MiB for 1s": "memory",
		"at 1s cpu one share=0.1 for 1s":      "cpu",
	} {
		s := trial{length: time.Second}.spec(t, nil)
		s.Plan.Faults = []history.PlannedFault{{ID: 1, Kind: strings.Fields(plan)[2], Target: "one"}}
		if err := sim.Run(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "partition") {
			t.Errorf("%s: %v, an error wanted that names it and what is allowed", plan, err)
		}
	}
	s := trial{length: time.Second}.spec(t, nil)
	s.Plan.Faults = []history.PlannedFault{{ID: 7, Kind: "clock", Target: "one", Args: map[string]string{"skew": "sideways"}}}
	if err := sim.Run(t.Context(), s); err == nil || !strings.Contains(err.Error(), "sideways") {
		t.Errorf("%v, an error wanted that names the argument", err)
	}
}

func TestAProgramThatSpinsIsFound(t *testing.T) {
	p := load(t, build(t, "./testdata/spin"))
	err := sim.Run(t.Context(), trial{length: time.Second, nodes: 1}.spec(t, p))
	if err == nil || !strings.Contains(err.Error(), "n1") || !strings.Contains(err.Error(), "it spins") {
		t.Errorf("%v, an error wanted that says that n1 spins", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sim.Run(ctx, trial{length: time.Second, nodes: 1}.spec(t, p)); !errors.Is(err, harness.ErrInterrupted) {
		t.Errorf("%v from a run whose context has ended", err)
	}
}
