package gen

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"rift/harness/history"
)

func numbered(f string) Generator {
	return Func(func(i int) Op { return Op{F: f, Value: json.RawMessage(fmt.Sprint(i))} })
}

// play asks for every worker in turn and completes each operation at once, with the outcome that ends gives. It
// stops when all are done, or after most steps.
func play(t *testing.T, g Generator, workers, most int, ends func(op Op) history.Type) []string {
	t.Helper()
	var got []string
	for range most {
		done := 0
		for w := range workers {
			var s Step
			s, g = g.Next(Context{Worker: w, Workers: workers, Time: time.Duration(len(got)) * time.Second})
			switch s.Status {
			case Done:
				done++
			case Ready:
				got = append(got, fmt.Sprintf("%d:%s%s%s", w, s.Op.F, s.Op.Key, s.Op.Value))
				g = Observe(g, w, ends(s.Op))
			}
		}
		if done == workers {
			break
		}
	}
	return got
}

func allOK(Op) history.Type { return history.OK }

func TestCombinators(t *testing.T) {
	key := func(i int) Generator {
		return Limit(2, Func(func(j int) Op { return Op{F: "w", Key: fmt.Sprintf("k%d", i), Value: json.RawMessage(fmt.Sprint(j))} }))
	}
	flaky := func(op Op) history.Type {
		if op.F == "bad" {
			return history.Info
		}
		return history.OK
	}
	for _, tc := range []struct {
		name    string
		g       Generator
		workers int
		ends    func(Op) history.Type
		want    []string
	}{
		{"limit", Limit(3, numbered("a")), 2, allOK, []string{"0:a0", "1:a1", "0:a2"}},
		{"until", Until(2*time.Second, numbered("a")), 1, allOK, []string{"0:a0", "0:a1"}},
		{"phases", Phases(Limit(1, numbered("a")), Limit(2, numbered("b"))), 2, allOK, []string{"0:a0", "1:b0", "0:b1"}},
		{"reserve", Limit(4, Reserve(1, numbered("a"), numbered("b"))), 2, allOK, []string{"0:a0", "1:b0", "0:a1", "1:b1"}},
		{"each worker", EachWorker(2, Limit(1, numbered("a"))), 2, allOK, []string{"0:a0", "1:a0"}},
		{"keys rotate", Limit(6, PerKey(2, key)), 2, allOK, []string{"0:wk00", "1:wk10", "0:wk01", "1:wk11", "0:wk20", "1:wk30"}},
		{"groups share a key", Limit(3, PerKey(1, key)), 2, allOK, []string{"0:wk00", "1:wk01", "0:wk10"}},
		{"until ok", UntilOK(3, Op{F: "good"}, Op{F: "bad"}), 1, flaky, []string{"0:good", "0:bad", "0:bad", "0:bad"}},
		{"until ok on each", EachWorker(2, UntilOK(2, Op{F: "bad"})), 2, flaky, []string{"0:bad", "1:bad", "0:bad", "1:bad"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := play(t, tc.g, tc.workers, 20, tc.ends); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

func TestAfterDefersWhatIsEarly(t *testing.T) {
	late := After(time.Second, UntilOK(2, Op{F: "a"}))
	s, g := late.Next(Context{})
	if s.Status != Ready || s.At != time.Second {
		t.Errorf("it gives %+v, want an operation at 1 s", s)
	}
	if s, _ = Observe(g, 0, history.Info).Next(Context{Time: 2 * time.Second}); s.Status != Ready || s.At != time.Second {
		t.Errorf("after a failure it gives %+v", s)
	}
	if s, _ = After(time.Second, After(time.Minute, numbered("a"))).Next(Context{}); s.At != time.Minute {
		t.Errorf("what is later anyway comes at %s", s.At)
	}
}

func TestPhasesWaitForOpenOperations(t *testing.T) {
	g := Phases(Limit(1, numbered("a")), numbered("b"))
	s, g := g.Next(Context{Workers: 2})
	if s.Status != Ready {
		t.Fatal("the first phase gave nothing")
	}
	if s, _ = g.Next(Context{Worker: 1, Workers: 2, Busy: 1}); s.Status != Wait {
		t.Errorf("with an operation open, the next phase gave %v", s)
	}
	if s, _ = g.Next(Context{Worker: 1, Workers: 2}); s.Status != Ready || s.Op.F != "b" {
		t.Errorf("with none open, the next phase gave %v", s)
	}
}

func TestRestGoesOnWhereUntilEnded(t *testing.T) {
	g := Until(time.Second, numbered("a"))
	first, g := g.Next(Context{})
	if s, ended := g.Next(Context{Time: time.Second}); s.Status != Done {
		t.Fatalf("after its time it gives %v", s)
	} else if next, _ := Rest(ended).Next(Context{Time: 2 * time.Second}); next.Status != Ready || string(next.Op.Value) == string(first.Op.Value) {
		t.Errorf("its rest gives %v after %v", next, first)
	}
	if s, _ := Rest(numbered("b")).Next(Context{}); s.Status != Ready {
		t.Errorf("the rest of a stream without an end gives %v", s)
	}
}

func TestUntilOKWaitsForTheOthers(t *testing.T) {
	s, g := UntilOK(2, Op{F: "a"}).Next(Context{Worker: 0})
	if s.Status != Ready {
		t.Fatal(s)
	}
	if s, _ = g.Next(Context{Worker: 1}); s.Status != Wait {
		t.Errorf("while the operation is open: %v", s)
	}
	g = Observe(g, 0, history.Fail)
	if s, _ = g.Next(Context{Worker: 1}); s.Status != Ready {
		t.Errorf("after it failed: %v", s)
	}
}

func TestGeneratorsAreValues(t *testing.T) {
	for name, g := range map[string]Generator{
		"mix":      Mix(1, Weighted{1, numbered("a")}, Weighted{2, numbered("b")}),
		"per key":  PerKey(2, func(i int) Generator { return Limit(3, numbered(fmt.Sprint(i))) }),
		"stagger":  Stagger(1, 10, numbered("a")),
		"until ok": UntilOK(2, Op{F: "a"}, Op{F: "b"}, Op{F: "c"}),
	} {
		_, later := g.Next(Context{Worker: 1, Workers: 2})
		for range 3 {
			first, _ := g.Next(Context{Workers: 2})
			again, _ := g.Next(Context{Workers: 2})
			if !reflect.DeepEqual(first, again) {
				t.Errorf("%s: asking twice gave %v and %v", name, first, again)
			}
			a, _ := later.Next(Context{Workers: 2})
			b, _ := later.Next(Context{Workers: 2})
			if !reflect.DeepEqual(a, b) {
				t.Errorf("%s: asking what follows twice gave %v and %v", name, a, b)
			}
		}
	}
}

func TestMixKeepsItsWeights(t *testing.T) {
	const n = 10_000
	got := play(t, Limit(n, Mix(3, Weighted{1, numbered("a")}, Weighted{3, numbered("b")})), 1, n+1, allOK)
	a := 0
	for _, op := range got {
		if op[2] == 'a' {
			a++
		}
	}
	if share := float64(a) / n; math.Abs(share-0.25) > 0.02 {
		t.Errorf("weight 1 of 4 was drawn with frequency %.3f", share)
	}
}

func TestStaggerKeepsItsRate(t *testing.T) {
	const n, rate = 10_000, 50.0
	g := Stagger(1, rate, numbered("a"))
	var last, at time.Duration
	for range n {
		var s Step
		s, g = g.Next(Context{})
		if s.At < last {
			t.Fatalf("an operation at %s after one at %s", s.At, last)
		}
		last, at = s.At, s.At
	}
	if got := n / at.Seconds(); math.Abs(got-rate) > rate/20 {
		t.Errorf("rate %.1f/s, want %.1f/s", got, rate)
	}
}

func BenchmarkPerKeyMix(b *testing.B) {
	g := PerKey(2, func(i int) Generator { return Limit(200, numbered("a")) })
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, g = g.Next(Context{Worker: i % 10, Workers: 10})
	}
}

func TestListedGivesEachWorkerItsOwn(t *testing.T) {
	op := func(client int, at time.Duration, value string) history.TimedOp {
		return history.TimedOp{Client: client, At: history.Duration(at), F: "w", Value: json.RawMessage(value)}
	}
	g := Listed([]history.TimedOp{op(0, 1, "1"), op(2, 2, "2"), op(0, 3, "3")})
	if got, want := play(t, g, 4, 20, allOK), []string{"0:w1", "2:w2", "0:w3"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	first, later := g.Next(Context{Worker: 0})
	again, _ := g.Next(Context{Worker: 0})
	if next, _ := later.Next(Context{Worker: 0}); first.At != 1 || again.At != 1 || next.At != 3 {
		t.Errorf("at %d, asked again %d, then %d; want 1, 1, 3", first.At, again.At, next.At)
	}
}
