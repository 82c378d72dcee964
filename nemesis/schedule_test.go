package nemesis

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
)

// choices are made of kinds that exist only here, so that the schedule is tested without the real ones.
func choices(names ...string) []Choice {
	var list []Choice
	for _, name := range names {
		list = append(list, Choice{Targets: []string{One, Leader}, Kind: Kind{
			Name: name, Targets: NodeTargets,
			Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
				return history.PlannedFault{Target: allowed[r.IntN(len(allowed))], For: history.Duration(between(r, time.Second, 5*time.Second))}
			},
		}})
	}
	return list
}

func TestScheduleIsAFunctionOfTheSeed(t *testing.T) {
	a, err := json.Marshal(Schedule(42, time.Minute, choices("kill", "pause")))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(Schedule(42, time.Minute, choices("kill", "pause")))
	if err != nil || string(a) != string(b) {
		t.Errorf("the same seed gave %s and %s (%v)", a, b, err)
	}
	c, err := json.Marshal(Schedule(43, time.Minute, choices("kill", "pause")))
	if err != nil || string(a) == string(c) {
		t.Errorf("another seed gave the same schedule (%v)", err)
	}
}

func TestAnotherLaneChangesNoLane(t *testing.T) {
	lane := func(plan []history.PlannedFault) (faults []history.PlannedFault) {
		for _, f := range plan {
			if f.Lane == "kill" {
				f.ID = 0
				faults = append(faults, f)
			}
		}
		return faults
	}
	alone, together := lane(Schedule(7, time.Minute, choices("kill"))), lane(Schedule(7, time.Minute, choices("pause", "kill", "clock")))
	if !reflect.DeepEqual(alone, together) {
		t.Errorf("alone %v\ntogether %v", alone, together)
	}
}

func TestEverySchedule(t *testing.T) {
	for _, length := range []time.Duration{200 * time.Millisecond, 2 * time.Second, 10 * time.Second, time.Minute, 10 * time.Minute} {
		for seed := range int64(200) {
			checkSchedule(t, length, Schedule(seed, length, choices("kill", "pause", "clock", "partition")))
		}
	}
}

func checkSchedule(t *testing.T, length time.Duration, plan []history.PlannedFault) {
	t.Helper()
	if lanes := checkPlan(t, length, plan); lanes != 4 {
		t.Fatalf("%s: only %d lanes take part", length, lanes)
	}
}

// checkPlan checks what holds of every plan that is drawn, and counts its lanes.
func checkPlan(t *testing.T, length time.Duration, plan []history.PlannedFault) (lanes int) {
	t.Helper()
	ends := make(map[string]time.Duration)
	last := time.Duration(-1)
	for i, f := range plan {
		at, end := time.Duration(f.At), time.Duration(f.At+f.For)
		switch {
		case f.ID != i+1:
			t.Fatalf("%s: fault %d stands at place %d", length, f.ID, i+1)
		case at < last:
			t.Fatalf("%s: fault %d is not in the order of time", length, f.ID)
		case at < ends[f.Lane]:
			t.Fatalf("%s: fault %d begins while its lane's last one is in", length, f.ID)
		case f.For <= 0 || at >= length:
			t.Fatalf("%s: fault %s does nothing", length, f)
		case end > length && length >= time.Second:
			t.Fatalf("%s: fault %s is in after the end", length, f)
		}
		last, ends[f.Lane] = at, end
	}
	return len(ends)
}

func TestQuietWindowsExist(t *testing.T) {
	plan := Schedule(1, 5*time.Minute, choices("kill", "pause", "clock", "partition"))
	var busyUntil, quiet time.Duration
	for _, f := range plan {
		quiet = max(quiet, time.Duration(f.At)-busyUntil)
		busyUntil = max(busyUntil, time.Duration(f.At+f.For))
	}
	if quiet < usual.quiet.least {
		t.Errorf("the longest time without a fault is %s", quiet)
	}
}

func TestParseChoicesNamesWhatIsWrong(t *testing.T) {
	if len(Kinds) == 0 {
		t.Fatal("there are no kinds of fault")
	}
	name := Kinds[0].Name
	for given, mention := range map[string]string{
		"kil":                            "kil",
		name + ":leder":                  "target of " + name,
		name + "," + name:                "twice",
		name + ":" + Kinds[0].Targets[0]: "",
	} {
		_, err := ParseChoices(strings.Split(given, ","))
		if (err == nil) != (mention == "") || err != nil && !strings.Contains(err.Error(), mention) {
			t.Errorf("%q gave %v, which should mention %q", given, err, mention)
		}
	}
}
