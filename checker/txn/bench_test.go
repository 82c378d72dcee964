package txn

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"rift/checker"
	"rift/harness/history"
)

func BenchmarkListAppend(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := DefaultGenerator(n).Generate(rand.New(rand.NewPCG(1, uint64(n))))
			size := 0
			for _, o := range h {
				size += len(o.Value)
			}
			benchmark(b, Checker{}, h, checker.Valid)
			b.ReportMetric(float64(size)/1e6, "MB-text")
		})
	}
}

func benchmark(b *testing.B, c Checker, h history.History, want checker.Verdict) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime()
	for b.Loop() {
		if r := c.Check(context.Background(), h); r.Verdict != want {
			b.Fatalf("%s, want %s: %s", r.Verdict, want, r.Summary)
		}
	}
	cpu = cpuTime() - cpu
	runtime.ReadMemStats(&after)
	b.ReportMetric(cpu.Seconds()*1000/float64(b.N), "CPU-ms/op")
	b.ReportMetric(float64(before.HeapAlloc)/1e6, "MB-history")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/1e6/float64(b.N), "MB-allocated/op")
	b.ReportMetric(float64(after.Sys)/1e6, "MB-from-OS")
}

// stale is a history in which nearly all transactions are in one strongly connected component with cycles of many classes: each reads a
// state that is a little too old.
func stale(txns int) history.History {
	g := DefaultGenerator(txns)
	g.Stale = 1
	return g.Generate(rand.New(rand.NewPCG(2, uint64(txns))))
}

// lateRead is a correct history, but for its last transaction: that reads the very first key as empty. So everything between depends
// on everything.
func lateRead(txns int, kind Kind) history.History {
	g := DefaultGenerator(txns)
	g.Kind = kind
	h := g.Generate(rand.New(rand.NewPCG(4, uint64(txns))))
	read := history.Op{Index: len(h), Time: h[len(h)-1].Time, Process: g.Processes, F: operation, Type: history.Invoke, Value: []byte(`[["r",0,null],["append",1,1000]]`)}
	if kind == Register {
		read.Value = []byte(`[["r",0,null]]`)
	}
	done := read
	done.Index, done.Type = len(h)+1, history.OK
	return append(h, read, done)
}

// script builds a history of transactions that all run at the same time.
type script struct {
	invoked, completed history.History
}

func (s *script) add(ops string) {
	n := len(s.invoked)
	o := history.Op{Process: n, F: operation, Type: history.Invoke, Value: []byte("[]")}
	s.invoked = append(s.invoked, o)
	o.Type, o.Value = history.OK, []byte("["+ops+"]")
	s.completed = append(s.completed, o)
}

func (s *script) history() history.History {
	h := append(s.invoked, s.completed...)
	for i := range h {
		h[i].Index = i
	}
	return h
}

// ring is one cycle through all transactions, and no shorter one: each appends to a key of its own and reads the next one's.
func ring(txns int, read string) history.History {
	var s script
	for i := range txns {
		s.add(fmt.Sprintf(`["append",%d,1],["r",%d,%s]`, i, (i+1)%txns, read))
	}
	return s.history()
}

// haystack is one G-single cycle, of ww edges and one rw edge through half of the transactions, in a sea of
// shorter G2-item cycles. It is after one that Elle's own tests use, because it cannot be found in time by trying cycles.
func haystack(txns int) history.History {
	r := rand.New(rand.NewPCG(3, 3))
	var s script
	var list []byte
	half := txns / 2
	for i := range half {
		text := fmt.Sprintf(`["append","ring",%d],["append","r%d",1],["r","n%d",[]]`, i, i, r.IntN(half))
		switch i {
		case 0:
			text += `,["append","anti",0]`
		case half - 1:
			text += `,["r","anti",[]]`
		}
		s.add(text)
		list = fmt.Appendf(list, "%d,", i)
		s.add(fmt.Sprintf(`["append","n%d",1],["r","n%d",[]],["r","r%d",[]]`, i, (i+1+r.IntN(half-1))%half, r.IntN(half)))
	}
	s.add(fmt.Sprintf(`["r","ring",[%s]]`, list[:len(list)-1]))
	return s.history()
}

// skews is many small components: pairs of transactions that miss each other's write.
func skews(pairs int) history.History {
	var s script
	for i := range pairs {
		s.add(fmt.Sprintf(`["append","x%d",1],["r","y%d",[]]`, i, i))
		s.add(fmt.Sprintf(`["append","y%d",1],["r","x%d",[]]`, i, i))
	}
	return s.history()
}

func BenchmarkHugeComponent(b *testing.B) {
	const n = 100_000
	for _, bb := range []struct {
		name string
		h    history.History
	}{{"stale", stale(n)}, {"ring-rw", ring(n, "[]")}, {"ring-wr", ring(n, "[1]")}, {"haystack", haystack(n)}, {"late-read", lateRead(n, ListAppend)}, {"forks", forks(n / 2)}, {"skews", skews(n / 2)}} {
		b.Run(bb.name, func(b *testing.B) { benchmark(b, Checker{}, bb.h, checker.Invalid) })
	}
}

func BenchmarkRegister(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g := DefaultGenerator(n)
			g.Kind = Register
			benchmark(b, Checker{Kind: Register}, g.Generate(rand.New(rand.NewPCG(1, uint64(n)))), checker.Valid)
		})
	}
	b.Run("late-read", func(b *testing.B) {
		benchmark(b, Checker{Kind: Register}, lateRead(100_000, Register), checker.Invalid)
	})
}

// cpuTime is what this process has used of all cores. On a machine that others use too it says more than the time on the wall.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
