package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rift/checker"
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
	timed    bool              // it is about times, so it cannot be judged without
	judges   func(s *settings) []checker.Named
}

// setting is something that a promise can be told.
type setting struct{ name, usual, doc string }

// anyName is the name of a setting that takes any name.
const anyName = "KEY"

// consistencyModel is the setting that has a flag of its own.
const consistencyModel = "consistency-model"

// settings are what a promise was told, by the settings' names. The first value that is none of those allowed is kept in err.
type settings struct {
	given map[string]string
	err   error
}

// whole is a number of least or more.
func (s *settings) whole(name string, least int) int {
	n, err := strconv.Atoi(s.given[name])
	if err != nil || n < least {
		s.refuse(name, fmt.Sprintf(", a whole number from %d on allowed", least))
	}
	return n
}

func (s *settings) yes(name string) bool {
	return s.oneOf(name, []string{"false", "true"}) == "true"
}

// oneOf is one of the values allowed.
func (s *settings) oneOf(name string, allowed []string) string {
	if given := s.given[name]; !slices.Contains(allowed, given) {
		s.refuse(name, nearest(given, allowed))
	}
	return s.given[name]
}

func (s *settings) duration(name string) time.Duration {
	d, err := time.ParseDuration(s.given[name])
	if err != nil || d < 0 {
		s.refuse(name, ", a duration such as 1.5s allowed")
	}
	return d
}

// values are all settings, which must be JSON.
func (s *settings) values() map[string]string {
	for _, name := range slices.Sorted(maps.Keys(s.given)) {
		if !json.Valid([]byte(s.given[name])) {
			s.refuse(name, fmt.Sprintf(", a value as JSON allowed, such as %s=0", name))
		}
	}
	return s.given
}

func (s *settings) refuse(name, allowed string) {
	if s.err == nil {
		s.err = usagef("%s%q given%s", flagOf(name, ": "), spelled(name, s.given[name]), allowed)
	}
}

// spelled is a setting as it stands behind its flag.
func spelled(name, value string) string {
	if name == consistencyModel {
		return value
	}
	return name + "=" + value
}

// flagOf is the flag that a setting is given by.
func flagOf(name, behind string) string {
	if name == consistencyModel {
		return "--" + consistencyModel + behind
	}
	return "--model-arg" + behind
}

// told gives the promise's checkers, as they were told to be.
func (p promise) told(given map[string]string) ([]checker.Named, error) {
	s := settings{given: make(map[string]string)}
	var names []string
	for _, known := range p.settings {
		if known.name != anyName {
			s.given[known.name] = known.usual
		}
		names = append(names, known.name)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch {
		case len(names) == 0:
			return nil, usagef("%s%q given, nothing allowed with --workload %s", flagOf(name, ": "), spelled(name, given[name]), p.name)
		case !slices.Contains(names, name) && !slices.Contains(names, anyName):
			return nil, usagef("%s%q given for --workload %s%s", flagOf(name, ": "), name, p.name, nearest(name, names))
		}
		s.given[name] = given[name]
	}
	judges := p.judges(&s)
	return judges, s.err
}

// promisesAndWorkloads are all that a history can be judged by. Where a promise and a workload go by one name, the promise is
// meant: it is the model or checker of that name, and can be told more.
func promisesAndWorkloads() []promise {
	all := slices.Clone(promises)
	for _, w := range workloads.All {
		if !slices.ContainsFunc(all, func(p promise) bool { return p.name == w.Name }) {
			all = append(all, promise{name: w.Name, doc: w.Doc, judges: func(*settings) []checker.Named { return w.Checkers() }})
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
		all = append(all, flagOf(s.name, " ")+spelled(s.name, s.usual))
	}
	return strings.Join(all, ", ")
}
