package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"rift/harness/history"
)

// TestModelScenarios wants of each model a history that it rejects and one that it accepts.
func TestModelScenarios(t *testing.T) {
	for _, m := range Models() {
		if m.Name == "register" {
			continue // has scenarios of its own
		}
		t.Run(m.Name, func(t *testing.T) {
			for _, verdict := range []string{"valid", "invalid"} {
				if found, _ := filepath.Glob(filepath.Join("testdata/models", m.Name, verdict+"-*")); len(found) == 0 {
					t.Errorf("no %s scenario", verdict)
				}
			}
			runScenarios(t, filepath.Join("models", m.Name), func(string) Checker { return Linearizable{Model: m} })
		})
	}
}

// answers draws an operation and an answer for each model, right or wrong.
var answers = map[string]func(r *rand.Rand) (f, in, out string){
	"versioned-register": func(r *rand.Rand) (f, in, out string) {
		version, value := r.IntN(3), r.IntN(2)
		switch r.IntN(3) {
		case 0:
			return "read", "", fmt.Sprintf("[%d,%d]", version, value)
		case 1:
			return "write", fmt.Sprintf("[null,%d]", value), fmt.Sprintf("[%d,%d]", version+1, value)
		}
		return "cas", fmt.Sprintf("[null,[%d,%d]]", value, 1-value), fmt.Sprintf("[null,[%d,%d]]", value, 1-value)
	},
	"multi-register": func(r *rand.Rand) (f, in, out string) {
		v := r.IntN(2)
		switch r.IntN(3) {
		case 0:
			return "txn", `[["r","x",null],["r","y",null]]`, fmt.Sprintf(`[["r","x",%d],["r","y",%d]]`, v, r.IntN(2))
		case 1:
			return "txn", fmt.Sprintf(`[["r","x",null],["w","y",%d]]`, v), fmt.Sprintf(`[["r","x",%d],["w","y",%d]]`, v, v)
		}
		both := fmt.Sprintf(`[["w","x",%d],["w","y",%d]]`, v, r.IntN(2))
		return "txn", both, both
	},
	"set": func(r *rand.Rand) (f, in, out string) {
		if r.IntN(2) == 0 {
			return "add", fmt.Sprint(r.IntN(3)), ""
		}
		return "list", "", []string{"[]", "[0]", "[1]", "[2,0]", "[1,0]", "[0,1,2]"}[r.IntN(6)]
	},
	"counter": func(r *rand.Rand) (f, in, out string) {
		if r.IntN(2) == 0 {
			return "add", fmt.Sprint(r.IntN(4) - 1), ""
		}
		return "read", "", fmt.Sprint(r.IntN(5))
	},
	"queue":           putOrTake("enqueue", "dequeue", "null"),
	"unordered-queue": putOrTake("enqueue", "dequeue", "3"),
	"stack":           putOrTake("push", "pop", "null"),
	"mutex":           lockOrUnlock("", ""),
	"owned-mutex":     lockOrUnlock(`"a"`, ""),
	"reentrant-mutex": lockOrUnlock(`"a"`, ""),
	"fenced-lock":     lockOrUnlock(`"a"`, "fence"),
	"semaphore":       lockOrUnlock("2", ""),
}

func putOrTake(put, take, none string) func(r *rand.Rand) (f, in, out string) {
	return func(r *rand.Rand) (f, in, out string) {
		if r.IntN(2) == 0 {
			return put, fmt.Sprint(r.IntN(3)), ""
		}
		return take, "", []string{"0", "1", "2", none}[r.IntN(4)]
	}
}

func lockOrUnlock(one, fence string) func(r *rand.Rand) (f, in, out string) {
	return func(r *rand.Rand) (f, in, out string) {
		if r.IntN(2) == 0 {
			in = one
		}
		if in == "" && fence != "" {
			in = `"b"`
		}
		if r.IntN(2) == 0 {
			return "release", in, ""
		}
		if fence != "" {
			out = fmt.Sprint(1 + r.IntN(4))
		}
		return "acquire", in, out
	}
}

// TestModelsAgree compares the search with brute force on histories with any answers, many of them pending.
func TestModelsAgree(t *testing.T) {
	for _, m := range Models() {
		answer := answers[m.Name]
		if answer == nil {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(8, 9))
			tally := make(map[Verdict]int)
			for range histories(t, 1_500) {
				h := arbitrary(r, answer)
				_, ops := opsOf(t, m, h)
				want := Invalid
				if bruteForce(m, ops) {
					want = Valid
				}
				f := find(context.Background(), m, ops, DefaultSteps)
				if f.verdict != want {
					t.Fatalf("search says %s, brute force %s:\n%s", f.verdict, want, lines(h))
				}
				if want == Invalid {
					checkFinding(t, m, ops, f, h)
				}
				tally[want]++
			}
			if tally[Valid] < 30 || tally[Invalid] < 30 {
				t.Errorf("lopsided histories prove little: %v", tally)
			}
		})
	}
}

// arbitrary is a history of a few clients with answers that nobody computed; a quarter of the operations never complete.
func arbitrary(r *rand.Rand, answer func(r *rand.Rand) (f, in, out string)) history.History {
	var h history.History
	clients := make([]history.Op, 3)
	next := len(clients)
	for i := range clients {
		clients[i].Process = i
	}
	for range 4 + r.IntN(12) {
		c := &clients[r.IntN(len(clients))]
		e := *c
		if c.Type != history.Invoke {
			var in, out string
			c.F, in, out = answer(r)
			c.Type, c.Value = history.Invoke, json.RawMessage(out)
			e = *c
			e.Value = json.RawMessage(in)
		} else if e.Type = history.OK; r.IntN(4) == 0 {
			e.Type, e.Value = history.Info, nil
			*c = history.Op{Process: next}
			next++
		} else {
			c.Type = 0
		}
		e.Index, e.Time = len(h), time.Duration(len(h))
		h = append(h, e)
	}
	return h
}
