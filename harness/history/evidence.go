package history

import "time"

// The steps of a fault that leave evidence.
const (
	StepInject  = "inject"  // the fault was put in
	StepReapply = "reapply" // it was put in again, after a restart had undone it
	StepChange  = "change"  // it changed while it was in, as planned
	StepHeal    = "heal"    // it was taken out
)

// Evidence is what was measured when a fault was put in or taken out: one line of evidence.jsonl.
type Evidence struct {
	Fault    int                `json:"fault"` // the planned fault's ID
	Kind     string             `json:"kind"`
	Step     string             `json:"step"`              // inject, reapply, change or heal
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

// ClockSample is how one node's clocks stood against the host's at one instant: one line of clocks.jsonl. Until the node's next sample they go
// on at their rates.
type ClockSample struct {
	Time          time.Duration `json:"time"` // nanoseconds since the run's start
	Node          string        `json:"node"`
	Down          bool          `json:"down,omitempty"`           // it has no process, and so no clock
	Wall          time.Duration `json:"wall,omitempty"`           // its wall clock minus the host's, nanoseconds
	WallRate      float64       `json:"wall_rate,omitempty"`      // seconds that it passes in one true second
	Swing         time.Duration `json:"swing,omitempty"`          // of a strobe: the wall clock jumps to and fro by so much, Wall being the middle
	Monotonic     time.Duration `json:"monotonic,omitempty"`      // the same of its monotonic clock
	MonotonicRate float64       `json:"monotonic_rate,omitempty"` //
}

// After is the sample that is to be expected some time later, if nobody touches the clocks.
func (s ClockSample) After(passed time.Duration) ClockSample {
	if s.Time += passed; !s.Down {
		s.Wall += time.Duration((s.WallRate - 1) * float64(passed))
		s.Monotonic += time.Duration((s.MonotonicRate - 1) * float64(passed))
	}
	return s
}

// Foretells says whether a later sample is the one that was to be expected, to a thousandth of what the clocks are off or to 50 µs.
func (s ClockSample) Foretells(later ClockSample) bool {
	want := s.After(later.Time - s.Time)
	near := func(a, b time.Duration) bool { return (a - b).Abs() <= max(50*time.Microsecond, b.Abs()/1000) }
	return want.Down == later.Down && want.Swing == later.Swing && want.WallRate == later.WallRate && want.MonotonicRate == later.MonotonicRate &&
		near(want.Wall, later.Wall) && near(want.Monotonic, later.Monotonic)
}

// Unreachable is the State of a View of a node that did not answer.
const Unreachable = "unreachable"

// NoMember is the State of a View of a spare node that is no member: nothing runs on it.
const NoMember = "no member"

// Retired is the State of a View of a node that stays down for the rest of the run, because a fault has damaged its data and it refuses to start on
// it, as it should.
const Retired = "retired"

// Counts says whether the node is one that the system is to be judged by: it is a member, and not retired.
func (v View) Counts() bool { return v.State != NoMember && v.State != Retired }

// The phases that others look for by their names.
const (
	MainPhase     = "main"     // clients and faults side by side
	LivenessPhase = "liveness" // a majority is left in peace, and must make progress without the others
)

// FinalPhase is the name of a run's last phase; a run without it was cut short.
const FinalPhase = "final"

// ShutDownPhase is the name of the phase in which a simulated run has its nodes shut down, when all else is done.
const ShutDownPhase = "shut-down"

// Phase is one phase of the run as it went: one line of phases.jsonl.
type Phase struct {
	Name  string        `json:"name"`  // set-up, main, heal, liveness, quiesce, final, shut-down
	Start time.Duration `json:"start"` // nanoseconds since the run's start
	End   time.Duration `json:"end"`
	Note  string        `json:"note,omitempty"` // how it ended, if not as planned: deadline, interrupted, ...
}
