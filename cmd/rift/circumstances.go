package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rift/checker"
	"rift/harness"
	"rift/harness/history"
)

// before is how long before a violation's first operation what happened may still have caused it.
const before = 2 * time.Second

// addCircumstances adds to each anomaly's proof what was going on: the faults that were on, and who led. They may have caused it.
func addCircumstances(run *history.Run, results []checker.Result) {
	for i := range results {
		for j := range results[i].Anomalies {
			a := &results[i].Anomalies[j]
			if from, to, ok := span(run.History, a.Ops); ok {
				a.Steps = append(slices.Clip(a.Steps), circumstances(run, from-before, to)...)
			}
		}
		addCircumstances(run, results[i].Parts)
	}
}

// span is the time from the first of the operations' invocations to the last of their completions.
func span(h history.History, ops []int) (from, to time.Duration, ok bool) {
	for _, i := range ops {
		if i < 0 || i >= len(h) {
			continue
		}
		if at := h[i].Time; !ok || at < from {
			from = at
		}
		to, ok = max(to, ended(h, i)), true
	}
	return from, to, ok
}

// ended is the time at which the operation invoked at place i was completed; of its invocation if it never was.
func ended(h history.History, i int) time.Duration {
	for _, op := range h[i+1:] {
		if op.Process == h[i].Process {
			return op.Time
		}
	}
	return h[i].Time
}

// circumstances tells the faults that were on and the leaders that there were in a stretch of a run, in sentences; none if nothing is known.
func circumstances(run *history.Run, from, to time.Duration) []string {
	var sentences []string
	if faults := faultsOn(run, from, to); len(faults) > 0 {
		sentences = append(sentences, "Shortly before or meanwhile, these faults were on: "+strings.Join(faults, "; ")+".")
	}
	if leaders := leadersIn(run, from, to); len(leaders) > 0 {
		sentences = append(sentences, "Nodes that said that they led: "+strings.Join(leaders, ", ")+".")
	}
	return sentences
}

func faultsOn(run *history.Run, from, to time.Duration) []string {
	var list []string
	for _, e := range run.Evidence {
		if e.Step != history.StepInject || e.Skipped || e.Time > to {
			continue
		}
		end := time.Duration(history.Never)
		for _, h := range run.Evidence {
			if h.Fault == e.Fault && h.Step == history.StepHeal {
				end = h.Time + h.Took
			}
		}
		if end >= from {
			list = append(list, fmt.Sprintf("%s of %s from %.3f s", e.Kind, strings.Join(e.Nodes, ", "), e.Time.Seconds()))
		}
	}
	return list
}

func leadersIn(run *history.Run, from, to time.Duration) []string {
	var list []string
	for _, v := range run.Views {
		said := v.Node
		if v.Term > 0 { // not every system counts terms
			said = fmt.Sprintf("%s in term %d", v.Node, v.Term)
		}
		if v.State == harness.StateLeader && v.Time >= from && v.Time <= to && !slices.Contains(list, said) {
			list = append(list, said)
		}
	}
	return list
}
