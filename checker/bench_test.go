package checker

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkRegister judges histories of one key, of the shapes in which other checkers were measured.
func BenchmarkRegister(b *testing.B) {
	for _, c := range []struct {
		name string
		shape
	}{
		{"few-values/5-clients", shape{operations: 50_000, clients: 5, values: 5, cas: true, observe: true}},
		{"few-values/20-clients", shape{operations: 50_000, clients: 20, values: 5, cas: true, observe: true}},
		{"few-values/20-clients/info", shape{operations: 50_000, clients: 20, values: 5, cas: true, observe: true, info: 0.01}},
		{"few-values/unobserved/20-clients/info", shape{operations: 50_000, clients: 20, values: 5, cas: true, info: 0.01}},
		{"cas-unique/20-clients/info", shape{operations: 50_000, clients: 20, cas: true, observe: true, info: 0.01}},
		{"plain-unique/20-clients/info", shape{operations: 50_000, clients: 20, info: 0.01}},
		{"plain-unique/million", shape{operations: 1_000_000, clients: 20}},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := draw(rand.New(rand.NewPCG(7, 7)), c.shape)
			b.ReportAllocs()
			for b.Loop() {
				r := Linearizable{Model: Register()}.Check(context.Background(), h)
				if r.Verdict != Valid {
					b.Fatalf("%s: %s", r.Verdict, r.Summary)
				}
				b.ReportMetric(float64(r.Counts["steps"]), "steps")
			}
		})
	}
}

// BenchmarkAgainstPorcupine judges the same histories with porcupine in the same run, at sizes that porcupine can bear, and
// reports how many times longer it takes.
func BenchmarkAgainstPorcupine(b *testing.B) {
	for _, c := range []struct {
		name string
		shape
	}{
		{"plain-unique/20-clients", shape{operations: 4_000, clients: 20}},
		{"plain-unique/20-clients/info", shape{operations: 400, clients: 20, info: 0.01}},
		{"cas-unique/20-clients", shape{operations: 4_000, clients: 20, cas: true, observe: true}},
		{"cas-unique/20-clients/info", shape{operations: 400, clients: 20, cas: true, observe: true, info: 0.01}},
		{"few-values/5-clients", shape{operations: 10_000, clients: 5, values: 5, cas: true, observe: true}},
		{"few-values/20-clients", shape{operations: 4_000, clients: 20, values: 5, cas: true, observe: true}},
		{"few-values/20-clients/info", shape{operations: 1_000, clients: 20, values: 5, cas: true, observe: true, info: 0.01}},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := draw(rand.New(rand.NewPCG(7, 7)), c.shape)
			var ours time.Duration
			for b.Loop() {
				start := time.Now()
				if r := (Linearizable{Model: Register()}).Check(context.Background(), h); r.Verdict != Valid {
					b.Fatalf("%s: %s", r.Verdict, r.Summary)
				}
				ours += time.Since(start)
			}
			ours /= time.Duration(b.N)
			const budget = 4_000_000
			_, ops := opsOf(b, Register(), h)
			start := time.Now()
			verdict, steps := runPorcupine(Register(), ops, budget)
			theirs := time.Since(start)
			if verdict != Valid && steps < budget {
				b.Fatalf("porcupine says %s", verdict)
			}
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "times-faster")
			b.ReportMetric(float64(theirs.Milliseconds()), "porcupine-ms")
			if steps >= budget {
				b.Logf("porcupine had no answer after %d steps", steps)
			}
		})
	}
}
