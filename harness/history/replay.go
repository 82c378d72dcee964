package history

import "fmt"

// Violation is a broken promise by its kind: which checker found it, and what its first anomaly is called. Two runs show the same violation if both are the same.
type Violation struct {
	Checker string `json:"checker"`
	Anomaly string `json:"anomaly,omitempty"`
}

// String names the violation: "linearizable (nonlinearizable)".
func (v Violation) String() string {
	switch {
	case v == Violation{}:
		return "no violation"
	case v.Anomaly == "":
		return v.Checker
	}
	return fmt.Sprintf("%s (%s)", v.Checker, v.Anomaly)
}

// Replays is replays.json: how often a run that was made again showed the same violation.
type Replays struct {
	As       string      `json:"as"`       // what was carried out again: plan, the faults as they were planned, or ran, as they hit
	Cluster  string      `json:"cluster"`  // on which kind of cluster
	Wanted   []Violation `json:"wanted"`   // the original run's
	Replays  []Replay    `json:"replays"`  // each time that it was made again
	Hits     int         `json:"hits"`     // of them showed a violation that was wanted
	RateLow  float64     `json:"rate_low"` // 95 % confidence interval (Wilson) of the rate of which Hits were seen
	RateHigh float64     `json:"rate_high"`
}

// Replay is one run that was made again.
type Replay struct {
	Dir        string      `json:"dir"`                  // its folder
	Verdict    string      `json:"verdict"`              // valid, invalid, unknown
	Violations []Violation `json:"violations,omitempty"` // that it showed
	Reproduced bool        `json:"reproduced"`
}

// Summary says it in a sentence.
func (r Replays) Summary() string {
	if r.Cluster == Simulated {
		return fmt.Sprintf("%d of %d replays in the simulation were the same to the byte", len(r.Replays), len(r.Replays))
	}
	return fmt.Sprintf("%d of %d replays (%s, as %s) showed the violation again: a rate of %.0f %%, with 95 %% confidence between %.0f and %.0f %%",
		r.Hits, len(r.Replays), r.Cluster, r.As, 100*float64(r.Hits)/float64(max(1, len(r.Replays))), 100*r.RateLow, 100*r.RateHigh)
}
