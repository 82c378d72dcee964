package checker

import (
	"strings"
	"testing"
	"time"

	"rift/harness/history"
)

// TestPromiseScenarios holds each checker against a history for each of its anomalies, and near misses.
func TestPromiseScenarios(t *testing.T) {
	for dir, checkerOf := range map[string]func(name string) Checker{
		"bank":           func(name string) Checker { return Bank{Overdraft: !strings.Contains(name, "overdrawn")} },
		"causal":         func(string) Checker { return Causal{Convergent: true} },
		"counter-bounds": func(string) Checker { return CounterBounds{} },
		"durability":     func(string) Checker { return Durability{} },
		"liveness":       livenessOf,
		"mutual-exclusion": func(name string) Checker {
			return MutualExclusion{Fenced: true, Leased: strings.Contains(name, "leased")}
		},
		"prefix":     func(string) Checker { return Prefix{} },
		"sequential": func(string) Checker { return Sequential{} },
		"sessions":   sessionsOf,
		"set-full":   func(name string) Checker { return SetFull{Eventual: strings.Contains(name, "eventual")} },
		"stale-bound": func(string) Checker {
			return StaleBound{Bound: 100 * time.Millisecond}
		},
		"total-queue": func(name string) Checker {
			return TotalQueue{FIFO: true, AtLeastOnce: strings.Contains(name, "at-least-once")}
		},
		"ttl":        func(string) Checker { return TTL{Bound: 5 * time.Second} },
		"unique-ids": func(string) Checker { return UniqueIDs{} },
	} {
		t.Run(dir, func(t *testing.T) { runScenarios(t, dir, checkerOf) })
	}
}

// livenessOf has n2 killed and n4 paused for good from 1 s on, 100 ms until that was seen, and asks for an answer within 1 s. The scenario's name
// may say that the phase was cut short, that a fault did not bite, or that there was no such phase.
func livenessOf(name string) Checker {
	ms := time.Millisecond
	phase := history.Phase{Name: history.LivenessPhase, Start: 1000 * ms, End: 2200 * ms}
	if strings.Contains(name, "cut-short") {
		phase.End = 1500 * ms
	}
	l := Liveness{Within: 1000 * ms, Plan: history.Plan{Core: []string{"n1", "n3", "n5"}, Faults: []history.PlannedFault{
		{ID: 1, Kind: "kill", Target: "n1"},
		{ID: 2, Phase: history.LivenessPhase, Kind: "kill", Target: "n2"},
		{ID: 3, Phase: history.LivenessPhase, Kind: "pause", Target: "n4"},
	}}, Evidence: []history.Evidence{
		{Fault: 2, Step: history.StepInject, Time: 1000 * ms, Took: 20 * ms, Nodes: []string{"n2"}, Proven: true},
		{Fault: 3, Step: history.StepInject, Time: 1000 * ms, Took: 100 * ms, Nodes: []string{"n4"}, Proven: !strings.Contains(name, "toothless")},
	}}
	if !strings.Contains(name, "no-phase") {
		l.Phases = []history.Phase{phase}
	}
	return l
}

// sessionsOf asks for the guarantee that the scenario is named for, or for all.
func sessionsOf(name string) Checker {
	for _, p := range sessionPromises {
		if strings.HasSuffix(name, p.kind) {
			return Sessions{Only: []string{p.kind}}
		}
	}
	return Sessions{}
}
