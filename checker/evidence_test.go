package checker

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
)

// steady is n writes that succeed, one a millisecond.
func steady(n int) history.History {
	var h history.History
	for i := range n {
		at := time.Duration(i) * time.Millisecond
		h = append(h, history.Op{Time: at, Type: history.Invoke, F: "write"}, history.Op{Time: at, Type: history.OK, F: "write"})
	}
	return h
}

func TestEvidence(t *testing.T) {
	kill := history.PlannedFault{ID: 1, Kind: "kill"}
	pause := history.PlannedFault{ID: 2, Kind: "pause"}
	ms := time.Millisecond
	bit := history.Evidence{Fault: 1, Kind: "kill", Step: history.StepInject, Time: 100 * ms, Took: 10 * ms, Proven: true}
	healed := history.Evidence{Fault: 1, Kind: "kill", Step: history.StepHeal, Time: 200 * ms, Proven: true}
	missed := history.Evidence{Fault: 2, Kind: "pause", Step: history.StepInject, Time: 100 * ms, Skipped: true, Summary: "no node was up."}
	for _, c := range []struct {
		name       string
		faults     []history.PlannedFault
		evidence   []history.Evidence
		operations int
		verdict    Verdict
		summary    string
	}{
		{"no faults", nil, nil, 500, Valid, "no faults were asked for"},
		{"too few", nil, nil, 99, Unknown, "only 99 operations succeeded, where at least 100"},
		{"enough", nil, nil, 100, Valid, "100 operations"},
		{"it bit", []history.PlannedFault{kill}, []history.Evidence{bit, healed}, 500, Valid, "91 operations succeeded while faults were on"},
		{"too few meanwhile", []history.PlannedFault{kill}, []history.Evidence{bit, healed}, 120, Unknown, "only 10 operations succeeded while"},
		{"never put in", []history.PlannedFault{kill, pause}, []history.Evidence{bit, healed}, 500, Unknown, "no pause was ever put in, of 1 planned"},
		{"skipped", []history.PlannedFault{kill, pause}, []history.Evidence{bit, healed, missed}, 500, Unknown, "no pause was shown to bite, of 1 planned (no node was up)"},
		{"not proven", []history.PlannedFault{kill}, []history.Evidence{{Fault: 1, Step: history.StepInject, Error: "no such process"}}, 500, Unknown, "(no such process)"},
		{"not healed", []history.PlannedFault{kill}, []history.Evidence{bit}, 500, Unknown, "fault 1, kill, was still on at the end"},
		{"heal failed", []history.PlannedFault{kill}, []history.Evidence{bit, {Fault: 1, Step: history.StepHeal, Error: "it does not start"}}, 500, Unknown, "it does not start"},
		{"one of two is enough", []history.PlannedFault{kill, {ID: 3, Kind: "kill"}}, []history.Evidence{bit, healed}, 500, Valid, "1 of 2 faults"},
	} {
		e := Evidence{Plan: history.Plan{Faults: c.faults}, Evidence: c.evidence, Phases: []history.Phase{{Name: "main", End: 500 * ms}, {Name: history.FinalPhase, End: 500 * ms}}}
		r := e.Check(context.Background(), steady(c.operations))
		if r.Verdict != c.verdict || !strings.Contains(r.Summary, c.summary) {
			t.Errorf("%s: %s: %s", c.name, r.Verdict, r.Summary)
		}
	}
}

// TestASwarmMayMissAKind: nobody asked for a certain one.
func TestASwarmMayMissAKind(t *testing.T) {
	ms := time.Millisecond
	var faults []history.PlannedFault
	var evidence []history.Evidence
	for id, kind := range []string{"pause", "kill", "clock"} {
		faults = append(faults, history.PlannedFault{ID: id, Kind: kind})
		evidence = append(evidence,
			history.Evidence{Fault: id, Step: history.StepInject, Time: 100 * ms, Proven: id > 0, Skipped: id == 0, Summary: "no node was up"},
			history.Evidence{Fault: id, Step: history.StepHeal, Time: 300 * ms, Proven: true})
	}
	failed := slices.Clone(evidence)
	failed[0].Skipped = false
	for name, c := range map[string]struct {
		swarm    bool
		kinds    int
		evidence []history.Evidence
		verdict  Verdict
		summary  string
	}{
		"most bit":             {true, 3, evidence, Valid, "2 of 3 kinds of fault were shown to bite"},
		"half bit":             {true, 2, evidence, Unknown, "no pause was shown to bite"},
		"one did not bite":     {true, 3, failed, Unknown, "no pause was shown to bite"},
		"kinds were asked for": {false, 3, evidence, Unknown, "no pause was shown to bite"},
	} {
		e := Evidence{
			Plan: history.Plan{Faults: faults[:c.kinds]}, Evidence: c.evidence, Swarm: c.swarm,
			Phases: []history.Phase{{Name: "main", End: 500 * ms}, {Name: history.FinalPhase, End: 500 * ms}},
		}
		if r := e.Check(context.Background(), steady(500)); r.Verdict != c.verdict || !strings.Contains(r.Summary, c.summary) {
			t.Errorf("%s: %s: %s", name, r.Verdict, r.Summary)
		}
	}
}

