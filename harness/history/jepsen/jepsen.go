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

// Read reads a whole history in whichever of the two forms it has. Where a part of it is damaged, it gives what stands before and an
// error that names the line.
func Read(in io.Reader, o Options) (history.History, error) {
	var h history.History
	buffered := bufio.NewReaderSize(in, 1<<16)
	each := EachLogged
	if head, err := buffered.Peek(1 << 15); IsEDN(head) {
		each = EachEDN
	} else if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read history: %w", err)
	}
	damage, err := each(buffered, o, func(e history.Op) error {
		h = append(h, e)
		return nil
	})
	if err == nil && damage.Dropped > 0 {
		err = fmt.Errorf("line %d: %s", damage.Line, damage.Reason)
	}
	if err != nil {
		return h, fmt.Errorf("read history: %w", err)
	}
	return h, nil
}

// IsEDN says whether the first line that is not empty or a comment begins with a map, a collection or a tag.
func IsEDN(head []byte) bool {
	for line := range bytes.Lines(head) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != ';' {
			return bytes.IndexByte([]byte("{[(#"), line[0]) >= 0
		}
	}
	return false
}

// sequence puts events one after the other, and hands them on.
type sequence struct {
	Options
	take    func(history.Op) error
	refused error         // what take said
	n       int           // events so far
	last    time.Duration // of the event before
}

// add numbers an event, gives it a time if it has none, and applies the options.
func (s *sequence) add(e history.Op, timed bool) error {
	e.Index = s.n
	if !timed && s.n > 0 {
		e.Time = s.last + time.Microsecond
	}
	if s.Independent && !e.Nemesis() && len(e.Value) > 0 && string(e.Value) != "null" {
		key, value, err := splitTuple(e.Value)
		if err != nil {
			return fmt.Errorf("value: %s given, [key value] allowed", e.Value)
		}
		e.Key, e.Value = key, value
	}
	if s.Observed && e.Type == history.Fail && e.F == "cas" && e.Error == "" {
		e.Error = "mismatch"
	}
	s.n, s.last = s.n+1, e.Time
	s.refused = s.take(e)
	return s.refused
}

// damaged says that nothing could be read from a line on; rest begins with that line.
func damaged(line int, why error, rest io.Reader) (history.Damage, error) {
	d := history.Damage{Line: line, Reason: why.Error()}
	in := bufio.NewReader(rest)
	for {
		b, err := in.ReadSlice('\n')
		if len(bytes.TrimSpace(b)) > 0 && !errors.Is(err, bufio.ErrBufferFull) {
			d.Dropped++
		}
		switch {
		case errors.Is(err, io.EOF):
			d.Dropped = max(d.Dropped, 1)
			return d, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return d, err
		}
	}
}
