// Package jepsen reads and writes histories as Jepsen keeps them: EDN, and the lines of its log.
//
// The one idea behind it is that Jepsen's operations are Rift's under other spellings: keywords become
// strings, the nemesis becomes process -1, and every value becomes JSON. What a value means stays the workload's business.
package jepsen

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"rift/harness/history"
)

// Options say what a file itself does not tell.
type Options struct {
	// Independent splits values [key value], as jepsen.independent writes them, into a key and a value.
	Independent bool
	// Observed takes a cas that failed without an error for one whose comparison did not match, which is an observation. In Jepsen's own terms a
	// failed operation tells no more than that it did not happen.
	Observed bool
}

// Read reads a history in whichever of the two forms it has. An error names the line or the operation.
func Read(r io.Reader, o Options) (history.History, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	head, err := in.Peek(1 << 15)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("read history: %w", err)
	}
	if looksLikeEDN(head) {
		return ReadEDN(in, o)
	}
	return ReadLog(in, o)
}

// looksLikeEDN says whether the first line that is not empty or a comment begins with a map, a collection or a tag.
func looksLikeEDN(head []byte) bool {
	for line := range bytes.Lines(head) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != ';' {
			return bytes.IndexByte([]byte("{[(#"), line[0]) >= 0
		}
	}
	return false
}

// reader puts events one after the other.
type reader struct {
	Options
	h history.History
}

// add numbers an event, gives it a time if it has none, and applies the options.
func (r *reader) add(e history.Op, timed bool) error {
	e.Index = len(r.h)
	if !timed && e.Index > 0 {
		e.Time = r.h[e.Index-1].Time + time.Microsecond
	}
	if r.Independent && !e.Nemesis() && len(e.Value) > 0 && string(e.Value) != "null" {
		key, value, err := splitTuple(e.Value)
		if err != nil {
			return fmt.Errorf("value: %s given, [key value] allowed", e.Value)
		}
		e.Key, e.Value = key, value
	}
	if r.Observed && e.Type == history.Fail && e.F == "cas" && e.Error == "" {
		e.Error = "mismatch"
	}
	r.h = append(r.h, e)
	return nil
}
