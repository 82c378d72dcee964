package workloads

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rift/checker"
	"rift/harness/gen"
	"rift/harness/history"
)

// world is a store and its clients, in one goroutine: every operation takes effect at one instant between its invocation and its
// completion, unless the store has a bug.
type world struct {
	r        *rand.Rand
	bug      string
	lists    bool                     // transactions read lists
	now, old map[string][]string      // the values of each key; old is as they were some time ago
	ends     map[string]time.Duration // when keys go
	waited   time.Duration            // until operations were due
	effects  int
	h        history.History
	next     int // process
}

// call is what one worker is about.
type call struct {
	process int
	open    bool
	applied bool
	event   history.Op
}

// mishaps is the share of operations that end indeterminate, half of them after they took effect.
const mishaps = 0.02

// drive carries out what a generator gives, until that many operations have ended or the generator is done.
func (w *world) drive(g gen.Generator, workers, operations int) {
	calls := make([]call, workers)
	for i := range calls {
		calls[i].process = w.next
		w.next++
	}
	busy, idle, start := 0, 0, w.time()
	for operations > 0 && idle < 1000 {
		i := w.r.IntN(workers)
		c := &calls[i]
		switch {
		case !c.open:
			var s gen.Step
			s, g = g.Next(gen.Context{Worker: i, Workers: workers, Busy: busy})
			idle++
			if s.Status != gen.Ready {
				continue
			}
			idle = 0
			w.waited += max(0, start+s.At-w.time())
			busy++
			c.open, c.applied = true, false
			c.event = history.Op{Process: c.process, Type: history.Invoke, F: s.Op.F, Key: s.Op.Key, Value: s.Op.Value, Node: fmt.Sprintf("n%d", i%5+1)}
			w.record(c.event)
		case !c.applied:
			c.applied = true
			w.effect(c)
		default:
			c.open = false
			busy--
			operations--
			w.record(c.event)
			g = gen.Observe(g, i, c.event.Type)
			if c.event.Type == history.Info {
				c.process = w.next
				w.next++
			}
		}
	}
}

func (w *world) record(o history.Op) {
	o.Index, o.Time = len(w.h), w.time()
	w.h = append(w.h, o)
}

// time is what the clients' clock shows: it goes with what they do.
func (w *world) time() time.Duration { return w.waited + time.Duration(len(w.h))*10*time.Millisecond }

// effect carries the operation out, or not.
func (w *world) effect(c *call) {
	const lag = 300 // effects, between old and now
	if w.effects++; w.old == nil || w.effects%lag == 0 {
		w.old = maps.Clone(w.now)
	}
	mishap := w.r.Float64() < mishaps
	if mishap && w.r.IntN(2) == 0 {
		c.event.Type, c.event.Error = history.Info, "timeout"
		return
	}
	value, err := w.carryOut(c.event)
	c.event.Type, c.event.Value = history.OK, value
	switch {
	case err != "":
		c.event.Type, c.event.Error = history.Fail, err
	case mishap:
		c.event.Type, c.event.Error = history.Info, "timeout"
	}
}

// has says whether the store has the bug, and whether it shows this time.
func (w *world) has(bug string, share float64) bool { return w.bug == bug && w.r.Float64() < share }

// get reads a key: some nodes of a store that is stale read what was there some time ago.
func (w *world) get(o history.Op, key string) []string {
	if o.Node == "n2" && w.bug == "stale" || w.has("fractured", 0.5) {
		return w.old[key]
	}
	return w.now[key]
}

// put sets a key, unless the store loses it.
func (w *world) put(key string, values ...string) {
	if !w.has("lost", 0.05) {
		w.now[key] = values
	}
}

// putTTL puts a key that is gone, unless the store forgets to remove it, when its time has come.
func (w *world) putTTL(o history.Op) {
	var pair [2]json.RawMessage
	var ttl history.Duration
	_ = json.Unmarshal(o.Value, &pair)
	_ = json.Unmarshal(pair[1], &ttl)
	if w.has("hasty", 0.3) {
		ttl /= 2
	}
	w.put(o.Key, string(pair[0]))
	w.ends[o.Key] = w.time() + time.Duration(ttl)
	if w.has("immortal", 0.3) {
		delete(w.ends, o.Key)
	}
}

// expire removes what is due.
func (w *world) expire() {
	for key, end := range w.ends {
		if end <= w.time() {
			delete(w.now, key)
			delete(w.ends, key)
		}
	}
}

