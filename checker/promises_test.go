package checker

import (
	"strings"
	"testing"
	"time"
)

// TestPromiseScenarios holds each checker against a history for each of its anomalies, and near misses.
func TestPromiseScenarios(t *testing.T) {
	for dir, checkerOf := range map[string]func(name string) Checker{
		"bank":           func(name string) Checker { return Bank{Overdraft: !strings.Contains(name, "overdrawn")} },
		"causal":         func(string) Checker { return Causal{Convergent: true} },
		"counter-bounds": func(string) Checker { return CounterBounds{} },
		"durability":     func(string) Checker { return Durability{} },
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

// sessionsOf asks for the guarantee that the scenario is named for, or for all.
func sessionsOf(name string) Checker {
	for _, p := range sessionPromises {
		if strings.HasSuffix(name, p.kind) {
			return Sessions{Only: []string{p.kind}}
		}
	}
	return Sessions{}
}
