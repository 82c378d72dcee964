package checker

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
)

// TestSituationsAreMet has a little run that meets each situation, and nothing else of those that do not come with it.
func TestSituationsAreMet(t *testing.T) {
	const s = time.Second
	partition := []history.Evidence{
		{Fault: 1, Kind: "partition", Step: history.StepInject, Time: 10 * s},
		{Fault: 1, Kind: "partition", Step: history.StepHeal, Time: 20 * s},
	}
	hit := func(kind string) []history.Evidence {
		return []history.Evidence{{Fault: 1, Kind: kind, Step: history.StepInject, Time: 10 * s, Nodes: []string{"n1"}, Measures: map[string]float64{"lost_bytes": 7}}}
	}
	for _, c := range []struct {
		met      string // with commas
		trace    string // second, node, event and its attributes
		evidence []history.Evidence
		asked    string // "second node" of a request
	}{
		{"", "1 n1 role role=Candidate; 2 n1 role role=Leader term=2; 3 n2 role role=Candidate; 4 n2 role role=Follower", nil, "5 n1"},
		{"two candidates at once", "1 n1 role role=Candidate; 2 n2 role role=Candidate", nil, ""},
		{"", "1 n1 role role=Candidate; 2 n1 start; 3 n2 role role=Candidate", nil, ""},
		{"two leaders at once", "1 n1 role role=Leader term=2; 5 n2 role role=Leader term=3; 9 n1 role role=Follower", nil, "10 n1"},
		{"two leaders at once,deposed leader got a request", "1 n1 role role=Leader term=2; 5 n2 role role=Leader term=3; 9 n1 role role=Follower", nil, "6 n1"},
		{"leader killed", "1 n1 role role=Leader term=2", hit("kill"), "11 n1"},
		{"leader killed,crash with unsynced writes", "1 n1 role role=Leader term=2", hit("power"), ""},
		{"leader paused", "1 n1 role role=Leader term=2", hit("pause"), ""},
		{"crash with unsynced writes", "1 n2 role role=Leader term=2", hit("power"), ""},
		{"node killed during snapshot", "9 n1 snapshot", hit("kill"), ""},
		{"snapshot taken", "8 n1 snapshot; 9 n1 snapshot-end", hit("kill"), ""},
		{"leader killed,node killed during snapshot,leader killed during snapshot", "1 n1 role role=Leader term=2; 9 n1 snapshot", hit("kill"), ""},
		{"election during partition", "15 n1 role role=Candidate", partition, ""},
		{"", "21 n1 role role=Candidate; 25 n1 apply members=true", partition, ""},
		{"config change during partition", "15 n1 apply members=true", partition, ""},
		{"torn tail recovered", "1 n1 torn", nil, ""},
		{"snapshot restored at start", "1 n1 start; 2 n1 restore", nil, ""},
		{"snapshot installed", "1 n1 start; 2 n1 term term=1; 3 n1 restore", nil, ""},
		{"leadership transferred", "1 n1 transfer", nil, ""},
	} {
		trace := []string{"time=2026-01-01T00:00:00.000Z msg=trace node=n9 event=start"}
		for _, one := range strings.Split(c.trace, "; ") {
			word := strings.Fields(one)
			trace = append(trace, strings.Join(append([]string{"time=" + atSecond(t, word[0]), "msg=trace", "node=" + word[1], "event=" + word[2]}, word[3:]...), " "))
		}
		run := &history.Run{Evidence: c.evidence}
		if second, node, ok := strings.Cut(c.asked, " "); ok {
			after, err := time.ParseDuration(second + "s")
			if err != nil {
				t.Fatal(err)
			}
			run.History = history.History{{Time: after, Type: history.Invoke, F: "read", Node: node, Value: json.RawMessage("null")}}
		}
		met := Met(run, readTrace(t, strings.Join(trace, "\n")+"\n"))
		for _, name := range Situations() {
			if want := slices.Contains(strings.Split(c.met, ","), name); want != (met[name] > 0) {
				t.Errorf("%s (%s): %q met %d times", c.trace, c.asked, name, met[name])
			}
		}
	}
}

// atSecond is a time on the clock of the tests' nodes.
func atSecond(t *testing.T, second string) string {
	t.Helper()
	after, err := time.ParseDuration(second + "s")
	if err != nil {
		t.Fatal(err)
	}
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(after).Format(time.RFC3339)
}
