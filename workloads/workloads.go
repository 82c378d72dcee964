// Package workloads holds what clients are asked to do: one file each, with its operations, its final reads
// and the checkers that judge them.
//
// The one idea behind it is that a workload is data. It names the functions that it needs, and any system whose client has
// them can be tested with it. To add one, write one file and one line in All.
package workloads

import (
	"rift/checker"
	"rift/harness/gen"
	"rift/harness/history"
)

// Params are what a workload's streams are a function of.
type Params struct {
	Seed        int64
	Nodes       int
	Concurrency int
	Options     map[string]string
}

// Workload is one kind of load, and how its history is judged.
type Workload struct {
	Name  string
	Doc   string
	Needs []string // functions that the system's client must have
	// Options are what it can be told; they reach Main and Final in Params.
	Options []history.Option
	// Main is the operations of the main phase; it may be endless.
	Main func(p Params) gen.Generator
	// Final is the reads at the end, when every fault is healed; keys are those that were used, workers how many there are, at
	// least one on each node.
	Final func(p Params, keys []string, workers int) gen.Generator
	// Checkers judge the history; further ones that suit every workload are added by the caller.
	Checkers func() []checker.Named
}

// All are the workloads, in the order in which they are listed.
var All = []Workload{
	register, set, setFull, counter, queue, lock, uniqueIDs, durability,
	listAppend, rwRegister, bank, longFork, writeSkew,
	sequential, causal, sessions, prefix, staleBound, ttl,
}
