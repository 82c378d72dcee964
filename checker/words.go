package checker

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"rift/harness/history"
)

// count is a number with its noun: "1 key", "12,345 operations".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// thousands is a number with separators: 12,345.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// lasting is a duration as people say it: "340 µs", "12 ms", "1.2 s", "95 s".
func lasting(d time.Duration) string {
	unit, name := time.Nanosecond, "ns"
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Microsecond, "µs"}, {time.Millisecond, "ms"}, {time.Second, "s"}} {
		if d >= u.unit {
			unit, name = u.unit, u.name
		}
	}
	n := float64(d) / float64(unit)
	if n < 10 && name != "ns" {
		return strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64) + " " + name
	}
	return strconv.FormatFloat(math.Round(n), 'f', -1, 64) + " " + name
}

// at is a moment of the run: "at 12.340 s".
func at(d time.Duration) string { return fmt.Sprintf("at %.3f s", d.Seconds()) }

// who is the node that answered, or the process if the node is not known.
func who(o history.Operation) string {
	if o.Node != "" {
		return o.Node
	}
	return fmt.Sprintf("process %d", o.Process)
}

// tell is an operation in words: `n1 acknowledged write 9 (process 4, 1.200–1.210 s)`.
func tell(o history.Operation) string {
	call := strings.TrimSpace(o.F + " " + string(o.Input))
	if string(o.Input) == null {
		call = o.F
	}
	when := fmt.Sprintf("process %d, from %.3f s", o.Process, o.Invoked.Seconds())
	if o.Completed != history.Never {
		when = fmt.Sprintf("process %d, %.3f to %.3f s", o.Process, o.Invoked.Seconds(), o.Completed.Seconds())
	}
	switch {
	case o.Type == history.Info:
		return fmt.Sprintf("nobody knows whether %s at %s took effect (%s)", call, who(o), when)
	case o.Type == history.Fail:
		return fmt.Sprintf("%s refused %s: %s (%s)", who(o), call, o.Error, when)
	case len(o.Output) > 0 && text(o.Output) != text(o.Input):
		return fmt.Sprintf("%s answered %s to %s (%s)", who(o), o.Output, call, when)
	case o.F == "read":
		return fmt.Sprintf("%s answered null to %s (%s)", who(o), call, when)
	}
	return fmt.Sprintf("%s acknowledged %s (%s)", who(o), call, when)
}
