package history_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
)

func TestOpsAreReadAsTheyWereWritten(t *testing.T) {
	ops := []history.TimedOp{
		{Client: 0, At: history.Duration(time.Millisecond), F: "write", Key: "a", Value: json.RawMessage("1")},
		{Client: 3, At: history.Duration(2 * time.Second), F: "list"},
	}
	got, err := history.ReadOps(strings.NewReader(string(history.OpsText(ops))))
	if err != nil || !reflect.DeepEqual(got, ops) {
		t.Errorf("%v: got %v, want %v", err, got, ops)
	}
}

// TestValuesOfATestAreOnOneLine has operations in test.json, which is indented.
func TestValuesOfATestAreOnOneLine(t *testing.T) {
	want := history.Test{Ops: []history.TimedOp{{F: "txn", Value: json.RawMessage(`[["r","a",null],["w","b",1]]`)}}}
	path := filepath.Join(t.TempDir(), history.TestFile)
	if err := history.WriteJSON(path, want); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got history.Test
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got.Ops, want.Ops) {
		t.Errorf("%v: got %s, want %s", err, got.Ops[0].Value, want.Ops[0].Value)
	}
}

func TestBadOpsNameTheLineAndTheField(t *testing.T) {
	const good = `{"client":0,"at":"1s","f":"read"}` + "\n"
	for text, mention := range map[string]string{
		"":         "none given",
		good + "{": "line 2",
		good + good + `{"client":-1,"at":"1s","f":"read"}`: "line 3: client: -1 given",
		`{"client":0,"at":"-1s","f":"read"}`:               "line 1: at: -1s given",
		`{"client":0,"at":"soon","f":"read"}`:              "soon",
		`{"client":0,"at":"1s"}`:                           "line 1: f: nothing given",
		`{"client":0,"at":"1s","f":"read","when":1}`:       "when",
	} {
		if _, err := history.ReadOps(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), mention) {
			t.Errorf("%q: %v, want %q", text, err, mention)
		}
	}
}

func FuzzReadOps(f *testing.F) {
	f.Add(`{"client":0,"at":"1s","f":"read","key":"k","value":[1]}`)
	f.Fuzz(func(t *testing.T, text string) {
		ops, err := history.ReadOps(strings.NewReader(text))
		if err != nil {
			return
		}
		again, err := history.ReadOps(strings.NewReader(string(history.OpsText(ops))))
		if err != nil || len(again) != len(ops) {
			t.Errorf("%d operations are read as %d: %v", len(ops), len(again), err)
		}
	})
}

// TestInvokedFollowsClients has a process that was retired: the worker went on under a new number.
func TestInvokedFollowsClients(t *testing.T) {
	event := func(at time.Duration, process int, kind history.Type, node string) history.Op {
		return history.Op{Time: at, Process: process, Type: kind, F: "read", Node: node}
	}
	h := history.History{
		event(100, 0, history.Invoke, "n1"), event(110, 1, history.Invoke, "n2"), event(120, 0, history.Info, "n1"), event(130, 1, history.Info, "n2"),
		event(140, 2, history.Invoke, "n2"), event(150, -1, history.Invoke, ""), event(160, 3, history.Invoke, "n1"), event(170, 2, history.OK, "n2"),
		event(900, 4, history.Invoke, "n1"), // of the final phase
	}
	for i := range h {
		h[i].Index = i
	}
	r := history.Run{
		Test: history.Test{Concurrency: 2}, History: h,
		Phases: []history.Phase{{Name: "set-up", End: 50}, {Name: history.MainPhase, Start: 50, End: 500}},
	}
	got, err := r.Invoked()
	want := []history.TimedOp{{Client: 0, At: 50, F: "read"}, {Client: 1, At: 60, F: "read"}, {Client: 1, At: 90, F: "read"}, {Client: 0, At: 110, F: "read"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: got %v, want %v", err, got, want)
	}
	r.Phases = nil
	if _, err := r.Invoked(); err == nil {
		t.Error("a run without a main phase has operations")
	}
	r.Phases, r.Test.Concurrency = []history.Phase{{Name: history.MainPhase, End: 500}}, 1
	if _, err := r.Invoked(); err == nil {
		t.Error("a process that belongs to nobody is given a client")
	}
}
