package main

import (
	"slices"
	"time"

	"rift/checker"
	"rift/harness/history"
)

// violations are the different violations that a report shows, the severest first.
func violations(r checker.Report) []history.Violation {
	var all []history.Violation
	add := func(v history.Violation) {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	for _, result := range r.Results {
		if result.Verdict != checker.Invalid {
			continue
		}
		for _, anomaly := range result.Anomalies {
			add(history.Violation{Checker: result.Checker, Anomaly: anomaly.Kind})
		}
		if len(result.Anomalies) == 0 {
			add(history.Violation{Checker: result.Checker})
		}
	}
	return all
}

// witness is where a report shows a violation first: the key, and when its last operation of the main phase began, since that phase did. Both are empty if
// the report does not say.
func witness(run *history.Run, r checker.Report, v history.Violation) (key string, at time.Duration) {
	start, end := mainPhase(run)
	for _, result := range r.Results {
		for _, anomaly := range result.Anomalies {
			if result.Checker != v.Checker || anomaly.Kind != v.Anomaly {
				continue
			}
			last := time.Duration(0)
			for _, i := range anomaly.Ops {
				if i < len(run.History) && run.History[i].Time < end {
					last = max(last, run.History[i].Time-start)
				}
			}
			if last > 0 && (at == 0 || last < at) {
				key, at = anomaly.Key, last
			}
		}
	}
	return key, at
}

// mainPhase is when a run's main phase was.
func mainPhase(run *history.Run) (start, end time.Duration) {
	for _, p := range run.Phases {
		if p.Name == history.MainPhase {
			return p.Start, p.End
		}
	}
	return 0, run.Length()
}
