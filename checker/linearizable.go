package checker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"

	"rift/harness/history"
)

// DefaultSteps is how many steps Linearizable spends on one key at most, if nothing else is asked for. The search
// visits a configuration for every sixteen steps at most, at about a hundred bytes each: a key
// that is given up has cost some seconds and 250 MB.
const DefaultSteps = 40_000_000

// explainSteps is how many steps the search for the point where no order continues may take, once a quicker method has
// found that there is none.
const explainSteps = 10_000_000

// maxExplained is how many keys' violations are explained; the others are counted.
const maxExplained = 4

// Linearizable checks that every operation seems to take effect at one instant between its invocation and its
// completion (Herlihy and Wing, "Linearizability: A Correctness Condition for Concurrent Objects", 1990). It judges each key on
// its own, since a history is linearizable if and only if each object's part of it is. For each key it takes
// the quickest of the model's methods that can decide, and the general search otherwise; a
// violation is handed to porcupine for a second opinion before it is reported.
type Linearizable struct {
	Model   Model
	Steps   int // the search's budget for each key; 0: DefaultSteps
	Workers int // keys judged at once; 0: one for each CPU
}

// judged is what was found out about one key.
type judged struct {
	object
	decision
	found  *finding // what the search found, if it was needed
	proven bool     // an operation that answered was explained
	err    error    // the operations cannot be read
}

// Check implements Checker.
func (l Linearizable) Check(ctx context.Context, h history.History) Result {
	r := Result{Checker: "linearizable", Counts: map[string]int{}}
	v := view{h}
	all, err := v.spans()
	if err != nil {
		r.Summary = fmt.Sprintf("The history cannot be judged: %v.", err)
		return r
	}
	keys := l.judgeAll(ctx, v, v.objects(all))
	r.Counts[CountKeys], r.Counts[CountOperations] = len(keys), len(all)
	methods := make(map[string]int)
	var invalid, unknown []judged
	proven := 0
	for _, k := range keys {
		r.Counts["steps"] += k.steps
		if k.proven && k.err == nil {
			methods[k.method]++
		}
		switch {
		case k.verdict == Invalid:
			invalid = append(invalid, k)
		case k.verdict == Unknown:
			unknown = append(unknown, k)
		case k.proven:
			proven++
		}
	}
	r.Method = listMethods(methods)
	switch {
	case len(invalid) > 0:
		l.accuse(ctx, v, &r, invalid)
	case len(unknown) > 0:
		r.Counts["keys_unknown"] = len(unknown)
		r.Summary = unknownSummary(ctx, unknown, len(keys))
	case proven == 0:
		r.Summary = "No operation succeeded, so nothing was put to the test."
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("On %s, one order of the operations explains every answer: the %s is linearizable over %s.",
			count(len(keys), "key"), l.Model.Name, count(len(all), "operation"))
	}
	return r
}

// judgeAll judges the keys, a few at once.
func (l Linearizable) judgeAll(ctx context.Context, v view, objects []object) []judged {
	workers := l.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	keys := make([]judged, len(objects))
	queue := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, len(objects)) {
		wg.Go(func() {
			for i := range queue {
				keys[i] = l.judge(ctx, v, objects[i])
			}
		})
	}
	for i := range objects {
		queue <- i
	}
	close(queue)
	wg.Wait()
	return keys
}

func (l Linearizable) steps() int {
	if l.Steps == 0 {
		return DefaultSteps
	}
	return l.Steps
}

// judge judges one key. A model that panics has proven nothing.
func (l Linearizable) judge(ctx context.Context, v view, o object) (k judged) {
	k.object = o
	defer func() {
		if p := recover(); p != nil {
			k.decision, k.err = decision{}, fmt.Errorf("the %s model broke down: %v", l.Model.Name, p)
		}
	}()
	k.proven = slices.ContainsFunc(o.spans, func(s span) bool { return v.outcome(s) == history.OK })
	var h *hint
	for _, g := range l.Model.gears {
		if k.decision = g(v, o); k.verdict != Unknown {
			return k
		}
		h = k.hint
	}
	ops, err := l.Model.decode(v, o.spans)
	if err != nil {
		k.err = err
		return k
	}
	spent := 0
	if h != nil {
		f := find(ctx, l.Model, h.apply(ops), l.steps())
		k.decision = decision{verdict: f.verdict, method: "search", cut: f.culprit.ret, steps: f.steps}
		if f.verdict == Valid || f.verdict == Invalid && h.exact {
			return k
		}
		spent = f.steps
	}
	f := find(ctx, l.Model, ops, l.steps())
	k.decision, k.found = decision{verdict: f.verdict, method: "search", cut: f.culprit.ret, steps: spent + f.steps}, &f
	return k
}

