package nemesis

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"testing"
	"time"

	"rift/harness/history"
	"rift/nemesis/procevents"
	"rift/nemesis/vdso"
)

// tales are what a fault tells by itself.
type tales chan history.Evidence

func listenTo(f Fault) tales {
	told := make(tales, 1000)
	f.(Reporter).Report(func(step string, took time.Duration, e history.Evidence, err error) {
		e.Step, e.Took = step, took
		if err != nil {
			e.Error = err.Error()
		}
		told <- e
	})
	return told
}

// next waits for the next of them.
func (told tales) next(t testing.TB) history.Evidence {
	t.Helper()
	select {
	case e := <-told:
		return e
	case <-time.After(30 * time.Second):
		t.Fatal("the fault tells nothing")
		return history.Evidence{}
	}
}

// unheard is of a kernel that does not tell of execs.
func unheard() (*procevents.Listener, error) { return nil, procevents.ErrUnavailable }

// A program that replaces itself, and a child that it starts, are skewed without anybody saying so to the fault; and true when it is healed.
func TestClockFollowsPrograms(t *testing.T) {
	needClocks(t)
	for _, way := range []struct {
		name   string
		listen func() (*procevents.Listener, error)
	}{{"told", procevents.Listen}, {"looking", unheard}} {
		t.Run(way.name, func(t *testing.T) {
			c := newProgramCluster(t, 1, "clock")
			f := clockFault(t, All, "skew=bump", "offset=1h").(*clock)
			f.listen = way.listen
			told := listenTo(f)
			if e := inject(t, f, c); !e.Proven {
				t.Fatalf("inject: %+v", e)
			}
			sees(t, c, time.Hour)
			if answer := c.ask("n1", "exec"); answer != "ready" {
				t.Fatalf("the program could not replace itself: %s", answer)
			}
			reapplied(t, told)
			sees(t, c, time.Hour)

			child, err := strconv.Atoi(c.ask("n1", "child"))
			if err != nil {
				t.Fatal(err)
			}
			reapplied(t, told)
			if off := watchOf(t, child).Wall.Offset; off != time.Hour {
				t.Errorf("a child is %v off", off)
			}
			if healed := heal(t, f, c); !healed.Proven {
				t.Errorf("heal: %+v", healed)
			}
			sees(t, c, 0)
			if off := watchOf(t, child).Wall.Offset; off != 0 {
				t.Errorf("a healed child is %v off", off)
			}
		})
	}
}

// sees fails unless the program itself sees its wall clock so far off.
func sees(t *testing.T, c *processCluster, off time.Duration) {
	t.Helper()
	before := time.Now()
	seen, err := strconv.ParseInt(c.ask("n1", "now"), 10, 64)
	after := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	if now := time.Unix(0, seen).Add(-off); now.Before(before) || now.After(after) {
		t.Errorf("the program sees %v, want %v to %v", time.Unix(0, seen), before.Add(off), after.Add(off))
	}
}

func watchOf(t *testing.T, pid int) vdso.View {
	t.Helper()
	w, err := vdso.NewWatch(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	v, err := w.Look()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func reapplied(t testing.TB, told tales) {
	t.Helper()
	if e := told.next(t); e.Step != history.StepReapply || !e.Proven || e.Error != "" || e.Applied <= 0 || e.Measures["n1_exec_to_skewed_ms"] <= 0 {
		t.Errorf("a new program: %+v", e)
	}
}

// A node that was started again has been skewed already when the fault is told of the restart, which then only measures; nothing is told twice.
func TestClockIsReappliedOnce(t *testing.T) {
	needClocks(t)
	c := newProgramCluster(t, 1, "clock")
	f := clockFault(t, All, "skew=drift", "rate=0.5", "clock=both").(*clock)
	told := listenTo(f)
	inject(t, f, c)
	if err := c.Kill(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	h, _ := c.Host("n1")
	// The children of a test have no control group and no namespace by which the fault could know whose they are.
	now, err := vdso.Now()
	if err != nil {
		t.Fatal(err)
	}
	f.skewProgram(t.Context(), c, "n1", procevents.Exec{PID: h.PID, At: now})
	before := watchOf(t, h.PID)
	e, hit, err := f.Reapply(t.Context(), c, "n1")
	if err != nil || !hit || !e.Proven || e.Measures["n1_exec_to_skewed_ms"] <= 0 {
		t.Errorf("reapply: %+v, %t, %v", e, hit, err)
	}
	after := watchOf(t, h.PID)
	for _, clock := range [][2]vdso.Course{{before.Wall, after.Wall}, {before.Monotonic, after.Monotonic}} {
		if gained := clock[1].Offset - clock[0].Offset + (after.At-before.At)/2; gained.Abs() > time.Microsecond {
			t.Errorf("to skew it twice moved a clock by %v", gained)
		}
	}
	heal(t, f, c)
	select {
	case e := <-told:
		t.Errorf("a restart was told of twice: %+v", e)
	default:
	}
}

// Whose a process is stands in its namespaces, its control group or its ancestors.
func TestProgramsKnowWhoseTheyAre(t *testing.T) {
	c := newProcessCluster(t, 2)
	var p programs
	for _, node := range c.Nodes() {
		h, _ := c.Host(node)
		p.know(h)
		pids, err := family(h.PID)
		if err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids {
			if got := p.whose(pid); got != node {
				t.Errorf("process %d of %s is taken for one of %q", pid, node, got)
			}
		}
	}
	for _, pid := range []int{os.Getpid(), os.Getppid(), 1, 1 << 22} {
		if got := p.whose(pid); got != "" {
			t.Errorf("process %d is taken for one of %s", pid, got)
		}
	}
}

// BenchmarkReapply has a program replace itself again and again. The figures are of the time from its exec to its skewed clocks.
func BenchmarkReapply(b *testing.B) {
	c := newProgramCluster(b, 1, "clock")
	made, err := clockKind.New(history.PlannedFault{Kind: "clock", Target: All, Args: map[string]string{"skew": bump, "offset": "1h"}})
	if err != nil {
		b.Fatal(err)
	}
	told := listenTo(made)
	if _, err := made.Inject(b.Context(), c, random()); err != nil {
		b.Fatal(err)
	}
	var late []float64
	for b.Loop() {
		c.ask("n1", "exec")
		late = append(late, told.next(b).Measures["n1_exec_to_skewed_ms"])
	}
	if _, err := made.Heal(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	sort.Float64s(late)
	for _, percent := range []int{50, 99} {
		b.ReportMetric(late[len(late)*percent/100], fmt.Sprintf("p%d-ms", percent))
	}
}

// BenchmarkClock puts a skew in and takes it out, and reports how long each took until it was so, without the measuring.
func BenchmarkClock(b *testing.B) {
	c := newProgramCluster(b, 3, "clock")
	var in, out time.Duration
	for b.Loop() {
		made, err := clockKind.New(history.PlannedFault{Kind: "clock", Target: All, Args: map[string]string{"skew": bump, "offset": "1h"}})
		if err != nil {
			b.Fatal(err)
		}
		injected, err := made.Inject(b.Context(), c, random())
		if err != nil {
			b.Fatal(err)
		}
		healed, err := made.Heal(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		in, out = in+injected.Applied, out+healed.Applied
	}
	b.ReportMetric(in.Seconds()*1e3/float64(b.N), "apply-ms")
	b.ReportMetric(out.Seconds()*1e3/float64(b.N), "heal-ms")
}
