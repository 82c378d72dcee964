package nemesis

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
)

func TestExpandReadsWhatPeopleWrite(t *testing.T) {
	plan, err := Expand(`
# the leader's clock is set back, then it is cut off
at 1s every 10s clock leader skew=bump offset=-1m for 6s
at 2s..3s partition isolate-leader for 500ms..2s   # drawn
lane second at 0s kill all for 1s
`, 7, 25*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var clocks []time.Duration
	for _, f := range plan {
		switch f.Kind {
		case "clock":
			clocks = append(clocks, time.Duration(f.At))
			if want := min(6*time.Second, 25*time.Second-time.Duration(f.At)); f.Args["offset"] != "-1m" || time.Duration(f.For) != want {
				t.Errorf("clock is %+v", f)
			}
		case "partition":
			if at, length := time.Duration(f.At), time.Duration(f.For); at < 2*time.Second || at > 3*time.Second || length < time.Second/2 || length > 2*time.Second {
				t.Errorf("partition is %+v", f)
			}
		case "kill":
			if f.Lane != "second" || f.ID != 1 {
				t.Errorf("kill is %+v", f)
			}
		}
	}
	if want := []time.Duration{time.Second, 11 * time.Second, 21 * time.Second}; !reflect.DeepEqual(clocks, want) {
		t.Errorf("clock faults at %v, want %v", clocks, want)
	}
	again, err := Expand(Text(plan), 7, 25*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if Text(again) != Text(plan) {
		t.Errorf("written and read again, the plan is\n%s\nand was\n%s", Text(again), Text(plan))
	}
}

func TestExpandNamesLineAndField(t *testing.T) {
	for given, mention := range map[string]string{
		"at 1s kill for 1s\nat x kill for 1s":             "plan line 2: at:",
		"at 1s kill leader":                               "for:",
		"at 1s for 1s":                                    "no kind",
		"at 1s frob for 1s":                               "frob",
		"at 1s kill nobody for 1s":                        "nobody",
		"at 1s kill leader extra for 1s":                  `"extra"`,
		"at 3s..1s kill for 1s":                           "range",
		"at 1s every 0s kill for 1s":                      "every",
		"at 1s clock leader skew=sideways for 1s":         "sideways",
		"at 1s partition links links=\"n1>n2 for 1s":      "quote",
		"at 1s kill leader for 5s\nat 2s kill one for 1s": "lane kill",
		"at":                      "nothing given",
		"at 1s at 2s kill for 1s": "at: given twice",
		"at 1s clock one skew=bump skew=bump for 1s": "skew: given twice",
		"at 1s times 3 kill for 1s":                  "without every",
		"at 1s every 2s times 0 kill for 1s":         `times: "0" given`,
		"at 1s kill n1,n1 for 1s":                    "or nodes such as n1,n3",
		"at 1s kill n01 for 1s":                      "target of kill",
		"at 1s kill leader fro 1s":                   `word after the target: "fro" given, one of at, every, times, for, lane allowed`,
	} {
		if _, err := Expand(given, 1, time.Minute); err == nil || !strings.Contains(err.Error(), mention) {
			t.Errorf("%q gave %v, which should mention %q", given, err, mention)
		}
	}
}

func TestEveryEndsAfterItsTimes(t *testing.T) {
	plan, err := Expand("at 1s..2s every 5s times 3 kill n2,n1 for 1s", 1, time.Minute)
	if err != nil || len(plan) != 3 || plan[2].Target != "n2,n1" {
		t.Errorf("%v, error %v", plan, err)
	}
}

func TestCheckNodesNamesWhoIsNotThere(t *testing.T) {
	for text, mention := range map[string]string{
		"at 1s kill n1,n4 for 1s":                          `target of kill: "n4" given, one of n1, n2, n3 allowed`,
		"at 1s partition n5 for 1s":                        "target of partition",
		`at 1s partition links links="n1>n2 n9>n1" for 1s`: `argument links of partition: "n9" given`,
		"at 1s kill n1,n3 for 1s":                          "",
		"at 1s kill leader for 1s":                         "",
	} {
		plan, err := Expand(text, 1, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		err = CheckNodes(plan, []string{"n1", "n2", "n3"})
		if (err == nil) != (mention == "") || err != nil && !strings.Contains(err.Error(), mention) {
			t.Errorf("%q gave %v, which should mention %q", text, err, mention)
		}
	}
}

// TestTheManualsExamplesAreRead reads every example in docs/plans.md.
func TestTheManualsExamplesAreRead(t *testing.T) {
	b, err := os.ReadFile("../docs/plans.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, part := range strings.Split(string(b), "```plan\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		plan, err := Expand(text, 1, time.Minute)
		if err != nil || len(plan) == 0 {
			t.Errorf("%d faults in\n%s\nerror %v", len(plan), text, err)
		}
		examples++
	}
	if examples < 3 {
		t.Errorf("the manual has %d examples", examples)
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("at 5s partition isolate-leader for 4s\nlane x at 1s..2s every 3s kill one for 1s # c")
	f.Add("at 1s every 2s times 3 kill n1,n3 for 1s\nat 2s partition n2 for 1s")
	f.Add(`at 1s partition links links="n1>n2 n2>n1" for 1s`)
	f.Fuzz(func(t *testing.T, text string) {
		plan, err := Expand(text, 1, 10*time.Second)
		if err != nil {
			return
		}
		again, err := Expand(Text(plan), 1, 10*time.Second)
		if err != nil {
			t.Fatalf("%q became %q, which is refused: %v", text, Text(plan), err)
		}
		strip := func(plan []history.PlannedFault) []history.PlannedFault {
			for i := range plan {
				plan[i].Seed = 0
			}
			return plan
		}
		if !reflect.DeepEqual(strip(plan), strip(again)) {
			t.Fatalf("%+v became %+v", plan, again)
		}
	})
}
