package txn

import (
	"fmt"
	"slices"
)

// Model is a consistency model's name: what a database promises about concurrent transactions.
type Model string

// The models that a history is judged by. The sessions of the strong-session ones are the processes.
const (
	ReadUncommitted   Model = "read-uncommitted"            // Adya's PL-1
	ReadCommitted     Model = "read-committed"              // PL-2
	ReadAtomic        Model = "read-atomic"                 // Cerone, Bernardi & Gotsman 2015
	CursorStability   Model = "cursor-stability"            // PL-CS
	ConsistentView    Model = "consistent-view"             // PL-2+
	ParallelSnapshot  Model = "parallel-snapshot-isolation" // Cerone & Gotsman 2016
	SnapshotIsolation Model = "snapshot-isolation"          // Cerone & Gotsman 2016, without sessions
	RepeatableRead    Model = "repeatable-read"             // PL-2.99
	Serializable      Model = "serializable"                // PL-3
	SessionPL1        Model = "strong-session-read-uncommitted"
	SessionPL2        Model = "strong-session-read-committed"
	SessionSnapshot   Model = "strong-session-snapshot-isolation"
	SessionSerial     Model = "strong-session-serializable"
	StrongPL1         Model = "strong-read-uncommitted"
	StrongPL2         Model = "strong-read-committed"
	StrongSnapshot    Model = "strong-snapshot-isolation"
	StrictSerial      Model = "strict-serializable"
)

// lattice says which weaker models a model implies directly, weaker models first. It is the part of Adya's and Elle's
// lattice ("Weak Consistency", 1999; Elle, VLDB 2020, figure of models) whose models some anomaly here tells apart.
var lattice = []struct {
	model   Model
	implies []Model
}{
	{ReadUncommitted, nil},
	{ReadCommitted, []Model{ReadUncommitted}},
	{ReadAtomic, []Model{ReadCommitted}},
	{CursorStability, []Model{ReadCommitted}},
	{ConsistentView, []Model{CursorStability}},
	{ParallelSnapshot, []Model{ReadAtomic, ConsistentView}},
	{SnapshotIsolation, []Model{ParallelSnapshot}},
	{RepeatableRead, []Model{CursorStability}},
	{Serializable, []Model{SnapshotIsolation, RepeatableRead}},
	{SessionPL1, []Model{ReadUncommitted}},
	{SessionPL2, []Model{ReadCommitted, SessionPL1}},
	{SessionSnapshot, []Model{SnapshotIsolation, SessionPL2}},
	{SessionSerial, []Model{Serializable, SessionSnapshot}},
	{StrongPL1, []Model{SessionPL1}},
	{StrongPL2, []Model{SessionPL2, StrongPL1}},
	{StrongSnapshot, []Model{SessionSnapshot, StrongPL2}},
	{StrictSerial, []Model{SessionSerial, StrongSnapshot}},
}

// Models lists all models, every model after those that it implies.
func Models() []Model {
	all := make([]Model, len(lattice))
	for i, l := range lattice {
		all[i] = l.model
	}
	return all
}

// ParseModel finds a model by its name.
func ParseModel(name string) (Model, error) {
	if all := Models(); !slices.Contains(all, Model(name)) {
		return "", fmt.Errorf("model: %q given, one of %v allowed", name, all)
	}
	return Model(name), nil
}

// ruledOut gives the models that cannot hold where the given ones do not: they and all that imply one of them.
func ruledOut(broken []Model) map[Model]bool {
	out := make(map[Model]bool)
	for _, l := range lattice {
		if slices.Contains(broken, l.model) || slices.ContainsFunc(l.implies, func(m Model) bool { return out[m] }) {
			out[l.model] = true
		}
	}
	return out
}

// strongest gives the models of a set that no other one of the set implies.
func strongest(set []Model) []Model {
	implied := make(map[Model]bool)
	for _, l := range lattice {
		if slices.Contains(set, l.model) {
			for _, m := range l.implies {
				implied[m] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(set), func(m Model) bool { return implied[m] })
}
