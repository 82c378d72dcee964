package history

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLine bounds one line of a file that is read, in bytes.
const maxLine = 64 << 20

// Damage says what of a file could not be read. The zero value says that all of it was.
type Damage struct {
	Line    int    // the first bad line, from 1; 0 if there is none
	Dropped int    // how many lines were dropped: the bad one and all after it
	Reason  string // what was wrong with the first bad line
}

// String is a sentence for people; empty if there was no damage.
func (d Damage) String() string {
	if d.Dropped == 0 {
		return ""
	}
	return fmt.Sprintf("%d line(s) dropped from line %d on: %s", d.Dropped, d.Line, d.Reason)
}

// Read reads events, one a line, up to the first line that is damaged or missing. What stands
// before the damage is judged like the history of a run that ended there; what stands behind it is
// dropped and counted, because a history with a hole proves nothing: a read may have seen a write
// that is missing. Empty lines are skipped. Where no line carries an index, they are numbered.
func Read(r io.Reader) (History, Damage, error) {
	var (
		h       History
		d       Decoder
		numbers numbering
	)
	damage, err := readLines(r, func(line []byte) error {
		op, err := d.Decode(line)
		if err != nil {
			return err
		}
		if err := numbers.check(&op, len(h)); err != nil {
			return err
		}
		h = append(h, op)
		return nil
	})
	return h, damage, err
}

// numbering tells a history whose lines carry their index from one whose lines do not.
type numbering struct{ absent bool }

func (n *numbering) check(op *Op, place int) error {
	if place == 1 && op.Index == 0 {
		n.absent = true
	}
	if n.absent && op.Index == 0 {
		op.Index = place
	}
	if op.Index != place {
		return fmt.Errorf("index is %d where %d is due: lines are missing", op.Index, place)
	}
	return nil
}

// readLines hands each line that is not empty to take, until it refuses one; the rest is counted.
func readLines(r io.Reader, take func(line []byte) error) (Damage, error) {
	var damage Damage
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 1<<16), maxLine)
	for n := 1; in.Scan(); n++ {
		line := bytes.TrimSpace(in.Bytes())
		if len(line) == 0 {
			continue
		}
		if damage.Dropped > 0 {
			damage.Dropped++
			continue
		}
		if err := take(line); err != nil {
			damage = Damage{Line: n, Dropped: 1, Reason: err.Error()}
		}
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		damage.Dropped++
		if damage.Reason == "" {
			damage.Reason = fmt.Sprintf("a line is longer than %d bytes", maxLine)
		}
		return damage, nil
	}
	return damage, in.Err()
}

// ReadFile reads a history from a file; see Read.
func ReadFile(path string) (History, Damage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Damage{}, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	h, damage, err := Read(f)
	if err != nil {
		return nil, damage, fmt.Errorf("read history %s: %w", path, err)
	}
	return h, damage, nil
}

// Write writes the events, one a line.
func Write(w io.Writer, h History) error {
	var line []byte
	for _, op := range h {
		line = append(op.AppendJSON(line[:0]), '\n')
		if _, err := w.Write(line); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
	}
	return nil
}
