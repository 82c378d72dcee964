package history

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time.Duration that people can read in JSON: "1.5s".
type Duration time.Duration

// MarshalText writes the duration as time.Duration prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// String is the duration as time.Duration prints it.
func (d Duration) String() string { return time.Duration(d).String() }

// Simulated is the Cluster of a test whose run is a simulation.
const Simulated = "sim"

// Test is what was asked for: everything that the plan is a function of, and what is needed to ask
// for it again. It stands in test.json, with Started and the versions added by the run.
type Test struct {
	Name         string            `json:"name"`                   // names the folder below store/; default: the workload
	System       string            `json:"system"`                 // the system under test
	Workload     string            `json:"workload"`               //
	Cluster      string            `json:"cluster"`                // docker, local or sim
	Nodes        int               `json:"nodes"`                  // 1 to 9
	Spares       int               `json:"spares,omitempty"`       // further nodes that membership faults may add
	Concurrency  int               `json:"concurrency"`            // workers, one connection each
	Rate         float64           `json:"rate"`                   // operations a second over all workers; 0: as fast as they go
	Time         Duration          `json:"time"`                   // length of the main phase
	OpTimeout    Duration          `json:"op_timeout"`             // after which an operation is indeterminate
	Nemesis      []string          `json:"nemesis"`                // fault kinds; empty: none
	Plan         string            `json:"plan,omitempty"`         // faults as the text of a plan, in place of Nemesis
	Ops          []TimedOp         `json:"ops,omitempty"`          // the main phase's operations, one by one, in place of those that the workload draws
	Disk         string            `json:"disk,omitempty"`         // model of the lossy file system under each node's data (ext4, strict); empty: the machine's own disk
	DurableAfter Duration          `json:"durable_after,omitzero"` // after which a lossy disk keeps what was not synced; 0: never
	Swarm        bool              `json:"swarm,omitempty"`        // the seed draws some of the kinds in Nemesis, and how dense they come
	KeepQuorum   bool              `json:"keep_quorum,omitempty"`  // faults always leave a majority of the nodes in peace
	Liveness     Duration          `json:"liveness,omitempty"`     // within which a majority left in peace must make progress after the main phase; 0: not asked
	Bugs         []string          `json:"bugs,omitempty"`         // bugs switched on in the system
	Options      map[string]string `json:"options,omitempty"`      // the workload's and the system's own
	Schedule     string            `json:"schedule,omitempty"`     // of a simulation: in which order goroutines run that could: seeded or fifo
	Seed         int64             `json:"seed"`
	Command      string            `json:"command,omitempty"` // the command line that repeats the run
	Replay       string            `json:"replay,omitempty"`  // the command line that puts in what ran, at the nodes that it hit
	Started      time.Time         `json:"started,omitzero"`
	Version      string            `json:"version,omitempty"` // of rift
	Subject      map[string]string `json:"subject,omitempty"` // what is known of the system: version, image digest, ...
}

// Plan is everything that a run will do, drawn from the seed before anything starts. The same test
// gives the same bytes.
type Plan struct {
	Version int            `json:"version"` // of this form: 1
	Seed    int64          `json:"seed"`
	Streams []Stream       `json:"streams"`
	Faults  []PlannedFault `json:"faults"`         // ordered by phase, At, then ID
	Core    []string       `json:"core,omitempty"` // the nodes that are left in peace in the liveness phase, where there is one
}

// Stream describes one stream of operations. Its operations are a pure function of the generator,
// the seed and their place in the stream, so they need not be listed: Digest, the SHA-256 of the first Digested
// operations as JSON lines, tells whether another build draws the same ones.
type Stream struct {
	Phase    string            `json:"phase"` // main, final
	Doc      string            `json:"doc"`
	Digest   string            `json:"digest"`
	Digested int               `json:"digested"`
	First    []json.RawMessage `json:"first"` // the first few, for people
}

// PlannedFault is one fault as the plan names it. Whom it hits is found out when it runs, since
// "leader" has no meaning before; what it needs to draw then, it draws from Seed.
type PlannedFault struct {
	ID     int               `json:"id"`              // unique in the plan, from 1
	Phase  string            `json:"phase,omitempty"` // in which it is put in: "" is the main phase, else LivenessPhase
	Lane   string            `json:"lane"`            // faults of one lane never overlap
	Kind   string            `json:"kind"`            // kill, pause, partition, clock, ...
	Target string            `json:"target,omitempty"`
	Args   map[string]string `json:"args,omitempty"` // the kind's own: shape, offset, rate, ...
	At     Duration          `json:"at"`             // since the start of the phase
	For    Duration          `json:"for"`            // until it is healed
	Seed   int64             `json:"seed"`
}

// String is the fault in the words of a plan: "partition isolate-leader at 5s for 4s".
func (f PlannedFault) String() string {
	what := f.Kind
	if f.Target != "" {
		what += " " + f.Target
	}
	if f.Phase != "" {
		return fmt.Sprintf("%s for the %s phase, %s", what, f.Phase, f.For)
	}
	return fmt.Sprintf("%s at %s for %s", what, f.At, f.For)
}
