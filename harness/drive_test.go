package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"rift/harness/gen"
	"rift/harness/history"
)

// clientFunc is a client whose every call goes to one function.
type clientFunc func(ctx context.Context, op history.Op) (json.RawMessage, error)

func (f clientFunc) Invoke(ctx context.Context, op history.Op) (json.RawMessage, error) {
	return f(ctx, op)
}
func (clientFunc) Close() error { return nil }

// driveInto drives g with that client, and gives what was recorded, read back from the disk.
func driveInto(t *testing.T, ctx context.Context, d *driver, g gen.Generator, workers int) history.History {
	t.Helper()
	dir := t.TempDir()
	rec, err := NewRecorder(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.record, d.now = rec.Append, rec.Now
	d.drive(ctx, g, workers)
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	h, damage, err := history.ReadFile(filepath.Join(dir, history.HistoryFile))
	if err != nil || damage.Dropped > 0 {
		t.Fatal(err, damage)
	}
	return h
}

func newTestDriver(call clientFunc) *driver {
	return &driver{
		nodes: []Node{{Name: "n1"}, {Name: "n2"}}, opTimeout: time.Second,
		open: func(context.Context, Node) (Client, error) { return call, nil },
	}
}

func reads(n int) gen.Generator {
	return gen.Limit(n, gen.Func(func(int) gen.Op { return gen.Op{F: "read", Key: "k"} }))
}

func TestOutcomesAreRecordedAsTheyWere(t *testing.T) {
	i := 0
	d := newTestDriver(func(context.Context, history.Op) (json.RawMessage, error) {
		i++
		switch i {
		case 1:
			return json.RawMessage("7"), nil
		case 2:
			return nil, fmt.Errorf("refused: %w", ErrDidNotHappen)
		case 3:
			return nil, errors.New("connection reset")
		}
		return nil, ErrMismatch
	})
	h := driveInto(t, t.Context(), d, reads(4), 1)
	ops, err := h.Operations()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range ops {
		got = append(got, fmt.Sprintf("%d %s %s%s", o.Process, o.Node, o.Type, o.Output))
	}
	want := []string{"0 n1 ok7", "0 n1 fail", "0 n1 info", "1 n1 fail"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q: the process must be retired after the info", got, want)
	}
	if d.counts.OK.Load() != 1 || d.counts.Fail.Load() != 2 || d.counts.Info.Load() != 1 || fmt.Sprint(d.keys.list) != "[k]" {
		t.Errorf("counts %d %d %d, keys %v", d.counts.OK.Load(), d.counts.Fail.Load(), d.counts.Info.Load(), d.keys.list)
	}
}

func TestACallThatHangsEndsWithItsTimeOut(t *testing.T) {
	d := newTestDriver(func(ctx context.Context, _ history.Op) (json.RawMessage, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	d.opTimeout = time.Millisecond
	h := driveInto(t, t.Context(), d, reads(2), 2)
	if len(h) != 4 || h[3].Type != history.Info {
		t.Errorf("recorded %v", h)
	}
}

func TestWhatIsOpenWhenTheRunIsInterruptedIsIndeterminate(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	d := newTestDriver(func(ctx context.Context, _ history.Op) (json.RawMessage, error) {
		interrupt()
		<-ctx.Done()
		return nil, ctx.Err()
	})
	h := driveInto(t, ctx, d, reads(1000), 3)
	ops, err := h.Operations()
	if err != nil || len(ops) == 0 {
		t.Fatal(ops, err)
	}
	for _, o := range ops {
		if o.Type != history.Info || o.End == history.Never {
			t.Errorf("operation %d ended %v at %d; an indeterminate completion is due", o.Index, o.Type, o.End)
		}
	}
}

func TestAConnectionThatCannotBeOpenedIsADefiniteFailure(t *testing.T) {
	d := newTestDriver(nil)
	d.open = func(context.Context, Node) (Client, error) { return nil, errors.New("no route") }
	h := driveInto(t, t.Context(), d, reads(2), 1)
	if len(h) != 4 || h[1].Type != history.Fail || h[3].Type != history.Fail {
		t.Errorf("recorded %v", h)
	}
}

func TestAClientThatDoesNotHeedItsContextIsLeftBehind(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	d := newTestDriver(func(context.Context, history.Op) (json.RawMessage, error) {
		<-release
		return nil, nil
	})
	d.opTimeout = time.Millisecond
	h := driveInto(t, t.Context(), d, reads(1), 1)
	if len(h) != 2 || h[1].Type != history.Info {
		t.Errorf("recorded %v", h)
	}
}

func TestAnAnswerThatIsNoJSONIsIndeterminateAndDamagesNothing(t *testing.T) {
	answers := []string{"[1,\n 2]", "}\n{"}
	d := newTestDriver(func(context.Context, history.Op) (json.RawMessage, error) {
		a := answers[0]
		answers = answers[1:]
		return json.RawMessage(a), nil
	})
	h := driveInto(t, t.Context(), d, reads(2), 1)
	if len(h) != 4 || string(h[1].Value) != "[1,2]" || h[3].Type != history.Info {
		t.Errorf("recorded %v", h)
	}
}

func TestAWorkerThatIsDoneWakesThoseThatWait(t *testing.T) {
	d := newTestDriver(func(context.Context, history.Op) (json.RawMessage, error) { return nil, nil })
	op := gen.Func(func(int) gen.Op { return gen.Op{F: "read"} })
	g := gen.Phases(gen.EachWorker(3, gen.Limit(1, op)), gen.Reserve(1, gen.Limit(2, op), gen.Limit(0, op)), gen.EachWorker(3, gen.Limit(1, op)))
	if h := driveInto(t, t.Context(), d, g, 3); len(h) != 2*(3+2+3) {
		t.Errorf("%d events, want 16", len(h))
	}
}

func TestTimesOfTheGeneratorAreKept(t *testing.T) {
	d := newTestDriver(func(context.Context, history.Op) (json.RawMessage, error) { return nil, nil })
	const n, rate = 20, 1000.0
	g := gen.Stagger(1, rate, reads(n))
	var due []time.Duration
	for s, rest := g.Next(gen.Context{}); s.Status == gen.Ready; s, rest = rest.Next(gen.Context{}) {
		due = append(due, s.At)
	}
	h := driveInto(t, t.Context(), d, g, 1)
	i := 0
	for _, op := range h {
		if op.Type == history.Invoke {
			if op.Time < due[i] {
				t.Errorf("operation %d was invoked at %s, due at %s", i, op.Time, due[i])
			}
			i++
		}
	}
	if i != n {
		t.Errorf("%d operations, want %d", i, n)
	}
}

// BenchmarkDriver is the driver with a client that does nothing: recorded operations a second, invocation and completion
// written to disk.
func BenchmarkDriver(b *testing.B) {
	for _, workers := range []int{10, 100} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			rec, err := NewRecorder(b.TempDir(), nil)
			if err != nil {
				b.Fatal(err)
			}
			ok := json.RawMessage("1")
			d := newTestDriver(func(context.Context, history.Op) (json.RawMessage, error) { return ok, nil })
			d.record, d.now = rec.Append, rec.Now
			b.ReportAllocs()
			b.ResetTimer()
			d.drive(b.Context(), reads(b.N), workers)
			if err := rec.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

func TestAPhaseGoesOnWithWhatAnotherLeft(t *testing.T) {
	d := newTestDriver(func(_ context.Context, op history.Op) (json.RawMessage, error) { return op.Value, nil })
	rec, err := NewRecorder(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	var values []string
	d.now, d.record = rec.Now, func(op history.Op) history.Op {
		if op.Type == history.OK {
			values = append(values, string(op.Value))
		}
		return rec.Append(op)
	}
	counting := gen.Func(func(i int) gen.Op { return gen.Op{F: "write", Value: json.RawMessage(fmt.Sprint(i))} })
	left := d.driveSince(t.Context(), rec.Now(), gen.Limit(3, counting), 1)
	if len(values) != 3 {
		t.Fatalf("wrote %v", values)
	}
	// An operation that is due about an hour after the start is due at once in a phase that began long ago.
	due := gen.Stagger(1, 1.0/3600, gen.Limit(1, counting))
	d.driveSince(t.Context(), rec.Now()-1000*time.Hour, due, 1)
	if len(values) != 4 {
		t.Errorf("wrote %v", values)
	}
	if s, _ := left.Next(gen.Context{}); s.Status != gen.Done {
		t.Errorf("of three operations that were given, %v is left", s)
	}
}