// accuse reports violations, those with the shortest prefix first.
func (l Linearizable) accuse(ctx context.Context, v view, r *Result, invalid []judged) {
	prefix := func(k judged) int {
		return sort.Search(len(k.spans), func(i int) bool { return k.spans[i].call > k.cut })
	}
	slices.SortStableFunc(invalid, func(a, b judged) int { return prefix(a) - prefix(b) })
	r.Counts["keys_invalid"] = len(invalid)
	opinions := make(map[string]int)
	for _, k := range invalid[:min(len(invalid), maxExplained)] {
		a, opinion, err := l.explain(ctx, v, k, prefix(k))
		if err != nil {
			r.Summary = fmt.Sprintf("Rift's own check and porcupine's disagree on key %q, so nothing is proven: %v.", k.key, err)
			return
		}
		opinions[opinion]++
		r.Anomalies = append(r.Anomalies, a)
	}
	r.Verdict = Invalid
	r.Method += "; violations: " + listMethods(opinions)
	r.Summary = r.Anomalies[0].Summary
	if n := len(invalid); n > 1 {
		r.Summary += fmt.Sprintf(" (%d of %s broke their promise; this is the shortest.)", n, count(r.Counts[CountKeys], "key"))
	}
}

// errDisagree means that one of two checkers has a bug.
var errDisagree = errors.New("one finds an order that explains every answer, the other finds none")

// explain finds the point where no order continues, asks porcupine whether it agrees, and puts both into words.
func (l Linearizable) explain(ctx context.Context, v view, k judged, prefix int) (Anomaly, string, error) {
	spans := k.core
	if spans == nil {
		spans = k.spans[:prefix]
	}
	ops, err := l.Model.decode(v, spans)
	if err != nil {
		return Anomaly{}, "", err
	}
	if k.found == nil {
		f := find(ctx, l.Model, ops, min(l.steps(), explainSteps))
		k.found = &f
	}
	f := *k.found
	switch f.verdict {
	case Valid:
		return Anomaly{}, "", errDisagree
	case Unknown: // too long to be searched: the quicker method's own prefix is what there is
		at := slices.IndexFunc(ops, func(o op) bool { return o.ret == k.cut })
		f.culprit = ops[at].span
	}
	ops = slices.DeleteFunc(ops, func(o op) bool { return o.call > f.culprit.ret })
	opinion := "too long for porcupine"
	switch secondOpinion(l.Model, ops, f.culprit.ret) {
	case Valid:
		return Anomaly{}, "", errDisagree
	case Invalid:
		opinion = "confirmed by porcupine"
	}
	return cause{view: v, model: l.Model, key: k.key, spans: k.spans, finding: f}.anomaly(), opinion, nil
}

func unknownSummary(ctx context.Context, unknown []judged, keys int) string {
	k := unknown[0]
	why := fmt.Sprintf("the search gave up after %s", count(k.steps, "step"))
	if k.err != nil {
		why = k.err.Error()
	} else if err := ctx.Err(); err != nil {
		why = err.Error()
	}
	return fmt.Sprintf("Nothing is proven for %d of %s; for key %q: %s.", len(unknown), count(keys, "key"), k.key, why)
}

// listMethods is "zones (12), search (3)", the most used first.
func listMethods(uses map[string]int) string {
	names := make([]string, 0, len(uses))
	for name := range uses {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		if uses[names[i]] != uses[names[j]] {
			return uses[names[i]] > uses[names[j]]
		}
		return names[i] < names[j]
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s (%d)", name, uses[name])
	}
	return strings.Join(names, ", ")
}

// porcupineBytes bounds the memory of a second opinion: porcupine keeps a set of all operations for each step.
const porcupineBytes = 64 << 20

// opinionSteps is how many steps a second opinion may take for n operations.
func opinionSteps(n int) int { return int(math.Min(200_000, porcupineBytes/float64(n/8+64))) }