// carryOut is the store's functions, as the reference node's client has them.
func (w *world) carryOut(o history.Op) (value json.RawMessage, err string) {
	w.expire()
	own := w.now[o.Key]
	switch o.F {
	case "read":
		return last(w.get(o, o.Key)), ""
	case "write":
		w.put(o.Key, string(o.Value))
	case "cas":
		var pair [2]json.RawMessage
		_ = json.Unmarshal(o.Value, &pair)
		if string(last(w.get(o, o.Key))) != string(pair[0]) {
			return nil, "mismatch"
		}
		w.put(o.Key, string(pair[1]))
	case "put-ttl":
		w.putTTL(o)
	case "add":
		w.put(o.Key, append(slices.Clone(own), string(o.Value))...)
	case "list":
		shown := w.get(o, o.Key)
		if n := len(shown); n > 1 && w.has("torn", 0.1) {
			shown = slices.Delete(slices.Clone(shown), 0, 1)
		}
		return array(shown), ""
	case "increment", "generate":
		amount := o.Value
		if len(amount) == 0 {
			amount = json.RawMessage("1")
		}
		sum := strconv.Itoa(whole(own) + whole([]string{string(amount)}))
		w.put(o.Key, sum)
		return json.RawMessage(sum), ""
	case "enqueue":
		w.put(o.Key, append(slices.Clone(own), string(o.Value))...)
	case "dequeue":
		if len(own) == 0 {
			return json.RawMessage("null"), ""
		}
		at := 0
		if w.bug == "unordered" {
			at = w.r.IntN(len(own))
		}
		w.put(o.Key, slices.Delete(slices.Clone(own), at, at+1)...)
		return json.RawMessage(own[at]), ""
	case "drain":
		w.put(o.Key)
		return array(own), ""
	case "acquire":
		if len(own) > 0 {
			return nil, "held"
		}
		w.put(o.Key, strconv.Itoa(o.Process))
		w.now["fence "+o.Key] = []string{strconv.Itoa(whole(w.now["fence "+o.Key]) + 1)}
		return last(w.now["fence "+o.Key]), ""
	case "release":
		if len(own) == 0 || own[0] != strconv.Itoa(o.Process) {
			return nil, "not held"
		}
		delete(w.now, o.Key)
		return nil, ""
	case "transfer":
		var t struct {
			From, To string
			Amount   int
		}
		_ = json.Unmarshal(o.Value, &t)
		w.put(t.From, strconv.Itoa(whole(w.now[t.From])-t.Amount))
		w.put(t.To, strconv.Itoa(whole(w.now[t.To])+t.Amount))
	case "balances":
		var accounts []string
		_ = json.Unmarshal(o.Value, &accounts)
		held := make(map[string]json.RawMessage)
		for _, a := range accounts {
			if v := w.get(o, a); len(v) > 0 {
				held[a] = last(v)
			}
		}
		b, _ := json.Marshal(held)
		return b, ""
	case "txn":
		return w.txn(o), ""
	}
	return o.Value, ""
}

// txn carries micro-operations out. A store with write skew reads what was there some time ago, as snapshot isolation may.
func (w *world) txn(o history.Op) json.RawMessage {
	var ops [][3]json.RawMessage
	_ = json.Unmarshal(o.Value, &ops)
	skewed := w.has("write-skew", 0.5)
	written := make(map[string]bool)
	for i, op := range ops {
		key := string(op[1])
		switch string(op[0]) {
		case `"w"`:
			w.put(key, string(op[2]))
			written[key] = true
		case `"append"`:
			w.put(key, append(slices.Clone(w.now[key]), string(op[2]))...)
			written[key] = true
		default:
			values := w.get(o, key)
			if skewed && !written[key] {
				values = w.old[key]
			}
			ops[i][2] = last(values)
			if w.lists {
				ops[i][2] = array(values)
			}
		}
	}
	b, _ := json.Marshal(ops)
	return b
}

// last is the value of a key that has one; null if it has none.
func last(values []string) json.RawMessage {
	if len(values) == 0 {
		return json.RawMessage("null")
	}
	return json.RawMessage(values[len(values)-1])
}

func array(values []string) json.RawMessage {
	return json.RawMessage("[" + strings.Join(values, ",") + "]")
}

func whole(values []string) int {
	n := 0
	if len(values) > 0 {
		n, _ = strconv.Atoi(values[0])
	}
	return n
}

// run makes a whole run of a workload on a store with a bug, or none, and judges it.
func run(t *testing.T, load Workload, bug string, operations int) []checker.Result {
	t.Helper()
	w := &world{r: rand.New(rand.NewPCG(3, 5)), bug: bug, lists: load.Name == "list-append", now: make(map[string][]string), ends: make(map[string]time.Duration)}
	w.drive(load.Main(params), params.Concurrency, operations)
	if load.Final != nil {
		var keys []string
		for _, o := range w.h {
			if o.Key != "" && !slices.Contains(keys, o.Key) {
				keys = append(keys, o.Key)
			}
		}
		if bug == "stale" { // it catches up at last
			w.old = w.now
		}
		w.drive(load.Final(params, keys, params.Concurrency), params.Concurrency, 1<<30)
	}
	return checker.Run(t.Context(), w.h, load.Checkers())
}

// bugsOf are the bugs that each workload must find in the store.
var bugsOf = map[string][]string{
	"register":    {"stale", "lost"},
	"set":         {"lost"},
	"set-full":    {"stale", "lost", "torn"},
	"counter":     {"stale", "lost"},
	"queue":       {"lost", "unordered"},
	"lock":        {"lost"},
	"unique-ids":  {"lost"},
	"durability":  {"lost"},
	"list-append": {"stale", "lost", "fractured", "write-skew"},
	"rw-register": {"stale", "fractured", "write-skew"},
	"bank":        {"lost", "fractured"},
	"long-fork":   {"fractured"},
	"write-skew":  {"write-skew"},
	"sequential":  {"stale", "fractured"},
	"causal":      {"stale", "fractured"},
	"sessions":    {"stale", "fractured"},
	"prefix":      {"torn", "lost"},
	"stale-bound": {"stale"},
	"ttl":         {"lost", "hasty", "immortal", "stale"},
}

// TestEveryWorkloadTellsRightFromWrong runs each workload on a store that keeps every promise, which must come out valid, and on
// stores with bugs, which must not.
func TestEveryWorkloadTellsRightFromWrong(t *testing.T) {
	for _, load := range All {
		if len(bugsOf[load.Name]) == 0 {
			t.Errorf("no bug is known that %s finds", load.Name)
		}
		for _, bug := range append([]string{""}, bugsOf[load.Name]...) {
			t.Run(load.Name+"/"+bug, func(t *testing.T) {
				t.Parallel()
				want := checker.Valid
				if bug != "" {
					want = checker.Invalid
				}
				for _, r := range run(t, load, bug, 1500) {
					t.Log(r.Summary)
					if r.Verdict != want {
						t.Errorf("%s says %s, want %s", r.Checker, r.Verdict, want)
					}
				}
			})
		}
	}
}
