package checker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rift/harness/history"
)

// Stats counts outcomes by function and node. A function that never succeeded was not put to the test: the verdict is unknown.
type Stats struct{}

// outcomes counts how operations ended.
type outcomes struct {
	ok, fail, info int
	errors         map[string]int
}

func (c *outcomes) count(t history.Type, err string) {
	switch t {
	case history.OK:
		c.ok++
		return
	case history.Fail:
		c.fail++
	default:
		c.info++
	}
	if c.errors == nil {
		c.errors = make(map[string]int)
	}
	c.errors[err]++
}

// commonest is the error that was seen most often.
func (c *outcomes) commonest() string {
	var most string
	for e, n := range c.errors {
		if m := c.errors[most]; e != "" && (n > m || n == m && e < most) {
			most = e
		}
	}
	return most
}

// Check implements Checker.
func (Stats) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "stats"}
	v := view{h}
	all, err := v.spans()
	if err != nil {
		r.Summary = fmt.Sprintf("The history cannot be judged: %v.", err)
		return r
	}
	var total outcomes
	rows := make(map[[2]string]*outcomes) // function, node; node "all" is the sum
	for _, s := range all {
		o := v.operation(s)
		total.count(o.Type, o.Error)
		for _, row := range [][2]string{{o.F, "all"}, {o.F, o.Node}} {
			if rows[row] == nil {
				rows[row] = &outcomes{}
			}
			rows[row].count(o.Type, o.Error)
		}
	}
	r.Counts = map[string]int{CountOperations: len(all), "ok": total.ok, "fail": total.fail, "info": total.info}
	r.Table = statsTable(rows)
	var never []string
	for row, c := range rows {
		if row[1] == "all" && c.ok == 0 {
			never = append(never, row[0])
		}
	}
	slices.Sort(never)
	switch {
	case len(all) == 0:
		r.Summary = "There were no operations, so nothing was put to the test."
	case len(never) > 0:
		r.Summary = fmt.Sprintf("No %s ever succeeded, so nothing is known of it.", strings.Join(never, " and no "))
		if e := rows[[2]string{never[0], "all"}].commonest(); e != "" {
			r.Summary += fmt.Sprintf(" The commonest error: %s.", e)
		}
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("Of %s, %s succeeded, %s failed, and of %s nobody knows the outcome.",
			count(len(all), "operation"), thousands(total.ok), thousands(total.fail), thousands(total.info))
	}
	return r
}

func statsTable(rows map[[2]string]*outcomes) *Table {
	t := &Table{Columns: []string{"function", "node", "ok", "fail", "info", "commonest error"}}
	for row, c := range rows {
		t.Rows = append(t.Rows, []string{row[0], row[1], strconv.Itoa(c.ok), strconv.Itoa(c.fail), strconv.Itoa(c.info), c.commonest()})
	}
	slices.SortFunc(t.Rows, func(a, b []string) int { return slices.Compare(a[:2], b[:2]) })
	return t
}
