package nemesis

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
	"rift/nemesis/vdso"
)

func TestScheduleLeadsThroughItsPoints(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		text, clock string
		want        course
	}{
		{"0s:+500ms", "", course{{skew: vdso.Skew{Wall: vdso.Clock{Offset: 500 * ms}}}}},
		{"2s:-1h", "", course{{}, {2 * time.Second, vdso.Skew{Wall: vdso.Clock{Offset: -time.Hour}}}}},
		{"0s:+0 2s:+500ms 4s:-1h", "", course{
			{}, {2 * time.Second, vdso.Skew{Wall: vdso.Clock{Offset: 500 * ms}}}, {4 * time.Second, vdso.Skew{Wall: vdso.Clock{Offset: -time.Hour}}},
		}},
		{"1s:~+500ms 2s:~+0", "", course{ // there and back
			{0, vdso.Skew{Wall: vdso.Clock{Rate: 1.5}}},
			{time.Second, vdso.Skew{Wall: vdso.Clock{Offset: 500 * ms, Rate: 0.5}}},
			{2 * time.Second, vdso.Skew{}},
		}},
		{"0s:x1.5 2s:x1 3s:+10ms", "", course{ // what a rate has brought stays
			{0, vdso.Skew{Wall: vdso.Clock{Rate: 1.5}}},
			{2 * time.Second, vdso.Skew{Wall: vdso.Clock{Offset: time.Second}}},
			{3 * time.Second, vdso.Skew{Wall: vdso.Clock{Offset: 10 * ms}}},
		}},
		{"0s:x0.5 2s:x0.25", onMonotonic, course{
			{0, vdso.Skew{Monotonic: vdso.Clock{Rate: 0.5}}}, {2 * time.Second, vdso.Skew{Monotonic: vdso.Clock{Rate: 0.25}}},
		}},
		{"0s:x0.5 2s:+1h", onBoth, course{
			{0, vdso.Skew{Wall: vdso.Clock{Rate: 0.5}, Monotonic: vdso.Clock{Rate: 0.5}}}, {2 * time.Second, vdso.Skew{Wall: vdso.Clock{Offset: time.Hour}}},
		}},
	} {
		s, err := parseSkew(scheduleArgs(c.text, c.clock))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got, err := s.course(); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, want %+v", c.text, got, err, c.want)
		}
		if again, err := parsePoints(s.args()["schedule"]); err != nil || !reflect.DeepEqual(again, s.points) {
			t.Errorf("%s is written as %s: %v", c.text, s.args()["schedule"], err)
		}
	}
}

func scheduleArgs(text, clock string) map[string]string {
	args := map[string]string{"skew": scheduled, "schedule": text}
	if clock != "" {
		args["clock"] = clock
	}
	return args
}

func TestScheduleRefusesBadPoints(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "0 points given, 1 to 100 allowed"},
		{strings.Repeat("0s:+1s ", 101), "101 points given"},
		{"soon:+1s", `point "soon:+1s": TIME:VALUE with a time of at most`},
		{"1s", `point "1s": TIME:VALUE`},
		{"-1s:+1s", `point "-1s:+1s": TIME:VALUE`},
		{"0s:+1s 0s:+2s", `point "0s:+2s": a time after 0s allowed`},
		{"0s:+1ms", `"+1ms" given, +0 or a time of at least 2ms`},
		{"0s:x", `rate "" given`},
		{"0s:xNaN", `Wall.Rate: NaN given`},
		{"0s:x1.001", `rate "1.001" given, 1 or a number at least 0.01 away from it allowed`},
		{"0s:~+1s", "a gradual way needs time"},
		{"0s:x2 1s:~+1s", "no gradual way follows on a rate"},
		{"1s:~-1h", "Wall.Rate: -3599 given"},
		{"0s:x100 2000h:x1", "at most 1000h0m0s"},
		{"0s:+175200h 1s:~+175200h10s", "the wall clock comes to be 175200h0m10s off"},
		{"0s:+0", "every clock stays true"},
		{"4s:+1h", "every clock stays true for 4s, at most 3s allowed"},
	} {
		if _, err := parseSkew(scheduleArgs(c.text, "")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

// A course leads from segment to segment without a step, but where the schedule says that the clock jumps.
func TestCourseIsContinuousButForJumps(t *testing.T) {
	r := random()
	for range 500 {
		points := drawPoints(r, 6*time.Second)
		c, err := follow(points, "")
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range c[1:] {
			step := s.skew.Wall.Offset - c[i].wallAt(s.from)
			if jumps := points[i+1].manner == jump; !jumps && step.Abs() > time.Microsecond {
				t.Fatalf("%s: a step of %v at %v", pointsText(points), step, s.from)
			}
			if at := c.at(s.from); at != i+1 || c.at(s.from-1) != i {
				t.Fatalf("at %v segment %d is in force, want %d", s.from, at, i+1)
			}
		}
	}
}

// While a schedule is in, the clocks of all nodes follow it, each its own share, and each turn is measured.
func TestClockFollowsItsSchedule(t *testing.T) {
	needClocks(t)
	c := newProcessCluster(t, 2)
	f := clockFault(t, All, "skew=schedule", "schedule=100ms:+1h 300ms:~+1h100ms 500ms:-1h 700ms:x0.5", "clock=both")
	told := listenTo(f)
	if e := inject(t, f, c); !e.Proven || e.Measures["apart_ms"] < 60e3 {
		t.Fatalf("inject: %+v", e)
	}
	for i := range 3 {
		e := told.next(t)
		if e.Step != history.StepChange || len(e.Nodes) != 2 {
			t.Errorf("turn %d: %+v", i, e)
		}
		if i == 2 && (!e.Proven || math.Abs(e.Measures["n1_monotonic_rate"]-0.5) > 0.2) { // the others end before a slow machine has measured them
			t.Errorf("the last turn: %+v", e)
		}
	}
	for node, course := range f.(*clock).hit {
		r := readNode(t, c, node)
		want := course[len(course)-1].wallAt(r.At - f.(*clock).began)
		if (r.Wall-want).Abs() > 50*time.Millisecond || r.Monotonic > -time.Millisecond {
			t.Errorf("in the end %s is %v off, want %v; its monotonic clock %v", node, r.Wall, want, r.Monotonic)
		}
	}
	if healed := heal(t, f, c); !healed.Proven {
		t.Errorf("heal: %+v", healed)
	}
}

// A fault that is healed in the middle of its schedule leaves nothing going on.
func TestClockIsHealedWithinItsSchedule(t *testing.T) {
	needClocks(t)
	c := newProcessCluster(t, 1)
	f := clockFault(t, All, "skew=schedule", "schedule=0s:+1h 100ms:+2h 200ms:+3h 10m:+4h")
	inject(t, f, c)
	if healed := heal(t, f, c); !healed.Proven {
		t.Errorf("heal: %+v", healed)
	}
	if r := readNode(t, c, "n1"); !isNear(r, 0) {
		t.Errorf("healed it is %v off", r.Wall)
	}
}
