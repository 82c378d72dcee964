package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rift/checker"
	"rift/checker/txn"
	"rift/harness/history"
	"rift/workloads"
)

// promise is what a history from anywhere can be judged by: a model or a checker alone, or a workload's checkers. Here no run
// stands behind the history, so nothing is asked of faults or logs.
type promise struct {
	name     string
	doc      string
	calls    string            // the functions with their values, for docs/histories.md
	settings []setting         // what --model-arg and --consistency-model take
	also     map[string]string // functions as others call them -> as the checker does
	checkers func(s settings) ([]checker.Named, error)
}

// setting is something that a promise can be told.
type setting struct {
	name  string // "KEY" stands for any name
	doc   string
	usual string
}

// anyName is the name of a setting that takes any name.
const anyName = "KEY"

// consistencyModel is the setting that has a flag of its own.
const consistencyModel = "consistency-model"

// Descriptions of values that several promises share.
const (
	registerCalls = "`read` → value or `null`; `write` value; `cas` `[old, new]`"
	lockCalls     = "`acquire`, `release`; the value names the client, `null`: the process"
	queueCalls    = "`enqueue` value; `dequeue` → value"
)

// promises are all of them but the workloads; see promisesAndWorkloads.
var promises = []promise{
	linearizable("register", registerCalls, checker.Register()),
	linearizable("cas-register", registerCalls, checker.Register()),
	linearizable("versioned-register", "each value is `[version, value]`: `read` → both; `write` and `cas` with version `null` → the version made, or `null`", checker.VersionedRegister()),
	{
		name: "multi-register", doc: checker.MultiRegister(nil).Doc, checkers: multiRegister,
		calls:    "`txn` `[[\"read\", key, null], [\"write\", key, value]]` → the same with what was read; `r` and `w` do as well",
		settings: []setting{{anyName, "the first value of that register, as JSON", "null"}},
	},
	linearizable("mutex", "`acquire`, `release`", checker.Mutex()),
	linearizable("owned-mutex", lockCalls, checker.OwnedMutex()),
	{
		name: "reentrant-mutex", doc: "An owned mutex that its holder may acquire several times, and must release as often.", calls: lockCalls,
		settings: []setting{{"n", "how many times, 1 or more", "2"}}, checkers: numbered(1, checker.ReentrantMutex),
	},
	{
		name: "semaphore", doc: "Never more permits are held at once than there are, and none is released that is not held.",
		calls:    "`acquire` and `release` how many, `null`: one",
		settings: []setting{{"n", "how many permits there are, 1 or more", "2"}}, checkers: numbered(1, checker.Semaphore),
	},
	linearizable("fenced-lock", "`acquire` → the fence, a number above 0; `release`; the value names the client, `null`: the process", checker.FencedLock()),
	linearizable("queue", queueCalls+" or `null`: empty", checker.Queue()),
	linearizable("unordered-queue", queueCalls+"; one that finds nothing fails", checker.UnorderedQueue()),
	linearizable("stack", "`push` value; `pop` → value or `null`: empty", checker.Stack()),
	{
		name: "counter", doc: checker.Counter(0).Doc, calls: "`add` a number of either sign, `null`: 1 → the new sum, or the number again; `read` → the sum",
		settings: []setting{{"n", "the first value", "0"}}, checkers: numbered(-1<<53, checker.Counter),
	},
	{
		name: "set", doc: "Of a set that only grows nothing is lost, and nothing is listed that was not added.", calls: "`add` element; `list`, or `read`, → array of elements",
		also: map[string]string{"read": "list"}, checkers: alone(checker.Named{Name: "set", Checker: checker.Set{}}),
	},
	linearizableSet,
	transactions(txn.ListAppend, "`txn` `[[\"append\", key, value], [\"r\", key, null]]` → the same with the lists that were read"),
	transactions(txn.Register, "`txn` `[[\"w\", key, value], [\"r\", key, null]]` → the same with the values that were read"),
}

var linearizableSet = func() promise {
	p := linearizable("linearizable-set", "`add` element; `list`, or `read`, → array of elements", checker.GrowingSet())
	p.also = map[string]string{"read": "list"}
	return p
}()

func alone(c checker.Named) func(settings) ([]checker.Named, error) {
	return func(settings) ([]checker.Named, error) { return []checker.Named{c}, nil }
}

func linearizably(m checker.Model) []checker.Named {
	return []checker.Named{{Name: "linearizable", Checker: checker.Linearizable{Model: m}}}
}

func linearizable(name, calls string, m checker.Model) promise {
	return promise{name: name, doc: m.Doc, calls: calls, checkers: alone(linearizably(m)[0])}
}

