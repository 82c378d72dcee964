package jepsen

import (
	"fmt"
	"strings"
	"testing"

	"rift/harness/history"
)

// BenchmarkEachEDN reads 100,000 lines as Jepsen writes them.
func BenchmarkEachEDN(b *testing.B) {
	const lines = 100_000
	var file strings.Builder
	for i := range lines / 2 {
		fmt.Fprintf(&file, "{:type :invoke, :f :write, :value %d, :process %d, :time %d, :index %d}\n", i, i%10, 2000*i, 2*i)
		fmt.Fprintf(&file, "{:type :ok, :f :write, :value %d, :process %d, :time %d, :index %d}\n", i, i%10, 2000*i+1000, 2*i+1)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		damage, err := EachEDN(strings.NewReader(file.String()), Options{}, func(history.Op) error { n++; return nil })
		if err != nil || n != lines {
			b.Fatal(n, damage, err)
		}
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
