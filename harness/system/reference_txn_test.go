package system

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"rift/harness"
	"rift/harness/history"
)

// store is a node that carries out transactions, by itself.
type store struct {
	values    map[string]string
	revisions map[string]uint64
	revision  uint64
	requests  int
	meddle    func() // called after each request
}

func newStore() *store {
	return &store{values: make(map[string]string), revisions: make(map[string]uint64), meddle: func() {}}
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests++
	defer func() { s.meddle() }()
	var t transaction
	if err := json.NewDecoder(r.Body).Decode(&t); err != nil || r.Method+r.URL.Path != "POST/v1/txn" {
		refuse(400, "bad_request", true)(w, r)
		return
	}
	s.revision++
	answer := txnAnswer{Succeeded: true, Results: []stepResult{}}
	for _, c := range t.Compare {
		value, found := s.values[c.Key]
		if c.Value != nil && (!found || value != *c.Value) || c.Revision != nil && s.revisions[c.Key] != *c.Revision {
			answer.Succeeded = false
		}
	}
	steps := t.Then
	if !answer.Succeeded {
		steps = t.Else
	}
	for _, step := range steps {
		answer.Results = append(answer.Results, s.apply(step))
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *store) apply(step step) stepResult {
	old := s.values[step.Key]
	switch step.Op {
	case "put":
		s.values[step.Key] = *step.Value
	case "delete":
		delete(s.values, step.Key)
		delete(s.revisions, step.Key)
	case "append":
		list := strings.TrimSuffix(strings.TrimPrefix(old, "["), "]")
		s.values[step.Key] = "[" + strings.TrimPrefix(list+","+*step.Value, ",") + "]"
	case "add":
		sum, _ := strconv.Atoi(old)
		more, _ := strconv.Atoi(*step.Value)
		s.values[step.Key] = strconv.Itoa(sum + more)
	}
	if step.Op != "get" && step.Op != "delete" {
		s.revisions[step.Key] = s.revision
	}
	value, found := s.values[step.Key]
	return stepResult{value, found, s.revisions[step.Key]}
}

// TestTransactions carries operations out one after the other, in one request and in two.
func TestTransactions(t *testing.T) {
	for _, optimistic := range []bool{false, true} {
		s := newStore()
		c := clientOf(t, s.ServeHTTP)
		c.optimistic = optimistic
		for _, step := range []struct {
			process          int
			f, key, in, want string
		}{
			{1, "txn", "", `[["append","x",1],["r","x",null],["r",7,null]]`, `[["append","x",1],["r","x",[1]],["r",7,null]]`},
			{1, "txn", "", `[["w",7,"v"],["r",7,null]]`, `[["w",7,"v"],["r",7,"v"]]`},
			{1, "txn", "", `[["r","x",null],["r",7,null]]`, `[["r","x",[1]],["r",7,"v"]]`},
			{1, "txn", "", `[["fly","x",1]]`, "fail"},
			{1, "txn", "", `[]`, "fail"},
			{1, "transfer", "", `{"from":"a","to":"b","amount":5}`, `{"from":"a","to":"b","amount":5}`},
			{1, "transfer", "", `{"from":"a","to":"a","amount":5}`, "fail"},
			{1, "transfer", "", `{"from":"b","to":"a","amount":2}`, `{"from":"b","to":"a","amount":2}`},
			{1, "balances", "", `["a","b","c"]`, `{"a":-3,"b":3}`},
			{1, "balances", "", `null`, "fail"},
			{1, "increment", "c", `3`, `3`},
			{1, "increment", "c", `-1`, `2`},
			{1, "generate", "", ``, `1`},
			{1, "generate", "", ``, `2`},
			{1, "dequeue", "q", ``, `null`},
			{1, "enqueue", "q", `1`, `1`},
			{1, "enqueue", "q", `2`, `2`},
			{1, "enqueue", "q", `3`, `3`},
			{1, "dequeue", "q", ``, `1`},
			{1, "drain", "q", ``, `[2,3]`},
			{1, "drain", "q", ``, `[]`},
			{1, "dequeue", "q", ``, `null`},
			{1, "acquire", "m", ``, `1`},
			{2, "acquire", "m", ``, "fail"},
			{2, "release", "m", ``, "fail"},
			{1, "release", "m", ``, ""},
			{1, "release", "m", ``, "fail"},
			{2, "acquire", "m", ``, `2`},
		} {
			op := history.Op{Process: step.process, F: step.f, Key: step.key, Value: json.RawMessage(step.in)}
			got, err := c.Invoke(t.Context(), op)
			if errors.Is(err, harness.ErrDidNotHappen) {
				got, err = json.RawMessage("fail"), nil
			}
			if err != nil || string(got) != step.want {
				t.Errorf("optimistic %t: %s %s %s: got %s, error %v, want %s", optimistic, step.f, step.key, step.in, got, err, step.want)
			}
		}
	}
}

// TestConflicts has somebody else change what was read before it is written.
func TestConflicts(t *testing.T) {
	for _, op := range []history.Op{
		{F: "txn", Value: json.RawMessage(`[["r","x",null],["append","y",1]]`)},
		{F: "transfer", Value: json.RawMessage(`{"from":"a","to":"b","amount":5}`)},
		{F: "dequeue", Key: "q"},
		{F: "drain", Key: "q"},
	} {
		s := newStore()
		s.apply(set("append", queuePrefix+"q", "1"))
		n := 0
		s.meddle = func() {
			n++
			s.revision++
			for _, key := range []string{"x", bankPrefix + "a", queuePrefix + "q"} {
				s.values[key], s.revisions[key] = fmt.Sprintf("[%d]", n), s.revision
			}
		}
		c := clientOf(t, s.ServeHTTP)
		c.optimistic = true
		if _, err := c.Invoke(t.Context(), op); !errors.Is(err, harness.ErrMismatch) || s.requests != 2 {
			t.Errorf("%s: %d requests, error %v; want a mismatch after two", op.F, s.requests, err)
		}
	}
}

// TestOutcomesOfTransactions holds that what may have written is indeterminate, and what only read is not.
func TestOutcomesOfTransactions(t *testing.T) {
	c := clientOf(t, refuse(503, "leadership_lost", false))
	for op, definite := range map[string]bool{
		`[["r","x",null]]`:                    true,
		`[["r","x",null],["append","x",1]]`:   false,
		`[["append","x",1],["append","x",2]]`: false,
	} {
		_, err := c.Invoke(t.Context(), history.Op{F: "txn", Value: json.RawMessage(op)})
		if err == nil || errors.Is(err, harness.ErrDidNotHappen) != definite {
			t.Errorf("%s: %v", op, err)
		}
	}
	short := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"succeeded":true,"results":[]}`) })
	if _, err := short.Invoke(t.Context(), history.Op{F: "increment", Key: "c", Value: json.RawMessage("1")}); err == nil || errors.Is(err, harness.ErrDidNotHappen) {
		t.Errorf("too few results: %v", err)
	}
}

// TestSetsByKey holds that sets of different keys are kept apart.
func TestSetsByKey(t *testing.T) {
	var asked []string
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		fmt.Fprint(w, `{"items":[]}`)
	})
	for _, op := range []history.Op{{F: "add", Value: json.RawMessage("1")}, {F: "add", Key: "s", Value: json.RawMessage("1")}, {F: "list", Key: "s"}} {
		if _, err := c.Invoke(t.Context(), op); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(asked, " "); got != "/v1/kv/set%2F1 /v1/kv/set%2Fs%2F1 /v1/kv?prefix=set%2Fs%2F" {
		t.Error(got)
	}
}
