//go:build linux && amd64

package vdso

import (
	"encoding/json"
	"sort"
	"testing"
	"time"
)

// BenchmarkAttach patches a process and takes the patch out again. p50-ms and max-ms are of the attaching alone.
func BenchmarkAttach(b *testing.B) {
	for _, mode := range []string{"idle", "busy"} {
		b.Run(mode, func(b *testing.B) {
			c := startChild(b, mode)
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				p, err := Attach(c.pid())
				took = append(took, time.Since(began))
				if err != nil {
					b.Fatal(err)
				}
				p.Close()
				if err := Restore(c.pid()); err != nil {
					b.Fatal(err)
				}
			}
			sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
			b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
			b.ReportMetric(took[len(took)-1].Seconds()*1e3, "max-ms")
		})
	}
}

// BenchmarkSet changes the skew of the wall clock, while the process runs.
func BenchmarkSet(b *testing.B) {
	p := startChild(b, "idle").attach()
	for b.Loop() {
		set(b, p, Skew{Wall: Clock{Offset: time.Hour}})
	}
}

// BenchmarkRead measures the clocks of a process. error-µs is what the last reading says of its error.
func BenchmarkRead(b *testing.B) {
	for _, mode := range []string{"idle", "busy"} {
		b.Run(mode, func(b *testing.B) {
			p := startChild(b, mode).attach()
			var r Reading
			for b.Loop() {
				r = read(b, p)
			}
			b.ReportMetric(float64(r.Error)/1e3, "error-µs")
		})
	}
}

// BenchmarkLook looks at the clocks of a process, which does not notice.
func BenchmarkLook(b *testing.B) {
	c := startChild(b, "idle")
	set(b, c.attach(), Skew{Wall: Clock{Offset: time.Hour}})
	w, err := NewWatch(c.pid())
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	for b.Loop() {
		if _, err := w.Look(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNow reports what one time.Now costs a process: before it is patched, patched, and with a skew in force.
func BenchmarkNow(b *testing.B) {
	c := startChild(b, "idle")
	cost := func(unit string) {
		var s sample
		if err := json.Unmarshal([]byte(c.ask("cost")), &s); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(s.NowCost, unit)
	}
	cost("true-ns")
	p := c.attach()
	cost("patched-ns")
	set(b, p, Skew{Wall: Clock{Offset: time.Hour, Rate: 1.5, Strobe: Strobe{time.Second, time.Second}}})
	cost("skewed-ns")
	b.ReportMetric(0, "ns/op") // the child was measured, not the loop
}