// TestAfterAFaultThatHitEveryNodeWhatFollowsCounts: nobody could answer while it was on.
func TestAfterAFaultThatHitEveryNodeWhatFollowsCounts(t *testing.T) {
	ms := time.Millisecond
	bit := history.Evidence{Fault: 1, Kind: "kill", Step: history.StepInject, Time: 500 * ms, Took: 10 * ms, Proven: true, Nodes: []string{"n1", "n2"}}
	healed := history.Evidence{Fault: 1, Kind: "kill", Step: history.StepHeal, Time: 511 * ms, Proven: true}
	links := bit
	links.Links = [][2]string{{"n1", "n2"}}
	for _, c := range []struct {
		name    string
		nodes   int
		bit     history.Evidence
		n       int
		verdict Verdict
	}{
		{"every node", 2, bit, 540, Valid},
		{"every node, and too little after it", 2, bit, 520, Unknown},
		{"two of three", 3, bit, 540, Unknown},
		{"nobody knows of how many", 0, bit, 540, Unknown},
		{"only the links between them", 2, links, 540, Unknown},
	} {
		e := Evidence{
			Nodes: c.nodes, Plan: history.Plan{Faults: []history.PlannedFault{{ID: 1, Kind: "kill"}}},
			Evidence: []history.Evidence{c.bit, healed}, Phases: []history.Phase{{Name: "main", End: time.Second}, {Name: history.FinalPhase, End: time.Second}},
		}
		r := e.Check(context.Background(), steady(c.n))
		if r.Verdict != c.verdict {
			t.Errorf("%s: %s: %s", c.name, r.Verdict, r.Summary)
		}
		if on := r.Table.Rows[0][5]; on != lasting(ms) {
			t.Errorf("%s: on for %s, want %s", c.name, on, lasting(ms))
		}
	}
}

func TestEvidenceWantsARunThatWentAsPlanned(t *testing.T) {
	final := history.Phase{Name: history.FinalPhase}
	for _, c := range []struct {
		name     string
		phases   []history.Phase
		problems []string
		verdict  Verdict
		summary  string
	}{
		{"as planned", []history.Phase{{Name: "main"}, final}, nil, Valid, "succeeded"},
		{"another program's history", nil, nil, Valid, "succeeded"},
		{"cut short", []history.Phase{{Name: "main"}}, nil, Unknown, "ended before its final phase"},
		{"did not recover", []history.Phase{{Name: "main"}, {Name: "quiesce", Note: "n2 stays down"}, final}, nil, Unknown, "quiesce did not go as planned (n2 stays down)"},
		{"half a history", []history.Phase{final}, []string{"history.jsonl: 7 line(s) dropped"}, Unknown, "7 line(s) dropped"},
	} {
		r := Evidence{Phases: c.phases, Problems: c.problems}.Check(context.Background(), steady(200))
		if r.Verdict != c.verdict || !strings.Contains(r.Summary, c.summary) {
			t.Errorf("%s: %s: %s", c.name, r.Verdict, r.Summary)
		}
	}
}

func TestEvidenceTable(t *testing.T) {
	ms := time.Millisecond
	e := Evidence{
		Plan: history.Plan{Faults: []history.PlannedFault{{ID: 1, Kind: "kill"}, {ID: 2, Kind: "kill"}}},
		Evidence: []history.Evidence{ // two that overlap: their time on counts once
			{Fault: 1, Step: history.StepInject, Time: 100 * ms, Proven: true},
			{Fault: 2, Step: history.StepInject, Time: 150 * ms, Proven: true},
			{Fault: 1, Step: history.StepHeal, Time: 200 * ms},
			{Fault: 2, Step: history.StepHeal, Time: 300 * ms},
		},
	}
	r := e.Check(context.Background(), steady(500))
	if got := strings.Join(r.Table.Rows[0], " "); got != "kill 2 2 0 0 200 ms 201 201 " {
		t.Error(got)
	}
}

