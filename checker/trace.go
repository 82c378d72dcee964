package checker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Transition is a change of a node's that it wrote to its log: a line with msg=trace in slog's text form, see node/trace.go. The attributes that a kind of
// event does not have are zero.
type Transition struct {
	Node      string
	At        time.Time // by the node's wall clock
	Event     string    // start, term, vote, role, apply, restore, snapshot, snapshot-end, transfer, torn, stop
	Existing  bool      // start: the node has data of an earlier life
	Term      uint64    // term, vote, role
	Candidate string    // vote
	Role      string    // role: Follower, Candidate, Leader, Shutdown
	Entries   []Entry   // apply
	Members   bool      // apply: an entry changes who belongs to the cluster
	Index     uint64    // apply, restore, snapshot, snapshot-end: the last log entry in the state
	Revision  uint64    // of the state
	Hash      string    // of the state
	Left      int       // stop: goroutines that have not ended
}

// Entry is a log entry that was applied.
type Entry struct {
	Index, Term uint64
	Sum         string // of what it says
}

// ReadTrace reads the transitions out of logs, those of each log in its order. A line that its writer did not live to finish is left out.
func ReadTrace(files []string) (trace []Transition, err error) {
	for _, file := range files {
		if trace, err = appendTrace(trace, file); err != nil {
			return nil, err
		}
	}
	return trace, nil
}

func appendTrace(trace []Transition, file string) ([]Transition, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read a log: %w", err)
	}
	defer f.Close()
	for in := bufio.NewReaderSize(f, 64<<10); ; {
		line, err := in.ReadString('\n')
		if err != nil { // what has no end of line was not finished
			if errors.Is(err, io.EOF) {
				return trace, nil
			}
			return nil, fmt.Errorf("read a log: %w", err)
		}
		if !strings.Contains(line, " msg=trace ") {
			continue
		}
		if t, err := ParseTransition(line); err == nil {
			trace = append(trace, t)
		}
	}
}

// ParseTransition reads one line.
func ParseTransition(line string) (t Transition, err error) {
	for _, field := range strings.Fields(line) {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			return t, fmt.Errorf("trace: %q given, name=value allowed", field)
		}
		if err := t.set(name, value); err != nil {
			return t, fmt.Errorf("trace: %s: %w", name, err)
		}
	}
	if t.Node == "" || !slices.Contains(traceEvents, t.Event) {
		return t, fmt.Errorf("trace: event %q of node %q given, one of %s of a node allowed", t.Event, t.Node, strings.Join(traceEvents, ", "))
	}
	return t, nil
}

var traceEvents = []string{"start", "term", "vote", "role", "apply", "restore", "snapshot", "snapshot-end", "transfer", "torn", "stop"}

// set takes one attribute; those that nobody asks for are passed over.
func (t *Transition) set(name, value string) (err error) {
	switch name {
	case "time":
		t.At, err = time.Parse(time.RFC3339, value)
	case "node":
		t.Node = value
	case "event":
		t.Event = value
	case "existing":
		t.Existing, err = strconv.ParseBool(value)
	case "term":
		t.Term, err = strconv.ParseUint(value, 10, 64)
	case "candidate":
		t.Candidate = value
	case "role":
		t.Role = value
	case "entries":
		t.Entries, err = parseEntries(value)
	case "members":
		t.Members, err = strconv.ParseBool(value)
	case "index":
		t.Index, err = strconv.ParseUint(value, 10, 64)
	case "revision":
		t.Revision, err = strconv.ParseUint(value, 10, 64)
	case "hash":
		t.Hash = value
	case "left":
		t.Left, err = strconv.Atoi(value)
	}
	return err
}

// parseEntries reads entries of the form index:term:checksum, with commas between them.
func parseEntries(s string) (entries []Entry, err error) {
	for one := range strings.SplitSeq(s, ",") {
		parts := strings.Split(one, ":")
		if len(parts) != 3 {
			return nil, fmt.Errorf("%q given, index:term:checksum allowed", one)
		}
		e := Entry{Sum: parts[2]}
		var bad error
		e.Index, err = strconv.ParseUint(parts[0], 10, 64)
		e.Term, bad = strconv.ParseUint(parts[1], 10, 64)
		if err := errors.Join(err, bad); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}
