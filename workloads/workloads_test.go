package workloads

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"rift/harness/gen"
)

var params = Params{Seed: 7, Nodes: 5, Concurrency: 10}

// draw asks a generator n times, the workers in turn.
func draw(g gen.Generator, n, workers int) []gen.Op {
	var ops []gen.Op
	for i := range n {
		var s gen.Step
		s, g = g.Next(gen.Context{Worker: i % workers, Workers: workers})
		if s.Status == gen.Ready {
			ops = append(ops, s.Op)
		}
	}
	return ops
}

func TestEveryWorkloadIsAsItSays(t *testing.T) {
	seen := make(map[string]bool)
	for _, w := range All {
		t.Run(w.Name, func(t *testing.T) {
			if seen[w.Name] || w.Name == "" || w.Doc == "" || len(w.Checkers()) == 0 {
				t.Errorf("it has no name of its own, no doc or no checker: %+v", w)
			}
			seen[w.Name] = true
			ops := draw(w.Main(params), 3000, params.Concurrency)
			if again := draw(w.Main(params), 3000, params.Concurrency); len(ops) == 0 || !reflect.DeepEqual(ops, again) {
				t.Errorf("%d operations; drawn again, they are others", len(ops))
			}
			var keys []string
			for _, op := range ops {
				if !slices.Contains(w.Needs, op.F) {
					t.Fatalf("%s is not among the functions that it says it needs, %v", op.F, w.Needs)
				}
				if op.Key != "" && !slices.Contains(keys, op.Key) {
					keys = append(keys, op.Key)
				}
			}
			if w.Final == nil {
				return
			}
			for _, op := range draw(w.Final(params, keys, params.Concurrency), 5000, params.Concurrency) {
				if !slices.Contains(w.Needs, op.F) {
					t.Fatalf("in the end, %s is not among the functions that it says it needs, %v", op.F, w.Needs)
				}
			}
		})
	}
}

func TestRegisterWritesEachValueOnceAndRotatesItsKeys(t *testing.T) {
	written, perKey, functions := make(map[string]bool), make(map[string]int), make(map[string]int)
	for _, op := range draw(register.Main(params), 20_000, params.Concurrency) {
		perKey[op.Key]++
		functions[op.F]++
		value := string(op.Value)
		if op.F == "cas" {
			var old, is string
			if _, err := fmt.Sscanf(value, "[%s", &value); err != nil {
				t.Fatal(err)
			}
			i := slices.Index([]byte(value), ',')
			old, is = value[:i], value[i+1:len(value)-1]
			if old == is {
				t.Fatalf("a cas from %s to itself", old)
			}
			value = is
		}
		if op.F != "read" {
			if written[op.Key+" "+value] {
				t.Fatalf("%s is written twice to %s", value, op.Key)
			}
			written[op.Key+" "+value] = true
		}
	}
	for key, n := range perKey {
		if n > opsPerKeyMost {
			t.Errorf("%s is used %d times, at most %d are due", key, n, opsPerKeyMost)
		}
	}
	if len(perKey) < 20_000/opsPerKeyMost {
		t.Errorf("only %d keys", len(perKey))
	}
	for _, f := range register.Needs {
		if share := functions[f]; share < 20_000/5 {
			t.Errorf("%s is drawn %d times of 20,000", f, share)
		}
	}
}

func TestFinalReadsCoverEveryKeyAndEveryWorker(t *testing.T) {
	keys := []string{"r0", "r1", "r2"}
	var got []string
	for _, op := range draw(register.Final(params, keys, 10), 50, 10) {
		got = append(got, op.Key)
	}
	if !reflect.DeepEqual(got, keys) {
		t.Errorf("register reads %v in the end, want %v", got, keys)
	}
	if lists := draw(set.Final(params, nil, 7), 7, 7); len(lists) != 7 {
		t.Errorf("set is listed by %d workers, want 7", len(lists))
	}
}
