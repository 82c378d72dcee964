package checker

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
)

// viewAt is what a node told in the second s.
func viewAt(s int, node string, revision uint64, hash string) history.View {
	return history.View{Time: time.Duration(s) * time.Second, Node: node, State: "follower", Revision: revision, StateHash: hash}
}

func TestConvergence(t *testing.T) {
	phases := []history.Phase{{Name: "main", End: 10 * time.Second}, {Name: "final", Start: 20 * time.Second, End: 30 * time.Second}}
	end := []history.View{viewAt(21, "n1", 9, "c"), viewAt(21, "n2", 9, "c"), viewAt(22, "n3", 9, "c")}
	same := "25000 26000 n1 - list ok [1,2]\n25000 26000 n2 - list ok [2,1]"
	for _, c := range []struct {
		name    string
		views   []history.View
		lists   string
		verdict Verdict
		summary string
	}{
		{"nothing", nil, "", Unknown, "nothing was put to the test"},
		{"one node", []history.View{viewAt(21, "n1", 9, "c")}, "", Unknown, "nothing was put to the test"},
		{"no hashes", []history.View{viewAt(21, "n1", 9, ""), viewAt(21, "n2", 9, "")}, "", Unknown, "nothing was put to the test"},
		{"converged", end, "", Valid, "Nodes were seen together at 1 revision and at the end"},
		{"converged late", append([]history.View{viewAt(2, "n1", 5, "a"), viewAt(3, "n2", 4, "b")}, end...), "", Valid, "1 revision"},
		{
			"diverged", append([]history.View{viewAt(2, "n1", 5, "a"), viewAt(3, "n2", 5, "b"), viewAt(3, "n3", 5, "a")}, end...), "", Invalid,
			"At revision 5 there are 2 different states: the replicas have diverged (n1, n3 | n2).",
		},
		{"diverged at the end", []history.View{viewAt(21, "n1", 9, "c"), viewAt(21, "n2", 9, "d")}, "", Invalid, "At revision 9"},
		{"one node changed its state", []history.View{viewAt(21, "n1", 9, "c"), viewAt(22, "n1", 9, "d")}, "", Invalid, "At revision 9"},
		{"behind", append([]history.View{viewAt(21, "n4", 8, "b")}, end...), "", Unknown, "n4 was at revision 8 when it was last asked, at 21.000 s, where others were at 9"},
		{"silent", append([]history.View{viewAt(5, "n4", 8, "b")}, end...), "", Unknown, "n4 did not tell"},
		{"unreachable", append([]history.View{{Time: 21 * time.Second, Node: "n4", State: history.Unreachable}}, end...), "", Unknown, "n4 did not tell"},
		{"retired", append([]history.View{viewAt(5, "n4", 8, "b")}, append(slices.Clone(end), history.View{Time: 22 * time.Second, Node: "n4", State: history.Retired})...), "", Valid, "at the end"},
		{"lists", nil, same, Valid, "All nodes answered the same to 1 list at the end"},
		{
			"lists differ", end, "0 10 n1 - add 3 ok\n25000 26000 n1 - list ok [1,2,3]\n25000 26000 n2 - list ok [2,1]", Invalid,
			"At the end n1 and n2 differ in 1 element: n1 has 3, and n2 does not.",
		},
		{"near miss of lists", end, "0 10 n1 - add 3 info timeout\n25000 26000 n1 - list ok [1,2,3]\n25000 26000 n2 - list ok [2,1]", Valid, "at the end"},
		{"lists before the end", end, "5000 6000 n1 - list ok [1]\n5000 6000 n2 - list ok []\n" + same, Valid, "at the end"},
		{"bad list", end, "25000 26000 n1 - list ok 7\n25000 26000 n2 - list ok []", Unknown, "value: 7 given, an array allowed"},
	} {
		r := Convergence{Views: c.views, Phases: phases}.Check(context.Background(), parseScenario(t, c.lists))
		if r.Verdict != c.verdict || !strings.Contains(r.Summary, c.summary) {
			t.Errorf("%s: %s: %s", c.name, r.Verdict, r.Summary)
		}
		if r.Verdict == Invalid && (r.Anomalies[0].Rule == "" || len(r.Anomalies[0].Steps) == 0) {
			t.Errorf("%s: not explained: %+v", c.name, r.Anomalies)
		}
	}
}

