package checker

import (
	"fmt"
	"slices"

	"rift/harness/history"
)

// promise is one thing that a checker holds a system to, and the name of the anomaly that breaks it.
type promise struct{ kind, rule string }

// breaches gathers the anomalies of one checker: the first few of each kind, and how many there are.
type breaches struct {
	promises []promise // the severest breach first
	few      map[string][]Anomaly
	count    map[string]int
}

func newBreaches(promises ...promise) *breaches {
	return &breaches{promises: promises, few: make(map[string][]Anomaly), count: make(map[string]int)}
}

// wants counts an anomaly of the kind, and says whether it is among the first, which are put into words.
func (b *breaches) wants(kind string) bool {
	b.count[kind]++
	return b.count[kind] <= maxExplained
}

// add counts an anomaly, and puts it into words if they are wanted: the operations are its proof, the last one of them the answer
// that was wrong.
func (b *breaches) add(kind string, ops []history.Operation, format string, args ...any) {
	if b.wants(kind) {
		b.put(kind, ops, nil, fmt.Sprintf(format, args...))
	}
}

// put adds an anomaly that is counted already, with a proof of its own in place of the operations told one by one.
func (b *breaches) put(kind string, ops []history.Operation, steps []string, summary string) {
	wrong := ops[len(ops)-1]
	a := anomalyOf(kind, slices.Clone(ops), "%s", summary)
	a.Key, a.Node = wrong.Key, wrong.Node
	if steps != nil {
		a.Steps = steps
	}
	b.few[kind] = append(b.few[kind], a)
}

// merge adds n anomalies of one kind that are told as one.
func (b *breaches) merge(kind string, n int, a func() Anomaly) {
	b.count[kind] += n
	if len(b.few[kind]) < maxExplained {
		b.few[kind] = append(b.few[kind], a())
	}
}

// total is the number of anomalies of all kinds.
func (b *breaches) total() (n int) {
	for _, c := range b.count {
		n += c
	}
	return n
}

// settle makes the result invalid if there are anomalies, and says whether there are.
func (b *breaches) settle(r *Result) bool {
	if r.Counts == nil {
		r.Counts = make(map[string]int)
	}
	for _, p := range b.promises {
		for _, a := range b.few[p.kind] {
			a.Rule = p.rule
			r.Anomalies = append(r.Anomalies, a)
		}
		if n := b.count[p.kind]; n > 0 {
			r.Counts[p.kind] = n
		}
	}
	if len(r.Anomalies) == 0 {
		return false
	}
	r.Verdict, r.Summary = Invalid, r.Anomalies[0].Summary
	if more := b.total() - 1; more > 0 {
		r.Summary += fmt.Sprintf(" That is one of %s anomalies.", thousands(more+1))
	}
	return true
}

// unreadable is the result of a history that cannot be judged.
func (r Result) unreadable(err error) Result {
	r.Verdict, r.Summary = Unknown, fmt.Sprintf("The history cannot be judged: %v.", err)
	return r
}

// bad is the error of an operation whose value is not what its function takes.
func bad(o history.Operation, err error) error {
	return fmt.Errorf("operation %d, %s by process %d: %w", o.Index, o.F, o.Process, err)
}