// quiet is n writes that are tried, one a millisecond, of which those in a stretch fail.
func quiet(n, from, to int) history.History {
	h := steady(n)
	for i := range h {
		if h[i].Type == history.OK && i/2 >= from && i/2 < to {
			h[i].Type = history.Fail
		}
	}
	return h
}

func TestAKindUnderWhichNothingSucceededIsSaid(t *testing.T) {
	ms := time.Millisecond
	h := quiet(9000, 1000, 7500) // others succeed before and after
	for _, c := range []struct {
		name    string
		hit     []string
		phase   string
		to      time.Duration
		verdict Verdict
		note    string
		summary string
		other   []string // nodes that another fault hits meanwhile
	}{
		{"a minority for long", []string{"n1"}, "", 7000 * ms, Unknown, "nothing succeeded", "nothing succeeded while pause was on, also not in the 6 s", nil},
		{"a minority, and another fault as many again", []string{"n1", "n4"}, "", 7000 * ms, Valid, "nothing succeeded", "", []string{"n2"}},
		{"a minority, and another fault the same", []string{"n1"}, "", 7000 * ms, Unknown, "nothing succeeded", "also not in the 6 s", []string{"n1"}},
		{"a minority for a short time", []string{"n1"}, "", 3000 * ms, Valid, "nothing succeeded", "", nil},
		{"a majority", []string{"n1", "n2", "n3"}, "", 7000 * ms, Valid, "nothing succeeded", "", nil},
		{"links of nobody in particular", nil, "", 7000 * ms, Valid, "nothing succeeded", "", nil},
		{"something succeeded in the end", []string{"n1"}, "", 7600 * ms, Valid, "", "", nil},
		{"in the liveness phase", []string{"n1"}, history.LivenessPhase, 7000 * ms, Valid, "", "", nil},
	} {
		e := Evidence{
			Nodes: 5,
			Plan:  history.Plan{Faults: []history.PlannedFault{{ID: 1, Kind: "kill"}, {ID: 2, Kind: "pause", Phase: c.phase}}},
			Evidence: []history.Evidence{
				{Fault: 1, Step: history.StepInject, Time: 0, Proven: true, Nodes: []string{"n1"}},
				{Fault: 1, Step: history.StepHeal, Time: 500 * ms, Proven: true},
				{Fault: 2, Step: history.StepInject, Time: 1000 * ms, Proven: true, Nodes: c.hit},
				{Fault: 2, Step: history.StepHeal, Time: c.to, Proven: true},
				{Fault: 3, Step: history.StepInject, Time: 900 * ms, Skipped: c.other == nil, Nodes: c.other},
				{Fault: 3, Step: history.StepHeal, Time: 8000 * ms},
			},
		}
		r := e.Check(context.Background(), h)
		note := r.Table.Rows[1][8]
		if r.Verdict != c.verdict || !strings.Contains(r.Summary, c.summary) || !strings.HasPrefix(note, c.note) || c.note == "" && note != "" {
			t.Errorf("%s: %s: %s; row %q", c.name, r.Verdict, r.Summary, r.Table.Rows[1])
		}
	}
}

func TestFaultsOfTheLivenessPhaseAloneAskForNothingMeanwhile(t *testing.T) {
	ms := time.Millisecond
	e := Evidence{
		Plan: history.Plan{Faults: []history.PlannedFault{{ID: 1, Kind: "kill", Phase: history.LivenessPhase}}},
		Evidence: []history.Evidence{
			{Fault: 1, Step: history.StepInject, Time: 600 * ms, Proven: true},
			{Fault: 1, Step: history.StepHeal, Time: 700 * ms, Proven: true},
		},
	}
	r := e.Check(context.Background(), steady(500))
	if r.Verdict != Valid || r.Table.Rows[0][0] != "kill (liveness)" {
		t.Errorf("%s: %s; rows %v", r.Verdict, r.Summary, r.Table.Rows)
	}
}
