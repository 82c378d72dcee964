package nemesis

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
)

func TestRanTellsWhatBecameOfEachFault(t *testing.T) {
	ms := time.Millisecond
	plan := []history.PlannedFault{
		{ID: 1, Lane: "kill", Kind: "kill", Target: Leader, At: history.Duration(5 * time.Second), For: history.Duration(2 * time.Second)},
		{ID: 2, Lane: "second", Kind: "partition", Target: OneWay, Args: map[string]string{argDirection: Outgoing}, At: history.Duration(6 * time.Second), For: history.Duration(time.Second)},
		{ID: 3, Lane: "pause", Kind: "pause", Target: One, At: history.Duration(7 * time.Second), For: history.Duration(time.Second)},
		{ID: 4, Lane: "clock", Kind: "clock", Target: One, Args: map[string]string{"skew": "bump", "offset": "1m"}, At: history.Duration(8 * time.Second), For: history.Duration(time.Second)},
		{ID: 5, Lane: "kill", Kind: "kill", Target: All, At: history.Duration(9 * time.Second), For: history.Duration(time.Second)},
		{ID: 6, Phase: history.LivenessPhase, Lane: "liveness-n2", Kind: "pause", Target: "n2", For: history.Duration(time.Second)},
	}
	got := Ran(plan, []history.Evidence{
		{Fault: 1, Step: history.StepInject, Time: 7012*ms + 345*time.Microsecond, Nodes: []string{"n3"}, Proven: true, Summary: "killed leader n3;\n gone within 3.1 ms"},
		{Fault: 1, Step: history.StepHeal, Time: 9112*ms + 900*time.Microsecond, Nodes: []string{"n3"}, Proven: true},
		{Fault: 2, Step: history.StepInject, Time: 8001 * ms, Nodes: []string{"n1"}, Links: [][2]string{{"n1", "n2"}, {"n1", "n3"}}, Summary: "nothing timed out"},
		{Fault: 3, Step: history.StepInject, Skipped: true, Summary: "no node for target one"},
		{Fault: 4, Step: history.StepInject, Error: "no vDSO"},
		{Fault: 6, Step: history.StepInject, Nodes: []string{"n2"}, Proven: true, Summary: "paused n2"},
	}, 2*time.Second)
	want := `at 5.012s kill n3 for 2.1s   # planned: at 5s kill leader for 2s; proven: killed leader n3; gone within 3.1 ms
lane second at 6.001s partition links links="n1>n2 n1>n3" for 1s   # planned: at 6s partition one-way direction=outgoing for 1s; not proven: nothing timed out
# skipped: at 7s pause one for 1s; no node for target one
# failed: at 8s clock one offset=1m skew=bump for 1s; no vDSO
# never put in: at 9s kill all for 1s
# in the liveness phase, pause n2; paused n2
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// hitAtRandom makes up evidence of a plan, as if faults came late, lasted longer, and hit somebody.
func hitAtRandom(plan []history.PlannedFault, start time.Duration, r *rand.Rand) (evidence []history.Evidence) {
	nodes := []string{"n1", "n2", "n3", "n4", "n5"}
	for _, p := range plan {
		in := start + time.Duration(p.At) + time.Duration(r.Int64N(int64(20*time.Millisecond)))
		e := history.Evidence{Fault: p.ID, Step: history.StepInject, Time: in, Proven: true, Summary: `saw "it" # with a mark`}
		e.Nodes = nodes[:1+r.IntN(3)]
		if kind, _ := Find(p.Kind); slices.Contains(kind.Targets, Links) {
			e.Links = cutNodes(MajorityMinority, "", nodes, r).links
		}
		evidence = append(evidence, e, history.Evidence{Fault: p.ID, Step: history.StepHeal, Time: in + time.Duration(p.For) - time.Millisecond})
	}
	return evidence
}

func TestWhatRanIsAPlanOfWhatItHit(t *testing.T) {
	for seed := range int64(20) {
		r := rand.New(rand.NewPCG(uint64(seed), 0))
		plan := Schedule(seed, time.Minute, everyKind())
		evidence := hitAtRandom(plan, time.Hour, r)
		text := Ran(plan, evidence, time.Hour)
		again, err := Expand(text, seed, 2*time.Minute)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if len(again) != len(plan) {
			t.Fatalf("seed %d: %d faults became %d", seed, len(plan), len(again))
		}
		if err := CheckNodes(again, []string{"n1", "n2", "n3", "n4", "n5"}); err != nil {
			t.Fatal(err)
		}
		for _, f := range again {
			kind, _ := Find(f.Kind)
			named := namedNodes(f.Target) != nil || f.Target == Links && f.Args[argLinks] != ""
			if takesNames(kind.Targets) && !named {
				t.Errorf("seed %d: %s is not aimed at what it hit", seed, f)
			}
		}
		if Text(again) != withoutComments(text) {
			t.Fatalf("seed %d: read and written again, it is\n%s\nand was\n%s", seed, Text(again), text)
		}
	}
}

func withoutComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "   #")
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}
