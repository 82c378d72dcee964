package history

import "time"

// The steps of a fault that leave evidence.
const (
	StepInject  = "inject"  // the fault was put in
	StepReapply = "reapply" // it was put in again, after a restart had undone it
	StepHeal    = "heal"    // it was taken out
)

// Evidence is what was measured when a fault was put in or taken out: one line of evidence.jsonl.
type Evidence struct {
	Fault    int                `json:"fault"` // the planned fault's ID
	Kind     string             `json:"kind"`
	Step     string             `json:"step"`              // inject, reapply or heal
	Time     time.Duration      `json:"time"`              // when the step began, nanoseconds since the run's start
	Took     time.Duration      `json:"took"`              // until its effect was measured, nanoseconds
	Applied  time.Duration      `json:"applied,omitempty"` // of that, until it was in force (heal: was out), without the measuring; 0: not told apart
	Nodes    []string           `json:"nodes,omitempty"`
	Links    [][2]string        `json:"links,omitempty"`    // directed links that were cut or disturbed: from, to
	Proven   bool               `json:"proven"`             // inject: the effect was seen from outside; heal: it was seen to be gone
	Skipped  bool               `json:"skipped,omitempty"`  // there was nothing it could be aimed at; Summary says why
	Summary  string             `json:"summary"`            // what was seen, in a sentence
	Measures map[string]float64 `json:"measures,omitempty"` // the figures in the sentence, with the unit in the name: "rtt_ms"
	Error    string             `json:"error,omitempty"`    // why the step failed
}

// View is what one node said of itself and of its leader when it was asked: one line of views.jsonl.
type View struct {
	Time      time.Duration `json:"time"`  // when the answer came, nanoseconds since the run's start
	Node      string        `json:"node"`  // who was asked
	State     string        `json:"state"` // leader, follower, candidate, ...; "unreachable" if it did not answer
	Leader    string        `json:"leader,omitempty"`
	Term      uint64        `json:"term,omitempty"`
	Commit    uint64        `json:"commit,omitempty"`
	Applied   uint64        `json:"applied,omitempty"`
	Revision  uint64        `json:"revision,omitempty"`
	StateHash string        `json:"state_hash,omitempty"`
	Snapshot  uint64        `json:"snapshot,omitempty"`
	Voters    []string      `json:"voters,omitempty"`
}

// Unreachable is the State of a View of a node that did not answer.
const Unreachable = "unreachable"

// The phases that others look for by their names.
const (
	MainPhase     = "main"     // clients and faults side by side
	LivenessPhase = "liveness" // a majority is left in peace, and must make progress without the others
)

// FinalPhase is the name of a run's last phase; a run without it was cut short.
const FinalPhase = "final"

// Phase is one phase of the run as it went: one line of phases.jsonl.
type Phase struct {
	Name  string        `json:"name"`  // set-up, main, heal, liveness, quiesce, final
	Start time.Duration `json:"start"` // nanoseconds since the run's start
	End   time.Duration `json:"end"`
	Note  string        `json:"note,omitempty"` // how it ended, if not as planned: deadline, interrupted, ...
}