// numbered is a model that takes one number, n, of least or more.
func numbered(least int, model func(n int) checker.Model) func(settings) ([]checker.Named, error) {
	return func(s settings) ([]checker.Named, error) {
		n, err := strconv.Atoi(s["n"])
		if err != nil || n < least {
			return nil, usagef("--model-arg: n=%s given, a whole number from %d on allowed", s["n"], least)
		}
		return linearizably(model(n)), nil
	}
}

func multiRegister(s settings) ([]checker.Named, error) {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if !json.Valid([]byte(s[key])) {
			return nil, usagef("--model-arg: %s=%s given, a value as JSON allowed, such as %s=0", key, s[key], key)
		}
	}
	return linearizably(checker.MultiRegister(s)), nil
}

func transactions(kind txn.Kind, calls string) promise {
	p := promise{
		name: kind.String(), calls: calls,
		doc:      "Transactions keep the isolation that is expected; every cycle that breaks it is proven edge by edge.",
		settings: []setting{{consistencyModel, "what the database promises", string(txn.StrictSerial)}},
	}
	if kind == txn.Register {
		p.settings = append(p.settings, setting{"keys", "what is certain of each single key: none, sequential or linearizable", "none"})
	}
	p.checkers = func(s settings) ([]checker.Named, error) {
		expect, err := named("--consistency-model", s[consistencyModel], txn.Models(), func(m txn.Model) string { return string(m) })
		if err != nil {
			return nil, err
		}
		c := txn.Checker{Kind: kind, Expect: expect}
		if kind == txn.Register {
			assumptions := []string{txn.NoAssumption: "none", txn.SequentialKeys: "sequential", txn.LinearizableKeys: "linearizable"}
			assumed := slices.Index(assumptions, s["keys"])
			if assumed < 0 {
				return nil, usagef("--model-arg: keys=%s given%s", s["keys"], nearest(s["keys"], assumptions))
			}
			c.Keys = txn.KeyAssumption(assumed)
		}
		return []checker.Named{{Name: kind.String(), Checker: c}}, nil
	}
	return p
}

// promisesAndWorkloads are all that a history can be judged by. Where a promise and a workload have the same name, the promise
// is meant, for it can be told more.
func promisesAndWorkloads() []promise {
	all := slices.Clone(promises)
	for _, w := range workloads.All {
		if !slices.ContainsFunc(all, func(p promise) bool { return p.name == w.Name }) {
			all = append(all, promise{name: w.Name, doc: w.Doc, checkers: func(settings) ([]checker.Named, error) { return w.Checkers(), nil }})
		}
	}
	return all
}

func findPromise(name string) (promise, error) {
	if name == "" {
		return promise{}, usagef("--workload: nothing given, and only a run's folder says what it is to be judged as%s", nearest("", promiseNames()))
	}
	return named("--workload", name, promisesAndWorkloads(), func(p promise) string { return p.name })
}

func promiseNames() []string {
	var names []string
	for _, p := range promisesAndWorkloads() {
		names = append(names, p.name)
	}
	return names
}

// settings are what a promise was told, by the settings' names.
type settings map[string]string

// told gives the promise's checkers, as they were told to be.
func (p promise) told(given settings) ([]checker.Named, error) {
	s, names := settings{}, []string(nil)
	for _, known := range p.settings {
		if known.name != anyName {
			s[known.name] = known.usual
		}
		names = append(names, known.name)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		flag := "--model-arg"
		if name == consistencyModel {
			flag = "--" + consistencyModel
		}
		switch {
		case len(names) == 0:
			return nil, usagef("%s: %q given, nothing allowed with --workload %s", flag, given[name], p.name)
		case !slices.Contains(names, name) && !slices.Contains(names, anyName):
			return nil, usagef("%s: %q given for --workload %s%s", flag, name, p.name, nearest(name, names))
		}
		s[name] = given[name]
	}
	return p.checkers(s)
}

// renamed gives the history with functions called as the promise's checkers call them. It changes the history given.
func (p promise) renamed(h history.History) history.History {
	for i := range h {
		if f, other := p.also[h[i].F]; other && !h[i].Nemesis() {
			h[i].F = f
		}
	}
	return h
}

// options says what the promise can be told, in a line for people.
func (p promise) options() string {
	var all []string
	for _, s := range p.settings {
		flag := "--model-arg " + s.name + "="
		if s.name == consistencyModel {
			flag = "--" + consistencyModel + " "
		}
		all = append(all, fmt.Sprintf("%s%s", flag, s.usual))
	}
	return strings.Join(all, ", ")
}