func TestAvailability(t *testing.T) {
	ms := time.Millisecond
	h := history.History{}
	for _, at := range []time.Duration{100, 200, 250, 900, 950, 1400} { // successes, with a failure after each
		h = append(h, history.Op{Time: (at - 10) * ms, Type: history.Invoke, F: "write"}, history.Op{Time: at * ms, Type: history.OK, F: "write"},
			history.Op{Time: at * ms, Type: history.Invoke, F: "write"}, history.Op{Time: (at + 10) * ms, Type: history.Fail, F: "write"})
	}
	for i := range h {
		h[i].Index = i
	}
	phases := []history.Phase{{Name: "main", Start: 50 * ms, End: 1000 * ms}}
	kill := []history.Evidence{
		{Fault: 1, Kind: "kill", Nodes: []string{"n2"}, Step: history.StepInject, Time: 300 * ms},
		{Fault: 1, Step: history.StepHeal, Time: 500 * ms, Took: 100 * ms},
		{Fault: 2, Kind: "pause", Step: history.StepInject, Time: 300 * ms, Skipped: true},
		{Fault: 3, Kind: "partition", Step: history.StepInject, Time: 960 * ms},
		{Fault: 3, Kind: "partition", Step: history.StepHeal, Time: 980 * ms},
	}
	for _, c := range []struct {
		name     string
		checker  Availability
		h        history.History
		verdict  Verdict
		summary  string
		rowCount int
	}{
		{"nothing", Availability{}, nil, Unknown, "No operation succeeded", 0},
		{"informs", Availability{Phases: phases}, h, Valid, "The longest time without a success was 650 ms, from 0.250 to 0.900 s.", 0},
		{
			"names faults",
			Availability{Phases: phases, Evidence: kill},
			h, Valid,
			"650 ms, from 0.250 to 0.900 s, during kill of n2. The slowest recovery took 420 ms after partition was healed.", 2,
		},
		{"gap", Availability{Phases: phases, Evidence: kill, MostGap: 600 * ms}, h, Invalid, "Nobody was served for 650 ms, from 0.250 to 0.900 s, during kill of n2, where 600 ms is allowed.", 2},
		{"near miss of a gap", Availability{Phases: phases, MostGap: 650 * ms}, h, Valid, "650 ms", 0},
		{"recovery", Availability{Phases: phases, Evidence: kill, MostRecovery: 400 * ms}, h, Invalid, "After partition was healed, at 0.980 s, 420 ms went by", 2},
		{"near miss of a recovery", Availability{Phases: phases, Evidence: kill[:2], MostRecovery: 300 * ms}, h, Valid, "300 ms after kill of n2", 1},
		{"no recovery", Availability{Phases: phases, Evidence: kill, MostRecovery: 400 * ms}, h[:20], Invalid, "nobody was served any more", 2},
		{"no phases", Availability{}, h, Valid, "650 ms", 0},
	} {
		r := c.checker.Check(context.Background(), c.h)
		rows := 0
		if r.Table != nil {
			rows = len(r.Table.Rows)
		}
		if r.Verdict != c.verdict || !strings.Contains(r.Summary, c.summary) || rows != c.rowCount {
			t.Errorf("%s: %s: %s %v", c.name, r.Verdict, r.Summary, r.Table)
		}
		if r.Verdict == Invalid && len(r.Anomalies[0].Ops) == 0 {
			t.Errorf("%s: not explained: %+v", c.name, r.Anomalies)
		}
	}
}
