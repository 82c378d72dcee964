package reports

import (
	"fmt"
	"slices"

	"rift/checker"
)

// Bounds of what a page shows of one result.
const (
	maxParts = 60
	maxRows  = 200
)

// result is a checker's result as far as people want to read it.
type result struct {
	checker.Result
	Parts   []result
	Omitted string // what was left out, in a sentence
}

// shorten cuts long tables, and of many parts keeps those that matter most: invalid, then unknown, then valid.
func shorten(list []checker.Result) []result {
	short := make([]result, 0, len(list))
	for _, r := range list {
		s := result{Result: r}
		if r.Table != nil && len(r.Table.Rows) > maxRows {
			s.Table = &checker.Table{Columns: r.Table.Columns, Rows: r.Table.Rows[:maxRows]}
			s.Omitted = fmt.Sprintf("The table shows %d of %s rows; results.json has all.", maxRows, grouped(len(r.Table.Rows)))
		}
		parts := slices.Clone(r.Parts)
		slices.SortStableFunc(parts, func(a, b checker.Result) int { return gravity(b.Verdict) - gravity(a.Verdict) })
		if len(parts) > maxParts {
			s.Omitted = fmt.Sprintf("%s The gravest %d of %s parts are shown; results.json has all.", s.Omitted, maxParts, grouped(len(parts)))
			parts = parts[:maxParts]
		}
		s.Parts = shorten(parts)
		short = append(short, s)
	}
	return short
}

// gravity orders verdicts as they merge: invalid over unknown over valid.
func gravity(v checker.Verdict) int {
	return [...]int{checker.Valid: 0, checker.Unknown: 1, checker.Invalid: 2}[v]
}
