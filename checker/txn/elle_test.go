package txn

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"olympos.io/encoding/edn"

	"rift/checker"
	"rift/harness/history"
)

// TestElleHistories judges the histories that Elle ships with, where they are at hand: in the folder RIFT_HISTORIES, or in
// shared/histories beside the repository.
func TestElleHistories(t *testing.T) {
	dir := os.Getenv("RIFT_HISTORIES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "histories")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("RIFT_REQUIRE_HISTORIES") == "1" {
			t.Fatal("the histories are required: ", err)
		}
		t.Skipf("SKIPPED, NOT CHECKED: Elle's histories are not at hand: %v (set RIFT_HISTORIES to their folder)", err)
	}
	for _, tt := range []struct {
		file   string
		expect Model
		want   checker.Verdict
		kind   string // the severest anomaly
	}{
		{"paper-example.edn", StrictSerial, checker.Invalid, "G-single"},
		{"paper-example.edn", SnapshotIsolation, checker.Invalid, "G-single"},
		{"paper-example.edn", ReadAtomic, checker.Valid, ""},
		{"si-without-g-single.edn", Serializable, checker.Invalid, "G2-item"},
		{"si-without-g-single.edn", RepeatableRead, checker.Invalid, "G2-item"},
		{"si-without-g-single.edn", SnapshotIsolation, checker.Valid, ""}, // its cycles all have adjacent rw edges
		{"si-without-g-single.edn", SessionSnapshot, checker.Valid, ""},
		{"si-without-g-single.edn", StrongSnapshot, checker.Invalid, "G-single-realtime"}, // all its times are 0: the order decides
	} {
		t.Run(fmt.Sprintf("%s/%s", tt.file, tt.expect), func(t *testing.T) {
			h, err := readEDN(filepath.Join(dir, "elle", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			r := Checker{Expect: tt.expect}.Check(context.Background(), h)
			if r.Verdict != tt.want {
				t.Fatalf("%s, want %s: %s", r.Verdict, tt.want, r.Summary)
			}
			if tt.kind != "" && r.Anomalies[0].Kind != tt.kind {
				t.Fatalf("the severest anomaly is %s, want %s: %s", r.Anomalies[0].Kind, tt.kind, r.Summary)
			}
		})
	}
}

// readEDN reads Elle's histories: an operation a line.
func readEDN(path string) (history.History, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var h history.History
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == ';' {
			continue
		}
		var e struct {
			Index   int
			Type    edn.Keyword
			Process *int
			Value   [][3]any
		}
		if err := edn.UnmarshalString(line, &e); err != nil {
			return nil, fmt.Errorf("read %s: %w", line, err)
		}
		op := history.Op{Index: e.Index, Process: len(h) / 2, F: "txn"}
		if e.Process != nil {
			op.Process = *e.Process
		}
		if op.Type, err = history.ParseType(string(e.Type)); err != nil {
			return nil, err
		}
		for i := range e.Value {
			e.Value[i][0] = string(e.Value[i][0].(edn.Keyword))
		}
		if op.Value, err = json.Marshal(e.Value); err != nil {
			return nil, err
		}
		h = append(h, op)
	}
	return h, nil
}
