package txn

import (
	"fmt"
	"slices"
	"strings"

	"rift/checker"
	"rift/harness/history"
)

// broken gives the weakest models that the anomalies rule out.
func (a *analysis) broken() (models []Model) {
	for _, k := range kinds {
		if a.count[k.name] > 0 {
			models = append(models, k.rules...)
		}
	}
	return models
}

// kindsSeen names the kinds of anomaly that were seen, the severest first.
func (a *analysis) kindsSeen() (names []string) {
	for _, k := range kinds {
		if a.count[k.name] > 0 {
			names = append(names, k.name)
		}
	}
	return names
}

// table lists the models, and for each whether and by what it is ruled out.
func (a *analysis) table(out map[Model]bool) *checker.Table {
	t := &checker.Table{Columns: []string{"model", "finding", "because of"}}
	for _, m := range Models() {
		row := []string{string(m), "possible", ""}
		if out[m] {
			row[1] = "ruled out"
			var because []string
			for _, k := range kinds {
				if a.count[k.name] > 0 && ruledOut(k.rules)[m] {
					because = append(because, k.name)
				}
			}
			row[2] = strings.Join(because, ", ")
		} else if slices.ContainsFunc(a.undecided, func(u []Model) bool { return ruledOut(u)[m] }) {
			row[1], row[2] = "undecided", "the step budget"
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// accusation says what was found and what is still possible.
func (a *analysis) accusation(expect Model, out map[Model]bool) string {
	var possible []Model
	for _, m := range Models() {
		if !out[m] {
			possible = append(possible, m)
		}
	}
	rest := "no model that is known here allows it"
	if len(possible) > 0 {
		var names []string
		for _, m := range strongest(possible) {
			names = append(names, string(m))
		}
		rest = "still possible: " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("The history is not %s: it has %s; %s.", expect, strings.Join(a.kindsSeen(), ", "), rest)
}

// counts are the figures of the result.
func (a *analysis) counts() map[string]int {
	g := a.depends
	counts := map[string]int{
		checker.CountOperations: len(a.calls),
		checker.CountKeys:       len(a.names.keys),
		"ww":                    g.count[ww],
		"wr":                    g.count[wr],
		"rw":                    g.count[rw] + g.count[rwProcess] + g.count[rwRealTime],
	}
	for _, o := range a.calls {
		switch o.Type {
		case history.OK:
			counts["committed"]++
		case history.Fail:
			counts["failed"]++
		default:
			counts["indeterminate"]++
		}
	}
	for v := range a.versions.key {
		if a.author(int32(v)) != nobody {
			counts["writes"]++
			if a.observed[v] {
				counts["writes seen"]++
			}
		}
	}
	for kind, n := range a.count {
		counts["anomalies "+kind] = n
	}
	return counts
}

// explain puts the findings into words, those that contradict the expected model first, the severest of them first.
func (a *analysis) explain(expect Model) (out []checker.Anomaly) {
	against := func(f finding) bool { return ruledOut(kinds[severity(f.kind)].rules)[expect] }
	var first, rest []finding
	for _, f := range a.found {
		if against(f) {
			first = append(first, f)
		} else {
			rest = append(rest, f)
		}
	}
	for _, f := range append(first, rest...) {
		anomaly := checker.Anomaly{
			Kind: f.kind, Rule: kinds[severity(f.kind)].rule, Summary: f.text, Steps: a.prove(f),
		}
		if f.key >= 0 {
			anomaly.Key = a.names.keys[f.key]
		}
		for _, t := range f.txns {
			anomaly.Ops = append(anomaly.Ops, a.calls[t].Index)
		}
		if len(f.edges) > 0 {
			anomaly.Summary, anomaly.SVG = f.summary(), a.draw(f)
		} else {
			anomaly.Node = a.calls[f.txns[0]].Node
		}
		out = append(out, anomaly)
	}
	return out
}

// summary tells a cycle in a sentence.
func (f finding) summary() string {
	claim := " No shorter cycle of this class exists among the transactions that depend on one another."
	if !f.short {
		claim = ""
	}
	if len(f.txns) == 2 {
		return "T1 must come before T2, and T2 before T1." + claim
	}
	return fmt.Sprintf("Each of %d transactions must come before the next one, and the last before the first.", len(f.txns)) + claim
}
