package main

import (
	"strings"
	"testing"
	"time"

	"rift/checker"
	"rift/harness/history"
)

func TestAnAnomalyTellsWhatWasGoingOn(t *testing.T) {
	s := time.Second
	run := &history.Run{
		History: history.History{
			{Index: 0, Time: 10 * s, Process: 1, Type: history.Invoke, F: "read"},
			{Index: 1, Time: 11 * s, Process: 1, Type: history.OK, F: "read"},
		},
		Evidence: []history.Evidence{
			{Fault: 1, Kind: "kill", Step: history.StepInject, Time: 1 * s, Nodes: []string{"n1"}},
			{Fault: 1, Kind: "kill", Step: history.StepHeal, Time: 3 * s},
			{Fault: 2, Kind: "partition", Step: history.StepInject, Time: 9 * s, Nodes: []string{"n2"}},
			{Fault: 3, Kind: "pause", Step: history.StepInject, Time: 12 * s, Nodes: []string{"n3"}},
			{Fault: 4, Kind: "clock", Step: history.StepInject, Time: 10 * s, Skipped: true},
		},
		Views: []history.View{
			{Time: 1 * s, Node: "n5", State: "leader", Term: 1},
			{Time: 9 * s, Node: "n2", State: "leader", Term: 2},
			{Time: 10 * s, Node: "n2", State: "leader", Term: 2},
			{Time: 10 * s, Node: "n4", State: "leader", Term: 3},
			{Time: 10 * s, Node: "n1", State: "follower", Term: 3},
		},
	}
	results := []checker.Result{{Anomalies: []checker.Anomaly{{Ops: []int{0}, Steps: []string{"proof"}}}}}
	addCircumstances(run, results)
	got := strings.Join(results[0].Anomalies[0].Steps, "\n")
	want := "proof\nShortly before or meanwhile, these faults were on: partition of n2 from 9.000 s.\nNodes that said that they led: n2 in term 2, n4 in term 3."
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
