package sim_test

import (
	"testing"
	"time"

	"rift/checker"
	"rift/harness"
	"rift/harness/history"
	"rift/harness/sim"
	"rift/harness/system"
)

// yours is a system of somebody else, whose nodes speak enough of the reference node's HTTP that its client will do.
type yours struct{ system.Reference }

// Launch tells a node who it is, and where all are.
func (yours) Launch(n harness.Node, all []harness.Node, _ history.Test) (harness.Launch, error) {
	args := []string{n.Name}
	for _, other := range all {
		args = append(args, other.Name+"="+other.IP.String())
	}
	return harness.Launch{Args: args}, nil
}

// TestAProgramOfSomebodyElse runs docs/examples/simulated, and judges it.
func TestAProgramOfSomebodyElse(t *testing.T) {
	left := trial{seed: 1, length: 4 * time.Second, nemesis: []string{"kill", "partition"}, change: func(s *sim.Spec) { s.System = yours{} }}.run(t, load(t, build(t, "rift/docs/examples/simulated")))
	if n := succeeded(left.History); n < 50 {
		t.Errorf("%d operations succeeded", n)
	}
	if r := (checker.Linearizable{Model: checker.Register()}).Check(t.Context(), left.History); r.Verdict != checker.Valid {
		t.Errorf("%s: %s", r.Verdict, r.Summary)
	}
}
